"""The benchmarks: what they count, and how they ask the processes that they measure."""

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from moe_vae import DataSet
from moe_vae.bench import engines, floor, processes, worker
from moe_vae.bench.charts import plot_epochs, plot_growth, plot_training_growth
from moe_vae.bench.engines import run_bench, summarise
from moe_vae.bench.growth import POINT, measure_growth, measured_apart
from moe_vae.bench.processes import BenchError, Peer, PeerPythons, engine_commands, peer_commands
from moe_vae.bench.training_growth import decide, marked_images, measure_training_growth
from moe_vae.bench.worker import BENCH_MODELS, POST_ENGINES, profile_step
from moe_vae.cli.main import main
from moe_vae.compat import tf
from moe_vae.engines.fused import build_fused_mixture_of_vaes
from moe_vae.experiments.sources import DataChoice
from moe_vae.experiments.tables.performance import bench_training_table
from moe_vae.training.trainer import Trainer, start_trainer

pytestmark = pytest.mark.process

SMALL = {"encoder_layers": [8], "decoder_layers": [8], "manager_layers": [8], "batch_size": 20}


def test_a_step_is_summed_up_by_kind_of_operation():
    with tf.Graph().as_default():
        trainer = Trainer(build_fused_mixture_of_vaes(SMALL))
    images = np.random.default_rng(0).random([40, 784], np.float32)
    start = time.perf_counter()
    profile = profile_step(trainer, DataSet(images, np.zeros(40, int)))
    elapsed = time.perf_counter() - start
    # A first and a last layer, each forward and twice back, for each of ten experts at least.
    assert profile["kinds"]["MatMul"]["count"] > 30
    # An expert's layers may share an update, but not with another expert's.
    assert profile["kinds"]["ResourceApplyAdam"]["count"] > 10
    seconds = [entry["seconds"] for entry in profile["kinds"].values()]
    assert seconds == sorted(seconds, reverse=True)
    assert 0 < sum(seconds) < elapsed


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("dense/MatMul = MatMul(x, w)", "MatMul"),
        ("dense/MatMul = _MklMatMul(x, w)", "MatMul"),
        ("dense/MatMul = _FusedMatMul(x, w)", "_FusedMatMul"),
        ("dense/MatMul = _MklNativeFusedMatMul(x, w)", "_FusedMatMul"),
        ("_SOURCE", ""),
    ],
)
def test_onednns_kernels_count_as_tensorflows(label, kind):
    assert worker._kind(label) == kind


def test_a_pixel_counts_as_inked_if_one_image_of_the_batch_has_ink_there():
    images = np.zeros([6, 784], np.float32)
    images[:, :3] = 1
    assert floor.inked_pixels(images, 2) == 3
    images[0, 10] = 0.5  # in every batch of six images, in a third of the batches of two
    assert floor.inked_pixels(images, 6) == 4
    assert 3 < floor.inked_pixels(images, 2) < 4


def test_the_floor_counts_the_products_of_a_step():
    assert floor.step_flop(100, 784) == pytest.approx(1.04e9, rel=0.01)
    assert floor.step_flop(100, 392) < floor.step_flop(100, 784)


def answering(tmp_path, name, seconds):
    """The command of a process that answers as a measured one does."""
    script = tmp_path / f"{name}.py"
    answers = {
        "epoch": {"train": seconds, "evaluate": 1.0, "samples": 0.0, "loss": 5.0},
        "profile": {"step": 1.0, "kinds": {"MatMul": {"seconds": 1.0, "count": 2}}},
        "end": {"peak_bytes": 2**20},
    }
    script.write_text(
        f"import json, sys\nanswers = {answers!r}\n"
        "for line in sys.stdin:\n    print(json.dumps(answers[line.strip()]), flush=True)\n"
    )
    return [sys.executable, str(script)]


@pytest.fixture
def small_bench(tmp_path, monkeypatch):
    """Function that runs a bench in which nothing is measured; returns what it wrote."""
    parts = {name: {"all": 2e-3, "without_blanks": 1e-3} for name in ("step", "products")}
    monkeypatch.setattr(engines, "measure_floor", lambda images: parts)

    def run(broken=None, **options):
        commands = {
            "": {
                "plain": broken or answering(tmp_path, "plain", 3.0),
                "fused": answering(tmp_path, "fused", 2.0),
            }
        }
        for model in BENCH_MODELS:
            commands[model] = {
                "plain": answering(tmp_path, "plain", 3.0),
                "compiled": answering(tmp_path, "compiled", 2.0),
            }
        monkeypatch.setattr(engines, "engine_commands", lambda data, model="": commands[model])
        out = tmp_path / "results/bench.json"
        returned = run_bench(DataChoice("sample"), 2, out=out, command="bench", **options)
        written = json.loads(out.read_text())
        assert written == {"format_version": 1, **returned}
        return written

    return run


