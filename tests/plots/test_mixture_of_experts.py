"""Figures of a mixture of experts."""

from types import SimpleNamespace

import numpy as np
import pytest

from moe_vae.data.dataset import DataSet
from moe_vae.plots.mixture_of_experts import draw_mixture_of_experts


@pytest.mark.parametrize("n_epochs", [0, 1, 3])
def test_the_losses_are_those_of_the_mixtures_own_epochs(n_epochs):
    """The three epochs in the history may all be the gate's."""
    points = np.random.default_rng(0).random([5, 2]).astype(np.float32)
    data_set = DataSet(points, None, points[:, :1], (2,))
    model = SimpleNamespace(answer="value", predict=lambda session, inputs: inputs[:, :1])
    trainer = SimpleNamespace(
        model=model,
        session=None,
        epochs_done={"gate": 3 - n_epochs, "loss": n_epochs},
        history={name: [3.0, 2.0, 1.0] for name in ("loss_task", "error", "loss")},
    )
    record = {
        "params": {"gate": "dmvae"},
        "data": "own",
        "seed": 0,
        "class_names": None,
        "test": {"sizes": [3, 2]},
    }
    figures = draw_mixture_of_experts(trainer, record, data_set)
    for ax in figures["losses"].axes:
        assert list(ax.lines[0].get_ydata()) == [3.0, 2.0, 1.0][3 - n_epochs :]
