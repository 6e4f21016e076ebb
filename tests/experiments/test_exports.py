import dataclasses
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from signature_cases import some_variables

from moe_vae import ParameterError, load_pretrained
from moe_vae.experiments import pretrained
from moe_vae.experiments.exports import (
    TARGETS,
    changed_decisions,
    export_model,
    in_half_precision,
    load_model,
    read_run,
    restore_model,
    write_model,
)
from moe_vae.experiments.pretrained import DIRECTORY, PRETRAINED, make_pretrained, score_sample
from moe_vae.experiments.registry import builder, default_params
from moe_vae.experiments.run_files import METRICS, RunError
from moe_vae.experiments.runs import load_run, train_run
from moe_vae.experiments.sources import SOURCES, DataChoice
from moe_vae.export.model_file import ModelFile, ModelFileError, write_model_file
from moe_vae.export.runtimes import MissingPackageError
from moe_vae.params import check_params

pytestmark = pytest.mark.process

RECORDED = Path(__file__).parents[1] / "recorded" / "model_files"
POINTS = np.random.default_rng(0).normal(0, 5, [50, 2]).astype(np.float32)


def small_model(name="dmvae", **given):
    sizes = {"encoder_layers": [4], "decoder_layers": [4], "cluster_encoder_layers": [4]}
    defaults = default_params(name, SOURCES["spiral"].form, given)
    small = {key: value for key, value in sizes.items() if key in defaults}
    params = check_params({**small, "z_dim": 2, **given}, defaults)
    return ModelFile(name, params, (2,), 1, some_variables(builder(name, (2,)), params))


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.npz")), ids=lambda path: path.stem)
def test_files_of_every_version_load_and_compute_what_they_computed(path):
    model, session, record = load_model(path)
    inputs, z = np.float32(record["inputs"]), np.float32(record["z"])
    found = {
        "predict_proba": model.predict_proba(session, inputs),
        "mean_codes": model.mean_codes(session, inputs),
        "reconstruct": model.reconstruct(session, inputs),
        "generate": model.generate(session, z, 2),
    }
    for name, values in found.items():
        np.testing.assert_allclose(values, record[name], rtol=1e-5, atol=1e-5, err_msg=name)
    assert (record["n_classes"], record["class_names"]) == (3, ["a", "b", "c"])


def test_a_model_is_the_same_after_it_was_written_and_loaded(tmp_path):
    content = small_model()
    write_model(tmp_path / "model.npz", content)
    first, second = restore_model(content), load_model(tmp_path / "model.npz")
    for method in ("predict_proba", "mean_codes", "reconstruct"):
        found, expected = (
            getattr(each.model, method)(each.session, POINTS) for each in (second, first)
        )
        np.testing.assert_array_equal(found, expected)
    assert second.record["params"] == content.params


