"""The benchmarks: what they count is what there is."""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time

import numpy as np
import pytest

from moe_vae import DataSet, bench, bench_scaling, bench_worker, cli, floor
from moe_vae.compat import tf
from moe_vae.engines.fused import build_fused_mixture_of_vaes
from moe_vae.training.trainer import Trainer

SMALL = {"encoder_layers": [8], "decoder_layers": [8], "manager_layers": [8], "batch_size": 20}


def test_a_step_is_summed_up_by_kind_of_operation():
    with tf.Graph().as_default():
        trainer = Trainer(build_fused_mixture_of_vaes(SMALL))
    images = np.random.default_rng(0).random([40, 784], np.float32)
    start = time.perf_counter()
    profile = bench_worker.profile_step(trainer, DataSet(images, np.zeros(40, int)))
    elapsed = time.perf_counter() - start
    # A first and a last layer, each forward and twice back, for each of ten experts at least.
    assert profile["kinds"]["MatMul"]["count"] > 30
    # Two kernels an expert may be fused, but not into fewer than one of the last layers each.
    assert profile["kinds"]["ResourceApplyAdam"]["count"] > 10
    seconds = [entry["seconds"] for entry in profile["kinds"].values()]
    assert seconds == sorted(seconds, reverse=True)
    assert 0 < sum(seconds) < elapsed


def test_pixels_count_as_inked_where_one_image_of_the_batch_is():
    images = np.zeros([6, 784], np.float32)
    images[:, :3] = 1
    assert floor.inked_pixels(images, 2) == 3
    images[0, 10] = 0.5  # in every batch of all, in a third of those of two
    assert floor.inked_pixels(images, 6) == 4
    assert 3 < floor.inked_pixels(images, 2) < 4


def test_the_floor_counts_the_products_of_a_step():
    assert floor._flop(100, 784) == pytest.approx(1.04e9, rel=0.01)
    assert floor._flop(100, 392) < floor._flop(100, 784)


def peer(tmp_path, name, seconds):
    """The command of a process that answers as a worker does."""
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


def small_bench(tmp_path, monkeypatch, words=(), commands=None):
    monkeypatch.chdir(tmp_path)
    parts = {name: {"all": 2e-3, "without_blanks": 1e-3} for name in ("step", "products")}
    monkeypatch.setattr(bench, "measure_floor", lambda images: parts)
    engines = {"plain": peer(tmp_path, "plain", 3.0), "fused": peer(tmp_path, "fused", 2.0)}
    engines |= commands or {}
    monkeypatch.setattr(bench, "_engine_commands", lambda arguments, model="": dict(engines))
    cli.main(["bench", "--data", "sample", "--epochs", "2", *words])
    return json.loads((tmp_path / "results/bench.json").read_text())


def test_a_bench_has_ratios_of_the_same_run(tmp_path, monkeypatch):
    result = small_bench(tmp_path, monkeypatch)
    assert result["command"] == "python -m moe_vae bench --data sample --epochs 2"
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
    assert result["models"].keys() == bench_worker.BENCH_MODELS.keys()
    for model in result["models"].values():
        assert (model["times_fused"], model["medians"]["fused"]) == (1.5, 2.0)
        assert len(model["epochs"]["plain"]) == bench.N_MODEL_EPOCHS
        assert model["first_epoch"]["fused"]["train"] == 2.0
    assert (tmp_path / "results/figures/bench.png").exists()


def test_the_beginning_the_end_and_the_middle_of_a_training_have_medians_of_their_own():
    epochs = {"fused": [{"train": float(t)} for t in (9, 8, 7, 3, 3, 3, 3, 2, 1, 0)]}
    result = {"epochs": epochs, "steps": 10, "floor": {"step": {"without_blanks": 0.1}}}
    medians = bench._summary(result)["medians"]["fused"]
    assert medians == {"train": 3.0, "first": 8.0, "last": 1.0}
    figure = bench.plot_epochs(epochs)
    assert list(figure.axes[0].lines[0].get_xdata()) == list(range(2, 12))


def test_a_peer_of_another_python_is_asked_with_it(tmp_path, monkeypatch):
    asked = [sys.executable, "-c", "pass"]
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexec {shlex.join(asked)}\n")
    python.chmod(0o755)
    arguments = argparse.Namespace(peers_python="/bin/false", tensorflow_1_python=str(python))
    commands = bench._peer_commands(arguments, tmp_path / "images.npy")
    ((name, command),) = commands.items()
    assert name == "TensorFlow 1.15"
    assert command[0] == str(python)
    assert command[-1] == str(tmp_path / "images.npy")


def test_a_worker_that_ends_too_early_is_an_error_in_one_line(tmp_path, monkeypatch, capfd):
    ended = [sys.executable, "-c", "raise SystemExit(3)"]
    with pytest.raises(SystemExit):
        small_bench(tmp_path, monkeypatch, commands={"plain": ended})
    assert capfd.readouterr().err.endswith("error: plain ended with exit code 3\n")


def test_a_peer_that_is_not_installed_is_named(tmp_path, monkeypatch, capfd):
    missing = {"Nothing": bench._Peer("jax_mixture.py", "moe_vae_has_no_such_package")}
    monkeypatch.setattr(bench, "PEERS", missing)
    result = small_bench(tmp_path, monkeypatch, ["--peers"])
    assert set(result["epochs"]) == {"plain", "fused"}
    said = f"the package moe_vae_has_no_such_package is not installed for {sys.executable}.\n"
    assert f"Nothing is left out: {said}" in capfd.readouterr().out


@pytest.mark.parametrize(("model", "n_products"), [("", 30), ("conditional VAE", 10)])
def test_a_worker_answers_with_seconds_and_memory(model, n_products):
    arguments = argparse.Namespace(data="sample", data_dir=None)
    command = bench._engine_commands(arguments, model)["fused"]
    assert command[-4:] == [model, "fused", "sample", ""]
    done = subprocess.run(
        command, input="profile\nepoch\nend\n", capture_output=True, text=True, check=True
    )
    profile, epoch, end = map(json.loads, done.stdout.splitlines())
    assert profile["kinds"]["MatMul"]["count"] > n_products
    assert min(epoch[name] for name in ("train", "evaluate", "samples")) > 0
    assert epoch["loss"] < 10_000
    # More than TensorFlow takes by itself, and no more than there is.
    assert 2**28 < end["peak_bytes"] < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_a_python_without_peers_is_refused(capfd):
    with pytest.raises(SystemExit):
        cli.main(["bench", "--tensorflow-1-python", "python3.7"])
    assert "--tensorflow-1-python is python3.7: it must come with --peers" in capfd.readouterr().err


def test_growth_is_measured_point_by_point_and_drawn():
    points = bench_scaling.measure_scaling({"experts": (1, 3)})
    assert [point["experts"] for point in points] == [1, 3]
    for point in points:
        assert point["batch"] == 1000
        drawn = point["seconds"]["generate"] * point["images_a_second"]["generate"]
        assert drawn == pytest.approx(1000 * point["experts"])
    figure = bench_scaling.plot_growth(points)
    assert list(figure.axes[0].lines[0].get_xdata()) == [1, 3]
