import json

import numpy as np
import pytest

from moe_vae import CONDITIONAL_VAE_PARAMS, MIXTURE_OF_VAES_PARAMS, ParameterError
from moe_vae.files import shown
from moe_vae.params import check_params

LAYERS = "a non-empty list of whole numbers of at least 1"
COUNT = "a whole number of at least 1"
POSITIVE = "a number above 0"
WEIGHT = "a number of at least 0"
ACTIVATION = "one of sigmoid, tanh, relu, or a function of a tensor"

BAD_LAYERS = ([], [0], [-3], [16, 0], [1.5], [True], ["16"], 128, "128", None)
BAD_COUNTS = (0, -1, 2.0, True, False, float("nan"), "5", None, [5])
BAD_NUMBERS = (-0.1, float("nan"), float("inf"), -float("inf"), True, 1j, "0.5", None, [0.5])
# Too large for any float; it would become infinity.
TOO_LARGE = 10**400
ARRAY = np.array([1, 2])  # has no truth value
BAD_VALUES = {
    "encoder_layers": (LAYERS, BAD_LAYERS),
    "decoder_layers": (LAYERS, BAD_LAYERS),
    "digit_classification_layers": (LAYERS, BAD_LAYERS),
    "manager_layers": (LAYERS, BAD_LAYERS),
    "network": ("one of dense, conv", ("Dense", "convolutional", "", None, 1, ["conv"])),
    "activation": (ACTIVATION, ("swish", "Sigmoid", "", None, 1, ["relu"], ARRAY)),
    "output_activation": ("one of sigmoid, linear", ("Linear", "tanh", None, 1, ARRAY)),
    "decoder_std": (POSITIVE, (0, 0.0, TOO_LARGE, *BAD_NUMBERS)),
    "learning_rate": (POSITIVE, (0, 0.0, *BAD_NUMBERS)),
    "digit_classification_weight": (WEIGHT, BAD_NUMBERS),
    "balancing_weight": (WEIGHT, BAD_NUMBERS),
    "z_dim": (COUNT, BAD_COUNTS),
    "n_classes": (COUNT, BAD_COUNTS),
    "n_experts": (COUNT, BAD_COUNTS),
    "epochs": (COUNT, BAD_COUNTS),
    "batch_size": (COUNT, BAD_COUNTS),
}
ALL_PARAMS = {**CONDITIONAL_VAE_PARAMS, **MIXTURE_OF_VAES_PARAMS}


def test_conditional_vae_defaults_are_those_of_post_2():
    assert CONDITIONAL_VAE_PARAMS == {
        "network": "dense",  # the post's, without a name for it
        "encoder_layers": [128],
        "decoder_layers": [128],
        "digit_classification_layers": [128],
        "activation": "sigmoid",
        "output_activation": "sigmoid",  # which the post has in its `decoder`
        "n_classes": 10,  # the post's `num_digits`
        "decoder_std": 0.5,
        "z_dim": 10,
        "digit_classification_weight": 10.0,
        "epochs": 20,
        "batch_size": 100,
        "learning_rate": 0.001,
    }


def test_mixture_of_vaes_defaults_are_those_of_post_3():
    assert MIXTURE_OF_VAES_PARAMS == {
        "network": "dense",  # the post's, without a name for it
        "n_experts": 10,  # the post's `NUM_DIGITS`
        "manager_layers": [128],
        "encoder_layers": [128],
        "decoder_layers": [128],
        "activation": "sigmoid",
        "output_activation": "sigmoid",  # which the post has in its `decode`
        "decoder_std": 0.5,
        "z_dim": 10,
        "balancing_weight": 0.1,
        "epochs": 100,
        "batch_size": 100,
        "learning_rate": 0.001,
    }


@pytest.mark.parametrize("defaults", [CONDITIONAL_VAE_PARAMS, MIXTURE_OF_VAES_PARAMS])
def test_defaults_are_allowed_and_stay_as_they_are(defaults):
    before = dict(defaults)
    checked = check_params({}, defaults)
    assert checked == defaults
    checked["z_dim"] = 3
    assert defaults == before


