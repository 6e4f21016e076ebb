"""The trials by which the convolutional router was chosen, in their order, without labels."""

from moe_vae.evaluation.label_free import measure_without_labels
from moe_vae.experiments.recipes.steps import Experiment, Recipe, Step

__all__ = ["ROUTER_TRIALS"]

N_SEEDS = 2  # whose clusterings are compared with each other

_CONV = {"network": "conv"}
# Half of the first views show the image as it is.
_PLAIN = {**_CONV, "plain_share": 0.5}
# Neighbours are looked for anew, among the features of the encoder before.
_SECOND = {**_PLAIN, "neighbour_space": "features", "pretrain_epochs": 0, "epochs": 8}
_LOW_RATE = {**_SECOND, "learning_rate": 0.0002}
_ELASTIC = {"elastic_std": 0.03}

_STEPS = {
    "dense": Step("information"),
    "conv": Step("information", params=_CONV),
    "conv-plain": Step("information", params=_PLAIN),
    "conv-plain-neighbours": Step("information", "conv-plain", _LOW_RATE),
    "conv-plain-neighbours-labels": Step(
        "information", "conv-plain", {**_LOW_RATE, "self_label_weight": 1.0}
    ),
    "conv-elastic": Step("information", params={**_PLAIN, **_ELASTIC}),
    "conv-elastic-neighbours": Step("information", "conv-elastic", {**_LOW_RATE, **_ELASTIC}),
    "conv-plain-long": Step("information", params={**_PLAIN, "pretrain_epochs": 16, "epochs": 24}),
    "conv-plain-averaged": Step("information", params={**_PLAIN, "weight_averaging": 0.99}),
}

ROUTER_TRIALS = Recipe(
    "try settings of the specialists' router, judged without labels",
    _STEPS,
    tuple(Experiment(step, "unlabelled-mnist", N_SEEDS, measure_without_labels) for step in _STEPS),
    evaluates=False,
)
