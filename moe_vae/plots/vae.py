"""Figures of a plain VAE."""

from typing import TYPE_CHECKING, Any

import numpy as np

from moe_vae.data.dataset import DataSet
from moe_vae.plots.charts import plot_image_rows, plot_points
from moe_vae.plots.clustering import plot_bound, plot_codes
from moe_vae.plots.common import (
    N_POINTS,
    draws_points,
    plot_reconstructions,
    run_name,
    some_examples,
)
from moe_vae.training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_vae"]

N_ROWS, N_COLUMNS = 4, 12  # of generated images


def draw_vae(trainer: Trainer, record: dict[str, Any], data_set: DataSet) -> "dict[str, Figure]":
    """Draws a trained plain VAE: dict of name to figure.

    Args:
      trainer: a `Trainer` after `fit`.
      record: its `run_record`.
      data_set: images or points that it was not trained on.

    Source: the paper, section 2.3.
    """
    title = f"VAE ({run_name(record)})"
    draw = _draw_points if draws_points(trainer.model) else _draw_images
    return {
        "losses": plot_bound(trainer, title),
        "codes": plot_codes(trainer, data_set, title),
        **draw(trainer, data_set, title),
    }


def _draw_images(trainer: Trainer, data_set: DataSet, title: str) -> "dict[str, Figure]":
    rows = _generated(trainer, N_ROWS * N_COLUMNS).reshape(N_ROWS, N_COLUMNS, -1)
    figures = {
        "reconstructions": plot_reconstructions(trainer, data_set, title),
        "generated": plot_image_rows(rows, [""] * N_ROWS, f"{title}: generated images"),
    }
    if n_epochs := len(trainer.samples):
        shown = np.linspace(0, n_epochs - 1, min(N_COLUMNS, n_epochs)).astype(int)
        figures["samples"] = plot_image_rows(
            [np.asarray(trainer.samples)[shown, 0]],
            ["epoch"],
            f"{title}: one code",
            [str(epoch + 1) for epoch in shown],
        )
    return figures


def _draw_points(trainer: Trainer, data_set: DataSet, title: str) -> "dict[str, Figure]":
    points, arms, *_ = some_examples(data_set, N_POINTS)
    decoded = trainer.model.reconstruct(trainer.session, points)
    panels = {"test points": (points, arms), "their decodings": (decoded, arms)}
    group = np.zeros(N_POINTS, int)  # all of one colour
    panel = {f"{N_POINTS} generated points": (_generated(trainer, N_POINTS), group)}
    generated = plot_points(panel, title)
    if legend := generated.axes[0].get_legend():
        legend.remove()
    return {"points": plot_points(panels, title, group_name="arm"), "generated": generated}


def _generated(trainer: Trainer, n: int) -> np.ndarray:
    codes = np.random.default_rng(0).standard_normal([n, trainer.model.params["z_dim"]])
    return trainer.model.generate(trainer.session, codes, 0)
