"""The figures of the posts' studies, from records alone."""

import numpy as np
import pytest

from moe_vae.evaluation.packed import pack_array, pack_pictures
from moe_vae.plots.charts import expert_colour
from moe_vae.plots.post_studies import draw_limits, draw_parameters, varied_runs
from moe_vae.posts.conditional_vae import CONDITIONAL_VAE_PARAMS


def post_2(seed=0, **params):
    pictures = np.random.default_rng(0).random([3, 10, 784])
    return {
        "data": "MNIST",
        "seed": seed,
        "params": {**CONDITIONAL_VAE_PARAMS, **params},
        "history": {"loss_auto_encode": [300.0, 224.5]},
        "test": {"accuracy": 0.75},
        "evaluation": {"generation": {"share": 0.625}},
        "measured": {"drawn": pack_pictures(pictures)},
    }


def post_3(weight, seed, shares):
    return {
        "seed": seed,
        "data": "MNIST",
        "params": {"balancing_weight": weight},
        "history": {"shares": shares},
    }


def test_a_parameters_runs_are_those_that_change_nothing_else():
    runs = [post_2(), post_2(z_dim=20), post_2(decoder_std=0.1), post_2(z_dim=2), post_2(1)]
    values = [(run["params"]["z_dim"], run["seed"]) for run in varied_runs(runs, "z_dim")]
    assert values == [(2, 0), (10, 0), (10, 1), (20, 0)]
    stds = [run["params"]["decoder_std"] for run in varied_runs(runs, "decoder_std")]
    assert stds == [0.1, 0.5, 0.5]


def test_every_value_has_a_panel_with_its_pictures_and_numbers():
    runs = [post_2(), post_2(decoder_std=0.1), post_2(digit_classification_weight=0.0)]
    figures = draw_parameters(runs)
    assert set(figures) == {"digits"}
    panels = [ax for ax in figures["digits"].axes if ax.images]
    assert [ax.get_title() for ax in panels] == [
        "z_dim 10 (the post)",
        "decoder_std 0.1",
        "decoder_std 0.5 (the post)",
        "digit_classification_weight 0",
        "digit_classification_weight 10 (the post)",
    ]
    assert {ax.get_xlabel() for ax in panels} == {
        "VAE loss 224.5, accuracy 0.750, recognised 0.625"
    }
    pictures = np.random.default_rng(0).random([3, 10, 784])
    shown = panels[0].images[0].get_array()
    assert shown.shape == (3 * 28, 10 * 28)
    third = pictures[1, 2].reshape(28, 28)
    np.testing.assert_allclose(shown[28:56, 56:84], third, atol=0.003)


def test_two_dimensions_have_a_plane_of_codes_and_drawings():
    run = post_2(z_dim=2)
    codes = np.array([[0, 1], [2, 3], [4, 5]], np.float32)
    run["measured"] |= {
        "plane": pack_pictures(np.zeros([3, 2, 2, 784])),
        "codes": pack_array(codes),
        "labels": pack_array(np.array([7, 0, 7], np.uint8)),
    }
    first, *others = draw_parameters([run])["plane"].axes
    zeros, sevens = first.collections
    np.testing.assert_array_equal(sevens.get_offsets(), codes[[0, 2]])
    np.testing.assert_allclose(sevens.get_facecolor()[0], expert_colour(7))
    np.testing.assert_allclose(zeros.get_facecolor()[0], expert_colour(0))
    assert [ax.get_title() for ax in others] == [
        f"the plane, decoded as a {digit}" for digit in (2, 4, 7)
    ]


def test_shares_have_a_panel_for_each_weight_and_seed():
    even, alone = [[0.25, 0.75], [0.5, 0.5]], [[0.5, 0.5], [1.0, 0.0]]
    runs = [post_3(0.1, 0, even), post_3(0.0, 0, alone), post_3(0.1, 1, even)]
    figures = draw_limits(runs)
    assert "MNIST" in figures["shares"].get_suptitle()
    assert set(figures) == {"shares"}
    axes = np.reshape(figures["shares"].axes, [2, 2])
    assert [ax.get_title() for ax in axes[0]] == ["balancing_weight 0", "balancing_weight 0.1"]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["seed 0", "seed 1"]
    assert len(axes[1, 0].collections) == 0  # no run
    lower, upper = axes[0, 0].collections
    np.testing.assert_allclose(lower.get_facecolor()[0], expert_colour(0))
    top = max(y for x, y in lower.get_paths()[0].vertices if x == pytest.approx(2))
    assert top == pytest.approx(1)
    assert {y for x, y in upper.get_paths()[0].vertices if x == 1} == {0.5, 1}


def test_experts_by_label_have_a_grid_of_codes_and_digits():
    run = {
        "data": "MNIST",
        "seed": 3,
        "params": {"routing": "labels"},
        "history": {},
        "measured": {"drawn": pack_pictures(np.zeros([2, 10, 784]))},
    }
    figures = draw_limits([run])
    assert set(figures) == {"labels"}
    assert len(figures["labels"].axes) == 20
    assert "MNIST, seed 3" in figures["labels"].get_suptitle()
