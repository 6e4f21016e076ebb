"""The measured error of a gate's predictions by samples."""

import functools

import numpy as np
import pytest

from moe_vae.data.spiral import make_spiral
from moe_vae.data.targets import add_affine_targets
from moe_vae.evaluation import monte_carlo
from moe_vae.evaluation.mixture_of_experts import score_mixture_of_experts
from moe_vae.evaluation.monte_carlo import measure_gate
from moe_vae.models.mixture_of_experts import build_mixture_of_experts
from moe_vae.training.trainer import start_trainer

SMALL = {
    "n_clusters": 5,
    "encoder_layers": [6],
    "decoder_layers": [6],
    "likelihood": "gaussian",
    "input_std": 5.0,
    "z_dim": 2,
    "prior_mean_std": 1.0,
    "n_outputs": 2,
}


@pytest.fixture(scope="module")
def data_sets():
    return add_affine_targets(make_spiral(0, 30, 10, 40), 2, 0)


def start(gate):
    params = {**SMALL, "gate": gate}
    if gate == "dmvae":
        params["cluster_encoder_layers"] = [6]
    return start_trainer(functools.partial(build_mixture_of_experts, shape=(2,)), params, 1)


@pytest.fixture(scope="module")
def gates(data_sets):
    """The measures of an untrained gate, whose clusters are far from certain."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(monte_carlo, "N_SAMPLES", (1, 10, 100))
        return measure_gate(start("vade"), data_sets, {})["gates"]


def test_the_distance_falls_as_the_root_of_the_samples(gates):
    assert [gate["n_samples"] for gate in gates] == [1, 10, 100]
    one, ten, hundred = (np.mean(gate["distance"]) for gate in gates)
    assert one / ten == pytest.approx(10**0.5, rel=0.2)
    assert ten / hundred == pytest.approx(10**0.5, rel=0.2)


def test_scores_spread_less_with_more_samples(gates):
    spreads = [np.std(gate["squared_error"]) for gate in gates]
    assert 0 < spreads[2] < spreads[0]
    assert all(len(gate["seconds"]) == monte_carlo.N_REPETITIONS for gate in gates)


def test_a_gate_without_samples_scores_as_its_evaluation(data_sets):
    trainer = start("dmvae")
    (gate,) = measure_gate(trainer, data_sets, {})["gates"]
    expected = score_mixture_of_experts(trainer, data_sets.test)
    assert gate["n_samples"] is None
    assert set(gate["accuracy"]) == {expected["gate"]["accuracy"]}
    assert gate["squared_error"] == pytest.approx([expected["squared_error"]] * 10, rel=1e-6)
