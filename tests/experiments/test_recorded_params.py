"""The recorded runs' parameters are what their commands ask for with today's defaults."""

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from moe_vae.cli.options import assignment
from moe_vae.experiments.recipes import CLUSTERING_STEPS, RECIPES, ROUTER
from moe_vae.experiments.registry import combined_params, default_params, inherited_params
from moe_vae.experiments.sources import SOURCES

RESULTS = Path(__file__).parents[2] / "results"


def recorded_runs():
    """Returns the recorded runs by file and directory, as their commands write it."""
    runs = {}
    for name, key in (
        ("posts", "runs"),
        ("clustering_mnist", "runs"),
        ("clustering_spiral", "runs"),
        ("specialists", "runs"),
        ("table1", "cells"),
        ("table2", "cells"),
    ):
        for run in json.loads((RESULTS / f"{name}.json").read_text())[key]:
            if found := re.search(r"train (\S+) .*--out (\S+)", run["command"]):
                runs[f"{name}: {found[2]}"] = {"model": found[1], **run}
    return runs


RUNS = recorded_runs()


def begins_with(name):
    """Returns the recorded run that a run begins with, or None."""
    found = re.search(r"--from (\S+)", RUNS[name]["command"])
    return found and next(run for other, run in RUNS.items() if other.endswith(f": {found[1]}"))


@pytest.mark.parametrize("name", [name for name, run in RUNS.items() if run["seed"] in (0, 10, 42)])
def test_what_a_recorded_command_does_not_set_is_the_default(name):
    run = RUNS[name]
    data = "spiral" if run["data"] == "spiral" else "mnist"
    expected = default_params(run["model"], SOURCES[data].form, run["params"])
    if before := begins_with(name):
        expected = {**expected, **inherited_params(before, expected)}
    given = set(re.findall(r"--set '?(\w+)=", run["command"]))
    # What came later is not recorded; what is gone is not a default.
    common = (run["params"].keys() & expected.keys()) - given
    assert len(common) >= 5
    assert {key: run["params"][key] for key in common} == {key: expected[key] for key in common}


STUDIES = {
    "specialists": ("specialists", RECIPES["specialists"].steps),
    "clustering_mnist": ("clustering", CLUSTERING_STEPS["images"]),
    "clustering_spiral": ("clustering", CLUSTERING_STEPS["points"]),
}


def runs_of_study(name, of_train):
    """Yields the step's name and the record of each run, by whether `train` made it."""
    for run in json.loads((RESULTS / f"{name}.json").read_text())["runs"]:
        if ("train" in shlex.split(run["command"])) == of_train:
            yield run.get("step", run["model"]), run


def source_of(run):
    return next(name for name, source in SOURCES.items() if source.title == run["data"])


@pytest.mark.parametrize("file", STUDIES)
def test_a_recorded_command_is_that_of_its_step_today(file):
    directory, steps = STUDIES[file]
    for name, run in runs_of_study(file, of_train=True):
        step, place = steps[name], f"{source_of(run)}-{run['seed']}"
        out = f"runs/{directory}/{name}-{place}"
        words = shlex.split(run["command"])
        given = dict(pair for pair in pairwise(words) if pair[0] in ("--out", "--from"))
        start = {"--from": f"runs/{directory}/{step.before}-{place}"} if step.before else {}
        assert words[4] == step.model
        assert given == {**start, "--out": out}
        settings = [value for option, value in pairwise(words) if option == "--set"]
        assert dict(map(assignment, settings)) == step.params
        assert "--resume" not in words
        assert run["evaluation"]["command"].endswith(f"--run {out}")


@pytest.mark.parametrize("file", ["specialists"])
def test_what_a_study_trained_has_the_parameters_of_its_step_today(file):
    _, steps = STUDIES[file]
    runs = {(name, run["data"], run["seed"]): run for name, run in runs_of_study(file, False)}
    assert runs
    for (name, data, seed), run in runs.items():
        step, form = steps[name], SOURCES[source_of(run)].form
        assert run["command"] == f"python -m moe_vae {file}"
        assert (run["model"], run["engine"]) == (step.model, step.engine)
        before = runs[step.before, data, seed] if step.before else None
        assert run["params"] == combined_params(step.model, form, step.params, before)


def test_the_page_gives_the_settings_of_the_router():
    page = (RESULTS.parent / "docs/results/specialists.md").read_text().replace("\\\n", " ")
    (line,) = re.findall(r"^python -m moe_vae (train information .*)", page, re.M)
    settings = [value for option, value in pairwise(shlex.split(line)) if option == "--set"]
    assert dict(map(assignment, settings)) == RECIPES["specialists"].steps[ROUTER].params
