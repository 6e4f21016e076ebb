"""The measurement on a GPU: on a GPU where there is one, and on the CPU in its place."""

import json

import numpy as np
import pytest

from moe_vae.bench import card
from moe_vae.bench.card import MAX_ERROR, measure_card, run_card_bench
from moe_vae.bench.processes import BenchError
from moe_vae.cli.main import main
from moe_vae.compat import tf
from moe_vae.data.checks import DataError
from moe_vae.data.dataset import DataSet
from moe_vae.experiments.registry import MODELS
from moe_vae.experiments.sources import DataChoice
from moe_vae.nn.sessions import finds_gpu
from moe_vae.training.trainer import start_trainer

pytestmark = pytest.mark.process

SAMPLE = DataChoice("sample")
SMALL = {"encoder_layers": [8], "decoder_layers": [8], "z_dim": 2, "batch_size": 20}
LOOPED = [
    ("conditional-vae", "compiled", {**SMALL, "digit_classification_layers": [8]}),
    ("mixture-of-vaes", "fused", {**SMALL, "manager_layers": [8]}),
]


@pytest.mark.gpu
def test_a_gpu_gives_the_cpus_losses(tmp_path):
    results = run_card_bench(SAMPLE, tmp_path / "bench_gpu.json")
    assert results["models"].keys() == MODELS.keys()


@pytest.mark.gpu
def test_a_gpu_computes_the_products():
    with tf.Graph().as_default(), tf.Session() as session:
        product = tf.ones([2, 2]) @ tf.random_normal([2, 2])
        recorded = tf.RunMetadata()
        options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
        session.run(product, options=options, run_metadata=recorded)
    assert any("GPU:0" in device.device for device in recorded.step_stats.dev_stats)


@pytest.mark.skipif(finds_gpu(), reason="for machines without a GPU")
def test_without_a_gpu_the_measurement_is_refused(tmp_path, capfd):
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--device", "gpu", "--out", str(tmp_path / "bench_gpu.json")])
    assert ended.value.code == 2
    assert capfd.readouterr().err == (
        "python -m moe_vae: error: --device is gpu: TensorFlow finds no GPU here; `doctor` "
        "says why\n"
    )
    assert not list(tmp_path.iterdir())


def test_the_cpu_in_the_place_of_a_card(tmp_path):
    out = tmp_path / "bench_gpu.json"
    results = run_card_bench(SAMPLE, out, "bench", ["conditional-vae"], device="CPU")
    assert json.loads(out.read_text()) == {"format_version": 1, **results}
    of_cpu, *entries = results["models"]["conditional-vae"]
    kinds = [(entry["engine"], entry["precision"]) for entry in entries]
    assert kinds == [
        ("plain", "float32"),
        ("compiled", "float32"),
        ("plain", "tf32"),
        ("compiled", "tf32"),
        ("compiled", "bfloat16"),
    ]
    assert of_cpu["error"] == 0
    errors = dict(zip(kinds, (entry["error"] for entry in entries), strict=True))
    # A CPU has no TF32, so all of these are in single precision.
    assert max(error for (_, precision), error in errors.items() if precision != "bfloat16") < (
        MAX_ERROR
    )
    # bfloat16 has 8 bits: its error can be seen, and is small.
    assert 1e-6 < errors["compiled", "bfloat16"] < 0.02
    assert [entry["is_resident"] for entry in entries] == [False, True, False, True, True]


def test_a_loss_that_differs_is_an_error_after_the_results_are_written(tmp_path, monkeypatch):
    entry = {"device": "CPU", "engine": "plain", "precision": "float32", "error": 3e-4}
    monkeypatch.setattr(card, "measure_card", lambda *_: [entry])
    with pytest.raises(BenchError, match=r"by more than 1e-05: vade, plain \(3\.0e-04\)"):
        run_card_bench(SAMPLE, tmp_path / "out.json", "", ["vade"], device="CPU")
    assert (tmp_path / "out.json").exists()


def test_an_error_is_relative_to_a_large_loss_and_absolute_for_a_small_one():
    assert card._error({"a": 202.0, "b": 0.5}, {"a": 200.0, "b": 0.25}) == 0.25
    assert card._error({"a": 202.0}, {"a": 200.0}) == 0.01


@pytest.mark.parametrize("wrong", ["a", "b"])
def test_a_loss_that_is_no_number_is_an_error(wrong):
    of_cpu = {"a": 1.0, "b": 2.0}
    assert np.isnan(card._error({**of_cpu, wrong: float("nan")}, of_cpu))


def test_a_process_that_fails_is_an_error(tmp_path):
    with pytest.raises(BenchError, match="vade, plain, float32 ended with exit code 1"):
        measure_card("vade", DataChoice("mnist", tmp_path / "nothing"), "CPU")


@pytest.mark.parametrize(("name", "engine", "params"), LOOPED)
def test_a_training_set_on_the_device_gives_the_same_training(name, engine, params):
    generator = np.random.default_rng(0)
    images = generator.random([250, 784], np.float32)
    losses = []
    for is_kept in (False, True):
        train_set = DataSet(images, np.arange(250) % 10)
        trainer = start_trainer(card.builder(name, (28, 28), engine), params, 0)
        if is_kept:
            trainer.keep_on_device(train_set)
        losses.append(trainer.fit(train_set, 2).history["loss"])
        assert not any("kept" in variable for variable in trainer.variables())
    # Where an array lies in memory may change how a product is rounded.
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)


def test_examples_with_neighbours_are_not_kept():
    name, engine, params = LOOPED[1]
    trainer = start_trainer(card.builder(name, (28, 28), engine), params, 0)
    train_set = DataSet(np.zeros([30, 784], np.float32))
    train_set.neighbours = np.zeros([30, 1], int)
    with pytest.raises(DataError, match="cannot be kept on the device"):
        trainer.keep_on_device(train_set)
