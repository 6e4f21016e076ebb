"""MNIST's clusterings from random weights, and from the information encoder."""

from typing import Any

from moe_vae.experiments.recipes.clusterings import CLUSTERING_STEPS
from moe_vae.experiments.recipes.steps import Experiment, Recipe, Step

__all__ = ["FROM_SCRATCH", "VADE_FROM_SCRATCH"]

_AFTER_ENCODER = CLUSTERING_STEPS["images"]

# The networks of VaDE's own paper. An epoch takes about three times as long as with ours, so they
# get fewer.
_PUBLISHED_NETWORKS = {
    "encoder_layers": [500, 500, 2000],
    "decoder_layers": [2000, 500, 500],
    "pretrain_epochs": 20,
    "epochs": 40,
}

# About as many weights as the dense networks have. An epoch takes about four times as long, so they
# get a quarter of the epochs.
_CONV = {
    "network": "conv",
    "encoder_filters": [32, 64],
    "encoder_layers": [160],
    "decoder_filters": [64, 32],
    "decoder_layers": [160],
}
_CONV_CLUSTER_ENCODER = {
    "cluster_encoder_filters": [16, 32],
    "cluster_encoder_kernels": [5, 3],
    "cluster_encoder_layers": [64],
}

# An autoencoder, a Gaussian mixture fitted to its codes, then the bound.
VADE_FROM_SCRATCH = Step("vade", params={"pretrain_epochs": 50, "epochs": 60}, scores_epochs=True)

_RANDOM, _MIXTURE = "random weights", "GMM on an autoencoder's codes"


def _dmvae(params: dict[str, Any], model: str, start: str = _RANDOM) -> Step:
    return Step("dmvae", params=params, scores_epochs=True, title=(model, start))


# The models, and what their clusters begin with.
_STEPS = {
    "vade": VADE_FROM_SCRATCH._replace(title=("VaDE", _MIXTURE)),
    "vade-2000": VADE_FROM_SCRATCH._replace(
        params=_PUBLISHED_NETWORKS, title=("VaDE, 500-500-2000", _MIXTURE)
    ),
    "vade-conv": VADE_FROM_SCRATCH._replace(
        params={**_CONV, "pretrain_epochs": 12, "epochs": 15},
        title=("VaDE, convolutions", _MIXTURE),
    ),
    "dmvae": _dmvae({"epochs": 100}, "DMVAE, exact"),
    "dmvae-long": _dmvae({"epochs": 300}, "DMVAE, exact"),
    "dmvae-conv": _dmvae(
        {**_CONV, **_CONV_CLUSTER_ENCODER, "epochs": 25}, "DMVAE, exact, convolutions"
    ),
    "dmvae-relaxed": _dmvae({"epochs": 100, "objective": "relaxed"}, "DMVAE, relaxed"),
    # VaDE's start: the prior is there before q(c|x) is trained.
    "dmvae-pretrained": _dmvae({"pretrain_epochs": 50, "epochs": 60}, "DMVAE, exact", _MIXTURE),
    "information": Step("information", title=("information encoder", _RANDOM)),
    "begun-dmvae": Step(
        "dmvae",
        "information",
        _AFTER_ENCODER["dmvae"].params,
        title=("DMVAE, exact", "information encoder"),
    ),
    "begun-vade": Step(
        "vade", "begun-dmvae", _AFTER_ENCODER["vade"].params, title=("VaDE", "that DMVAE")
    ),
}

# In the order in which they are trained.
_EXPERIMENTS = (
    Experiment("vade", "mnist", 5),
    Experiment("dmvae", "mnist", 5),
    Experiment("dmvae-pretrained", "mnist", 5),
    Experiment("vade-2000", "mnist", 5),
    Experiment("dmvae-relaxed", "mnist", 5),
    Experiment("dmvae-long", "mnist", 3),
    Experiment("vade-conv", "mnist", 5),
    Experiment("dmvae-conv", "mnist", 5),
    Experiment("information", "mnist", 3),
    Experiment("begun-dmvae", "mnist", 3),
    Experiment("begun-vade", "mnist", 3),
)

FROM_SCRATCH = Recipe(
    "train VaDE and DMVAE on MNIST from random weights, and from the information encoder",
    _STEPS,
    _EXPERIMENTS,
    evaluates=False,
)
