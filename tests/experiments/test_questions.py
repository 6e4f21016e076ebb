"""The studies of the paper's questions, whole: objectives, starts, samples and parts."""

import json
from pathlib import Path

import numpy as np
import pytest

from moe_vae.cli.main import main
from moe_vae.data.spiral import make_spiral
from moe_vae.evaluation import monte_carlo, relaxation
from moe_vae.evaluation.relaxation import TEMPERATURES
from moe_vae.evaluation.vae import measure_decodings
from moe_vae.experiments import sources
from moe_vae.experiments.recipes import RECIPES, Experiment
from moe_vae.experiments.registry import MODELS
from moe_vae.experiments.study_runs import Study, measured
from moe_vae.experiments.tables.clusterings import (
    from_scratch_table,
    gate_samples_table,
    relaxed_mixtures_table,
    relaxed_table,
    samples_table,
    temperature_table,
    variants_table,
)

pytestmark = pytest.mark.process

SMALL = {
    "encoder_layers": [8],
    "decoder_layers": [8],
    "z_dim": 2,
    "batch_size": 50,
    "pretrain_epochs": 1,
    "epochs": 2,
}


def small(step):
    """Returns a step with small networks and few epochs."""
    params = {**step.params, "epochs": 2}
    if step.model != "moe":
        params |= SMALL
    if step.model in ("vade", "dmvae"):
        params |= {"gmm_restarts": 1}
    if step.model == "dmvae":
        params |= {"cluster_encoder_layers": [8]}
    return step._replace(params=params)


def draw_nothing(trainer, record, data_set):
    del trainer, record, data_set
    return {}


@pytest.fixture(scope="module", autouse=True)
def small_studies():
    """Small steps on few points of the spiral, without the runs' own figures."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("vae", "vade", "dmvae", "moe"):
            patch.setitem(MODELS, name, MODELS[name]._replace(draw=draw_nothing))
        patch.setattr(sources, "make_spiral", lambda seed: make_spiral(seed, 60, 20, 40))
        patch.setattr(relaxation, "N_DRAWS", 4)
        patch.setattr(monte_carlo, "N_REPETITIONS", 3)
        patch.setattr(monte_carlo, "N_SAMPLES", (1, 20))
        for name in ("relaxed", "samples", "variants"):
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
        for name, n_seeds, steps in (
            ("relaxed", "2", ["relaxed", "table1-exact-2", "table1-relaxed-2"]),
            ("samples", "1", ["vade", "vade-5", "gate-vade", "gate-dmvae"]),
            ("variants", "2", ["vae-variance", "dmvae-proportions"]),
        ):
            main([name, "--data", "spiral", "--steps", *steps, "--n-seeds", n_seeds])
    written = {path.stem: json.loads(path.read_text()) for path in directory.glob("results/*.json")}
    figures = {path.stem for path in directory.glob("results/figures/*")}
    return {**written, "figures": figures, "directory": directory}


def runs_of(results, name, step):
    return [run for run in results[name]["runs"] if run["step"] == step]


def rows_of(table):
    """The cells of a table's rows, without its heading."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


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


def test_the_history_has_the_accuracy_of_every_epoch(results):
    (run,) = runs_of(results, "samples", "vade")
    accuracies = run["history"]["accuracy"]
    assert "evaluation" not in run  # which would take minutes on images
    assert len(accuracies) == len(run["seconds"]) == 3
    assert all(0.2 <= accuracy <= 1 for accuracy in accuracies)


def test_the_relaxed_tables_have_the_runs_numbers(results):
    runs = runs_of(results, "relaxed", "relaxed")
    ((data, objective, mean, each, _, exact, seconds),) = rows_of(relaxed_table(results))
    accuracies = [run["test"]["accuracy"] for run in runs]
    assert (data, objective) == ("spiral", "relaxed, temperature 0.2")
    assert each == ", ".join(f"{accuracy:.3f}" for accuracy in accuracies)
    assert mean.startswith(f"{np.mean(accuracies):.3f} ± ")
    losses = [run["measured"]["objectives"][0]["loss"] for run in runs]
    assert exact.startswith(f"{np.mean(losses):.3f} ± ")
    assert float(seconds) >= 0

    rows = rows_of(temperature_table(results))
    assert [row[1] for row in rows] == ["exact", *(f"{each:g}" for each in TEMPERATURES)]
    gaps = [run["measured"]["objectives"][-1]["gap"] for run in runs]
    assert rows[-1][-2] == f"{np.median(gaps):.3g}"


def test_the_noise_is_relative_to_the_mean_gradient_without_the_noise_in_it():
    def moments(squared_mean):
        gradient = {"variance": 50.0, "squared_mean": squared_mean}
        both = {"cluster encoder": gradient, "encoder": gradient}
        measured = {"temperature": 0.2, "gradients": both, "gap": 0.0, "gap_error": 1.0}
        return {"n_draws": 100, "objectives": [measured]}

    def relative(squared_mean):
        run = {"step": "relaxed", "data": "spiral", "measured": moments(squared_mean)}
        return rows_of(temperature_table({"relaxed": {"runs": [run]}}))[0][3]

    # The mean of 100 draws has the variance 50 / 100.
    assert relative(5.5) == "10"
    assert relative(1.0) == relative(0.4) == "over 100"


