"""What XLA compiled is kept for the next process, where that is possible."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from moe_vae.compat import CACHE_VARIABLE, compilation_cache
from moe_vae.diagnosis.machine import check_machine

pytestmark = pytest.mark.engines

ROOT = Path(__file__).parents[2]
# One epoch of a small model; prints the processor's seconds of it, and the loss.
TRAIN = """
import json, sys, time
import numpy as np
from moe_vae import DataSet, start_trainer
from moe_vae.engines.compiled import compiled
from moe_vae.models.vae import build_vae
from moe_vae.training.trainer import TrainingError

images = np.random.default_rng(0).random([200, 784], np.float32)
small = {"encoder_layers": [16], "decoder_layers": [16], "batch_size": 20}
trainer = start_trainer(compiled(build_vae), small, 0)
train_set = DataSet(images, None)
start = time.process_time()
try:
    trainer.run_epoch(train_set, "loss")
except TrainingError as error:
    sys.exit(str(error))
print(json.dumps([time.process_time() - start, trainer.evaluate(train_set)["loss"]]))
"""


def train(cache):
    """Starts a training in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), CACHE_VARIABLE: str(cache)}
    environment.pop("TF_XLA_FLAGS", None)  # of this process, which has another cache
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def trained(process):
    output, error = process.communicate()
    assert process.returncode == 0, error
    return json.loads(output.splitlines()[-1])


def test_a_second_process_need_not_compile(tmp_path):
    directory = tmp_path / "a cache"  # with a space
    together = [train(directory), train(directory)]
    (first, loss), (_, same) = map(trained, together)
    files = list(directory.glob("*/*"))
    assert [file.suffix for file in files] == [".pb"]
    written = files[0].stat().st_mtime_ns
    again, loss_again = trained(train(directory))
    assert loss == same == loss_again
    assert again < 0.6 * first
    assert files[0].stat().st_mtime_ns == written
    files[0].write_bytes(files[0].read_bytes()[:1000])
    damaged = train(directory)
    _, error = damaged.communicate()
    assert damaged.returncode == 1
    assert error.splitlines()[-1].endswith(
        f"{files[0].parent} may be damaged: delete it, or set {CACHE_VARIABLE}=off"
    )
    assert trained(train("off"))[1] == loss


def cache_value(tmp_path):
    (found,) = [finding for finding in check_machine(tmp_path) if finding.name == "XLA's cache"]
    return found.value


def test_the_cache_is_the_users_and_doctor_names_it(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = compilation_cache()
    assert cache.parent == tmp_path / "moe_vae/xla"
    assert cache.stat().st_mode & 0o077 == 0
    (cache / "one.pb").write_bytes(bytes(2**20))
    assert cache_value(tmp_path) == f"{cache}: 1 files, 1.0 MiB"


@pytest.mark.parametrize(
    ("name", "value"), [(CACHE_VARIABLE, "off"), ("TF_XLA_FLAGS", "--tf_xla_auto_jit=0")]
)
def test_the_cache_can_be_switched_off(tmp_path, monkeypatch, name, value):
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setenv(name, value)
    assert compilation_cache() is None
    assert cache_value(tmp_path).startswith("off")


def test_without_tensorflow_there_is_no_cache(monkeypatch):
    def fail(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    monkeypatch.setattr(importlib.metadata, "version", fail)
    assert compilation_cache() is None


def test_a_cache_that_cannot_be_written_is_none(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file/cache"))
    assert compilation_cache() is None
