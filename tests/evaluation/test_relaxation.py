"""The measured noise of DMVAE's relaxed objective, and its distance to the exact one."""

import functools

import numpy as np
import pytest

from moe_vae.data.spiral import make_spiral
from moe_vae.evaluation import relaxation
from moe_vae.evaluation.relaxation import TEMPERATURES, measure_relaxation
from moe_vae.models.dmvae import build_dmvae
from moe_vae.training.trainer import start_trainer

SMALL = {
    "n_clusters": 3,
    "encoder_layers": [6],
    "cluster_encoder_layers": [6],
    "decoder_layers": [6],
    "likelihood": "gaussian",
    "z_dim": 2,
    "prior_mean_std": 1.0,
    "batch_size": 40,
}


@pytest.fixture(scope="module")
def measured():
    """The measures of an untrained model, whose clusters are far from certain."""
    trainer = start_trainer(functools.partial(build_dmvae, shape=(2,)), SMALL, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relaxation, "N_DRAWS", 300)
        record = {"params": trainer.model.params}
        return measure_relaxation(trainer, make_spiral(0, 30, 10, 10), record)["objectives"]


def test_the_exact_gradient_of_the_cluster_encoder_has_no_noise(measured):
    exact, *relaxed = measured
    part = "cluster encoder"
    assert exact["gradients"][part]["squared_mean"] > 0
    assert exact["gradients"][part]["variance"] < 1e-9 * exact["gradients"][part]["squared_mean"]
    assert all(each["gradients"][part]["variance"] > 0 for each in relaxed)


def test_the_relaxed_gradient_is_noisier_at_lower_temperatures(measured):
    _, *relaxed = measured
    variances = [each["gradients"]["cluster encoder"]["variance"] for each in relaxed]
    assert [each["temperature"] for each in relaxed] == list(TEMPERATURES)
    assert variances == sorted(variances, reverse=True)


def test_the_relaxed_loss_tends_to_the_exact_one(measured):
    exact, *relaxed = measured
    coldest, warmest = relaxed[0], relaxed[-1]
    assert exact["gap"] == exact["gap_error"] == 0
    assert abs(coldest["gap"]) < 4 * coldest["gap_error"]
    assert abs(warmest["gap"]) > 10 * warmest["gap_error"]


def test_moments_are_those_of_numpy():
    random = np.random.default_rng(0)
    losses, vectors = random.normal(size=6), random.normal(1.0, size=[6, 5])
    draws = (
        (loss, {"cluster encoder": vector, "encoder": 2 * vector})
        for loss, vector in zip(losses, vectors, strict=True)
    )
    found, moments = relaxation._moments(draws)
    np.testing.assert_array_equal(found, losses)
    variance, mean = vectors.var(axis=0, ddof=1).sum(), vectors.mean(axis=0)
    assert moments["cluster encoder"]["variance"] == pytest.approx(variance)
    assert moments["encoder"]["variance"] == pytest.approx(4 * variance)
    assert moments["cluster encoder"]["squared_mean"] == pytest.approx(mean @ mean)