def test_a_bench_has_ratios_of_the_same_run(tmp_path, small_bench):
    result = small_bench()
    assert result["command"] == "bench"
    assert {name: len(epochs) for name, epochs in result["epochs"].items()} == {
        "plain": 2,
        "fused": 2,
    }
    summary = result["summary"]
    assert summary["times_fused"] == {"plain": 1.5, "fused": 1.0}
    assert summary["whole_times_fused"] == {"plain": pytest.approx(4 / 3), "fused": 1.0}
    assert summary["floor_epoch"]["without_blanks"] == pytest.approx(1e-3 * result["steps"])
    assert summary["fraction_of_floor"]["last"] == pytest.approx(1e-3 * result["steps"] / 2)
    assert result["peak_bytes"] == {"plain": 2**20, "fused": 2**20}
    assert result["profile"]["fused"]["kinds"]["MatMul"]["count"] == 2
    assert result["models"].keys() == BENCH_MODELS.keys()
    for model in result["models"].values():
        assert (model["times_compiled"], model["medians"]["compiled"]) == (1.5, 2.0)
        assert len(model["epochs"]["plain"]) == engines.N_MODEL_EPOCHS
        assert model["first_epoch"]["compiled"]["train"] == 2.0
        assert model["first_epoch_from_cache"]["train"] == 2.0
    assert (tmp_path / "results/figures/bench.png").exists()


def test_the_beginning_the_end_and_the_middle_of_a_training_have_medians_of_their_own():
    epochs = {"fused": [{"train": float(t)} for t in (9, 8, 7, 3, 3, 3, 3, 2, 1, 0)]}
    result = {"epochs": epochs, "steps": 10, "floor": {"step": {"without_blanks": 0.1}}}
    medians = summarise(result)["medians"]["fused"]
    assert medians == {"train": 3.0, "first": 8.0, "last": 1.0}
    figure = plot_epochs(epochs)
    assert list(figure.axes[0].lines[0].get_xdata()) == list(range(2, 12))


def test_an_epoch_that_took_long_is_explained_in_the_figure():
    usual, slow = {"train": 2.0, "train_cpu": 3.5}, {"train": 3.25, "train_cpu": 4.5}
    figure = plot_epochs({"fused": [usual, usual, slow, usual], "JAX": [usual] * 4})
    (text,) = figure.axes[0].texts
    assert text.xy == (4, 3.25)
    assert text.get_text() == (
        "fused, epoch 4: 3.2 s (median 2.0 s),\n    processor 4.5 s (median 3.5 s)"
    )
    assert not plot_epochs({"fused": [usual] * 4}).axes[0].texts


def test_a_peer_is_run_by_its_own_python(tmp_path):
    asked = [sys.executable, "-c", "pass"]
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexec {shlex.join(asked)}\n")
    python.chmod(0o755)
    pythons = PeerPythons(modern="/bin/false", tensorflow_1=str(python))
    commands = peer_commands(tmp_path / "images.npy", pythons)
    ((name, command),) = commands.items()
    assert name == "TensorFlow 1.15"
    assert command[0] == str(python)
    assert Path(command[1]).exists()
    assert command[-1] == str(tmp_path / "images.npy")


def test_a_python_that_does_not_exist_is_an_error(tmp_path):
    python = str(tmp_path / "python3.7")
    with pytest.raises(BenchError, match=r"python3\.7 cannot be run: No such file or directory"):
        peer_commands(tmp_path / "images.npy", PeerPythons(tensorflow_1=python))


def test_peers_need_the_folder_of_their_scripts(small_bench, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "BENCHMARKS", tmp_path)
    message = r"benchmarks/tensorflow_1_mixture\.py is missing: .* clone"
    with pytest.raises(BenchError, match=message):
        small_bench(with_peers=True)


def test_a_process_that_ends_too_early_is_an_error(small_bench):
    ended = [sys.executable, "-c", "raise SystemExit(3)"]
    with pytest.raises(BenchError, match=r"^plain ended with exit code 3$"):
        small_bench(broken=ended)


