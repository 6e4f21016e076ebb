"""The posts' results on full MNIST, as recorded and, in the long tests, trained again.

Runs from different seeds differ, under TensorFlow 1.15 as here. So the mean over the seeds, and
the run from the posts' own seed, are held to the bounds that are set for the posts. Beside that,
post 2's twenty runs are compared with TensorFlow 1.15's, each score by a permutation test. Every
run of post 3 is held to where one more of TensorFlow 1.15's would fall, and their mean to where
the mean of as many more would: the 95 % prediction intervals of those that are recorded.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from moe_vae.data.mnist import read_mnist
from moe_vae.evaluation.comparison import compare_samples
from moe_vae.evaluation.conditional_vae import score_generation
from moe_vae.evaluation.recogniser import train_recogniser
from moe_vae.experiments.registry import MODELS
from moe_vae.experiments.runs import run_record
from moe_vae.training.trainer import start_trainer

RESULTS = Path(__file__).parents[2] / "results"


SEEDS = {42, *range(1, 20)}


def recorded(model, file="posts"):
    runs = json.loads((RESULTS / f"{file}.json").read_text())["runs"]
    return [run for run in runs if run["model"] == model]


def theirs(model, name):
    """What TensorFlow 1.15's runs ended with, one value a run that recorded it."""
    runs = json.loads((RESULTS / "tensorflow_1_15.json").read_text())[model]
    return np.array([run[name] for run in runs if name in run])


def prediction_interval(values, n_more=1):
    """Where the mean of `n_more` values of the same normal distribution falls, at 95 %."""
    standard_error = values.std(ddof=1) * np.sqrt(1 / n_more + 1 / len(values))
    return stats.t.interval(0.95, len(values) - 1, values.mean(), standard_error)


def post_2_scores(run, generation):
    return {
        "loss_auto_encode": run["history"]["loss_auto_encode"][-1],
        "loss_digit_classifier": run["history"]["loss_digit_classifier"][-1],
        "accuracy": run["test"]["accuracy"],
        "generation": generation["share"],
    }


def assert_post_2_holds(scores):
    assert 224.0 <= scores["loss_auto_encode"] <= 225.0
    assert scores["loss_digit_classifier"] < 1.5
    assert scores["accuracy"] >= 0.955
    assert scores["generation"] >= 0.87


def assert_post_3_holds(run):
    interval = prediction_interval(theirs("mixture-of-vaes", "accuracy"))
    assert len(run["seconds"]) == 100
    assert 211.5 <= run["history"]["expected_expert_loss"][-1] <= 213.5
    assert interval[0] <= run["test"]["accuracy"] <= interval[1]


def test_recorded_runs_of_post_2_hold():
    runs = recorded("conditional-vae")
    assert {run["seed"] for run in runs} == SEEDS
    scores = {run["seed"]: post_2_scores(run, run["evaluation"]["generation"]) for run in runs}
    assert_post_2_holds(scores[42])
    assert_post_2_holds(
        {name: np.mean([of_seed[name] for of_seed in scores.values()]) for name in scores[42]}
    )
    for run in runs:
        assert len(run["seconds"]) == 20
        assert run["evaluation"]["recogniser_accuracy"] >= 0.98


def test_runs_of_post_2_differ_from_tensorflow_1_15s_no_more_than_chance_would_have_them():
    files = ("posts", "tensorflow_1_15_seeds")
    ours, theirs = (recorded("conditional-vae", file) for file in files)
    assert {run["seed"] for run in theirs} == SEEDS
    scores = [
        [post_2_scores(run, run["evaluation"]["generation"]) for run in runs]
        for runs in (ours, theirs)
    ]
    for name in scores[0][0]:
        samples = (np.array([each[name] for each in of_code]) for of_code in scores)
        assert compare_samples(*samples).p_value >= 0.05 / len(scores[0][0]), name


def test_recorded_runs_of_post_3_hold():
    runs = recorded("mixture-of-vaes")
    assert {run["seed"] for run in runs} >= {42, 1, 2}
    for run in runs:
        assert_post_3_holds(run)
    low, high = prediction_interval(theirs("mixture-of-vaes", "accuracy"), len(runs))
    assert low <= np.mean([run["test"]["accuracy"] for run in runs]) <= high


@pytest.fixture(scope="module")
def mnist():
    if not os.environ.get("MOE_VAE_DATA"):
        pytest.skip("full MNIST is needed: MOE_VAE_DATA names no directory")
    return read_mnist(data="mnist")


def train_again(name, data_sets, seed=42):
    trainer = start_trainer(MODELS[name].build, {}, seed).fit(data_sets.train)
    return trainer, run_record(name, trainer, data_sets, seed)


@pytest.mark.long
def test_post_2_trained_again_holds(mnist):
    trainer, record = train_again("conditional-vae", mnist)
    recogniser, accuracy = train_recogniser(mnist)
    assert accuracy >= 0.98
    assert_post_2_holds(post_2_scores(record, score_generation(trainer, recogniser)))


@pytest.mark.long
def test_post_3_trained_again_holds(mnist):
    _, record = train_again("mixture-of-vaes", mnist)
    assert_post_3_holds(record)
