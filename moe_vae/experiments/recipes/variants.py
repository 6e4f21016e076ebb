"""The paper's models with the variants that the paper mentions but does not test."""

from moe_vae.evaluation.vae import measure_decodings
from moe_vae.experiments.recipes.from_scratch import VADE_FROM_SCRATCH
from moe_vae.experiments.recipes.relaxed import DMVAE_FROM_SCRATCH
from moe_vae.experiments.recipes.steps import Experiment, Recipe, Step

__all__ = ["VARIANTS"]

# From random weights, a decoder can widen its learned variance to the spread of the data and never
# read the code. So an autoencoder is trained first, as for VaDE.
_PRETRAINED = VADE_FROM_SCRATCH.params
_LEARNED_VARIANCE = {"decoder_variance": "learned", **_PRETRAINED}
_LEARNED_PROPORTIONS = {"cluster_prior": "learned"}

_STEPS = {
    "vae": Step("vae", params={"epochs": 60}),
    "vae-variance": Step("vae", params=_LEARNED_VARIANCE),
    "vade": VADE_FROM_SCRATCH,
    "vade-unpretrained": VADE_FROM_SCRATCH._replace(params={**_PRETRAINED, "pretrain_epochs": 0}),
    "vade-variance": VADE_FROM_SCRATCH._replace(params=_LEARNED_VARIANCE),
    "dmvae": DMVAE_FROM_SCRATCH,
    "dmvae-pretrained": DMVAE_FROM_SCRATCH._replace(params=_PRETRAINED),
    "dmvae-variance": DMVAE_FROM_SCRATCH._replace(params=_LEARNED_VARIANCE),
    "dmvae-proportions": DMVAE_FROM_SCRATCH._replace(params=_LEARNED_PROPORTIONS),
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
