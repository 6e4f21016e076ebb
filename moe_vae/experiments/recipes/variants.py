"""The paper's models with the variants that the paper mentions but does not test."""

from typing import Any

from moe_vae.evaluation.vae import measure_decodings
from moe_vae.experiments.recipes.from_scratch import VADE_FROM_SCRATCH
from moe_vae.experiments.recipes.relaxed import DMVAE_FROM_SCRATCH
from moe_vae.experiments.recipes.steps import Experiment, Recipe, Step

__all__ = ["VARIANTS"]

# From random weights, a decoder can widen its learned variance to the spread of the data and never
# read the code. So an autoencoder is trained first, as for VaDE.
_PRETRAINED = VADE_FROM_SCRATCH.params
_LEARNED_VARIANCE = {"decoder_variance": "learned", **_PRETRAINED}
_VARIANCE = "learned variance, after an autoencoder"

_MODEL_NAMES = {"vae": "plain VAE", "vade": "VaDE", "dmvae": "DMVAE"}


def _variant(step: Step, changed: str = "nothing", **params: Any) -> Step:
    """A step with other parameters: the title is its model, and what is changed."""
    title = (_MODEL_NAMES[step.model], changed)
    return step._replace(params={**step.params, **params}, title=title)


_STEPS = {
    "vae": _variant(Step("vae", params={"epochs": 60})),
    "vae-variance": _variant(Step("vae"), _VARIANCE, **_LEARNED_VARIANCE),
    "vade": _variant(VADE_FROM_SCRATCH),
    "vade-unpretrained": _variant(
        VADE_FROM_SCRATCH, "no autoencoder before the bound", pretrain_epochs=0
    ),
    "vade-variance": _variant(VADE_FROM_SCRATCH, "learned variance", **_LEARNED_VARIANCE),
    "dmvae": _variant(DMVAE_FROM_SCRATCH),
    "dmvae-pretrained": _variant(
        DMVAE_FROM_SCRATCH, "an autoencoder before the bound", **_PRETRAINED
    ),
    "dmvae-variance": _variant(DMVAE_FROM_SCRATCH, _VARIANCE, **_LEARNED_VARIANCE),
    "dmvae-proportions": _variant(
        DMVAE_FROM_SCRATCH, "learned proportions", cluster_prior="learned"
    ),
}

# In the order in which they are trained.
_EXPERIMENTS = (
    *(Experiment(step, "spiral", 5, measure_decodings) for step in _STEPS),
    Experiment("vae", "mnist", 3, measure_decodings),
)

VARIANTS = Recipe(
    "train the plain VAE, and VaDE and DMVAE with a learned variance or learned proportions",
    _STEPS,
    _EXPERIMENTS,
    evaluates=False,
)
