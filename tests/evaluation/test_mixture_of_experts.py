"""The scores of a mixture of experts."""

import numpy as np
import pytest

from moe_vae.data.checks import DataError
from moe_vae.data.spiral import make_spiral
from moe_vae.data.targets import add_affine_targets
from moe_vae.evaluation.mixture_of_experts import score_mixture_of_experts
from moe_vae.experiments.registry import builder
from moe_vae.training.trainer import start_trainer


def train_on_spiral(spiral, **params):
    params = {"gate": "deep", "gate_layers": [8], "n_clusters": 5, "batch_size": 50, **params}
    return start_trainer(builder("moe", (2,)), params, 0).fit(spiral.train, 1)


def test_scores_of_a_regression_are_numpys():
    spiral = add_affine_targets(make_spiral(0, 60, 20, 40), 2, 0)
    trainer = train_on_spiral(spiral, n_outputs=2)
    scores = score_mixture_of_experts(trainer, spiral.test)
    residuals = trainer.model.predict(trainer.session, spiral.test.images) - spiral.test.targets
    centred = spiral.test.targets - spiral.test.targets.mean(axis=0)
    assert scores["squared_error"] == pytest.approx((residuals**2).sum() / 200, rel=1e-5)
    expected = 1 - (residuals**2).sum() / (centred**2).sum()
    assert scores["r2"] == pytest.approx(expected, rel=1e-4)
    # The gate's clusters are the experts; the labels take no part in choosing them.
    experts = trainer.model.predict_gate(trainer.session, spiral.test.images).argmax(axis=1)
    for expert in range(5):
        in_expert = [row[expert] for row in scores["confusion"]]
        labels = spiral.test.labels[experts == expert]
        assert in_expert == np.bincount(labels, minlength=5).tolist()


def test_scores_of_a_classification_are_numpys():
    spiral = make_spiral(0, 60, 20, 40)
    trainer = train_on_spiral(spiral, task="classification", n_outputs=5)
    scores = score_mixture_of_experts(trainer, spiral.test)
    model, images = trainer.model, spiral.test.images
    right = model.predict(trainer.session, images) == spiral.test.labels
    assert scores["accuracy"] == pytest.approx(right.mean())
    probabilities = model.predict_proba(trainer.session, images)
    of_label = probabilities[np.arange(200), spiral.test.labels]
    assert scores["log_likelihood"] == pytest.approx(np.log(of_label).mean(), rel=1e-4)


def test_a_regression_is_not_scored_without_targets():
    spiral = add_affine_targets(make_spiral(0, 60, 20, 40), 1, 0)
    trainer = train_on_spiral(spiral)
    with pytest.raises(DataError, match="no targets"):
        score_mixture_of_experts(trainer, make_spiral(0, 60, 20, 40).test)
