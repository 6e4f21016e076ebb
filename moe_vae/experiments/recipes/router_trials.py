"""The trials by which the convolutional router was chosen, in their order, without labels."""

from moe_vae.evaluation.label_free import measure_without_labels
from moe_vae.experiments.recipes.steps import Experiment, Recipe, Step

__all__ = ["ROUTER", "ROUTER_PARTS", "ROUTER_STEPS", "ROUTER_TRIALS"]

N_SEEDS = 2  # whose clusterings are compared with each other

_CONV = {"network": "conv"}
# Half of the first views show the image as it is.
_PLAIN = {**_CONV, "plain_share": 0.5}
# Views are deformed elastically, too.
_ELASTIC = {**_PLAIN, "elastic_std": 0.03}
_FEW = {"n_neighbours": 3}  # instead of 10
_LONG = {"pretrain_epochs": 16, "epochs": 24}
# A second training, which begins with the encoder of a first one.
_ON = {"pretrain_epochs": 0, "epochs": 8, "learning_rate": 0.0002}
# Neighbours are looked for anew, among the features of the encoder before.
_ANEW = {**_ON, "neighbour_space": "features"}
_LABELS = {"self_label_weight": 1.0}

# In the order of the trials, after the network alone.
ROUTER_STEPS = {
    "conv": Step("information", params=_CONV, title=("convolutions",)),
    "conv-plain": Step("information", params=_PLAIN, title=("+ half of the first views plain",)),
    "conv-elastic": Step("information", params=_ELASTIC, title=("+ elastic views",)),
    "conv-plain-neighbours": Step("information", "conv-plain", {**_PLAIN, **_ANEW}),
    "conv-elastic-neighbours": Step("information", "conv-elastic", {**_ELASTIC, **_ANEW}),
    "conv-elastic-labels": Step("information", "conv-elastic", {**_ELASTIC, **_ON, **_LABELS}),
    "conv-elastic-long": Step("information", params={**_ELASTIC, **_LONG}),
    "conv-elastic-few": Step(
        "information", params={**_ELASTIC, **_FEW}, title=("+ three neighbours instead of ten",)
    ),
    "conv-elastic-few-long": Step(
        "information", params={**_ELASTIC, **_FEW, **_LONG}, title=("+ twice as many epochs",)
    ),
}

ROUTER = "conv-elastic-few-long"  # the step that was chosen
# What leads to it, each with one part more than the one before.
ROUTER_PARTS = ("conv", "conv-plain", "conv-elastic", "conv-elastic-few")

ROUTER_TRIALS = Recipe(
    "try settings of the specialists' router, judged without labels",
    ROUTER_STEPS,
    tuple(
        Experiment(step, "unlabelled-mnist", N_SEEDS, measure_without_labels)
        for step in ROUTER_STEPS
        if step != "conv"
    ),
    evaluates=False,
)
