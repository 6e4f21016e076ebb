"""The figure of Table 1's draws."""

import numpy as np

from moe_vae.plots.regression import plot_errors


def cell(data, n_outputs, gate, draw, error):
    params = {"gate": gate, "n_outputs": n_outputs, "targets_seed": draw}
    return {"data": data, "params": params, "test": {"squared_error": error}}


def test_every_draw_is_a_dot_and_the_bar_is_the_median():
    errors = {
        ("spiral", 1, "deep"): [1.0, 2.0, 300.0],
        ("spiral", 1, "dmvae"): [0.1, 0.3, 0.2],
        ("MNIST", 1, "deep"): [5.0, 7.0],
        ("MNIST", 2, "dmvae"): [9.0],
    }
    cells = [
        cell(*place, draw, error)
        for place, of_draws in errors.items()
        for draw, error in enumerate(of_draws)
    ]
    figure = plot_errors(cells)
    axes = {ax.get_title(): ax for ax in figure.axes}
    assert list(axes) == ["spiral, D = 1", "spiral, D = 2", "MNIST, D = 1", "MNIST, D = 2"]
    ax = axes["spiral, D = 1"]
    assert ax.get_yscale() == "log"
    labels = axes["MNIST, D = 1"].get_xticklabels()  # the panels above share them
    assert [label.get_text() for label in labels] == ["Deep MoE", "DVMoE"]
    deep, median, dvmoe, _ = ax.collections
    np.testing.assert_array_equal(deep.get_offsets()[:, 1], [1, 2, 300])
    assert median.get_segments()[0][:, 1].tolist() == [2, 2]
    # A draw is at one place among the dots of every gate.
    np.testing.assert_allclose(dvmoe.get_offsets()[:, 0] - deep.get_offsets()[:, 0], 1)
    assert not axes["spiral, D = 2"].collections
