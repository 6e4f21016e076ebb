"""Estimators as files."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import estimators_small as small
import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.preprocessing import StandardScaler

from moe_vae.estimators import load
from moe_vae.experiments.exports import load_model
from moe_vae.export import model_file
from moe_vae.export.model_file import ModelFileError, read_model_file, write_model_file

pytestmark = pytest.mark.estimators

X, Y = make_blobs(60, 4, centers=3, random_state=0)
X = X.astype(np.float32)
NAMES = np.array(["plum", "apple", "pear"], object)[Y]
ROOT = Path(__file__).parents[2]

OTHER_PROCESS = """
import sys
import numpy as np
from moe_vae.estimators import load

with np.load(sys.argv[1], allow_pickle=False) as given:
    x = given["x"]
for path in sys.argv[2:]:
    estimator = load(path)
    answers = {"predict": estimator.predict(x).astype(str)}
    for name in ("predict_proba", "transform", "score_samples", "predict_gate"):
        if hasattr(estimator, name):
            answers[name] = getattr(estimator, name)(x)
    np.savez(path + ".answers", **answers)
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with a file of each kind of estimator, and the estimators."""
    folder = tmp_path_factory.mktemp("saved")
    estimators = {}
    for build in small.ALL:
        y = X @ [1, 2, 3, 4] if build is small.regressor else NAMES
        estimators[build.__name__] = build(epochs=2).fit(X, y)
        estimators[build.__name__].save(folder / f"{build.__name__}.npz")
    return folder, estimators


def test_another_process_gives_the_same_answers_without_the_training_data(saved, tmp_path):
    folder, estimators = saved
    new = X[:7] + 0.1
    np.savez(tmp_path / "x.npz", x=new)
    paths = [str(folder / f"{name}.npz") for name in estimators]
    subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS, str(tmp_path / "x.npz"), *paths],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    for name, estimator in estimators.items():
        with np.load(folder / f"{name}.npz.answers.npz") as answers:
            np.testing.assert_array_equal(answers["predict"], estimator.predict(new).astype(str))
            for answer in set(answers) - {"predict"}:
                np.testing.assert_array_equal(answers[answer], getattr(estimator, answer)(new))


@pytest.mark.parametrize("build", small.ALL)
def test_a_file_keeps_parameters_and_what_was_learned(saved, build):
    folder, estimators = saved
    estimator, again = estimators[build.__name__], load(folder / f"{build.__name__}.npz")
    assert again.get_params() == estimator.get_params()
    assert again.history_ == estimator.history_
    assert again.n_iter_ == estimator.n_iter_
    assert again.n_features_in_ == 4
    assert not hasattr(again, "labels_")
    if hasattr(estimator, "classes_"):
        assert list(again.classes_) == ["apple", "pear", "plum"]


def test_a_loaded_estimator_trains_on(saved):
    estimator = load(saved[0] / "dmvae.npz").set_params(warm_start=True)
    history = list(estimator.history_["loss"])
    estimator.fit(X)
    assert estimator.history_["loss"][:2] == history
    assert len(estimator.history_["loss"]) == estimator.n_iter_ == 4
    assert len(estimator.set_params(warm_start=False).fit(X).history_["loss"]) == 2


def test_what_no_file_can_hold_is_left_out(tmp_path):
    estimator = small.dmvae(
        epochs=1, callbacks=[print], random_state=np.random.RandomState(0), image_shape=(2, 2)
    )
    low, high = X.min(), X.max()
    estimator.fit((X - low) / (high - low)).save(tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert again.callbacks is None
    assert again.random_state is None
    assert again.image_shape == (2, 2)


def test_a_parameter_that_json_cannot_hold_is_refused(tmp_path):
    estimator = small.dmvae(epochs=1).fit(X).set_params(verbose=object())
    with pytest.raises(ModelFileError, match="cannot be written to a file"):
        estimator.save(tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())


def test_a_text_that_is_too_long_is_not_written(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(model_file, "_MAX_TEXT", 1000)
    with pytest.raises(ModelFileError, match="it may have 1000"):
        saved[1]["dmvae"].save(tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())


def test_a_changed_file_is_refused(saved, tmp_path):
    content = bytearray((saved[0] / "dmvae.npz").read_bytes())
    with zipfile.ZipFile(saved[0] / "dmvae.npz") as archive:
        largest = max(archive.infolist(), key=lambda member: member.compress_size)
    content[largest.header_offset + largest.compress_size // 2 + 100] ^= 255
    (tmp_path / "changed.npz").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"changed\.npz"):
        load(tmp_path / "changed.npz")


def test_a_changed_text_is_refused(saved, tmp_path):
    with np.load(saved[0] / "dmvae.npz") as arrays:
        members = dict(arrays)
    text = json.loads(members["architecture"].tobytes())
    text["metadata"]["learned"]["_mean"]["values"][0] += 1
    members["architecture"] = np.frombuffer(json.dumps(text).encode(), np.uint8)
    np.savez(tmp_path / "changed.npz", **members)
    with pytest.raises(ModelFileError, match="has been changed since it was written"):
        load(tmp_path / "changed.npz")


def test_foreign_files_are_refused(saved, tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "arrays.npz", x=X)
    np.savez(tmp_path / "pickled.npz", architecture=np.array([{}], object))
    for name in ("text", "arrays", "pickled"):
        with pytest.raises(ModelFileError, match=rf"{name}\.npz"):
            load(tmp_path / f"{name}.npz")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing.npz")


def changed_metadata(saved, path, **metadata):
    content = read_model_file(saved[0] / "dmvae.npz")
    content.metadata.update(metadata)
    write_model_file(path, content)
    return path


@pytest.mark.parametrize("name", [None, "EarlyStopping", "load", "other", ["DMVAEClusterer"]])
def test_a_file_without_an_estimator_is_refused(saved, tmp_path, name):
    path = changed_metadata(saved, tmp_path / "model.npz", estimator=name)
    with pytest.raises(ModelFileError, match="holds no estimator"):
        load(path)


def test_a_file_of_another_estimator_is_refused(saved, tmp_path):
    path = changed_metadata(saved, tmp_path / "model.npz", estimator="VaDEClusterer")
    with pytest.raises(ModelFileError, match="does not fit the VaDEClusterer"):
        load(path)


def test_an_attribute_that_no_estimator_learns_is_passed_over(saved, tmp_path):
    learned = read_model_file(saved[0] / "dmvae.npz").metadata["learned"]
    path = changed_metadata(saved, tmp_path / "model.npz", learned={**learned, "predict": 1})
    np.testing.assert_array_equal(load(path).predict(X), saved[1]["dmvae"].predict(X))


@pytest.mark.parametrize("build", small.CODERS)
def test_an_export_is_a_model_file_with_the_same_numbers(saved, tmp_path, build):
    estimator = saved[1][build.__name__]
    signatures = estimator.export(tmp_path / "model.npz", to="npz")
    assert {"route", "encode", "reconstruct", "generate"} <= set(signatures)
    trained = load_model(tmp_path / "model.npz")
    inputs = StandardScaler().fit_transform(X).astype(np.float32)
    np.testing.assert_allclose(
        trained.model.mean_codes(trained.session, inputs),
        estimator.transform(X)[:, :2],
        rtol=1e-4,
        atol=1e-5,
    )


def test_an_export_to_something_else_is_refused(saved, tmp_path):
    with pytest.raises(ValueError, match="to is 'pickle': it must be one of savedmodel, onnx, npz"):
        saved[1]["dmvae"].export(tmp_path / "model", to="pickle")
    assert not list(tmp_path.iterdir())
