"""Whole runs from seed to scores: what the command line, the notebooks and results share."""

import functools
import platform
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from moe_vae.compat import tf
from moe_vae.data.mnist import (
    IMAGE_PIXELS,
    NUM_CLASSES,
    POINT_FEATURES,
    SMALL_PIXELS,
    DataSet,
    DataSets,
    add_affine_targets,
)
from moe_vae.data.neighbours import deskew, nearest_neighbours, walk_steps
from moe_vae.engines.compiled import compiled
from moe_vae.engines.fused import build_fused_hierarchical_mixture, build_fused_mixture_of_vaes
from moe_vae.evaluation.clustering import (
    class_name,
    draw_clustering_vae,
    draw_information_encoder,
    draw_points,
    score_clustering,
)
from moe_vae.evaluation.mixture_of_experts import draw_mixture_of_experts, score_mixture_of_experts
from moe_vae.evaluation.recogniser import build_recogniser
from moe_vae.evaluation.specialists import plot_styles
from moe_vae.models.clustering_vae import SPIRAL_PARAMS
from moe_vae.models.dmvae import DMVAE_PARAMS, build_dmvae
from moe_vae.models.hierarchy import HIERARCHY_PARAMS, build_hierarchical_mixture
from moe_vae.models.information_encoder import INFORMATION_PARAMS, build_information_encoder
from moe_vae.models.mixture_of_experts import build_mixture_of_experts, mixture_of_experts_params
from moe_vae.models.vade import VADE_PARAMS, build_vade
from moe_vae.params import ParameterError
from moe_vae.plots.charts import (
    expert_colour,
    plot_confusion,
    plot_image_rows,
    plot_kmeans_fit,
    plot_losses,
    plot_mixture_fit,
    plot_parabolas,
    plot_samples,
)
from moe_vae.plots.diagrams import draw_modules, draw_vae_expert
from moe_vae.posts.conditional_vae import CONDITIONAL_VAE_PARAMS, build_conditional_vae
from moe_vae.posts.mixture_of_vaes import build_mixture_of_vaes, mixture_of_vaes_params
from moe_vae.posts.parabolas import fit_after_kmeans, fit_mixture, parabola_data
from moe_vae.training.trainer import start_trainer

__all__ = [
    "CLUSTERING_MODELS",
    "ENGINES",
    "MODELS",
    "N_FEATURES",
    "PICTURES_A_DIGIT",
    "POST_MODELS",
    "builder",
    "concept_figures",
    "default_params",
    "inherited_params",
    "prepare_data",
    "run_identity",
    "run_record",
    "score_generation",
    "train_recogniser",
]

PICTURES_A_DIGIT = 200
SHUFFLE_SEED = 0
# Of the data sources that are no images of `IMAGE_PIXELS`.
N_FEATURES = {"spiral": POINT_FEATURES, "digits": SMALL_PIXELS}
N_RECONSTRUCTED = 10


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


def score_conditional_vae(trainer, data_set):
    """Scores a trained conditional VAE on data that it was not trained on.

    Args:
      trainer: a `Trainer`.
      data_set: a `DataSet`.

    Returns:
      Dict with the digit classifier's `accuracy` and the `losses`.
    """
    predicted = trainer.model.predict(trainer.session, data_set.images)
    return {
        "accuracy": float((predicted == data_set.labels).mean()),
        "losses": trainer.evaluate(data_set),
    }


def draw_conditional_vae(trainer, record, data_set):
    """Draws a trained conditional VAE: dict of name to figure.

    Args:
      trainer: a `Trainer` after `fit`.
      record: its `run_record`.
      data_set: images to reconstruct.
    """
    on = f"{record['data']}, seed {record['seed']}"
    digits = [str(digit) for digit in range(NUM_CLASSES)]
    return {
        "losses": plot_losses(
            trainer.history,
            {"loss_auto_encode": "VAE loss", "loss_digit_classifier": "digit classifier loss"},
            f"Conditional VAE ({on})",
        ),
        "samples": plot_samples(trainer.samples, f"One code, ten digits ({on})", 20, digits),
        "reconstructions": _plot_reconstructions(trainer, data_set, f"Conditional VAE ({on})"),
    }


_LOSS_TITLES = {
    "expected_expert_loss": "expected expert loss",
    "balancing_loss": "balancing loss",
    "style_balancing_loss": "style balancing loss",
    "information": "information of the experts",
    "over_information": "information of the finer outputs",
    "bound": "bound on the log likelihood",
    "loss": "total loss",
}


def draw_mixture_of_vaes(trainer, record, data_set):
    """Draws a trained mixture of VAEs: dict of name to figure.

    Args:
      trainer: a `Trainer` after `fit`.
      record: its `run_record`.
      data_set: images to reconstruct, or points.
    """
    on = f"{record['data']}, seed {record['seed']}"
    test, classes = record["test"], class_name(trainer.model)
    is_points = trainer.model.n_features == POINT_FEATURES
    draw, examples = (draw_points, "points") if is_points else (_draw_experts, "images")
    return {
        "losses": plot_losses(
            trainer.history,
            {name: _LOSS_TITLES[name] for name in trainer.history},
            f"Mixture of VAEs ({on})",
        ),
        "confusion": plot_confusion(
            test["confusion"],
            f"Test {examples} by {classes} and expert ({on})\n"
            f"clustering accuracy {test['accuracy']:.3f}",
            class_name=classes,
        ),
        **draw(trainer, record, data_set, f"Mixture of VAEs ({on})"),
    }