def test_a_peer_that_is_not_installed_is_named(small_bench, monkeypatch, capfd):
    missing = {"Nothing": Peer("jax_mixture.py", "moe_vae_has_no_such_package")}
    monkeypatch.setattr(processes, "PEERS", missing)
    result = small_bench(with_peers=True)
    assert set(result["epochs"]) == {"plain", "fused"}
    said = f"the package moe_vae_has_no_such_package is not installed for {sys.executable}.\n"
    assert f"Nothing is left out: {said}" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("model", "engine", "n_products"), [("", "fused", 30), ("conditional VAE", "compiled", 10)]
)
def test_a_measured_process_answers_with_seconds_and_memory(model, engine, n_products):
    command = engine_commands(DataChoice("sample"), model)[engine]
    assert command[-4:] == [model, engine, "sample", ""]
    done = subprocess.run(
        command, input="profile\nepoch\nend\n", capture_output=True, text=True, check=True
    )
    profile, epoch, end = map(json.loads, done.stdout.splitlines())
    assert profile["kinds"]["MatMul"]["count"] > n_products
    assert min(epoch[name] for name in ("train", "evaluate", "samples")) > 0
    assert epoch["loss"] < 10_000
    # More than TensorFlow needs by itself, and no more than the machine has.
    assert 2**28 < end["peak_bytes"] < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_a_python_without_peers_is_refused(capfd):
    with pytest.raises(SystemExit):
        main(["bench", "--tensorflow-1-python", "python3.7"])
    assert "--tensorflow-1-python is python3.7: it must come with --peers" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scaling", "--epochs", "9"], "--epochs does not go with --scaling: leave one out"),
        (["--scaling", "training", "--peers"], "--peers does not go with --scaling"),
        (["--device", "gpu", "--peers-python", "p"], "--peers-python does not go with --device"),
    ],
)
def test_an_option_of_another_measurement_is_refused(capfd, words, message):
    with pytest.raises(SystemExit) as caught:
        main(["bench", *words])
    assert caught.value.code == 2
    assert message in capfd.readouterr().err


def test_growth_is_measured_point_by_point_and_drawn():
    points = measure_growth({"experts": (1, 3)})
    assert [point["experts"] for point in points] == [1, 3]
    for point in points:
        assert point["batch"] == 1000
        drawn = point["seconds"]["generate"] * point["images_a_second"]["generate"]
        assert drawn == pytest.approx(1000 * point["experts"])
    figure = plot_growth(points, POINT)
    assert list(figure.axes[0].lines[0].get_xdata()) == [1, 3]


def test_a_point_whose_process_fails_is_an_error():
    # The module reads a file.
    message = r"^json\.tool: file nowhere\.json ended with exit code [12]$"
    with pytest.raises(BenchError, match=message):
        measured_apart("json.tool", ["file"], [{"file": "nowhere.json"}])


@pytest.mark.parametrize("engine", POST_ENGINES)
def test_a_manager_that_has_decided_gives_each_image_to_one_expert_and_stays_so(engine):
    n_experts = 3
    trainer = start_trainer(POST_ENGINES[engine], {"n_experts": n_experts, "batch_size": 30}, 0)
    images = marked_images(60, n_experts)
    decide(trainer)
    for _ in range(2):
        probs = trainer.model.predict_proba(trainer.session, images)
        expected = np.eye(n_experts)[np.arange(60) % n_experts]
        # A softmax in single precision may end one step below 1.
        np.testing.assert_allclose(probs, expected, rtol=0, atol=np.finfo(np.float32).eps)
        trainer.run_epoch(DataSet(images, None), "loss")


def test_the_growth_of_a_training_is_measured_and_drawn(tmp_path):
    points = measure_training_growth((1, 2))
    kinds = [(point["experts"], point["engine"], point["stage"]) for point in points]
    assert len(set(kinds)) == len(kinds) == 8
    assert all(0 < point["seconds"] < 10 and point["peak_bytes"] > 2**28 for point in points)
    speed, memory = plot_training_growth(points).axes
    for ax in (speed, memory):
        assert [list(line.get_xdata()) for line in ax.lines] == [[1, 2]] * 4
    header, *_, last = bench_training_table({"bench_training": {"points": points}}).splitlines()
    assert header.count("plain") == header.count("fused") == 4
    assert last.startswith("| 2 | ")
