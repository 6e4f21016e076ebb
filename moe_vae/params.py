"""Model parameters as in the posts: one flat dictionary, checked at the door."""

import copy
import math
import numbers

__all__ = ["TASK_OBJECTIVES", "ParameterError", "check_params"]


class ParameterError(ValueError):
    """A parameter has a name or a value that no model can work with."""


def _is_number(value):
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False


def _is_whole(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_layer_list(value):
    return (
        isinstance(value, (list, tuple))
        and len(value) > 0
        and all(_is_whole(size) and size >= 1 for size in value)
    )


TASK_OBJECTIVES = ("likelihood", "expected_likelihood", "mixture_mean", "batch_sum")
ACTIVATIONS = ("sigmoid", "tanh", "relu")

_LAYERS = (_is_layer_list, "a non-empty list of whole numbers of at least 1")
_COUNT = (lambda value: _is_whole(value) and value >= 1, "a whole number of at least 1")
_STEPS = (lambda value: _is_whole(value) and value >= 0, "a whole number of at least 0")
_POSITIVE = (lambda value: _is_number(value) and value > 0, "a number above 0")
_WEIGHT = (lambda value: _is_number(value) and value >= 0, "a number of at least 0")
_SHARE = (lambda value: _is_number(value) and 0 <= value <= 1, "a number in 0 to 1")
_SWITCH = (lambda value: isinstance(value, bool), "True or False")
_ACTIVATION = (
    lambda value: callable(value) or value in ACTIVATIONS,
    f"one of {', '.join(ACTIVATIONS)}, or a function of a tensor",
)


def _choice(*names):
    return (lambda value: value in names, f"one of {', '.join(names)}")


# What each parameter may be, by its name: a name means the same thing in every model.
_RULES = {
    "encoder_layers": _LAYERS,
    "decoder_layers": _LAYERS,
    "digit_classification_layers": _LAYERS,
    "manager_layers": _LAYERS,
    "activation": _ACTIVATION,
    "decoder_std": _POSITIVE,
    "input_std": _POSITIVE,
    "z_dim": _COUNT,
    "n_clusters": _COUNT,
    "n_samples": _COUNT,
    "n_styles": _COUNT,
    "n_outputs": _COUNT,
    "cluster_encoder_layers": _LAYERS,
    "gate_layers": _LAYERS,
    "n_over_clusters": _STEPS,
    "n_neighbours": _STEPS,
    "neighbour_reach": _SHARE,
    "augment": _SWITCH,
    "deskew": _SWITCH,
    "regroup": _SWITCH,
    "normalise": _SWITCH,
    "cosine_decay": _SWITCH,
    "output_activation": _choice("sigmoid", "linear"),
    "likelihood": _choice("bernoulli", "gaussian"),
    "objective": _choice("relaxed", "exact"),
    "routing": _choice("post", "balanced", "information"),
    "style_routing": _choice("post", "information"),
    "gate": _choice("softmax", "deep", "gmm", "vade", "dmvae"),
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
    "gmm_restarts": _COUNT,
    "gmm_examples": _STEPS,
    "gate_weight": _WEIGHT,
    "digit_classification_weight": _WEIGHT,
    "balancing_weight": _WEIGHT,
    "epochs": _COUNT,
    "batch_size": _COUNT,
    "learning_rate": _POSITIVE,
}


def check_params(params, defaults):
    """Returns `defaults` overridden by `params`, every value checked.

    Args:
      params: dict of parameter name to value; names left out take their default.
      defaults: dict with every parameter that the model knows.

    Returns:
      A new dict with the keys of `defaults`, its lists its own.

    Raises:
      ParameterError: a name is not a key of `defaults`, or a value is not allowed.
    """
    unknown = sorted(set(params) - set(defaults))
    if unknown:
        raise ParameterError(
            f"unknown parameter {unknown[0]!r}: allowed are {', '.join(sorted(defaults))}"
        )
    checked = copy.deepcopy({**defaults, **params})
    for name, value in checked.items():
        is_allowed, allowed = _RULES[name]
        if not is_allowed(value):
            raise ParameterError(f"parameter {name!r} is {value!r}: it must be {allowed}")
    return checked