CHANGES = {
    "an unknown model": (
        {"model": "gan"},
        "has the model 'gan': it must be one of conditional-vae",
    ),
    "a missing variable": ({"variables": {}}, "does not fit its model: variable 'dmvae/decode/"),
    "an unknown parameter": ({"params": {"help": 1}}, "unknown parameter 'help'"),
    "other layers": (
        {"params": {**small_model().params, "z_dim": 3}},
        "has shape [4, 2]: it must be [4, 3]",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_does_not_fit_its_model_is_refused(change, tmp_path):
    parts, message = CHANGES[change]
    write_model_file(tmp_path / "model.npz", dataclasses.replace(small_model(), **parts))
    with pytest.raises(ModelFileError) as raised:
        load_model(tmp_path / "model.npz")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_half_precision_changes_the_answers_whose_margin_it_crosses():
    content = small_model()
    names = [name for name in content.variables if "encode_cluster/dense" in name]
    close = {name: np.zeros_like(content.variables[name]) for name in names}
    close["dmvae/encode_cluster/dense_1/bias"] = np.float32([1, 1.0004, 0, 0, 0])
    tied = dataclasses.replace(content, variables={**content.variables, **close})
    # Half precision holds 1.0004 as 1, so that the first cluster wins instead of the second.
    assert changed_decisions(tied, POINTS) == len(POINTS)
    assert changed_decisions(in_half_precision(tied), POINTS) == 0
    assert changed_decisions(content, POINTS) <= 1


def test_a_model_without_probabilities_decides_nothing():
    assert changed_decisions(small_model("vae"), POINTS) is None


def test_onnx_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(MissingPackageError, match=r"need tf2onnx \(.*pip install 'moe_vae\[export"):
        export_model(small_model(), "onnx", tmp_path / "onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_exists_is_not_overwritten(tmp_path):
    with pytest.raises(FileExistsError, match="exists already"):
        export_model(small_model(), "savedmodel", tmp_path)


CHOICE = DataChoice("sample", cache=None)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The directory of a conditional VAE that was trained on the sample for one epoch."""
    directory = tmp_path_factory.mktemp("runs") / "conditional-vae"
    params = {"epochs": 1, "digit_classification_layers": [16], "encoder_layers": [8]}
    train_run("conditional-vae", CHOICE, directory, params)
    return directory


def test_a_run_is_read_as_load_run_reads_it(run, tmp_path):
    trainer, record = load_run(run)
    images = CHOICE.read().test.images
    expected = trainer.model.predict_proba(trainer.session, images)
    for to, target in TARGETS.items():
        if to != "onnx":
            assert "route" in export_model(read_run(run), to, tmp_path / target.name)
    model, session, read = load_model(tmp_path / "model.npz")
    np.testing.assert_array_equal(model.predict_proba(session, images), expected)
    left_out = {"history", "seconds"}
    for name in record.keys() - left_out:
        assert read[name] == record[name], name
    assert not left_out & read.keys()
    description = json.loads((tmp_path / "savedmodel" / "description.json").read_text())
    assert description["metadata"]["test"] == record["test"]


def test_a_directory_without_a_run_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"metrics\.json does not exist"):
        read_run(tmp_path)


# Pretrained models.


@pytest.mark.parametrize("name", PRETRAINED)
def test_a_pretrained_model_scores_on_the_sample_what_its_card_says(name):
    trained = load_pretrained(name)
    card = (DIRECTORY / f"{name}.md").read_text()
    (value,) = re.findall(r"\| accuracy, bundled sample of 5,000 digits \| ([\d.]+) \|", card)
    assert round(score_sample(trained), 4) == float(value)
    (value,) = re.findall(r"\| accuracy, test images \| ([\d.]+) \|", card)
    assert round(trained.record["test"]["accuracy"], 4) == float(value)
    assert f"`{trained.record['command']}`" in card
    assert trained.record["data"] == "MNIST"
    assert not trained.record["interrupted"]


def test_there_are_no_other_files_among_the_pretrained():
    expected = {f"{name}.{suffix}" for name in PRETRAINED for suffix in ("npz", "md")}
    assert {path.name for path in DIRECTORY.iterdir()} == expected


def test_an_unknown_pretrained_model_is_refused():
    with pytest.raises(ParameterError, match="name is 'gan': it must be one of conditional-vae,"):
        load_pretrained("gan")


def test_a_pretrained_file_and_its_card_are_made_from_a_run(run, tmp_path, monkeypatch):
    data_sets, path = CHOICE.read(), tmp_path / "conditional-vae.npz"
    line = make_pretrained("conditional-vae", run, data_sets, tmp_path)
    card = path.with_suffix(".md").read_text()
    record = json.loads((run / METRICS).read_text())
    assert f"| accuracy, test images | {record['test']['accuracy']:.4f} |" in card
    assert f"Of the sample's digits, {data_sets.train.num_examples:,} are training images." in card
    assert f"5,000 digits | {score_sample(load_model(path)):.4f} |" in card
    assert "half precision, which changes 0 of 714 answers" in line
    n_bytes = path.stat().st_size
    monkeypatch.setattr(pretrained, "changed_decisions", lambda *_: 1)
    line = make_pretrained("conditional-vae", run, data_sets, tmp_path)
    assert path.stat().st_size > 1.7 * n_bytes
    assert "single precision; half precision changes 1 of 714 answers" in line


def test_a_run_on_other_data_makes_no_pretrained_model(run, tmp_path):
    data_sets = CHOICE.read()._replace(name="MNIST")
    with pytest.raises(RunError, match="is no whole training on MNIST"):
        make_pretrained("conditional-vae", run, data_sets, tmp_path)
    assert list(tmp_path.iterdir()) == []
