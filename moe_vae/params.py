"""The rules for model parameters, which the posts keep in one flat dictionary."""

import copy
import math
import numbers
from collections.abc import Callable, Collection, Mapping
from typing import Any

from moe_vae.files import shown

__all__ = [
    "MAX_EPOCHS",
    "MAX_SEED",
    "NETWORKS",
    "TASK_OBJECTIVES",
    "ParameterError",
    "check_choice",
    "check_epochs",
    "check_params",
    "check_seed",
    "network_parameter",
    "network_params",
]

MAX_SEED = 2**32 - 1
MAX_EPOCHS = 1_000_000
# Beyond these a graph takes minutes to build, or no memory holds it.
MAX_LAYERS = 64
MAX_UNITS = 1 << 16
MAX_COPIES = 1_000  # of a network
MAX_FILTERS = 4_096
MAX_KERNEL = 1_000  # pixels of a side
MAX_WHOLE = 2**31 - 1  # of TensorFlow's int32

TASK_OBJECTIVES = ("likelihood", "expected_likelihood", "mixture_mean", "batch_sum")
NETWORKS = ("dense", "conv")
ACTIVATIONS = ("sigmoid", "tanh", "relu")

# The parameters that are a kind of network.
_NETWORK_NAMES = ("network", "cluster_encoder_network")

# The default filters, kernels and dense layers of a part with convolutions. With them a VAE of the
# posts has about as many weights as with dense layers.
_CONV_SIZES = ([16, 32], [5, 3], [64])
_CONV_SIZES_OF = {
    "decoder": ([32, 16], [3, 5], [64]),
    "cluster_encoder": ([32, 64, 128], [5, 5, 3], [512]),
}


class ParameterError(ValueError):
    """A parameter is unknown, or its value is not allowed."""


