"""The studies of the paper's questions, whole: objectives, starts and samples."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from moe_vae.cli.main import main
from moe_vae.data.spiral import make_spiral
from moe_vae.evaluation import monte_carlo, relaxation
from moe_vae.experiments import sources
from moe_vae.experiments.recipes import RECIPES, Recipe

pytestmark = pytest.mark.process

SMALL = {
    "encoder_layers": [8],
    "decoder_layers": [8],
    "z_dim": 2,
    "batch_size": 50,
    "gmm_restarts": 1,
    "pretrain_epochs": 1,
    "epochs": 2,
}


def small(step):
    """Returns a step with small networks and few epochs."""
    params = {**step.params, "epochs": 2}
    if step.model != "moe":
        params |= SMALL
    if step.model == "dmvae":
        params |= {"cluster_encoder_layers": [8]}
    return step._replace(params=params)


@pytest.fixture(scope="module", autouse=True)
def small_studies():
    """Two seeds of each study, on few points of the spiral."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "make_spiral", lambda seed: make_spiral(seed, 60, 20, 40))
        patch.setattr(relaxation, "N_DRAWS", 4)
        patch.setattr(monte_carlo, "N_REPETITIONS", 3)
        patch.setattr(monte_carlo, "N_SAMPLES", (1, 20))
        for name in ("relaxed", "samples"):
            recipe = RECIPES[name]
            steps = {key: small(step) for key, step in recipe.steps.items()}
            patch.setitem(RECIPES, name, recipe._replace(steps=steps))
        yield


@pytest.fixture(scope="module")
def results(tmp_path_factory, small_studies):
    """What the commands wrote, by study, and the names of their figures."""
    directory = tmp_path_factory.mktemp("studies")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        for name, steps in (
            ("relaxed", ["exact", "relaxed", "table1-relaxed-2"]),
            ("samples", ["vade", "vade-5", "gate-vade", "gate-dmvae"]),
        ):
            main([name, "--data", "spiral", "--steps", *steps, "--n-seeds", "2"])
    written = {path.stem: json.loads(path.read_text()) for path in directory.glob("results/*.json")}
    return {**written, "figures": {path.stem for path in directory.glob("results/figures/*")}}


def runs_of(results, name, step):
    return [run for run in results[name]["runs"] if run["step"] == step]


def test_a_study_draws_its_own_figures_alone(results):
    assert results["figures"] == {
        "relaxed_temperature",
        "samples_training_spiral",
        "samples_gate",
    }


def test_every_draw_of_table_1_has_targets_of_its_own(results):
    cells = runs_of(results, "relaxed", "table1-relaxed-2")
    assert [cell["params"]["targets_seed"] for cell in cells] == [0, 1]
    assert {cell["params"]["objective"] for cell in cells} == {"relaxed"}


def test_the_accuracy_of_every_epoch_ends_with_that_of_the_run(results):
    for run in runs_of(results, "samples", "vade"):
        accuracies = run["history"]["accuracy"]
        assert len(accuracies) == len(run["seconds"]) == 3
        assert all(0.2 <= accuracy <= 1 for accuracy in accuracies)
