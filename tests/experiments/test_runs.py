"""What a training leaves behind if something fails."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from moe_vae.data.spiral import make_spiral
from moe_vae.experiments import runs
from moe_vae.experiments.run_files import save_figures
from moe_vae.params import ParameterError
from moe_vae.training.trainer import Trainer

SMALL = {"encoder_layers": [8], "decoder_layers": [8], "z_dim": 2}


def test_the_record_is_written_although_a_figure_fails(tmp_path, monkeypatch):
    def draw(*_):
        raise ValueError("no figure")

    monkeypatch.setitem(runs.MODELS, "vae", SimpleNamespace(draw=draw))
    trainer = SimpleNamespace(save=lambda path: None, terminated=False)
    with pytest.raises(ValueError, match="no figure"):
        runs._save_run(tmp_path, trainer, {"model": "vae"}, make_spiral(0, 5, 1, 1))
    assert json.loads((tmp_path / "metrics.json").read_text())["model"] == "vae"


def test_more_classes_than_the_data_have_names_are_refused(tmp_path):
    data_sets = make_spiral(0, 40, 10, 10)._replace(class_names=("a", "b", "c", "d", "e"))
    given = {"task": "classification", "n_outputs": 6, "gate": "softmax"}
    params = runs.run_params("moe", data_sets.form, given)
    with pytest.raises(ParameterError, match=r"'n_outputs' is 6: it must be at most .*, 5"):
        runs.fit_model("moe", params, data_sets, tmp_path, runs.TrainOptions())


def test_a_figure_that_fails_leaves_the_one_before(tmp_path):
    def savefig(file, **_):
        file.write(b"half of it")
        raise OSError("no space left")

    (tmp_path / "a.png").write_bytes(b"before")
    with pytest.raises(OSError, match="no space left"):
        save_figures({"a": SimpleNamespace(savefig=savefig)}, tmp_path)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


def test_a_training_that_fails_leaves_no_event_file_open(tmp_path, monkeypatch):
    def opened():
        files = [os.readlink(file) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
        return [file for file in files if file.startswith(os.fspath(tmp_path))]

    def fail(trainer, train_set):
        assert opened()
        raise ValueError("no epoch")

    monkeypatch.setattr(Trainer, "fit_to_the_end", fail)
    data_sets = make_spiral(0, 40, 10, 10)
    params = runs.run_params("vae", data_sets.form, SMALL)
    options = runs.TrainOptions(tensorboard=True)
    with pytest.raises(ValueError, match="no epoch"):
        runs.fit_model("vae", params, data_sets, tmp_path, options)
    assert not opened()
