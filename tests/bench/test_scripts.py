"""The scripts of `benchmarks/`: those that need no other framework than the package's own."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import bad_files
import numpy as np
import pytest

from moe_vae.data.dataset import DataSet

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
# They need JAX, PyTorch or TensorFlow 1.
OTHERS = {
    "jax_mixture.py",
    "tensorflow_1_mixture.py",
    "tensorflow_1_posts.py",
    "torch_mixture.py",
}


def load(name):
    return runpy.run_path(str(BENCHMARKS / name))


@pytest.mark.parametrize("name", sorted({path.name for path in BENCHMARKS.glob("*.py")} - OTHERS))
def test_a_script_finds_what_it_imports(name):
    assert load(name)["__doc__"]


def test_a_large_set_is_written_and_its_training_recorded(monkeypatch, tmp_path):
    script = load("large_set.py")
    train_set = DataSet(np.random.default_rng(0).random([20, 784], np.float32))
    written = []

    def read(data):
        assert data == "mnist"
        return SimpleNamespace(train=train_set)

    def train(words, cwd, check):
        assert check
        written.append(np.load(Path(cwd, "images.npy")))
        Path(cwd, "run").mkdir()
        Path(cwd, "run", "metrics.json").write_bytes(bad_files.as_json(bad_files.RECORD))

    monkeypatch.setitem(script["write_images"].__globals__, "read_mnist", read)
    monkeypatch.setattr(subprocess, "run", train)
    monkeypatch.setattr(sys, "argv", ["x", "--images", "30", "--out", str(tmp_path / "a.json")])
    script["main"]()
    assert (written[0].shape, written[0].dtype) == ((30, 28, 28), np.uint8)
    content = json.loads((tmp_path / "a.json").read_text())
    assert content["n_images"] == 30
    assert content["seconds_of_steps"] == bad_files.RECORD["seconds"]
    assert content["processor"]
