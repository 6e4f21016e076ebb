"""Scores of a clustering that need no labels."""

import numpy as np
import pytest

from moe_vae.data.dataset import DataSet, DataSets
from moe_vae.evaluation.label_free import agreement, measure_without_labels
from moe_vae.models.information_encoder import build_information_encoder
from moe_vae.training.trainer import start_trainer

SIDE = 8
TINY = {
    "n_clusters": 2,
    "n_over_clusters": 4,
    "cluster_encoder_layers": [16],
    "n_neighbours": 0,
    "pretrain_epochs": 5,
    "epochs": 20,
    "batch_size": 100,
    "learning_rate": 0.01,
}


def halves(n, seed):
    """Images that are light above or below."""
    random = np.random.default_rng(seed)
    images = random.uniform(0, 0.2, [n, SIDE, SIDE]).astype(np.float32)
    labels = random.integers(0, 2, n)
    for image, label in zip(images, labels, strict=True):
        image[4 * label : 4 * label + 4] += 0.8
    return DataSet(images.reshape(n, -1), labels, shape=(SIDE, SIDE))


def test_agreement_is_that_of_the_best_matching():
    assert agreement("0011", "0011") == 1
    assert agreement("0011", "1100") == 1
    assert agreement("001122", "110022") == 1
    assert agreement("0011", "0111") == 0.75
    assert agreement("0123", "0000") == 0.25


def test_two_clusters_that_are_plain_to_see_are_stable_and_certain():
    sets = DataSets(halves(600, 0), halves(200, 1), halves(200, 2), "halves")
    unlabelled = sets.map(lambda part: part.without_labels())
    trainer = start_trainer(lambda params: build_information_encoder(params, (SIDE, SIDE)), TINY, 0)
    begun = measure_without_labels(trainer, unlabelled, {})
    trainer.fit_to_the_end(unlabelled.train)
    measured = measure_without_labels(trainer, unlabelled, {})
    assert measured["information"] == pytest.approx(np.log(2), abs=0.02)
    assert begun["information"] < 0.3
    assert measured["stability"] > 0.99
    assert measured["certainty"] > 0.95
    truth = "".join(map(str, sets.validation.labels))
    assert agreement(measured["clusters"], truth) == 1
    # The same model gives the same numbers, with labels or without.
    again = measure_without_labels(trainer, sets, {})
    assert again["clusters"] == measured["clusters"]
    assert again["stability"] == measured["stability"]