def test_the_mixtures_are_compared_draw_by_draw(results):
    ((place, score, exact, _, relaxed, _, better),) = rows_of(relaxed_mixtures_table(results))
    errors = [
        [run["test"]["squared_error"] for run in runs_of(results, "relaxed", f"table1-{name}-2")]
        for name in ("exact", "relaxed")
    ]
    assert (place, score) == ("Table 1, spiral, D = 2", "squared error")
    assert exact.startswith(f"{np.mean(errors[0]):.3g} ± ")
    assert relaxed.startswith(f"{np.mean(errors[1]):.3g} ± ")
    lower = sum(theirs < ours for ours, theirs in zip(*errors, strict=True))
    assert better == f"{lower} of 2"


def test_the_table_of_trainings_shows_the_bounds_epochs(results):
    rows = rows_of(samples_table(results))
    (run,) = runs_of(results, "samples", "vade")
    assert [row[1] for row in rows] == ["VaDE, 1 sample", "VaDE, 5 samples"]
    # The first epoch is the autoencoder's; two of the bound follow.
    assert rows[0][3:7] == [f"{run['history']['loss'][1]:.2f}", "", "", ""]
    assert rows[0][7] == f"{run['history']['accuracy'][1]:.3f}"


def test_the_table_of_gates_has_a_row_for_each_number_of_samples(results):
    rows = rows_of(gate_samples_table(results))
    assert [row[0] for row in rows] == ["VaDE-ME, S = 1", "VaDE-ME, S = 20", "DVMoE"]
    (run,) = runs_of(results, "samples", "gate-vade")
    one = run["measured"]["gates"][0]
    assert rows[0][1] == f"{np.mean(one['distance']):.2g}"
    assert rows[0][6] == f"{np.std(one['squared_error'], ddof=1):.2g}"
    assert rows[2][1:3] == ["", ""]


def test_the_table_of_starts_shows_where_the_accuracy_comes_from(results):
    """The runs are the spiral's, as if they were MNIST's."""
    runs = runs_of(results, "samples", "vade")
    paper = json.loads((Path(__file__).parents[2] / "results" / "paper.json").read_text())
    rows = rows_of(from_scratch_table({"from-scratch": {"runs": runs}, "paper": paper}))
    accuracy = runs[0]["test"]["accuracy"]
    assert rows[0][:3] == ["VaDE", "GMM on an autoencoder's codes", "1 + 2"]
    assert rows[0][3] == f"{runs[0]['history']['accuracy'][1]:.4f}"
    assert rows[0][4] == rows[0][6] == f"{accuracy:.4f}"
    assert [row[4] for row in rows[1:]] == ["0.9446", "0.9486"]


def test_the_table_of_parts_has_the_runs_numbers(results):
    runs = runs_of(results, "variants", "dmvae-proportions")
    plain, learned = rows_of(variants_table(results))
    assert plain[:3] == ["spiral", "plain VAE", "learned variance, after an autoencoder"]
    assert plain[8:10] == ["", ""]  # no clusters
    assert learned[1:5] == ["DMVAE", "learned proportions", "1 + 2", "2"]
    losses = [run["test"]["losses"]["loss"] for run in runs]
    assert learned[5].startswith(f"{np.mean(losses):.2f} ± ")
    errors = [run["test"]["squared_error"] for run in runs_of(results, "variants", "vae-variance")]
    assert plain[7].startswith(f"{np.mean(errors):.3f} ± ")
    assert learned[9] == ", ".join(f"{run['test']['accuracy']:.3f}" for run in runs)


def count_test_points(trainer, data_sets, record):
    del trainer, record
    return {"points": data_sets.test.num_examples}


def test_two_studies_measure_a_run_that_they_share(results):
    directory = results["directory"]
    run_dir = directory / "runs/variants/vae-variance-spiral-0"
    study = Study(directory / "runs", directory / "results.json")
    experiment = Experiment("vae-variance", "spiral", 1)
    theirs, ours = (
        measured(study, run_dir, experiment._replace(measure=measure))["measured"]
        for measure in (measure_decodings, count_test_points)
    )
    assert theirs == runs_of(results, "variants", "vae-variance")[0]["measured"]
    assert ours["points"] == 5 * 40


def test_every_clustering_has_a_name_in_its_table():
    for study in ("relaxed", "from-scratch", "samples", "variants"):
        recipe = RECIPES[study]
        steps = [recipe.steps[experiment.step] for experiment in recipe.experiments]
        titles = [step.title for step in steps if step.model != "moe"]
        assert all(titles)
        assert len({len(title) for title in titles}) == 1
