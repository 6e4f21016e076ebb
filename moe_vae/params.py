"""The rules for model parameters, which the posts keep in one flat dictionary."""

import copy
import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["TASK_OBJECTIVES", "ParameterError", "check_params"]

TASK_OBJECTIVES = ("likelihood", "expected_likelihood", "mixture_mean", "batch_sum")
ACTIVATIONS = ("sigmoid", "tanh", "relu")


class ParameterError(ValueError):
    """A parameter is unknown, or its value is not allowed."""


def check_params(params: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides `defaults` with `params` and checks every value.

    Args:
      params: parameter names and values; parameters left out take their default.
      defaults: every parameter of the model, with its default.

    Returns:
      A new dict with the keys of `defaults`; its lists are copies.

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
        is_allowed, allowed = _RULES.get(name) or _rule_of_kind(defaults[name])
        if not is_allowed(value):
            raise ParameterError(f"parameter {name!r} is {value!r}: it must be {allowed}")
    return checked


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
    return (lambda value: value in names, f"one of {', '.join(names)}")


_LAYERS: _Rule = (_is_layer_list, "a non-empty list of whole numbers of at least 1")
_COUNT: _Rule = (lambda value: _is_whole(value) and value >= 1, "a whole number of at least 1")
_STEPS: _Rule = (lambda value: _is_whole(value) and value >= 0, "a whole number of at least 0")
_POSITIVE: _Rule = (lambda value: _is_number(value) and value > 0, "a number above 0")
_WEIGHT: _Rule = (lambda value: _is_number(value) and value >= 0, "a number of at least 0")
_FINITE: _Rule = (_is_number, "a number")
_SHARE: _Rule = (lambda value: _is_number(value) and 0 <= value <= 1, "a number in 0 to 1")
_SWITCH: _Rule = (lambda value: isinstance(value, bool), "True or False")
_NAME: _Rule = (lambda value: isinstance(value, str), "a string")
_ACTIVATION: _Rule = (
    lambda value: callable(value) or value in ACTIVATIONS,
    f"one of {', '.join(ACTIVATIONS)}, or a function of a tensor",
)

# The rule for each parameter. A name means the same in every model. Which gates and routings there
# are, only their registries know, so their builders check these two names.
_RULES: dict[str, _Rule] = {
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
