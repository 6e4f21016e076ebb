"""The models by name: one entry of `MODELS` is all that the command line needs of a model."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from moe_vae.data.dataset import DataSet, Form, Shape
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
from moe_vae.model import Model
from moe_vae.models.clustering_vae import SPIRAL_PARAMS
from moe_vae.models.dmvae import DMVAE_PARAMS, build_dmvae
from moe_vae.models.hierarchy import HIERARCHY_PARAMS, build_hierarchical_mixture
from moe_vae.models.information_encoder import INFORMATION_PARAMS, build_information_encoder
from moe_vae.models.mixture_of_experts import build_mixture_of_experts, mixture_of_experts_params
from moe_vae.models.specialists import build_mixture_of_vaes, mixture_of_vaes_params
from moe_vae.models.vade import VADE_PARAMS, build_vade
from moe_vae.models.vae import VAE_PARAMS, build_vae
from moe_vae.params import ParameterError, check_params, network_params
from moe_vae.plots.clustering import (
    draw_clustering_record,
    draw_clustering_vae,
    draw_information_encoder,
    draw_information_record,
)
from moe_vae.plots.conditional_vae import draw_conditional_vae, draw_conditional_vae_record
from moe_vae.plots.mixture_of_experts import draw_mixture_of_experts
from moe_vae.plots.mixture_of_vaes import draw_hierarchy, draw_mixture_of_vaes, draw_mixture_record
from moe_vae.plots.vae import draw_vae
from moe_vae.posts.conditional_vae import CONDITIONAL_VAE_PARAMS, build_conditional_vae
from moe_vae.training.trainer import Trainer

__all__ = [
    "CLUSTERING_MODELS",
    "ENGINES",
    "MODELS",
    "POST_MODELS",
    "TRAINING_BEFORE",
    "ModelEntry",
    "builder",
    "combined_params",
    "default_params",
    "engines_of",
    "inherited_networks",
    "inherited_params",
]

Params = dict[str, Any]
Builder = Callable[..., Model]

# What a model takes over from the one that it begins with.
_NETWORK_PARAMS = (
    "n_clusters",
    "n_over_clusters",
    *(
        f"{part}_{name}"
        for part in ("encoder", "cluster_encoder", "decoder")
        for name in ("layers", "filters", "kernels", "normalise")
    ),
    "activation",
    "normalise",
    "likelihood",
    "decoder_variance",
    "decoder_std",
    "input_std",
    "z_dim",
    "cluster_prior",
)
# What a mixture of VAEs takes over from another besides.
_MIXTURE_PARAMS = ("n_experts", "manager_layers")
# The epochs of the phases before the last one. A model that begins with another leaves them out.
TRAINING_BEFORE = ("pretrain_epochs", "routing_epochs", "gate_epochs")

# The parameters that are the number of classes of the data, unless they are set.
_COUNTS = ("n_classes", "n_clusters", "n_experts")

# Points have no slant, cannot be turned as images are, and may be any number.
_POINTS_PARAMS = {
    **SPIRAL_PARAMS,
    "n_experts": SPIRAL_PARAMS["n_clusters"],
    "deskew": False,
    "augment": False,
    "output_activation": "linear",
    "routing_epochs": SPIRAL_PARAMS["epochs"],
}


class ModelEntry(NamedTuple):
    """A model by its name on the command line: how to build, score and draw it.

    Attributes:
      build: function of a dict of parameters and of a `shape` that builds the model in the current
        graph.
      defaults: dict of the default parameters, or a function of the given ones that returns it.
      score: function of a trainer and a `DataSet` that returns a dict of scores.
      draw: function of a trainer, its record and a `DataSet` that returns a dict of name to figure.
      label: its name in text and figures.
      draw_record: function of a record that returns those of the figures that it alone determines.
      counter: the name of the parameter that is the number of experts, clusters or classes; None
        for a model that has none of them.
      needs_labels: function of all parameters: whether the model is trained on labels.
      fused: as `build`, with the fused engine, which reads images; None without one.
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
    draw_record: Callable[[Params], dict[str, Any]] = lambda record: {}
    counter: str | None = "n_clusters"
    needs_labels: Callable[[Params], bool] = lambda params: False
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
        draw_record=draw_conditional_vae_record,
        counter="n_classes",
        needs_labels=lambda params: True,
        compiles=True,
        evaluate=evaluate_conditional_vae,
    ),
    "mixture-of-vaes": ModelEntry(
        build_mixture_of_vaes,
        mixture_of_vaes_params,
        score_clustering,
        draw_mixture_of_vaes,
        "mixture of VAEs",
        draw_record=draw_mixture_record,
        counter="n_experts",
        needs_labels=lambda params: params.get("routing") == "labels",
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
        draw_record=draw_mixture_record,
        counter="n_experts",
        fused=build_fused_hierarchical_mixture,
        evaluate=evaluate_specialists,
    ),
    "information": ModelEntry(
        build_information_encoder,
        INFORMATION_PARAMS,
        score_clustering,
        draw_information_encoder,
        "information encoder",
        draw_record=draw_information_record,
        compiles=True,
    ),
    "vae": ModelEntry(
        build_vae,
        VAE_PARAMS,
        score_vae,
        draw_vae,
        "VAE",
        counter=None,
        compiles=True,
    ),
    "vade": ModelEntry(
        build_vade,
        VADE_PARAMS,
        score_clustering,
        draw_clustering_vae,
        "VaDE",
        draw_record=draw_clustering_record,
        compiles=True,
        evaluate=evaluate_codes,
    ),
    "dmvae": ModelEntry(
        build_dmvae,
        DMVAE_PARAMS,
        score_clustering,
        draw_clustering_vae,
        "DMVAE",
        draw_record=draw_clustering_record,
        compiles=True,
        evaluate=evaluate_codes,
    ),
    "moe": ModelEntry(
        build_mixture_of_experts,
        lambda params: mixture_of_experts_params(params.get("gate", "dmvae")),
        score_mixture_of_experts,
        draw_mixture_of_experts,
        "mixture of experts",
        needs_labels=lambda params: params["task"] == "classification",
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


def builder(name: str, shape: Shape, engine: str = "plain") -> Builder:
    """Returns the function of parameters that builds a model for examples of a shape.

    Args:
      name: a key of `MODELS`.
      shape: (height, width) of the images, or (n_features,) of points.
      engine: one of `ENGINES`; all give the same values and read each other's checkpoints.

    Raises:
      ParameterError: the model has no such engine, or the engine reads images only.
    """
    entry = MODELS[name]
    if engine not in engines_of(name):
        raise ParameterError(
            f"model {name!r} has no {engine} engine; use --engine {' or '.join(engines_of(name))}"
        )
    if engine == "fused" and len(shape) == 1:
        raise ParameterError(
            f"the fused engine of model {name!r} reads only images; for points use --engine plain"
        )
    build = entry.build
    if engine == "fused" and entry.fused is not None:
        build = entry.fused
    elif engine == "compiled":
        build = compiled(entry.build)
    return functools.partial(build, shape=shape)


def default_params(name: str, form: Form, params: Params | None = None) -> Params:
    """Returns a model's default parameters for data of a form.

    A model has as many experts or clusters as the data have classes; without labels it has the
    default number. On points it reads real numbers.

    Args:
      name: a key of `MODELS`.
      form: the `Form` of the data.
      params: the parameters that are set. The `gate` of a mixture of experts, the `routing` of a
        mixture of VAEs and the `network` decide which others there are.
    """
    entry = MODELS[name]
    defaults = entry.defaults(params or {}) if callable(entry.defaults) else entry.defaults
    ours = dict(_POINTS_PARAMS) if form.are_points else {}
    if form.n_classes is not None:
        ours |= dict.fromkeys(_COUNTS, form.n_classes)
        if (params or {}).get("task") == "classification":
            ours["n_outputs"] = form.n_classes
    defaults = {**defaults, **{key: value for key, value in ours.items() if key in defaults}}
    return network_params(defaults, params or {})


def combined_params(
    name: str, form: Form, given: Params | None = None, before: Params | None = None
) -> Params:
    """Returns all parameters of a model that may begin with another model's variables, checked.

    Args:
      name: a key of `MODELS`.
      form: the `Form` of the data.
      given: dict of the parameters that are set.
      before: the other model's `run_record`, whose networks it takes over; None without one.

    Raises:
      ParameterError: a parameter is unknown or impossible.
    """
    given = given or {}
    defaults, inherited = default_params(name, form, given), {}
    if before is not None:
        networks = inherited_networks(before, defaults)
        defaults = default_params(name, form, {**networks, **given})
        inherited = {**inherited_params(before, defaults), **networks}
    return check_params({**inherited, **given}, defaults)


def inherited_networks(record: Params, defaults: Params) -> Params:
    """Returns the kinds of the networks of a model that begins with another model's variables.

    They decide which parameters `default_params` has.

    Args:
      record: the other's `run_record`.
      defaults: dict of this model's defaults, of any network.
    """
    theirs = record["params"]
    network = theirs.get("network", "dense")  # older runs are dense
    found = {}
    if "cluster_encoder_layers" in theirs and "cluster_encoder_layers" in defaults:
        name = "cluster_encoder_network" if "encoder_layers" in defaults else "network"
        found[name] = theirs.get("cluster_encoder_network", network)
    return {**found, **({"network": network} if "encoder_layers" in theirs else {})}


def inherited_params(record: Params, defaults: Params) -> Params:
    """Returns the parameters of a model that begins with another model's variables.

    They are the other's parameters of the networks and the prior. The gate, the router and the
    autoencoder get no training beforehand, as the other has had it.

    Args:
      record: the other's `run_record`.
      defaults: dict of this model's defaults.
    """
    are_mixtures = "n_experts" in defaults and "n_experts" in record["params"]
    names = (*_NETWORK_PARAMS, *(_MIXTURE_PARAMS if are_mixtures else ()))
    theirs = {key: record["params"][key] for key in names if key in record["params"]}
    # A mixture's activation is its experts'; the router's is always the same.
    if "routing" in defaults and not are_mixtures:
        theirs.pop("activation", None)
    inherited = {**theirs, **dict.fromkeys(TRAINING_BEFORE, 0)}
    return {key: value for key, value in inherited.items() if key in defaults}
