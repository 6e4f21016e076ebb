"""The models by name: one entry of `MODELS` is all that the command line needs of a model."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from moe_vae.data.checks import IMAGE_PIXELS, POINT_FEATURES
from moe_vae.data.dataset import DataSet
from moe_vae.engines.compiled import compiled
from moe_vae.engines.fused import build_fused_hierarchical_mixture, build_fused_mixture_of_vaes
from moe_vae.evaluation.clustering import accuracy_listener, score_clustering
from moe_vae.evaluation.conditional_vae import score_conditional_vae
from moe_vae.evaluation.mixture_of_experts import score_mixture_of_experts
from moe_vae.evaluation.specialists import share_listener
from moe_vae.evaluation.vae import score_vae
from moe_vae.experiments.evaluations import (
    evaluate_codes,
    evaluate_conditional_vae,
    evaluate_nothing,
    evaluate_specialists,
)
from moe_vae.experiments.sources import is_points
from moe_vae.model import Model
from moe_vae.models.clustering_vae import SPIRAL_PARAMS
from moe_vae.models.dmvae import DMVAE_PARAMS, build_dmvae
from moe_vae.models.hierarchy import HIERARCHY_PARAMS, build_hierarchical_mixture
from moe_vae.models.information_encoder import INFORMATION_PARAMS, build_information_encoder
from moe_vae.models.mixture_of_experts import build_mixture_of_experts, mixture_of_experts_params
from moe_vae.models.specialists import build_mixture_of_vaes, mixture_of_vaes_params
from moe_vae.models.vade import VADE_PARAMS, build_vade
from moe_vae.models.vae import VAE_PARAMS, build_vae
from moe_vae.params import ParameterError
from moe_vae.plots.clustering import draw_clustering_vae, draw_information_encoder
from moe_vae.plots.conditional_vae import draw_conditional_vae
from moe_vae.plots.mixture_of_experts import draw_mixture_of_experts
from moe_vae.plots.mixture_of_vaes import draw_hierarchy, draw_mixture_of_vaes
from moe_vae.plots.vae import draw_vae
from moe_vae.posts.conditional_vae import CONDITIONAL_VAE_PARAMS, build_conditional_vae
from moe_vae.training.trainer import Trainer

__all__ = [
    "CLUSTERING_MODELS",
    "ENGINES",
    "MODELS",
    "POST_MODELS",
    "ModelEntry",
    "builder",
    "default_params",
    "engines_of",
    "inherited_params",
]

Params = dict[str, Any]
Builder = Callable[..., Model]

# What a model takes over from the one that it begins with.
_NETWORK_PARAMS = (
    "n_clusters",
    "n_over_clusters",
    "encoder_layers",
    "cluster_encoder_layers",
    "decoder_layers",
    "activation",
    "normalise",
    "likelihood",
    "decoder_variance",
    "decoder_std",
    "input_std",
    "z_dim",
    "cluster_prior",
)
# What a model leaves out if it begins with another.
_TRAINING_BEFORE = ("pretrain_epochs", "routing_epochs", "gate_epochs")

# Points have no slant, cannot be turned as images are, and may be any number.
_POINTS_PARAMS = {
    **SPIRAL_PARAMS,
    "deskew": False,
    "augment": False,
    "output_activation": "linear",
    "routing_epochs": SPIRAL_PARAMS["epochs"],
}


class ModelEntry(NamedTuple):
    """A model by its name on the command line: how to build, score and draw it.

    Attributes:
      build: function of a dict of parameters that builds the model in the current graph.
      defaults: dict of the default parameters, or a function of the given ones that returns it.
      score: function of a trainer and a `DataSet` that returns a dict of scores.
      draw: function of a trainer, its record and a `DataSet` that returns a dict of name to figure.
      label: its name in text and figures.
      any_features: whether it also reads points and small images; `build` then takes `n_features`.
      on_points: what `build` is given besides for points.
      fused: as `build`, with the fused engine, which reads images of 784 pixels; None without one.
      compiles: whether it has the compiled engine.
      evaluate: what an evaluation adds to the scores; see `experiments.evaluations`.
      listener: function of a test set that returns a listener of the trainer, which records scores
        of a clustering model after every epoch, where they are asked for.
    """

    build: Builder
    defaults: Params | Callable[[Params], Params]
    score: Callable[..., Params]
    draw: Callable[..., dict[str, Any]]
    label: str
    any_features: bool = False
    on_points: Params = {}  # noqa: RUF012, never written to
    fused: Builder | None = None
    compiles: bool = False
    evaluate: Callable[..., Params] = evaluate_nothing
    listener: Callable[[DataSet], Callable[[Trainer, DataSet], None]] = accuracy_listener


MODELS = {
    "conditional-vae": ModelEntry(
        build_conditional_vae,
        CONDITIONAL_VAE_PARAMS,
        score_conditional_vae,
        draw_conditional_vae,
        "conditional VAE",
        compiles=True,
        evaluate=evaluate_conditional_vae,
    ),
    "mixture-of-vaes": ModelEntry(
        build_mixture_of_vaes,
        mixture_of_vaes_params,
        score_clustering,
        draw_mixture_of_vaes,
        "mixture of VAEs",
        any_features=True,
        on_points={"n_experts": SPIRAL_PARAMS["n_clusters"]},
        fused=build_fused_mixture_of_vaes,
        evaluate=evaluate_specialists,
        listener=share_listener,
    ),
    "hierarchy": ModelEntry(
        build_hierarchical_mixture,
        HIERARCHY_PARAMS,
        score_clustering,
        draw_hierarchy,
        "hierarchical mixture of VAEs",
        fused=build_fused_hierarchical_mixture,
        evaluate=evaluate_specialists,
    ),
    "information": ModelEntry(
        build_information_encoder,
        INFORMATION_PARAMS,
        score_clustering,
        draw_information_encoder,
        "information encoder",
        any_features=True,
    ),
    "vae": ModelEntry(
        build_vae,
        VAE_PARAMS,
        score_vae,
        draw_vae,
        "VAE",
        any_features=True,
        compiles=True,
    ),
    "vade": ModelEntry(
        build_vade,
        VADE_PARAMS,
        score_clustering,
        draw_clustering_vae,
        "VaDE",
        any_features=True,
        compiles=True,
        evaluate=evaluate_codes,
    ),
    "dmvae": ModelEntry(
        build_dmvae,
        DMVAE_PARAMS,
        score_clustering,
        draw_clustering_vae,
        "DMVAE",
        any_features=True,
        compiles=True,
        evaluate=evaluate_codes,
    ),
    "moe": ModelEntry(
        build_mixture_of_experts,
        lambda params: mixture_of_experts_params(params.get("gate", "dmvae")),
        score_mixture_of_experts,
        draw_mixture_of_experts,
        "mixture of experts",
        any_features=True,
        compiles=True,
    ),
}

# Those of the two posts.
POST_MODELS = ("conditional-vae", "mixture-of-vaes")

# Those of the paper that cluster.
CLUSTERING_MODELS = ("vade", "dmvae")

# How a model is computed: as in the posts, by a graph written for speed, or compiled by XLA.
ENGINES = ("plain", "fused", "compiled")


def engines_of(name: str) -> list[str]:
    """Returns the engines that a model, a key of `MODELS`, has."""
    entry = MODELS[name]
    has = {"plain": True, "fused": entry.fused is not None, "compiled": entry.compiles}
    return [engine for engine in ENGINES if has[engine]]


def builder(name: str, n_features: int, engine: str = "plain") -> Builder:
    """Returns the function of parameters that builds a model for data with `n_features`.

    Args:
      name: a key of `MODELS`.
      n_features: number of columns of the data: 784 for images, 2 for the spiral.
      engine: one of `ENGINES`; all give the same values and read each other's checkpoints.

    Raises:
      ParameterError: the model has no such engine, or reads images only.
    """
    entry = MODELS[name]
    if engine not in engines_of(name):
        raise ParameterError(
            f"model {name!r} has no {engine} engine; use --engine {' or '.join(engines_of(name))}"
        )
    _check_features(name, n_features, engine)
    build = entry.build
    if engine == "fused" and entry.fused is not None:
        build = entry.fused
    elif engine == "compiled":
        build = compiled(entry.build)
    arguments: Params = {}
    if entry.any_features and engine != "fused":
        arguments["n_features"] = n_features
    if n_features == POINT_FEATURES:
        arguments |= entry.on_points
    return functools.partial(build, **arguments)


def _check_features(name: str, n_features: int, engine: str) -> None:
    if n_features == IMAGE_PIXELS:
        return
    only = f"reads only images of {IMAGE_PIXELS} pixels; for data with {n_features} features"
    if not MODELS[name].any_features:
        others = ", ".join(other for other, entry in MODELS.items() if entry.any_features)
        raise ParameterError(f"model {name!r} {only} the model must be one of {others}")
    if engine == "fused":
        raise ParameterError(f"the fused engine of model {name!r} {only} use --engine plain")


def default_params(name: str, data: str, params: Params | None = None) -> Params:
    """Returns a model's default parameters for a data set.

    On the spiral a model has five clusters and reads real numbers.

    Args:
      name: a key of `MODELS`.
      data: a key of `SOURCES`.
      params: the parameters that are set. The `gate` of a mixture of experts and the `routing` of
        a mixture of VAEs decide which others there are.
    """
    entry = MODELS[name]
    defaults = entry.defaults(params or {}) if callable(entry.defaults) else entry.defaults
    points = _POINTS_PARAMS if is_points(data) and entry.any_features else {}
    return {**defaults, **{key: value for key, value in points.items() if key in defaults}}


def inherited_params(record: Params, defaults: Params) -> Params:
    """Returns the parameters of a model that begins with another model's variables.

    They are the other's parameters of the networks and the prior. The gate, the router and the
    autoencoder get no training beforehand, as the other has had it.

    Args:
      record: the other's `run_record`.
      defaults: dict of this model's defaults.
    """
    theirs = {key: record["params"][key] for key in _NETWORK_PARAMS if key in record["params"]}
    if "routing" in defaults:  # its activation is its experts'; the router's is always the same
        theirs.pop("activation", None)
    inherited = {**theirs, **dict.fromkeys(_TRAINING_BEFORE, 0)}
    return {key: value for key, value in inherited.items() if key in defaults}
