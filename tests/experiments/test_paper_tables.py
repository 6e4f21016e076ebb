"""The paper's tables by every gate: from the command line to what a cell holds."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moe_vae import DataSet, DataSets
from moe_vae.cli.main import main
from moe_vae.data.spiral import make_spiral
from moe_vae.data.targets import add_affine_targets
from moe_vae.evaluation.mixture_of_experts import score_mixture_of_experts
from moe_vae.experiments import recipes, sources, studies, study_runs
from moe_vae.experiments.recipes import Step
from moe_vae.experiments.registry import MODELS, builder, default_params
from moe_vae.models.gates import GATES
from moe_vae.training.trainer import start_trainer

FEW = {"epochs": 2, "batch_size": 50}
SMALL_VAE = {"encoder_layers": [8], "decoder_layers": [8], "z_dim": 2, "batch_size": 50}
pytestmark = pytest.mark.process

RESULTS = Path(__file__).parents[2] / "results"


N_TEST = 100  # of the small MNIST


def striped_images(n_images, seed):
    """Images of ten classes, each with its stripe of ink, and a seventh of them without one."""
    random = np.random.default_rng(seed)
    labels = np.tile(np.arange(10), n_images // 10)
    images = 0.1 * random.random([n_images, 784], np.float32)
    inked = np.arange(n_images)[np.arange(n_images) % 7 != seed]
    images[inked[:, None], 50 * labels[inked, None] + np.arange(40)] += 0.8
    return DataSet(images, labels)


def small_mnist():
    sizes = {"train": 200, "validation": 50, "test": N_TEST}
    parts = (striped_images(n_images, seed) for seed, n_images in enumerate(sizes.values()))
    return DataSets(*parts, name="MNIST")


@pytest.fixture(autouse=True)
def few(tmp_path, monkeypatch):
    """An empty directory, small data and short trainings."""
    monkeypatch.chdir(tmp_path)
    spiral = make_spiral(0, 60, 20, 40)
    monkeypatch.setattr(sources, "make_spiral", lambda seed: spiral)
    monkeypatch.setattr(sources, "read_mnist", lambda *_: small_mnist())
    small = {"epochs": 1, "pretrain_epochs": 1, "gmm_restarts": 1, **SMALL_VAE}
    steps = {
        "points": {
            "vade": Step("vade", None, small),
            "dmvae": Step("dmvae", None, {**small, "cluster_encoder_layers": [8]}),
        },
        "images": {
            "information": Step(
                "information",
                None,
                {
                    "cluster_encoder_layers": [8],
                    "epochs": 1,
                    "pretrain_epochs": 1,
                    "batch_size": 50,
                },
            ),
            "dmvae": Step("dmvae", "information", {**SMALL_VAE, "epochs": 1}),
            "vade": Step("vade", "dmvae", {**SMALL_VAE, "epochs": 1}),
        },
    }
    monkeypatch.setattr(studies, "CLUSTERING_STEPS", steps)
    monkeypatch.setattr(studies, "FIRST_GATE_SEEDS", dict.fromkeys(steps, 3))
    few_epochs = dict.fromkeys(GATES, FEW)
    monkeypatch.setattr(studies, "TABLE_1_PARAMS", {"spiral": few_epochs, "mnist": few_epochs})
    monkeypatch.setattr(studies, "TABLE_2_PARAMS", few_epochs)
    for name in ("information", "dmvae", "vade"):  # whose figures are not looked at here
        monkeypatch.setitem(MODELS, name, MODELS[name]._replace(draw=lambda *_: {}))


def read_json(path):
    return json.loads(Path(path).read_text())


def test_table1_fills_its_cells_and_goes_on_where_it_was_cut_off(monkeypatch):
    words = ["table1", "--data", "spiral", "--outputs", "2", "--draws", "2"]
    words += ["--gates", "softmax", "dmvae"]
    main(words)
    table = read_json("results/table1.json")
    assert table["command"] == "python -m moe_vae " + " ".join(words)
    keys = [(c["params"]["gate"], c["params"]["targets_seed"], c["seed"]) for c in table["cells"]]
    assert keys == [("softmax", 0, 0), ("softmax", 1, 1), ("dmvae", 0, 0), ("dmvae", 1, 1)]
    assert [cell.get("gate_seed") for cell in table["cells"]] == [None, None, 3, 4]
    begun = [read_json(f"runs/table1/spiral-dmvae-2-{draw}/metrics.json") for draw in (0, 1)]
    assert [Path(run["start"]).name for run in begun] == ["dmvae-spiral-3", "dmvae-spiral-4"]
    assert Path("results/figures/table1_errors.png").exists()
    for cell in table["cells"]:
        assert cell["test"]["squared_error"] > 0
        assert cell["test"]["r2"] <= 1
        assert cell["command"] == table["command"]
    errors = [cell["test"]["squared_error"] for cell in table["cells"]]
    assert len(set(errors)) == 4  # other targets, another gate: another error

    shutil.rmtree("runs/table1/spiral-dmvae-2-1")
    trained = []
    train = study_runs.train_run

    def recorded(model, data, run_dir, *rest):
        trained.append(str(run_dir))
        return train(model, data, run_dir, *rest)

    monkeypatch.setattr(study_runs, "train_run", recorded)
    main(words)
    assert trained == ["runs/table1/spiral-dmvae-2-1"]
    again = [cell["test"]["squared_error"] for cell in read_json("results/table1.json")["cells"]]
    assert again == errors


@pytest.fixture
def trained(monkeypatch):
    """The list of the directories that a study trains."""
    trained, train = [], study_runs.train_run

    def recorded(model, data, run_dir, *rest):
        trained.append(run_dir.name)
        return train(model, data, run_dir, *rest)

    monkeypatch.setattr(study_runs, "train_run", recorded)
    return trained


def recorded_cell(gate, **more):
    params = {
        **FEW,
        "gate": gate,
        "n_outputs": 1,
        "targets_seed": 0,
        "task_objective": "likelihood",
    }
    test = {"squared_error": 2.0}
    return {"data": "spiral", "seed": 0, "params": params, "test": test, **more}


def test_missing_trains_only_what_the_table_does_not_have_yet(monkeypatch, trained):
    recorded = [recorded_cell("softmax"), recorded_cell("dmvae", gate_seed=3)]
    Path("results").mkdir()
    Path("results/table1.json").write_text(json.dumps({"command": "", "cells": recorded}))
    words = ["table1", "--data", "spiral", "--outputs", "1", "--draws", "1", "--missing"]
    words += ["--gates", "softmax", "dmvae"]
    main(words)
    assert trained == []
    assert read_json("results/table1.json")["cells"] == recorded

    # A cell that began with another draw's clustering is not the one that is asked for.
    monkeypatch.setattr(studies, "FIRST_GATE_SEEDS", {"points": 4, "images": 4})
    main(words)
    assert trained == ["dmvae-spiral-4", "spiral-dmvae-1-0"]
    softmax, dmvae = read_json("results/table1.json")["cells"]
    assert softmax == recorded[0]
    assert dmvae["gate_seed"] == 4
    assert dmvae["test"]["squared_error"] != 2.0


def test_a_run_that_began_with_another_clustering_is_refused(monkeypatch, capfd):
    words = ["table1", "--data", "spiral", "--outputs", "1", "--draws", "1", "--gates", "dmvae"]
    main(words)
    monkeypatch.setattr(studies, "FIRST_GATE_SEEDS", {"points": 5, "images": 5})
    with pytest.raises(SystemExit):
        main(words)
    error = capfd.readouterr().err
    assert "holds a run with start 'dmvae-spiral-3', not 'dmvae-spiral-5': delete it" in error


def test_a_gate_whose_clustering_the_data_lack_is_refused(capfd):
    with pytest.raises(SystemExit):
        main(["table1", "--data", "spiral", "--gates", "pretrained"])
    assert capfd.readouterr().err.endswith(
        "error: gate 'pretrained' begins with the clustering 'information', and 'spiral' has only "
        "'vade', 'dmvae': choose another gate\n"
    )
    assert "pretrained" not in studies._gates("spiral", None)
    assert studies._gates("mnist", None) == list(GATES)


def test_a_run_with_other_settings_is_refused(monkeypatch, capfd):
    words = ["table1", "--data", "spiral", "--outputs", "1", "--draws", "1", "--gates", "softmax"]
    main(words)
    longer = {"spiral": {"softmax": {**FEW, "epochs": 3}}}
    monkeypatch.setattr(studies, "TABLE_1_PARAMS", longer)
    with pytest.raises(SystemExit):
        main(words)
    message = "spiral-softmax-1-0 holds a run with epochs 2, not 3: delete it"
    assert message in capfd.readouterr().err


def test_table1_takes_another_objective():
    words = ["table1", "--data", "spiral", "--outputs", "1", "--draws", "1", "--gates", "deep"]
    main([*words, "--objectives", "batch_sum", "own"])
    cells = read_json("results/table1.json")["cells"]
    assert [c["params"]["task_objective"] for c in cells] == ["batch_sum", "likelihood"]
    assert cells[0]["test"]["squared_error"] != cells[1]["test"]["squared_error"]


def test_a_vae_gate_begins_with_its_clustering():
    main(["table1", "--data", "spiral", "--outputs", "1", "--draws", "1", "--gates", "vade"])
    cell = read_json("results/table1.json")["cells"][0]
    assert cell["params"]["encoder_layers"] == [8]
    assert cell["params"]["pretrain_epochs"] == cell["params"]["gate_epochs"] == 0
    record = read_json("runs/table1/spiral-vade-1-0/metrics.json")
    assert record["start"] == "runs/clustering/vade-spiral-3"
    assert not Path("runs/clustering/vade-spiral-3/checkpoints").exists()


def test_table2_classifies_behind_gates_that_begin_trained_and_others():
    gates = ["deep", "vade", "pretrained"]  # the contract test has every gate
    main(["table2", "--seeds", "0", "--gates", *gates])
    cells = read_json("results/table2.json")["cells"]
    assert [cell["params"]["gate"] for cell in cells] == gates
    for cell in cells:
        assert 0 <= cell["test"]["accuracy"] <= 1
        assert np.sum(cell["test"]["confusion"]) == N_TEST


def test_train_moe_writes_figures_and_is_evaluated():
    words = ["--set", "gate=deep", "--set", "n_outputs=2", "--set", "batch_size=50"]
    main(["train", "moe", "--data", "spiral", "--epochs", "2", "--out", "out", *words])
    assert {path.name for path in Path("out").glob("*.png")} == {
        "losses.png",
        "gate.png",
        "predictions.png",
    }
    main(["evaluate", "--data", "spiral", "--run", "out"])
    evaluated = read_json("out/evaluation.json")["test"]
    trained = read_json("out/metrics.json")["test"]
    assert evaluated["squared_error"] == pytest.approx(trained["squared_error"], rel=1e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["generate"], "holds a model of kind 'moe', which draws nothing"),
        (["classify", "x.png"], "a mixture of experts for a regression has no class probabilities"),
    ],
)
def test_a_regression_behind_a_softmax_gate_draws_and_classifies_nothing(capfd, words, message):
    options = ["--set", "gate=softmax", "--set", "batch_size=50", "--epochs", "1"]
    main(["train", "moe", "--data", "mnist", *options, "--out", "out"])
    Image.fromarray(np.zeros([28, 28], np.uint8)).save("x.png")
    with pytest.raises(SystemExit):
        main([*words, "--run", "out"])
    assert message in capfd.readouterr().err


def test_a_classification_classifies_a_picture(capfd):
    options = ["--set", "gate=softmax", "--set", "task=classification", "--set", "n_outputs=10"]
    options += ["--set", "batch_size=50", "--epochs", "5"]
    main(["train", "moe", "--data", "mnist", *options, "--out", "out"])
    stripe = 255 * striped_images(10, seed=9).images[4].reshape(28, 28)
    Image.fromarray(stripe.astype(np.uint8)).save("x.png")
    capfd.readouterr()
    main(["classify", "x.png", "--run", "out"])
    assert capfd.readouterr().out.startswith("digit 4 (probability 0.")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--set", "gate=nothing"],
            "parameter 'gate' is 'nothing': it must be one of",
        ),
        (["--set", "gate=deep", "--set", "z_dim=3"], "unknown parameter 'z_dim'"),
        (["--set", "n_outputs=0"], "parameter 'n_outputs' is 0"),
        (["--from", "nowhere"], "nowhere/metrics.json does not exist: name the directory"),
    ],
)
def test_what_no_mixture_has_is_refused(capfd, words, message):
    with pytest.raises(SystemExit) as caught:
        main(["train", "moe", "--data", "spiral", "--out", "out", *words])
    assert caught.value.code == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not Path("out").exists()


@pytest.mark.long
def test_a_recorded_cell_of_table_1_is_trained_again():
    """Not digit for digit: another processor rounds differently, and that grows over epochs."""
    spiral = add_affine_targets(make_spiral(0), 1, 0)
    place = {"gate": "deep", "n_outputs": 1, "targets_seed": 0}
    cells = read_json(RESULTS / "table1.json")["cells"]
    (recorded,) = (
        cell
        for cell in cells
        if cell["data"] == "spiral" and place.items() <= cell["params"].items()
    )
    params = {**recipes.TABLE_1_PARAMS["spiral"]["deep"], **place}
    params = {**default_params("moe", sources.SOURCES["spiral"].form, params), **params}
    assert {**params, **recorded["params"]} == params  # those that came later are as they were
    trainer = start_trainer(builder("moe", (2,)), params, recorded["seed"])
    trainer.fit_to_the_end(spiral.train)
    scores = score_mixture_of_experts(trainer, spiral.test)
    error = recorded["test"]["squared_error"]
    assert scores["squared_error"] == pytest.approx(error, rel=0.1)
    accuracy = recorded["test"]["gate"]["accuracy"]
    assert scores["gate"]["accuracy"] == pytest.approx(accuracy, abs=0.01)
