"""Samples of the code: in VaDE's training, and in the prediction of its gate."""

from functools import partial

from moe_vae.evaluation.monte_carlo import measure_gate
from moe_vae.experiments.recipes.from_scratch import VADE_FROM_SCRATCH
from moe_vae.experiments.recipes.paper import TABLE_1_PARAMS
from moe_vae.experiments.recipes.relaxed import DMVAE_FROM_SCRATCH
from moe_vae.experiments.recipes.steps import Experiment, Recipe, Step
from moe_vae.plots.samples import draw_samples

__all__ = ["SAMPLES"]

# VaDE's networks, prior and start, with DMVAE's encoder q(c|x).
_WITH_ENCODER = {
    **VADE_FROM_SCRATCH.params,
    "encoder_layers": [512, 256],
    "cluster_encoder_layers": [512, 256],
    "decoder_layers": [256, 512],
    "prior_mean_std": 5.0,
    "cluster_prior": "learned",
}


def _with_samples(n_samples: int) -> Step:
    params = {**VADE_FROM_SCRATCH.params, "n_training_samples": n_samples}
    return VADE_FROM_SCRATCH._replace(params=params, title=(f"VaDE, {n_samples} samples",))


def _regression(gate: str) -> Step:
    """Table 1's cell of a gate for the spiral and one output."""
    params = {**TABLE_1_PARAMS["spiral"][gate], "gate": gate, "n_outputs": 1}
    return Step("moe", gate, params, seeded=("targets_seed",))


_STEPS = {
    "vade": VADE_FROM_SCRATCH._replace(title=("VaDE, 1 sample",)),
    "vade-5": _with_samples(5),
    "vade-20": _with_samples(20),
    "vade-encoder": Step(
        "dmvae", params=_WITH_ENCODER, scores_epochs=True, title=("VaDE with DMVAE's encoder",)
    ),
    "dmvae": DMVAE_FROM_SCRATCH._replace(title=("DMVAE",)),
    "gate-vade": _regression("vade"),
    "gate-dmvae": _regression("dmvae"),
}

_TITLES = {name: step.title[0] for name, step in _STEPS.items() if step.title}

_TRAINED = ("vade", "vade-5", "vade-20", "vade-encoder")

# In the order in which they are trained.
_EXPERIMENTS = (
    *(Experiment(step, "spiral", 5) for step in (*_TRAINED, "dmvae")),
    *(Experiment(step, "spiral", 5, measure_gate) for step in ("gate-vade", "gate-dmvae")),
    *(Experiment(step, "mnist", 2) for step in _TRAINED),
)

SAMPLES = Recipe(
    "train VaDE with more samples of the code, and measure its gate's predictions by samples",
    _STEPS,
    _EXPERIMENTS,
    partial(draw_samples, titles=_TITLES),
    evaluates=False,
)
