"""What a page of trained models holds, and which pages cannot be made."""

import base64
import dataclasses
import json
import re
import zlib

import numpy as np
import pytest
from signature_cases import CASES, build_and_params, some_variables

from moe_vae.data.dataset import DataSet
from moe_vae.experiments import pages
from moe_vae.experiments.pages import PageModel, export_page
from moe_vae.export.frozen import build_model
from moe_vae.export.model_file import ModelFile
from moe_vae.page.assemble import PageError
from moe_vae.page.weights import pack_arrays

pytestmark = pytest.mark.process

IMAGES = np.random.default_rng(0).random([30, 784]).astype(np.float32)
LABELS = np.arange(30) % 3
DATA = DataSet(IMAGES, LABELS)


def page_model(case):
    build, params = build_and_params(case)
    metadata = {"data": "noise", "test": {"losses": {"loss": 1.5}, "accuracy": 0.25}}
    variables = some_variables(build, params)
    content = ModelFile(CASES[case][0], params, (28, 28), 7, variables, metadata=metadata)
    return PageModel(case, "A test's.", content)


def data_in(path):
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text())[1])


def unpacked(text):
    return zlib.decompress(base64.b64decode(text))


def test_a_page_holds_its_models_and_examples(tmp_path):
    path = tmp_path / "new" / "page.html"
    names = ("mixture-of-vaes", "conditional-vae")
    n_bytes, roundings = export_page(path, [page_model(name) for name in names], DATA, "noise")
    assert path.stat().st_size == n_bytes < 6_000_000
    assert [(each.name, each.steps, each.n_examples) for each in roundings] == [
        (name, None, 30) for name in names
    ]
    data = data_in(path)
    pixels = np.frombuffer(unpacked(data["examples"]["pixels"]), np.uint8).reshape(30, 784)
    np.testing.assert_array_equal(pixels, np.rint(255 * IMAGES))
    assert data["examples"]["labels"][:4] == ["class 0", "class 1", "class 2", "class 0"]
    assert data["colours"][:2] == ["#1f77b4", "#ff7f0e"]
    mixture, conditional = data["models"]
    assert [each["name"] for each in mixture["columns"]] == ["expert 0", "expert 1"]
    assert conditional["columns"][9] == {"name": "digit 9", "matched": None}
    assert mixture["scores"] == {"loss": 1.5, "accuracy": 0.25}
    listed = json.loads(unpacked(mixture["signatures"]))
    assert set(listed) == {"route", "encode", "reconstruct", "generate", "compare", "measure"}
    assert listed["compare"]["inputs"] == {"inputs": [None, 784]}


def test_a_gates_scores_have_their_own_names():
    test = {"losses": {"loss": 1.5}, "accuracy": 0.98, "gate": {"accuracy": 0.49, "nmi": 0.5}}
    expected = {"loss": 1.5, "accuracy": 0.98, "gate accuracy": 0.49, "gate NMI": 0.5}
    assert dict(pages._scores(test)) == expected


def test_a_page_of_one_example_has_a_map(tmp_path):
    one = DataSet(IMAGES[:1], LABELS[:1])
    export_page(tmp_path / "page.html", [page_model("vade")], one, "noise")
    (about,) = data_in(tmp_path / "page.html")["models"]
    assert about["map"]["points"] == [[0, 0]]
    assert about["map"]["share"] == 1


def test_the_offered_examples_are_typical_of_their_class(tmp_path):
    export_page(tmp_path / "page.html", [page_model("vade")], DATA, "noise")
    offered = data_in(tmp_path / "page.html")["examples"]["offered"]
    assert [LABELS[number] for number in offered] == [0, 1, 2]
    for label, number in enumerate(offered):
        own = IMAGES[label == LABELS]
        distances = np.linalg.norm(own - own.mean(axis=0), axis=1)
        assert np.linalg.norm(IMAGES[number] - own.mean(axis=0)) == pytest.approx(distances.min())


def test_the_map_is_the_plane_of_the_codes_main_directions(tmp_path):
    model = page_model("specialists")
    export_page(tmp_path / "page.html", [model], DATA, "noise")
    (about,) = data_in(tmp_path / "page.html")["models"]
    build, params = build_and_params("specialists")
    built, session = build_model(build, params, model.content.variables)
    codes = built.mean_codes(session, IMAGES)
    values, vectors = np.linalg.eigh(np.cov(codes.T))
    places = (codes - codes.mean(axis=0)) @ vectors[:, :-3:-1]
    found = np.array(about["map"]["points"])
    np.testing.assert_allclose(np.abs(found), np.abs(places), atol=0.006)
    assert about["map"]["share"] == pytest.approx(values[-2:].sum() / values.sum(), rel=1e-4)
    np.testing.assert_array_equal(about["map"]["columns"], built.predict(session, IMAGES))


def test_the_weights_are_as_fine_as_the_limit_allows(tmp_path, monkeypatch):
    model, path = page_model("information"), tmp_path / "page.html"
    n_half, _ = export_page(path, [model], DATA, "noise")
    monkeypatch.setattr(pages, "MAX_BYTES", n_half - 100)
    n_bytes, (rounding,) = export_page(path, [model], DATA, "noise")
    assert rounding.steps == 16
    assert path.stat().st_size == n_bytes < n_half
    build, params = build_and_params("information")
    variables = model.content.variables
    rounded = {**variables, **pack_arrays(variables, {}, 16).rounded}
    answers = [
        built.predict_proba(session, np.rint(255 * IMAGES).astype(np.float32) / 255)
        for built, session in (build_model(build, params, each) for each in (variables, rounded))
    ]
    assert rounding.most == pytest.approx(np.abs(answers[0] - answers[1]).max(), rel=0.1)
    assert rounding.n_changed == (answers[0].argmax(1) != answers[1].argmax(1)).sum()


def test_a_page_that_would_be_too_large_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "MAX_BYTES", 60_000)
    path = tmp_path / "page.html"
    with pytest.raises(PageError, match=r"page.html would have [\d,]+ bytes: it may have 60,000"):
        export_page(path, [page_model("conditional-vae")], DATA, "noise")
    assert not path.exists()


def test_a_page_needs_images_of_one_shape(tmp_path):
    model = page_model("vade")
    points = model._replace(content=dataclasses.replace(model.content, shape=(2,)))
    with pytest.raises(PageError, match="vade is a model of points"):
        export_page(tmp_path / "page.html", [points], DATA, "noise")
    small = model._replace(name="small", content=dataclasses.replace(model.content, shape=(8, 8)))
    with pytest.raises(PageError, match="small reads pictures of 8 x 8 pixels and vade of 28 x 28"):
        export_page(tmp_path / "page.html", [model, small], DATA, "noise")
