import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moe_vae import load_pretrained
from moe_vae.cli.main import main
from moe_vae.estimators import ConditionalVAEClassifier, DMVAEClusterer
from moe_vae.experiments.exports import load_model
from moe_vae.experiments.pretrained import read_sample

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The directory of a small trained conditional VAE; not to be written to."""
    directory = tmp_path_factory.mktemp("runs") / "run"
    layers = ("encoder_layers", "decoder_layers", "digit_classification_layers")
    small = [word for each in layers for word in ("--set", f"{each}=[8]")]
    words = ["--data", "sample", "--epochs", "1", "--out", str(directory)]
    main(["train", "conditional-vae", *words, *small])
    return directory


@pytest.fixture(autouse=True)
def empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def printed(capfd, *words):
    capfd.readouterr()
    main([str(word) for word in words])
    return capfd.readouterr().out


def error_line(capfd, *words):
    capfd.readouterr()
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    error = capfd.readouterr().err
    assert caught.value.code == 2
    assert re.fullmatch(r"python -m moe_vae.*: error: .+\n", error), error
    return error


def test_export_writes_each_form_and_says_where_it_is(run, capfd):
    for to, written in {"savedmodel": "saved_model.pb", "onnx": "route.onnx"}.items():
        line = printed(capfd, "export", "--run", run, "--to", to, "--out", f"new/{to}")
        assert line == (
            f"conditional-vae is in new/{to}, with the signatures route, encode, reconstruct, "
            "generate.\n"
        )
        assert Path("new", to, written).exists()


def test_export_to_half_precision_counts_the_answers_that_change(run, capfd):
    line = printed(capfd, "export", "--run", run, "--to", "npz", "--half", "--out", "half.npz")
    assert line == (
        "conditional-vae is in half.npz, in half precision, which changes 0 of 714 answers on the "
        "test set (sample of 5,000 MNIST digits).\n"
    )
    printed(capfd, "export", "--run", run, "--to", "npz", "--out", "full.npz")
    assert Path("half.npz").stat().st_size < 0.6 * Path("full.npz").stat().st_size
    half, full = (load_model(Path(f"{name}.npz")) for name in ("half", "full"))
    images = read_sample().images[:100]
    found, expected = (each.model.predict_proba(each.session, images) for each in (half, full))
    np.testing.assert_allclose(found, expected, atol=1e-2)
    assert (found != expected).any()


def test_export_writes_to_the_runs_directory_by_default(run, capfd, tmp_path):
    copied = tmp_path / "copied"
    copied.mkdir()
    for path in run.iterdir():
        if path.is_file():
            (copied / path.name).write_bytes(path.read_bytes())
    assert "copied/model.npz" in printed(capfd, "export", "--run", copied, "--to", "npz")
    assert (copied / "model.npz").exists()


REFUSED = {
    "no run": (["--run", "nowhere", "--to", "npz"], "nowhere/metrics.json does not exist"),
    "no form": (["--run", "nowhere"], "the following arguments are required: --to"),
    "half": (["--run", "nowhere", "--to", "onnx", "--half"], "--half does not go with --to onnx"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_export_refuses_what_it_cannot_do_in_one_line(case, capfd):
    words, message = REFUSED[case]
    assert message in error_line(capfd, "export", *words)
    assert list(Path().iterdir()) == []


def test_export_does_not_overwrite_a_directory(run, capfd):
    Path("taken").mkdir()
    words = ["--run", run, "--to", "savedmodel", "--out", "taken"]
    assert "error: taken: exists already: name another\n" in error_line(capfd, "export", *words)


def test_export_says_what_to_install(run, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    error = error_line(capfd, "export", "--run", run, "--to", "onnx", "--out", "new")
    assert "pip install 'moe_vae[export]'" in error


def test_export_and_generate_print_json(run, capfd):
    words = ["export", "--run", run, "--to", "npz", "--out", "full.npz", "--json"]
    assert json.loads(printed(capfd, *words)) == {
        "file": "full.npz",
        "model": "conditional-vae",
        "signatures": ["route", "encode", "reconstruct", "generate"],
    }
    words = ["export", "--run", run, "--to", "npz", "--half", "--out", "half.npz", "--json"]
    assert json.loads(printed(capfd, *words))["n_examples"] == 714
    words = ["export", "--pretrained", "conditional-vae", "--to", "html", "--json"]
    page = json.loads(printed(capfd, *words))
    assert page["n_bytes"] == Path("page.html").stat().st_size
    assert [each["name"] for each in page["models"]] == ["conditional-vae"]
    drawn = json.loads(printed(capfd, "generate", "--run", run, "--which", "3", "--json"))
    assert drawn == {
        "file": "generated.png",
        "drawn": "pictures",
        "columns": ["digit 3"],
        "count": 10,
        "seed": 42,
    }


# Files of models.


def digit_picture():
    """Writes a test digit to digit.png; returns its pixels in [0, 1]."""
    pixels = np.rint(255 * read_sample().images[0]).astype(np.uint8).reshape(28, 28)
    Image.fromarray(pixels).save("digit.png")
    return pixels.reshape(1, -1) / np.float32(255)


def test_classify_and_generate_read_an_exported_file(run, capfd):
    printed(capfd, "export", "--run", run, "--to", "npz", "--out", "model.npz")
    digit_picture()
    of_run, of_file = (
        printed(capfd, "classify", "digit.png", *words)
        for words in (["--run", run], ["--file", "model.npz"])
    )
    assert of_file == of_run
    words = ["--file", "model.npz", "--count", "1"]
    assert printed(capfd, "generate", *words) == "10 x 1 pictures are in generated.png.\n"
    Path("model.npz").write_bytes(Path("model.npz").read_bytes()[:-100])
    assert "model.npz" in error_line(capfd, "classify", "digit.png", "--file", "model.npz")


def test_classify_and_generate_read_an_estimators_file(capfd):
    sample = read_sample()
    names = np.array([f"number {digit}" for digit in range(10)])
    classifier = ConditionalVAEClassifier(
        image_shape=(28, 28), encoder_layers=[8], decoder_layers=[8], epochs=2, random_state=0
    )
    classifier.fit(sample.images, names[sample.labels])
    classifier.save("classifier.npz")
    (named,) = classifier.predict(digit_picture())
    line = printed(capfd, "classify", "digit.png", "--file", "classifier.npz")
    assert line.startswith(f"{named} (probability ")
    words = ["generate", "--file", "classifier.npz", "--which", "number 3", "--count", "2"]
    assert printed(capfd, *words) == "1 x 2 pictures are in generated.png.\n"
    points = DMVAEClusterer(2, encoder_layers=[4], decoder_layers=[4], epochs=1, random_state=0)
    points.fit(np.random.default_rng(0).normal(size=[200, 3])).save("points.npz")
    error = error_line(capfd, "generate", "--file", "points.npz")
    assert "points.npz holds an estimator of points, which scales them" in error


# Pretrained models.


def test_classify_reads_a_picture_with_a_pretrained_model(capfd):
    sample = read_sample()
    model, session, _ = load_pretrained("conditional-vae")
    probabilities = model.predict_proba(session, digit_picture())[0]
    line = printed(capfd, "classify", "digit.png", "--pretrained", "conditional-vae")
    likeliest = probabilities.argmax()
    assert line == f"digit {likeliest} (probability {probabilities[likeliest]:.3f})\n"
    line = printed(capfd, "classify", "digit.png", "--pretrained", "specialists")
    digit = sample.labels[0]
    assert re.fullmatch(rf"expert \d \(probability \d\.\d+\), matched with digit {digit}\n", line)


def test_generate_draws_with_a_pretrained_model(capfd):
    words = ["--pretrained", "conditional-vae", "--which", "3", "--count", "2", "--out", "new.png"]
    assert printed(capfd, "generate", *words) == "1 x 2 pictures are in new.png.\n"
    assert Path("new.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["generate"], "one of the arguments --run --file --pretrained is required"),
        (["generate", "--pretrained", "gan"], "invalid choice: 'gan'"),
        (["generate", "--pretrained", "specialists", "--run", "x"], "not allowed with argument"),
    ],
)
def test_generate_asks_for_one_trained_model(words, message, capfd):
    assert message in error_line(capfd, *words)


def test_pretrained_makes_the_files_from_runs(capfd, monkeypatch):
    monkeypatch.setattr("moe_vae.cli.pretrained.DataChoice.read", lambda self: self.name)
    calls = []
    monkeypatch.setattr(
        "moe_vae.cli.pretrained.make_pretrained", lambda *words: calls.append(words) or "made"
    )
    words = ["--runs", "some", "--models", "specialists", "--out", "out"]
    assert printed(capfd, "pretrained", *words) == "made\n"
    assert calls == [("specialists", Path("some/specialists"), "mnist", Path("out"))]


def test_export_writes_a_page(run, capfd):
    lines = printed(capfd, "export", "--run", run, run, "--to", "html", "--out", "new/page.html")
    size = Path("new/page.html").stat().st_size
    first, *others = lines.splitlines()
    assert first == f"new/page.html: {size:,} bytes"
    assert len(others) == 2
    for line in others:
        assert re.fullmatch(
            r"run: weights in half precision, which changes \d of 500 answers, and a probability "
            r"by at most 0\.\d{4}",
            line,
        )
    text = Path("new/page.html").read_text()
    assert "Conditional VAE, trained on sample of 5,000 MNIST digits with the seed 42." in text
    printed(capfd, "export", "--run", run, "--to", "html", "--out", "new/page.html")
    assert Path("new/page.html").stat().st_size < size  # a file is replaced


def test_an_export_of_a_pretrained_model(capfd):
    line = printed(capfd, "export", "--pretrained", "conditional-vae", "--to", "npz")
    assert line.startswith("conditional-vae is in model.npz, with the signatures route, ")
    model, session, _ = load_model(Path("model.npz"))
    own, own_session, _ = load_pretrained("conditional-vae")
    images = read_sample().images[:10]
    np.testing.assert_array_equal(
        model.predict_proba(session, images), own.predict_proba(own_session, images)
    )


def test_a_page_that_cannot_be_made_ends_in_one_line(run, capfd, tmp_path):
    html = ("--to", "html", "--out", "page.html")
    assert "missing/metrics.json does not exist" in error_line(
        capfd, "export", "--run", run, "missing", *html
    )
    assert "--to npz takes one model, not 2" in error_line(
        capfd, "export", "--run", run, run, "--to", "npz"
    )
    assert "--half does not go with --to html" in error_line(
        capfd, "export", "--run", run, "--half", *html
    )
    assert "invalid choice: 'other'" in error_line(capfd, "export", "--pretrained", "other", *html)
    assert "not allowed with argument" in error_line(
        capfd, "export", "--run", run, "--pretrained", "specialists", *html
    )
    main(["train", "vade", "--data", "spiral", "--epochs", "1", "--out", "points",
          "--set", "pretrain_epochs=0"])  # fmt: skip
    assert "points is a model of points: a page draws pictures" in error_line(
        capfd, "export", "--run", "points", *html
    )
    Path("folder").mkdir()
    assert "folder: Is a directory" in error_line(
        capfd, "export", "--run", run, "--to", "html", "--out", "folder"
    )
    assert not Path("page.html").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "points"]