def test_given_values_override_defaults():
    params = {"z_dim": 2, "encoder_layers": [64, 32], "balancing_weight": 0}
    assert check_params(params, MIXTURE_OF_VAES_PARAMS) == {**MIXTURE_OF_VAES_PARAMS, **params}
    assert params == {"z_dim": 2, "encoder_layers": [64, 32], "balancing_weight": 0}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("encoder_layers", (16, 8)),
        ("encoder_layers", [np.int64(16)]),
        ("z_dim", np.int32(1)),
        ("decoder_std", np.float32(0.25)),
        ("learning_rate", 1),
        ("balancing_weight", 0.0),
        ("activation", "tanh"),
        ("activation", "relu"),
        ("activation", abs),
    ],
)
def test_every_form_of_a_right_value_is_allowed(name, value):
    assert check_params({name: value}, MIXTURE_OF_VAES_PARAMS)[name] == value


def test_every_parameter_has_bad_values_to_try():
    assert set(BAD_VALUES) == set(ALL_PARAMS)


@pytest.mark.parametrize(
    ("name", "allowed", "value"),
    [(name, allowed, value) for name, (allowed, values) in BAD_VALUES.items() for value in values],
    ids=lambda part: repr(part)[:30],
)
def test_a_bad_value_is_refused_by_name_value_and_what_is_allowed(name, allowed, value):
    with pytest.raises(ParameterError) as caught:
        check_params({name: value}, ALL_PARAMS)
    assert str(caught.value) == f"parameter {name!r} is {shown(value)}: it must be {allowed}"


@pytest.mark.parametrize("name", ["encoder_kernels", "decoder_kernels"])
def test_a_kernel_that_is_too_large_is_refused(name):
    check_params({"network": "conv", name: [1000, 3]}, CONDITIONAL_VAE_PARAMS)
    with pytest.raises(ParameterError) as caught:
        check_params({"network": "conv", name: [2**31 - 1, 3]}, CONDITIONAL_VAE_PARAMS)
    assert str(caught.value) == f"parameter {name!r} is 2147483647: it must be at most 1000"


@pytest.mark.parametrize("name", ["gate", "routing"])
def test_a_name_that_a_registry_checks_may_be_any_string(name):
    assert check_params({name: "new"}, {name: "old"}) == {name: "new"}
    with pytest.raises(ParameterError) as caught:
        check_params({name: 3}, {name: "old"})
    assert str(caught.value) == f"parameter {name!r} is 3: it must be a string"


def test_an_unknown_name_is_refused_with_the_names_that_are_allowed():
    with pytest.raises(ParameterError) as caught:
        check_params({"z_dims": 5}, CONDITIONAL_VAE_PARAMS)
    assert str(caught.value) == (
        "unknown parameter 'z_dims': allowed are activation, batch_size, decoder_layers, "
        "decoder_std, digit_classification_layers, digit_classification_weight, encoder_layers, "
        "epochs, learning_rate, n_classes, network, output_activation, z_dim"
    )


def test_a_parameter_of_the_other_model_is_unknown():
    with pytest.raises(ParameterError, match="unknown parameter 'balancing_weight'"):
        check_params({"balancing_weight": 0.1}, CONDITIONAL_VAE_PARAMS)
    with pytest.raises(ParameterError, match="unknown parameter 'digit_classification_weight'"):
        check_params({"digit_classification_weight": 1}, MIXTURE_OF_VAES_PARAMS)


def test_numpys_numbers_become_pythons():
    given = {
        "z_dim": np.int64(3),
        "learning_rate": np.float32(0.5),
        "encoder_layers": (np.int8(4),),
    }
    checked = check_params(given, MIXTURE_OF_VAES_PARAMS)
    assert json.loads(json.dumps(checked))["z_dim"] == 3
    assert (checked["learning_rate"], checked["encoder_layers"]) == (0.5, (4,))
