"""Whole clustering runs, from the command line to the table's numbers."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from moe_vae.cli.main import main
from moe_vae.data.spiral import make_spiral
from moe_vae.evaluation import clustering as baselines
from moe_vae.evaluation.clustering import score_clustering
from moe_vae.experiments import sources, study_runs
from moe_vae.experiments.recipes import CLUSTERING_STEPS, Step
from moe_vae.experiments.registry import builder, default_params
from moe_vae.experiments.run_files import RunError
from moe_vae.plots import clustering as drawings
from moe_vae.training.trainer import start_trainer

SMALL = {
    "encoder_layers": [16],
    "decoder_layers": [16],
    "z_dim": 2,
    "batch_size": 50,
    "gmm_restarts": 1,
    "epochs": 2,
    "pretrain_epochs": 1,
}
pytestmark = pytest.mark.process

RESULTS = Path(__file__).parents[2] / "results"
FIGURES = {"losses.png", "confusion.png", "codes.png"}


@pytest.fixture(scope="module", autouse=True)
def few_points():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "make_spiral", lambda seed: make_spiral(seed, 60, 20, 40))
        patch.setattr(drawings, "N_CODES", 100)
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
        main([*words, "--seed", "3", "--out", str(directory / model)])
    return directory


@pytest.mark.parametrize("model", ["vade", "dmvae"])
def test_train_on_the_spiral_writes_its_figures_and_scores(runs, model):
    pictures = {path.name for path in (runs / model).glob("*.png")}
    assert pictures == FIGURES | {"points.png"}
    record = read_json(runs / model / "metrics.json")
    assert record["data"] == "spiral"
    assert record["shape"] == [2]
    assert record["params"]["n_clusters"] == 5
    assert record["params"]["likelihood"] == "gaussian"
    assert len(record["history"]["loss"]) == len(record["seconds"]) == 3
    table = np.array(record["test"]["confusion"])
    assert table.sum(axis=1).tolist() == [40] * 5
    assert table.max(axis=0).sum() / 200 >= record["test"]["accuracy"] >= table.max() / 200


def test_train_on_images_draws_reconstructions_and_every_cluster():
    words = ["train", "dmvae", "--data", "sample", *settings("dmvae"), "--set", "n_clusters=3"]
    main([*words, "--out", "out"])
    pictures = {path.name for path in Path("out").glob("*.png")}
    assert pictures == FIGURES | {"reconstructions.png", "generated.png", "samples.png"}
    pixels = np.full([28, 28], 40, np.uint8)
    Image.fromarray(pixels).save("grey.png")
    main(["classify", "grey.png", "--run", "out"])


@pytest.mark.parametrize("model", ["vade", "dmvae"])
def test_generate_draws_points_of_each_cluster_or_one(runs, monkeypatch, model):
    drawn = []
    savefig = Figure.savefig

    def recorded(figure, path, **options):
        axes = figure.axes[0]
        drawn.append(sum(len(points.get_offsets()) for points in axes.collections))
        savefig(figure, path, **options)

    monkeypatch.setattr(Figure, "savefig", recorded)
    main(["generate", "--run", str(runs / model), "--count", "7"])
    main(["generate", "--run", str(runs / model), "--count", "7", "--which", "4"])
    assert drawn == [35, 7]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["classify", "x.png", "--run", "{runs}/vade"],
            "was trained on the spiral, which are points: classify reads pictures",
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
        main([word.format(runs=runs) for word in words])
    assert caught.value.code == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_clustering_collects_runs_and_baselines_and_goes_on_where_it_was_cut_off(runs, monkeypatch):
    monkeypatch.setattr(baselines, "N_STARTS", 1)
    monkeypatch.setattr(baselines, "MANY_STARTS", 2)
    for model in ("vade", "dmvae"):
        run = Path("runs/clustering") / f"{model}-spiral-3"
        run.parent.mkdir(parents=True, exist_ok=True)
        run.symlink_to(runs / model)
        params = read_json(runs / model / "metrics.json")["params"]
        monkeypatch.setitem(CLUSTERING_STEPS["points"], model, Step(model, params=params))
    monkeypatch.setattr(study_runs, "train_run", lambda *_: pytest.fail("a run was trained again"))
    main(["clustering", "--data", "spiral", "--seeds", "3"])
    results = read_json("results/clustering_spiral.json")
    assert results["command"] == "python -m moe_vae clustering --data spiral --seeds 3"
    assert [run["model"] for run in results["runs"]] == ["vade", "dmvae"]
    for run in results["runs"]:
        assert set(run["evaluation"]["codes"]) == {"K-means", "GMM, diag", "GMM, full"}
        assert np.isfinite(run["evaluation"]["validation"]["loss"])
    many = {"GMM, diag, 2 starts", "GMM, full, 2 starts"}
    assert set(results["baselines"][0]) == {"seed", "K-means", "GMM, diag", "GMM, full", *many}
    assert Path("results/figures/dmvae_spiral_points.png").exists()
    for model in ("vade", "dmvae"):
        (runs / model / "evaluation.json").unlink()
    shutil.rmtree("runs")
    main(["clustering", "--data", "spiral", "--seeds", "4", "--only-baselines"])
    again = read_json("results/clustering_spiral.json")
    assert [each["seed"] for each in again["baselines"]] == [4]
    assert {**again, "baselines": results["baselines"]} == results


RECORD = {
    "model": "vade",
    "data": "spiral",
    "params": {},
    "seed": 5,
    "shape": [2],
    "history": {"loss": [1.0]},
    "seconds": [1.0],
}


def interrupted_run():
    run_dir = Path("run")
    (run_dir / "checkpoints").mkdir(parents=True)
    (run_dir / "metrics.json").write_text(json.dumps({**RECORD, "interrupted": True}))
    return run_dir, study_runs.Study(Path("runs"), Path("out.json"))


def train_instead(monkeypatch, interrupted):
    """Replaces the training by one that ends at once; returns the list of its options."""
    asked = []

    def train(model, data, run_dir, params, options):
        asked.append(options)
        record = {**RECORD, "interrupted": interrupted}
        (run_dir / "metrics.json").write_text(json.dumps(record))
        return record

    monkeypatch.setattr(study_runs, "train_run", train)
    return asked


def test_a_study_resumes_an_interrupted_run(monkeypatch):
    run_dir, study = interrupted_run()
    asked = train_instead(monkeypatch, interrupted=False)
    record = study_runs.finish_run(study, "vade", "spiral", run_dir, 5)
    assert not record["interrupted"]
    assert [(options.resume, options.seed) for options in asked] == [(True, 5)]
    assert not (run_dir / "checkpoints").exists()
    study_runs.finish_run(study, "vade", "spiral", run_dir, 5)
    assert len(asked) == 1


@pytest.mark.parametrize("kept", [{"model": "dmvae", "seed": 9}, {"model": "vae", "seed": 3}])
def test_a_clustering_that_would_lose_recorded_runs_is_refused(capfd, kept):
    record = {**RECORD, **kept, "test": {}, "evaluation": {}}
    Path("results").mkdir()
    results = json.dumps({"command": "", "runs": [record]})
    Path("results/clustering_spiral.json").write_text(results)
    with pytest.raises(SystemExit):
        main(["clustering", "--data", "spiral", "--seeds", "3"])
    message = f"holds a run of {kept['model']} with seed {kept['seed']}, which would be lost: name"
    assert message in capfd.readouterr().err
    assert Path("results/clustering_spiral.json").read_text() == results


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"model": "dmvae"}, "with model 'vade', not 'dmvae'"),
        ({"data": "digits"}, "with data 'spiral', not '8 x 8 digits'"),
        ({"seed": 6}, "with seed 5, not 6"),
        ({"params": {"z_dim": 3}}, r"with z_dim \d+, not 3"),
        ({"engine": "compiled"}, "with engine 'plain', not 'compiled'"),
        ({"scores_epochs": True}, "with the accuracy after 0 of 1 epochs, not all"),
    ],
)
def test_a_study_takes_no_finished_run_for_another(monkeypatch, words, message):
    run_dir, study = interrupted_run()
    train_instead(monkeypatch, interrupted=False)
    asked = {"model": "vade", "data": "spiral", "seed": 5}
    study_runs.finish_run(study, run_dir=run_dir, **asked)
    (run_dir / "checkpoints").mkdir()
    with pytest.raises(RunError, match=f"run holds a run {message}: delete it"):
        study_runs.finish_run(study, run_dir=run_dir, **{**asked, **words})
    assert (run_dir / "checkpoints").exists()


def test_a_study_ends_where_a_run_is_interrupted(monkeypatch):
    run_dir, study = interrupted_run()
    train_instead(monkeypatch, interrupted=True)
    with pytest.raises(RunError, match="run was interrupted"):
        study_runs.finish_run(study, "vade", "spiral", run_dir, 5)
    assert (run_dir / "checkpoints").exists()


@pytest.mark.long
def test_a_recorded_run_is_trained_again():
    """Not digit for digit: another processor rounds differently, and that grows over epochs."""
    runs = read_json(RESULTS / "clustering_spiral.json")["runs"]
    (recorded,) = (run for run in runs if (run["model"], run["seed"]) == ("dmvae", 10))
    spiral = make_spiral(sources.SPIRAL_SEED)
    params = default_params("dmvae", sources.SOURCES["spiral"].form)
    assert {**params, **recorded["params"]} == params  # those that came later are as they were
    trainer = start_trainer(builder("dmvae", (2,)), params, 10)
    trainer.fit_to_the_end(spiral.train)
    history = trainer.history["loss"]
    assert history[0] == pytest.approx(recorded["history"]["loss"][0], rel=1e-3)
    assert history[-1] == pytest.approx(recorded["history"]["loss"][-1], rel=0.02)
    scores = score_clustering(trainer, spiral.test)
    assert scores["accuracy"] == pytest.approx(recorded["test"]["accuracy"], abs=0.01)
