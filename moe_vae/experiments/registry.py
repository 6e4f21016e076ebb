"""Whole runs from seed to scores: what the command line, the notebooks and results share."""

import functools
from collections.abc import Callable
from typing import NamedTuple

from moe_vae.data.checks import IMAGE_PIXELS, POINT_FEATURES
from moe_vae.engines.compiled import compiled
from moe_vae.engines.fused import build_fused_hierarchical_mixture, build_fused_mixture_of_vaes
from moe_vae.evaluation.clustering import score_clustering
from moe_vae.evaluation.conditional_vae import (
    score_conditional_vae,
)
from moe_vae.evaluation.mixture_of_experts import score_mixture_of_experts
from moe_vae.models.clustering_vae import SPIRAL_PARAMS
from moe_vae.models.dmvae import DMVAE_PARAMS, build_dmvae
from moe_vae.models.hierarchy import HIERARCHY_PARAMS, build_hierarchical_mixture
from moe_vae.models.information_encoder import INFORMATION_PARAMS, build_information_encoder
from moe_vae.models.mixture_of_experts import build_mixture_of_experts, mixture_of_experts_params
from moe_vae.models.specialists import build_mixture_of_vaes, mixture_of_vaes_params
from moe_vae.models.vade import VADE_PARAMS, build_vade
from moe_vae.params import ParameterError
from moe_vae.plots.clustering import (
    draw_clustering_vae,
    draw_information_encoder,
)
from moe_vae.plots.mixture_of_experts import draw_mixture_of_experts
from moe_vae.plots.posts import (
    draw_conditional_vae,
    draw_hierarchy,
    draw_mixture_of_vaes,
)
from moe_vae.posts.conditional_vae import CONDITIONAL_VAE_PARAMS, build_conditional_vae

__all__ = [
    "CLUSTERING_MODELS",
    "ENGINES",
    "MODELS",
    "POST_MODELS",
    "builder",
    "default_params",
    "inherited_params",
]

_NETWORK_PARAMS = (
    "n_clusters",
    "n_over_clusters",
    "encoder_layers",
    "cluster_encoder_layers",
    "decoder_layers",
    "activation",
    "normalise",
    "likelihood",
    "decoder_std",
    "input_std",
    "z_dim",
)


# Points have no slant, cannot be turned as images are, and may be any number.
_POINTS_PARAMS = {
    **SPIRAL_PARAMS,
    "deskew": False,
    "augment": False,
    "output_activation": "linear",
    "routing_epochs": SPIRAL_PARAMS["epochs"],
}


class ModelKind(NamedTuple):
    """A model by its name on the command line: how to build, to score and to show it.

    `defaults` is a dict, or a function of the parameters that are set. `column` is
    what it can be asked to draw: a digit, an expert or a cluster. With `any_features` it reads
    points as well as images.
    """

    build: Callable
    defaults: dict | Callable
    score: Callable
    draw: Callable
    column: str
    any_features: bool = False


MODELS = {
    "conditional-vae": ModelKind(
        build_conditional_vae,
        CONDITIONAL_VAE_PARAMS,
        score_conditional_vae,
        draw_conditional_vae,
        "digit",
    ),
    "mixture-of-vaes": ModelKind(
        build_mixture_of_vaes,
        mixture_of_vaes_params,
        score_clustering,
        draw_mixture_of_vaes,
        "expert",
        True,
    ),
    "hierarchy": ModelKind(
        build_hierarchical_mixture,
        HIERARCHY_PARAMS,
        score_clustering,
        draw_hierarchy,
        "expert",
    ),
    "information": ModelKind(
        build_information_encoder,
        INFORMATION_PARAMS,
        score_clustering,
        draw_information_encoder,
        "cluster",
        True,
    ),
    "vade": ModelKind(
        build_vade, VADE_PARAMS, score_clustering, draw_clustering_vae, "cluster", True
    ),
    "dmvae": ModelKind(
        build_dmvae, DMVAE_PARAMS, score_clustering, draw_clustering_vae, "cluster", True
    ),
    "moe": ModelKind(
        build_mixture_of_experts,
        lambda params: mixture_of_experts_params(params.get("gate", "dmvae")),
        score_mixture_of_experts,
        draw_mixture_of_experts,
        "cluster",
        True,
    ),
}


