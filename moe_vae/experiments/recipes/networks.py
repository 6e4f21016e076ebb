"""The posts' models with dense networks, as the posts have them, and with convolutions."""

from moe_vae.evaluation.drawings import measure_network
from moe_vae.experiments.recipes.steps import Experiment, Recipe, Step
from moe_vae.plots.post_studies import draw_networks

__all__ = ["NETWORKS"]

N_SEEDS = 5

# With the default sizes a model with convolutions has about as many parameters as a dense one.
_CONV = {"network": "conv"}

# On one core and in the plain engine, an epoch with convolutions takes about six times as long as a
# dense one. So post 2's dense model also has six times as many epochs, and post 3's model with
# convolutions fewer. The fused engine reads an image only with the experts that count for it, which
# saves most with convolutions.
_STEPS = {
    "post2-dense": Step("conditional-vae"),
    "post2-conv": Step("conditional-vae", params=_CONV),
    "post2-dense-long": Step("conditional-vae", params={"epochs": 120}),
    "post3-dense": Step("mixture-of-vaes", engine="fused"),
    "post3-conv": Step("mixture-of-vaes", params=_CONV, engine="fused"),
    "post3-conv-short": Step("mixture-of-vaes", params={**_CONV, "epochs": 16}, engine="fused"),
}

NETWORKS = Recipe(
    "train the posts' models with dense networks and with convolutions",
    _STEPS,
    tuple(Experiment(step, "mnist", N_SEEDS, measure_network) for step in _STEPS),
    draw_networks,
)