def check_params(params: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides `defaults` with `params` and checks every value.

    Args:
      params: parameter names and values; parameters left out take their default.
      defaults: every parameter of the model, with its default. `network_params` makes of them
        those of the `network` that is asked for.

    Returns:
      A new dict with all parameters; its lists are copies.

    Raises:
      ParameterError: a name is not a parameter of the model, or a value is not allowed.
    """
    if not isinstance(params, Mapping):
        raise ParameterError(f"the parameters are {shown(params)}: they must be a dict")
    all_conv = {**params, **dict.fromkeys(_NETWORK_NAMES, "conv")}
    defaults, with_conv = network_params(defaults, params), network_params(defaults, all_conv)
    unknown = sorted(map(str, set(params) - set(defaults)))
    for name in unknown:
        if name in with_conv:
            raise ParameterError(
                f"parameter {name!r} is set, which convolutions alone have: "
                f"'{network_parameter(_part(name), defaults)}' must be 'conv'"
            )
        raise ParameterError(
            f"unknown parameter {shown(name)}: allowed are {', '.join(sorted(defaults))}"
        )
    for name in params:
        _check(name, params[name], defaults[name])
    checked = {name: _plain(copy.deepcopy(value)) for name, value in {**defaults, **params}.items()}
    for name, value in checked.items():
        _check(name, value, defaults[name])
    for name in [name for name in checked if name.endswith("_filters")]:
        kernels = f"{_part(name)}_kernels"
        if len(checked[kernels]) != len(checked[name]):
            raise ParameterError(
                f"parameter {kernels!r} is {checked[kernels]!r}: it must have as many numbers as "
                f"{name!r}, {len(checked[name])}"
            )
    return checked


def _plain(value: Any) -> Any:
    """Returns NumPy's numbers, also in a list, as Python's, which JSON can hold."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    return value.item() if isinstance(value, numbers.Number) and hasattr(value, "item") else value


def network_params(defaults: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a model's parameters with their defaults, by the kind of its networks.

    A part of a model, such as its encoder, has hidden dense layers, whose sizes are the parameter
    `encoder_layers`. If its network is "conv", it has convolutions as well, and three parameters
    more:

      encoder_filters: the number of filters of each convolution.
      encoder_kernels: the side of its kernel in pixels.
      encoder_normalise: whether batch normalisation stands between each layer, convolution or
        dense, and its activation. In a cluster encoder this is the parameter `normalise`.

    The parameter `network` decides for all parts. A model with a cluster encoder among other parts
    has the parameter `cluster_encoder_network` as well; it is the same as `network` by default.
    Parts with convolutions have other default sizes of their dense layers, and with the `network`
    "conv" the default activation is "relu".

    Args:
      defaults: every parameter of the model with dense networks, with its default.
      params: the parameters that are set.

    Returns:
      A new dict; a model without the parameter `network` keeps its defaults.
    """
    if "network" not in defaults or any(name.endswith("_filters") for name in defaults):
        return dict(defaults)
    parts = [_part(name) for name in defaults if name.endswith("_layers")]
    network = params.get("network", defaults["network"])
    found = {**defaults, "network": network}
    if "cluster_encoder" in parts and len(parts) > 1:
        found["cluster_encoder_network"] = params.get("cluster_encoder_network", network)
    if network == "conv" and "activation" in found:
        found["activation"] = "relu"
    for part in parts:
        if found[network_parameter(part, found)] == "conv":
            filters, kernels, layers = _CONV_SIZES_OF.get(part, _CONV_SIZES)
            found |= {
                f"{part}_filters": list(filters),
                f"{part}_kernels": list(kernels),
                f"{part}_layers": list(layers),
            }
            if part != "cluster_encoder":
                found[f"{part}_normalise"] = False
    return found


def network_parameter(part: str, params: Mapping[str, Any]) -> str:
    """Returns the name of the parameter that decides the kind of network of a part of a model."""
    own = f"{part}_network"
    return own if own in params else "network"


def _part(name: str) -> str:
    return name.rpartition("_")[0]


def check_choice(name: str, value: Any, allowed: Collection[str]) -> None:
    """Checks the value of a parameter that decides which others there are.

    Raises:
      ParameterError: it is not among `allowed`.
    """
    if not isinstance(value, str) or value not in allowed:
        raise ParameterError(
            f"parameter {name!r} is {shown(value)}: it must be one of {', '.join(allowed)}"
        )


def check_seed(seed: Any) -> int:
    """Returns a seed of NumPy's and TensorFlow's generators.

    Raises:
      ParameterError: it is no whole number in 0 to 2^32 - 1.
    """
    if not _is_whole(seed) or not 0 <= seed <= MAX_SEED:
        raise ParameterError(f"seed is {shown(seed)}: it must be a whole number in 0 to {MAX_SEED}")
    return int(seed)


def check_epochs(epochs: Any) -> int:
    """Returns a number of epochs to train.

    Raises:
      ParameterError: it is no whole number of at least 0, or too large.
    """
    if not _is_whole(epochs) or not 0 <= epochs <= MAX_EPOCHS:
        raise ParameterError(
            f"epochs is {shown(epochs)}: it must be a whole number in 0 to {MAX_EPOCHS}"
        )
    return int(epochs)


def _check(name: str, value: Any, default: Any) -> None:
    is_allowed, allowed = _RULES.get(name) or _rule_of_kind(default)
    if not is_allowed(value):
        raise ParameterError(f"parameter {name!r} is {shown(value)}: it must be {allowed}")
    if _is_layer_list(value):
        if len(value) > MAX_LAYERS:
            raise ParameterError(
                f"parameter {name!r} has {len(value)} layers: there may be at most {MAX_LAYERS}"
            )
        value = max(value)
    most = _MOST.get(name, MAX_WHOLE)
    if _is_whole(value) and value > most:
        raise ParameterError(f"parameter {name!r} is {shown(value)}: it must be at most {most}")


def _rule_of_kind(default: Any) -> "_Rule":
    """Returns the rule of a parameter that has none of its own: it is of its default's kind."""
    if isinstance(default, bool):
        return _SWITCH
    if _is_whole(default):
        return _STEPS
    if isinstance(default, float):
        return _FINITE
    return _LAYERS if isinstance(default, (list, tuple)) else _NAME


def _is_number(value: Any) -> bool:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number too large for a float
        return False


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_layer_list(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) > 0
        and all(_is_whole(size) and size >= 1 for size in value)
    )


# A rule: whether a value is allowed, and the words for what is allowed.
_Rule = tuple[Callable[[Any], bool], str]


def _choice(*names: str) -> _Rule:
    return (lambda value: isinstance(value, str) and value in names, f"one of {', '.join(names)}")


_LAYERS: _Rule = (_is_layer_list, "a non-empty list of whole numbers of at least 1")
_COUNT: _Rule = (lambda value: _is_whole(value) and value >= 1, "a whole number of at least 1")
_STEPS: _Rule = (lambda value: _is_whole(value) and value >= 0, "a whole number of at least 0")
_POSITIVE: _Rule = (lambda value: _is_number(value) and value > 0, "a number above 0")
_WEIGHT: _Rule = (lambda value: _is_number(value) and value >= 0, "a number of at least 0")
_FINITE: _Rule = (_is_number, "a number")
_SHARE: _Rule = (lambda value: _is_number(value) and 0 <= value <= 1, "a number in 0 to 1")
_SHARE_BELOW_1: _Rule = (
    lambda value: _is_number(value) and 0 <= value < 1,
    "a number of at least 0 and below 1",
)
_SWITCH: _Rule = (lambda value: isinstance(value, bool), "True or False")
_NAME: _Rule = (lambda value: isinstance(value, str), "a string")
_ACTIVATION: _Rule = (
    lambda value: callable(value) or (isinstance(value, str) and value in ACTIVATIONS),
    f"one of {', '.join(ACTIVATIONS)}, or a function of a tensor",
)

# The rule for each parameter. A name means the same in every model. Which gates and routings there
# are, only their registries know, so their builders check these two names.
_RULES: dict[str, _Rule] = {
    "network": _choice(*NETWORKS),
    "cluster_encoder_network": _choice(*NETWORKS),
    "encoder_layers": _LAYERS,
    "decoder_layers": _LAYERS,
    "digit_classification_layers": _LAYERS,
    "manager_layers": _LAYERS,
    "activation": _ACTIVATION,
    "decoder_variance": _choice("fixed", "learned"),
    "decoder_std": _POSITIVE,
    "input_std": _POSITIVE,
    "z_dim": _COUNT,
    "n_clusters": _COUNT,
    "n_experts": _COUNT,
    "n_classes": _COUNT,
    "n_samples": _COUNT,
    "n_training_samples": _COUNT,
    "n_styles": _COUNT,
    "n_branches": _COUNT,
    "n_outputs": _COUNT,
    "cluster_encoder_layers": _LAYERS,
    "gate_layers": _LAYERS,
    "n_over_clusters": _STEPS,
    "n_neighbours": _STEPS,
    "neighbour_reach": _SHARE,
    "neighbour_space": _choice("inputs", "features"),
    "elastic_std": _SHARE,
    "plain_share": _SHARE,
    "self_label_weight": _WEIGHT,
    "self_label_threshold": _SHARE,
    "weight_averaging": _SHARE_BELOW_1,
    "augment": _SWITCH,
    "deskew": _SWITCH,
    "regroup": _SWITCH,
    "normalise": _SWITCH,
    "cosine_decay": _SWITCH,
    "output_activation": _choice("sigmoid", "linear"),
    "likelihood": _choice("bernoulli", "gaussian"),
    "objective": _choice("relaxed", "exact"),
    "cluster_prior": _choice("uniform", "learned"),
    "routing": _NAME,
    "style_routing": _choice("post", "information"),
    "gate": _NAME,
    "targets_seed": _STEPS,
    "task": _choice("regression", "classification"),
    "task_objective": _choice(*TASK_OBJECTIVES),
    "prior_mean_std": _POSITIVE,
    "min_expert_var": _POSITIVE,
    "temperature": _POSITIVE,
    "temperature_start": _POSITIVE,
    "anneal_epochs": _STEPS,
    "warm_up_epochs": _STEPS,
    "held_epochs": _STEPS,
    "pretrain_epochs": _STEPS,
    "gate_epochs": _STEPS,
    "routing_epochs": _STEPS,
    "routing_batch_size": _COUNT,
    "information_weight": _WEIGHT,
    "expert_em_steps": _STEPS,
    "expert_inputs": _choice("examples", "features"),
    "gmm_restarts": _COUNT,
    "gmm_examples": _STEPS,
    "covariance": _choice("diag", "full"),
    "gate_weight": _WEIGHT,
    "digit_classification_weight": _WEIGHT,
    "balancing_weight": _WEIGHT,
    "epochs": _COUNT,
    "batch_size": _COUNT,
    "learning_rate": _POSITIVE,
}

# The largest value of a whole number, or of a list's numbers; of others it is `MAX_WHOLE`.
_MOST = {
    **dict.fromkeys(
        (
            "encoder_layers",
            "decoder_layers",
            "digit_classification_layers",
            "manager_layers",
            "cluster_encoder_layers",
            "gate_layers",
            "z_dim",
            "n_clusters",
            "n_classes",
            "n_outputs",
            "n_over_clusters",
            "n_neighbours",
            "n_samples",
            "n_training_samples",
        ),
        MAX_UNITS,
    ),
    **dict.fromkeys(("n_experts", "n_styles", "n_branches"), MAX_COPIES),
    **dict.fromkeys(
        (
            "epochs",
            "anneal_epochs",
            "warm_up_epochs",
            "held_epochs",
            "pretrain_epochs",
            "gate_epochs",
            "routing_epochs",
            "expert_em_steps",
            "gmm_restarts",
        ),
        MAX_EPOCHS,
    ),
    **dict.fromkeys(
        (
            "encoder_filters",
            "decoder_filters",
            "digit_classification_filters",
            "manager_filters",
            "cluster_encoder_filters",
            "gate_filters",
        ),
        MAX_FILTERS,
    ),
    **dict.fromkeys(
        (
            "encoder_kernels",
            "decoder_kernels",
            "digit_classification_kernels",
            "manager_kernels",
            "cluster_encoder_kernels",
            "gate_kernels",
        ),
        MAX_KERNEL,
    ),
    "targets_seed": MAX_SEED,
}