# How a model's operations are laid out: as in the posts, or for speed.
ENGINES = ("plain", "fused")


_FUSED = {
    "mixture-of-vaes": MODELS["mixture-of-vaes"]._replace(
        build=build_fused_mixture_of_vaes, any_features=False
    ),
    "hierarchy": MODELS["hierarchy"]._replace(build=build_fused_hierarchical_mixture),
    **{
        name: MODELS[name]._replace(build=compiled(MODELS[name].build))
        for name in ("conditional-vae", "vade", "dmvae", "moe")
    },
}


# Those of the two posts.
POST_MODELS = ("conditional-vae", "mixture-of-vaes")


# Those of the paper that cluster.
CLUSTERING_MODELS = ("vade", "dmvae")


def builder(name, n_features, engine="plain"):
    """Returns the function of parameters that builds a model for data with `n_features`.

    Args:
      name: a key of `MODELS`.
      n_features: number of columns of the data: 784 for images, 2 for the spiral.
      engine: one of `ENGINES`; all give the same values and read each other's checkpoints.

    Raises:
      ParameterError: the model reads images only, or has no such engine.
    """
    kind, arguments = MODELS[name], {}
    if engine == "fused":
        if name not in _FUSED:
            raise ParameterError(
                f"engine is 'fused', which {name} has not: it must be 'plain'; "
                f"fused there is {', '.join(_FUSED)}"
            )
        kind = _FUSED[name]
    if n_features != IMAGE_PIXELS and not kind.any_features:
        what, others = f"engine is {engine!r}", repr("plain")
        if not MODELS[name].any_features:
            what = f"model is {name!r}"
            others = " or ".join(n for n, k in MODELS.items() if k.any_features)
        raise ParameterError(
            f"{what}, which reads images of {IMAGE_PIXELS} pixels: for data with {n_features} "
            f"features it must be {others}"
        )
    if kind.any_features:
        arguments["n_features"] = n_features
        if kind.column == "expert" and n_features == POINT_FEATURES:
            arguments["n_experts"] = SPIRAL_PARAMS["n_clusters"]
    return functools.partial(kind.build, **arguments)


def default_params(name, data, params=None):
    """Returns a model's defaults for a data source: on the spiral five clusters of real numbers.

    Args:
      name: a key of `MODELS`.
      data: "spiral", or the name of a source of images.
      params: the parameters that are set: which others there are may depend on the `gate` of a
        mixture of experts, and on the `routing` of a mixture of VAEs.
    """
    defaults = MODELS[name].defaults
    if callable(defaults):
        defaults = defaults(params or {})
    spiral = _POINTS_PARAMS if data == "spiral" and MODELS[name].any_features else {}
    return {**defaults, **{key: value for key, value in spiral.items() if key in defaults}}


def inherited_params(record, defaults):
    """Returns the parameters with which a model can begin with another's variables.

    They are the other's own, of the networks and the prior, and no training of the gate, the
    router or the autoencoder beforehand: the other has had it.

    Args:
      record: the other's `run_record`.
      defaults: dict of this model's defaults.
    """
    none = dict.fromkeys(("pretrain_epochs", "routing_epochs", "gate_epochs"), 0)
    theirs = {key: record["params"][key] for key in _NETWORK_PARAMS if key in record["params"]}
    if "routing" in defaults:  # its activation is its experts'; the router's is always the same
        theirs.pop("activation", None)
    return {key: value for key, value in {**theirs, **none}.items() if key in defaults}
