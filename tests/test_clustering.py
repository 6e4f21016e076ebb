"""Whole clustering runs, from the command line to the table's numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from moe_vae import DataSet, cli, clustering
from moe_vae.data.checks import check_points
from moe_vae.data.spiral import make_spiral
from moe_vae.evaluation.clustering import score_baselines

SMALL = {
    "encoder_layers": [16],
    "decoder_layers": [16],
    "z_dim": 2,
    "batch_size": 50,
    "gmm_restarts": 1,
    "epochs": 2,
    "pretrain_epochs": 1,
}
RESULTS = Path(__file__).parent.parent / "results"
FIGURES = {"losses.png", "confusion.png", "codes.png"}


@pytest.fixture(scope="module", autouse=True)
def few_points():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "make_spiral", lambda seed: make_spiral(seed, 60, 20, 40))
        patch.setattr(clustering, "N_CODES", 100)
        yield


@pytest.fixture(autouse=True)
def empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def settings(model):
    small = SMALL if model == "vade" else {**SMALL, "cluster_encoder_layers": [16]}
    return [
        word for name, value in small.items() for word in ("--set", f"{name}={json.dumps(value)}")
    ]


def read_json(path):
    return json.loads(Path(path).read_text())


@pytest.fixture(scope="module")
def runs(tmp_path_factory, few_points):
    """A run of each model on the spiral, as `train` left it; not to be written to."""
    directory = tmp_path_factory.mktemp("runs")
    for model in ("vade", "dmvae"):
        words = ["train", model, "--data", "spiral", *settings(model)]
        cli.main([*words, "--seed", "3", "--out", str(directory / model)])
    return directory


@pytest.mark.parametrize("model", ["vade", "dmvae"])
def test_train_on_the_spiral_writes_its_figures_and_scores(runs, model):
    pictures = {path.name for path in (runs / model).glob("*.png")}
    assert pictures == FIGURES | {"points.png"}
    record = read_json(runs / model / "metrics.json")
    assert record["data"] == "spiral"
    assert record["n_features"] == 2
    assert record["params"]["n_clusters"] == 5
    assert record["params"]["likelihood"] == "gaussian"
    assert len(record["history"]["loss"]) == len(record["seconds"]) == 3
    table = np.array(record["test"]["confusion"])
    assert table.sum(axis=1).tolist() == [40] * 5
    assert table.max(axis=0).sum() / 200 >= record["test"]["accuracy"] >= table.max() / 200


def test_train_on_images_draws_reconstructions_and_every_cluster():
    words = ["train", "dmvae", "--data", "sample", *settings("dmvae"), "--set", "n_clusters=3"]
    cli.main([*words, "--out", "out"])
    pictures = {path.name for path in Path("out").glob("*.png")}
    assert pictures == FIGURES | {"reconstructions.png", "generated.png", "samples.png"}
    pixels = np.full([28, 28], 40, np.uint8)
    Image.fromarray(pixels).save("grey.png")
    cli.main(["classify", "grey.png", "--run", "out"])


@pytest.mark.parametrize("model", ["vade", "dmvae"])
def test_generate_draws_points_of_each_cluster_or_one(runs, monkeypatch, model):
    drawn = []
    savefig = Figure.savefig

    def recorded(figure, path, **options):
        axes = figure.axes[0]
        drawn.append(sum(len(points.get_offsets()) for points in axes.collections))
        savefig(figure, path, **options)

    monkeypatch.setattr(Figure, "savefig", recorded)
    cli.main(["generate", "--run", str(runs / model), "--count", "7"])
    cli.main(["generate", "--run", str(runs / model), "--count", "7", "--which", "4"])
    assert drawn == [35, 7]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["classify", "x.png", "--run", "{runs}/vade"], "was trained on the spiral: no pictures"),
        (
            ["train", "conditional-vae", "--data", "spiral", "--out", "out"],
            "must be mixture-of-vaes or information or vade or dmvae or moe",
        ),
        (["evaluate", "--run", "{runs}/vade", "--data", "sample"], "784"),
        (
            ["train", "vade", "--data", "spiral", "--out", "out", "--set", "n_clusters=0"],
            "parameter 'n_clusters' is 0",
        ),
        (
            ["train", "dmvae", "--data", "spiral", "--out", "out", "--set", "temperature=0"],
            "parameter 'temperature' is 0: it must be a number above 0",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(runs, capfd, words, message):
    with pytest.raises(SystemExit) as caught:
        cli.main([word.format(runs=runs) for word in words])
    assert caught.value.code == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_clustering_collects_runs_and_baselines_and_goes_on_where_it_was_cut_off(runs, monkeypatch):
    monkeypatch.setitem(clustering.BASELINE_STARTS, "points", 1)
    for model in ("vade", "dmvae"):
        run = Path("runs/clustering") / f"{model}-spiral-3"
        run.parent.mkdir(parents=True, exist_ok=True)
        run.symlink_to(runs / model)
    monkeypatch.setattr(cli, "_train", lambda *_: pytest.fail("a run was trained again"))
    cli.main(["clustering", "--data", "spiral", "--seeds", "3"])
    results = read_json("results/clustering_spiral.json")
    assert results["command"] == "python -m moe_vae clustering --data spiral --seeds 3"
    assert [run["model"] for run in results["runs"]] == ["vade", "dmvae"]
    for run in results["runs"]:
        assert set(run["evaluation"]["codes"]) == {"K-means", "GMM, diag", "GMM, full"}
        assert np.isfinite(run["evaluation"]["validation"]["loss"])
    assert set(results["baselines"][0]) == {"seed", "K-means", "GMM, diag", "GMM, full"}
    assert Path("results/figures/dmvae_spiral_points.png").exists()
    for model in ("vade", "dmvae"):
        (runs / model / "evaluation.json").unlink()


def test_an_interrupted_run_is_gone_on_with(monkeypatch):
    arguments = cli._parser().parse_args(["clustering", "--data", "spiral"])
    run = Path("run")
    run.mkdir()
    (run / "metrics.json").write_text(json.dumps({"interrupted": True}))
    commands = []

    def instead(words):
        commands.append(words)
        if words[0] == "train":
            (run / "metrics.json").write_text(json.dumps({"interrupted": False}))
        else:
            (run / "evaluation.json").write_text(json.dumps({"test": 1}))

    monkeypatch.setattr(cli, "main", instead)
    record = cli._finished_run("vade", 5, run, arguments)
    assert record == {"interrupted": False, "evaluation": {"test": 1}}
    assert commands[0][-1] == "--resume"
    assert [words[0] for words in commands] == ["train", "evaluate"]


def test_baselines_find_what_is_plain():
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 50)
    corners = 10.0 * np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    points = (corners[labels] + random.standard_normal([200, 2])).astype(np.float32)
    scores = score_baselines(points, DataSet(points, labels, check=check_points), seed=0)
    assert set(scores) == {"K-means", "GMM, diag", "GMM, full"}
    for of_baseline in scores.values():
        assert of_baseline == {
            "accuracy": 1.0,
            "nmi": pytest.approx(1.0),
            "ari": pytest.approx(1.0),
        }


def test_recorded_runs_on_the_spiral_hold():
    results = read_json(RESULTS / "clustering_spiral.json")
    accuracies = {
        model: [run["test"]["accuracy"] for run in results["runs"] if run["model"] == model]
        for model in ("vade", "dmvae")
    }
    assert len(accuracies["vade"]) == len(accuracies["dmvae"]) == 5
    assert np.mean(accuracies["dmvae"]) >= 0.97


@pytest.mark.parametrize(("model", "published"), [("dmvae", 0.9486), ("vade", 0.9446)])
def test_recorded_runs_on_mnist_hold(model, published):
    runs = read_json(RESULTS / "clustering_mnist.json")["runs"]
    accuracies = [run["test"]["accuracy"] for run in runs if run["model"] == model]
    assert len(accuracies) >= 3
    assert np.mean(accuracies) >= published
