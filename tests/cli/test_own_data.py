"""Your own data through the command line: trained on, scored, drawn and classified."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moe_vae.cli.main import main
from moe_vae.plots.charts import new_figure

pytestmark = pytest.mark.process

HEIGHT, WIDTH = 12, 9
CLASSES = ("cat", "dog", "emu")
SMALL = {
    "encoder_layers": [8],
    "decoder_layers": [8],
    "manager_layers": [8],
    "digit_classification_layers": [8],
    "cluster_encoder_layers": [8],
    "z_dim": 2,
    "batch_size": 20,
    "epochs": 2,
    "pretrain_epochs": 1,
    "routing_epochs": 1,
    "routing_batch_size": 20,
    "gate_epochs": 1,
    "n_over_clusters": 6,
    "n_neighbours": 2,
}
NAMES = {
    "conditional-vae": [
        "encoder_layers",
        "decoder_layers",
        "digit_classification_layers",
        "z_dim",
        "batch_size",
    ],
    "mixture-of-vaes": ["encoder_layers", "decoder_layers", "manager_layers", "batch_size"],
    "hierarchy": [
        "encoder_layers",
        "decoder_layers",
        "manager_layers",
        "cluster_encoder_layers",
        "z_dim",
        "batch_size",
        "pretrain_epochs",
        "routing_epochs",
        "routing_batch_size",
        "n_over_clusters",
        "n_neighbours",
    ],
    "information": [
        "cluster_encoder_layers",
        "batch_size",
        "pretrain_epochs",
        "n_over_clusters",
        "n_neighbours",
    ],
    "vae": ["encoder_layers", "decoder_layers", "z_dim", "batch_size"],
    "vade": ["encoder_layers", "decoder_layers", "z_dim", "batch_size", "pretrain_epochs"],
    "dmvae": ["encoder_layers", "decoder_layers", "cluster_encoder_layers", "z_dim", "batch_size"],
}


def picture(label, random):
    """A dark picture with a bright bar, whose row says the class."""
    pixels = random.integers(0, 60, [HEIGHT, WIDTH]).astype(np.uint8)
    pixels[4 * label : 4 * label + 3] += 150
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folders of pictures, with and without classes, and points of four features."""
    root, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        for number in range(40):
            for folder in (root / "classes" / name, root / "flat"):
                folder.mkdir(parents=True, exist_ok=True)
                picture(label, random).save(folder / f"{name}-{number}.png")
    centres = np.repeat([[0.0] * 4, [6.0] * 4], 60, axis=0)
    np.save(root / "points.npy", (centres + random.standard_normal([120, 4])).astype(np.float32))
    return root


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def train(name, path, out, *more):
    words = ["train", name, "--data", str(path), "--epochs", "2", "--out", out, *more]
    for key in NAMES[name]:
        words += ["--set", f"{key}={json.dumps(SMALL[key])}"]
    assert main(words) == 0
    return json.loads(Path(out, "metrics.json").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_every_model_is_trained_scored_and_drawn_on_pictures_of_any_size(data, name, capfd):
    record = train(name, data / "classes", "run")
    assert record["shape"] == [HEIGHT, WIDTH]
    assert record["class_names"] == list(CLASSES)
    assert record["source"]["name"] == str(data / "classes")
    counted = [record["params"].get(key) for key in ("n_classes", "n_experts", "n_clusters")]
    assert name == "vae" or 3 in counted
    assert main(["evaluate", "--run", "run"]) == 0
    again = json.loads(Path("run/evaluation.json").read_text())["test"]
    if name != "vae":
        assert again["accuracy"] == record["test"]["accuracy"]
    if name != "information":
        assert main(["generate", "--run", "run", "--out", "drawn.png"]) == 0
        with Image.open("drawn.png") as drawn:
            assert np.asarray(drawn).std() > 0


def test_a_classifier_is_not_scored_on_other_classes(data, capfd):
    train("conditional-vae", data / "classes", "run")
    for name in CLASSES[1:]:
        shutil.copytree(data / "classes" / name, Path("fewer", name))
    capfd.readouterr()
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", "--run", "run", "--data", "fewer"])
    message = "fewer has the classes ['dog', 'emu']: the model was trained on ['cat', 'dog', 'emu']"
    assert message in capfd.readouterr().err
    assert not Path("run/evaluation.json").exists()


@pytest.mark.parametrize("name", ["mixture-of-vaes", "hierarchy", "vade", "dmvae", "vae"])
def test_without_labels_the_scores_that_need_them_are_left_out(data, name):
    more = [] if name == "vae" else ["--experts", "2"]
    if name in ("vade", "dmvae"):
        more = ["--clusters", "2"]
    record = train(name, data / "flat", "run", *more)
    assert "accuracy" not in record["test"]
    assert "confusion" not in record["test"]
    assert record["test"]["losses"]
    if name != "vae":
        assert sum(record["test"]["sizes"]) == 24
        assert len(record["test"]["sizes"]) == 2
    assert main(["evaluate", "--run", "run"]) == 0


@pytest.mark.parametrize("name", ["mixture-of-vaes", "vade", "dmvae", "vae"])
def test_points_of_many_features_are_drawn_in_the_plane(data, name):
    record = train(name, data / "points.npy", "run")
    assert record["shape"] == [4]
    assert Path("run/points.png").exists()
    assert main(["generate", "--run", "run", "--out", "drawn.png"]) == 0


def test_a_model_that_needs_labels_is_refused_before_it_is_built(data, capfd):
    words = ["train", "conditional-vae", "--data", str(data / "flat"), "--out", "run"]
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    error = capfd.readouterr().err.splitlines()[-1]
    assert "the data have no labels, on which model 'conditional-vae' is trained" in error
    assert not Path("run").exists()


def test_more_experts_than_examples_are_refused(data, capfd):
    words = ["train", "mixture-of-vaes", "--data", str(data / "flat"), "--out", "run"]
    with pytest.raises(SystemExit) as caught:
        main([*words, "--experts", "1000"])
    assert caught.value.code == 2
    assert (
        "parameter 'n_experts' is 1000: it must be at most the training set's 84 examples"
        in capfd.readouterr().err
    )


def test_classify_reads_folders_and_writes_one_row_a_file(data, capfd):
    train("conditional-vae", data / "classes", "run", "--epochs", "40")
    random = np.random.default_rng(1)
    other = Image.fromarray(random.integers(0, 2, [HEIGHT, WIDTH, 3], np.uint8) * 255)
    other.resize((90, 120), Image.Resampling.NEAREST).save("other.png")
    capfd.readouterr()
    words = ["classify", str(data / "classes" / "dog"), "other.png", "--run", "run"]
    main([*words, "--json"])
    rows = json.loads(capfd.readouterr().out)
    assert len(rows) == 41
    assert rows[0]["file"] == str(data / "classes" / "dog" / "dog-0.png")
    dogs = [row["class"] == "dog" for row in rows[:40]]
    assert np.mean(dogs) > 0.9
    assert rows[-1]["unlike"] is True
    assert np.mean([row["unlike"] for row in rows[:40]]) < 0.2
    main([*words, "--csv"])
    table = list(csv.DictReader(io.StringIO(capfd.readouterr().out)))
    assert [row["file"] for row in table] == [row["file"] for row in rows]
    assert {row["class_number"] for row in table} <= {"0", "1", "2"}
    main(words)
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 41
    assert lines[-1].startswith("other.png: ")
    assert lines[-1].endswith(", unlike anything in the training set")


def test_classify_names_the_classes_and_not_the_experts(data, capfd):
    settings = {"task": '"classification"', "n_outputs": len(CLASSES)}
    settings |= {"epochs": 10, "learning_rate": 0.01, "batch_size": 20, "n_clusters": 5}
    words = ["train", "moe", "--data", str(data / "classes"), "--out", "run"]
    for key, value in settings.items():
        words += ["--set", f"{key}={value}"]
    assert main(words) == 0
    capfd.readouterr()
    main(
        ["classify", *(str(data / "classes" / name) for name in CLASSES), "--run", "run", "--json"]
    )
    rows = json.loads(capfd.readouterr().out)
    right = [row["class"] in row["file"] for row in rows]
    assert len(rows) == 120
    assert np.mean(right) > 0.9


@pytest.mark.parametrize("invert", ["--invert", "--no-invert"])
def test_classify_reads_pictures_as_the_training_images_were_read(data, capfd, invert):
    train("conditional-vae", data / "classes", "run", invert)
    picture = str(data / "classes" / "dog" / "dog-0.png")
    Image.eval(Image.open(picture).convert("L"), lambda value: 255 - value).save("light.png")
    rows = {}
    for options in ([], ["--invert"], ["--no-invert"]):
        capfd.readouterr()
        main(["classify", picture, "light.png", "--run", "run", "--json", *options])
        output, error = capfd.readouterr()
        assert "inverted" not in error
        rows[" ".join(options)] = json.loads(output)
    assert rows[""] == rows[invert]
    assert rows["--invert"] != rows["--no-invert"]


def test_generate_takes_the_name_of_a_class(data, capfd, monkeypatch):
    train("conditional-vae", data / "classes", "run")
    labels = []
    monkeypatch.setattr(
        "moe_vae.cli.generate.plot_image_rows",
        lambda rows, names, title: labels.append(names) or new_figure(1, 1),
    )
    main(["generate", "--run", "run", "--which", CLASSES[1]])
    main(["generate", "--run", "run", "--which", "1"])
    main(["generate", "--run", "run"])
    assert labels == [[CLASSES[1]], [CLASSES[1]], list(CLASSES)]
    with pytest.raises(SystemExit) as caught:
        main(["generate", "--run", "run", "--which", "lion"])
    assert caught.value.code == 2
    assert f"it must be in 0 to 2, or one of {', '.join(CLASSES)}" in capfd.readouterr().err


def test_a_bad_picture_is_named_or_left_out(data, capfd):
    train("conditional-vae", data / "classes", "run")
    Path("bad.png").write_bytes(b"no picture")
    good = str(data / "classes" / "dog" / "dog-1.png")
    capfd.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(["classify", good, "bad.png", "--run", "run"])
    assert caught.value.code == 2
    output, error = capfd.readouterr()
    assert output == ""
    assert "bad.png: is not a picture" in error
    main(["classify", good, "bad.png", "--run", "run", "--skip-bad", "--json"])
    output, error = capfd.readouterr()
    assert [row["file"] for row in json.loads(output)] == [good]
    assert "1 of 2 pictures was left out (bad.png" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "nowhere"], "argument --data: 'nowhere' is not one of auto, mnist"),
        (["--image-size", "28"], "argument --image-size: '28' is not HEIGHTxWIDTH in pixels"),
        (["--image-size", "0x3"], "argument --image-size: '0x3' is not HEIGHTxWIDTH in pixels"),
        (["--test", "1.5"], "argument --test: '1.5' is not a share above 0 and below 1"),
        (["--kind", "sounds"], "argument --kind: invalid choice: 'sounds'"),
        (["--clusters", "3"], "--clusters is not for mixture-of-vaes"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else "",
)
def test_a_bad_option_is_refused_in_one_line(capfd, words, message):
    with pytest.raises(SystemExit) as caught:
        main(["train", "mixture-of-vaes", "--out", "run", *words])
    assert caught.value.code == 2
    assert message in capfd.readouterr().err
    assert not Path("run").exists()


def test_a_number_that_a_model_has_not_is_refused(capfd):
    with pytest.raises(SystemExit):
        main(["train", "vae", "--data", "sample", "--clusters", "3", "--out", "run"])
    assert "--clusters is not for vae, which has none" in capfd.readouterr().err
