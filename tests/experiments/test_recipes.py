"""Every step of every study has settings that its model takes, whatever it begins with."""

import json

import pytest

from moe_vae.experiments.recipes import RECIPES
from moe_vae.experiments.runs import run_params
from moe_vae.experiments.sources import SOURCES

STEPS = [
    (name, experiment.step, experiment.data)
    for name, recipe in RECIPES.items()
    for experiment in recipe.experiments
]


def write_record(directory, steps, name, data):
    """Writes what a run's record says of its parameters, after those that it begins with."""
    step, start = steps[name], None
    if step.before is not None:
        start = write_record(directory, steps, step.before, data)
    form = SOURCES[data].form
    params = run_params(step.model, form, {**step.params, **dict.fromkeys(step.seeded, 1)}, start)
    run = directory / name
    run.mkdir()
    record = {"model": step.model, "data": data, "seed": 1, "shape": list(form.shape)}
    (run / "metrics.json").write_text(json.dumps({**record, "params": params}))
    return run


@pytest.mark.parametrize(("recipe", "name", "data"), STEPS, ids=map("-".join, STEPS))
def test_a_model_takes_the_settings_of_its_step(tmp_path, recipe, name, data):
    step = RECIPES[recipe].steps[name]
    run = write_record(tmp_path, RECIPES[recipe].steps, name, data)
    params = json.loads((run / "metrics.json").read_text())["params"]
    assert step.params.items() <= params.items()


def test_no_two_experiments_of_a_study_are_the_same():
    assert len(set(STEPS)) == len(STEPS)
