"""The posts' results on full MNIST, as recorded and, in the long tests, trained again.

Bounds are those of TensorFlow 1.15's own runs, or set close around them.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from moe_vae.datasets import read_data_sets
from moe_vae.experiments import (
    MODELS,
    run_record,
    score_generation,
    start_trainer,
    train_recogniser,
)

RESULTS = Path(__file__).parent.parent / "results"


def recorded(model):
    runs = json.loads((RESULTS / "posts.json").read_text())["runs"]
    return [run for run in runs if run["model"] == model]


def assert_post_2_holds(record, recogniser_accuracy, generation):
    assert len(record["seconds"]) == 20
    assert 224.0 <= record["history"]["loss_auto_encode"][-1] <= 225.0
    assert record["history"]["loss_digit_classifier"][-1] < 1.5
    assert record["test"]["accuracy"] >= 0.955
    assert recogniser_accuracy >= 0.98
    assert generation["share"] >= 0.87


def tensorflow_1_accuracies():
    recorded = json.loads((RESULTS / "tensorflow_1_15.json").read_text())
    return np.array([run["accuracy"] for run in recorded["mixture-of-vaes"]])


def assert_post_3_holds(record):
    """The loss in its bounds; the accuracy where one more of TensorFlow 1.15's runs would fall.

    Accuracies differ widely between seeds (0.58 to 0.73 in five runs), so a single new run is
    held against the 95 % prediction interval of those five.
    """
    theirs = tensorflow_1_accuracies()
    standard_error = theirs.std(ddof=1) * np.sqrt(1 + 1 / len(theirs))
    interval = stats.t.interval(0.95, len(theirs) - 1, theirs.mean(), standard_error)
    assert len(record["seconds"]) == 100
    assert 211.5 <= record["history"]["expected_expert_loss"][-1] <= 213.5
    assert interval[0] <= record["test"]["accuracy"] <= interval[1]


def test_recorded_runs_of_post_2_hold():
    runs = recorded("conditional-vae")
    assert len(runs) >= 3
    for run in runs:
        evaluation = run["evaluation"]
        assert_post_2_holds(run, evaluation["recogniser_accuracy"], evaluation["generation"])


def test_recorded_runs_of_post_3_hold():
    runs = recorded("mixture-of-vaes")
    assert len({run["seed"] for run in runs}) >= 3
    for run in runs:
        assert_post_3_holds(run)
    theirs = tensorflow_1_accuracies()
    assert theirs.min() <= np.mean([run["test"]["accuracy"] for run in runs]) <= theirs.max()


@pytest.fixture(scope="module")
def mnist():
    if not os.environ.get("MOE_VAE_DATA"):
        pytest.skip("full MNIST is needed: MOE_VAE_DATA names no directory")
    return read_data_sets(data="mnist")


def train_again(name, data_sets, seed=42):
    trainer = start_trainer(MODELS[name].build, {}, seed).fit(data_sets.train)
    return trainer, run_record(name, trainer, data_sets, seed)


@pytest.mark.long
def test_post_2_trained_again_holds(mnist):
    trainer, record = train_again("conditional-vae", mnist)
    recogniser, accuracy = train_recogniser(mnist)
    assert_post_2_holds(record, accuracy, score_generation(trainer, recogniser))


@pytest.mark.long
def test_post_3_trained_again_holds(mnist):
    _, record = train_again("mixture-of-vaes", mnist)
    assert_post_3_holds(record)