def _draw_experts(trainer, record, data_set, title):
    figures = {"reconstructions": _plot_reconstructions(trainer, data_set, title)}
    if trainer.samples:  # none, where the training was ended before the experts'
        experts = range(trainer.model.n_columns)
        figures["samples"] = plot_samples(
            trainer.samples,
            f"One code, every expert ({record['data']}, seed {record['seed']})",
            20,
            [str(expert) for expert in experts],
            [expert_colour(expert) for expert in experts],
        )
    return figures


def _plot_reconstructions(trainer, data_set, title):
    images = data_set.images[:N_RECONSTRUCTED]
    decoded = trainer.model.reconstruct(trainer.session, images)
    return plot_image_rows([images, decoded], ["test image", "decoding"], title)


def draw_hierarchy(trainer, record, data_set):
    """Draws a trained hierarchical mixture: dict of name to figure; see `draw_mixture_of_vaes`."""
    on = f"{record['data']}, seed {record['seed']}"
    return {
        **draw_mixture_of_vaes(trainer, record, data_set),
        "styles": plot_styles(trainer, record["test"]["confusion"], data_set, f"Styles ({on})"),
    }


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


def prepare_data(data_sets, params, cache=None):
    """Gives data sets what a model's parameters ask for: targets to regress on, or neighbours.

    Args:
      data_sets: a `DataSets`.
      params: dict of all the model's parameters.
      cache: see `nearest_neighbours`.

    Returns:
      A `DataSets` with targets by `add_affine_targets`, or the same one, its training set with
      `neighbours` where the model has the parameter `n_neighbours` above 0; the spiral, which
      comes arm by arm, is in random order then.
    """
    if params.get("task") == "regression":
        return add_affine_targets(data_sets, params["n_outputs"], params["targets_seed"])
    if params.get("n_neighbours"):
        if data_sets.name == "spiral":
            parts = (data_sets.train, data_sets.validation, data_sets.test)
            data_sets = DataSets(*(part.shuffled(SHUFFLE_SEED) for part in parts), data_sets.name)
        train = data_sets.train
        compared = deskew(train.images) if params["deskew"] else train.images
        train.neighbours = nearest_neighbours(compared, params["n_neighbours"], cache)
        train.neighbour_steps = walk_steps(compared, train.neighbours, params["neighbour_reach"])
    return data_sets


def run_identity(name, trainer, data_sets, seed):
    """Collects what decides how a run goes, ready for JSON; the arguments are `run_record`'s."""
    return {
        "model": name,
        "params": trainer.model.params,
        "seed": seed,
        "data": {
            "name": data_sets.name + trainer.data_note,
            "checksum": data_sets.train.checksum(),
        },
    }


def run_record(name, trainer, data_sets, seed):
    """Collects what a finished run is to be remembered by, ready for JSON.

    Args:
      name: a key of `MODELS`.
      trainer: its `Trainer` after `fit`.
      data_sets: the `DataSets` that it was trained on.
      seed: the seed that it was started from.
    """
    return {
        "model": name,
        "data": data_sets.name,
        "n_features": data_sets.train.images.shape[1],
        "seed": seed,
        "params": trainer.model.params,
        "interrupted": trainer.interrupted,
        "history": trainer.history,
        "seconds": trainer.seconds,
        "test": MODELS[name].score(trainer, data_sets.test),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
        },
    }


def train_recogniser(data_sets, seed=0):
    """Trains the independent classifier that judges generated digits.

    Args:
      data_sets: a `DataSets`; the classifier learns from the training labels.
      seed: its seed.

    Returns:
      Its `Trainer`, and its accuracy on the test images.
    """
    trainer = start_trainer(build_recogniser, {}, seed)
    # Without the neighbours or targets that other models have of them.
    trainer.fit(DataSet(data_sets.train.images, data_sets.train.labels), sample=False)
    predicted = trainer.model.predict(trainer.session, data_sets.test.images)
    return trainer, float((predicted == data_sets.test.labels).mean())


def score_generation(trainer, recogniser, seed=0):
    """Measures how often a conditional VAE draws the digit that it was asked for.

    Args:
      trainer: a conditional VAE's `Trainer`.
      recogniser: a `Recogniser`'s `Trainer`.
      seed: seed of the codes.

    Returns:
      Dict with `share`, of 200 pictures a digit that the recogniser reads as asked, and
      `share_by_digit`.
    """
    model = trainer.model
    digits = np.repeat(np.arange(NUM_CLASSES), PICTURES_A_DIGIT)
    z = np.random.default_rng(seed).standard_normal([len(digits), model.params["z_dim"]])
    drawn = model.generate(trainer.session, z, digits)
    right = recogniser.model.predict(recogniser.session, drawn) == digits
    by_digit = right.reshape(NUM_CLASSES, PICTURES_A_DIGIT).mean(axis=1)
    return {"share": float(right.mean()), "share_by_digit": by_digit.tolist()}


def concept_figures():
    """Draws post 3's five conceptual figures, the mixture on the parabolas trained for it.

    Returns:
      Dict of name to figure, in the post's order.
    """
    x, y = parabola_data()
    kmeans = fit_after_kmeans(x, y)
    return {
        "modules": draw_modules(),
        "two_parabolas": plot_parabolas(),
        "kmeans_split": plot_kmeans_fit(kmeans),
        "mixture_of_experts": plot_mixture_fit(fit_mixture(x, y), kmeans),
        "vae_expert": draw_vae_expert(),
    }
