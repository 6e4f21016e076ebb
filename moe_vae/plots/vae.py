"""Figures of a plain VAE."""

from typing import TYPE_CHECKING, Any

import numpy as np

from moe_vae.data.dataset import DataSet
from moe_vae.plots.charts import plot_image_rows, plot_points
from moe_vae.plots.clustering import draw_codes, plot_bound
from moe_vae.plots.common import (
    N_POINTS,
    class_legend,
    draws_points,
    pictures,
    plane,
    plot_reconstructions,
    point_groups,
    principal_axes,
    run_name,
    some_examples,
)
from moe_vae.training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_vae"]

Record = dict[str, Any]

N_ROWS, N_COLUMNS = 4, 12  # of generated images


def draw_vae(trainer: Trainer, record: Record, data_set: DataSet) -> "dict[str, Figure]":
    """Draws a trained plain VAE: dict of name to figure.

    Args:
      trainer: a `Trainer` after `fit`.
      record: its `run_record`.
      data_set: images or points that it was not trained on.

    Source: the paper, section 2.3.
    """
    title = f"VAE ({run_name(record)})"
    draw = _draw_points if draws_points(record) else _draw_images
    return {
        "losses": plot_bound(record, title),
        **draw_codes(trainer, record, data_set, title),
        **draw(trainer, record, data_set, title),
    }


def _draw_images(
    trainer: Trainer, record: Record, data_set: DataSet, title: str
) -> "dict[str, Figure]":
    drawn = pictures(_generated(trainer, N_ROWS * N_COLUMNS), record)
    rows = drawn.reshape(N_ROWS, N_COLUMNS, *drawn.shape[1:])
    figures = {
        "reconstructions": plot_reconstructions(trainer, record, data_set, title),
        "generated": plot_image_rows(rows, [""] * N_ROWS, f"{title}: generated images"),
    }
    if n_epochs := len(trainer.samples):
        shown = np.linspace(0, n_epochs - 1, min(N_COLUMNS, n_epochs)).astype(int)
        figures["samples"] = plot_image_rows(
            [
                pictures(drawn, record)[shown, 0]
                for drawn in (trainer.samples, trainer.fixed_samples)
            ],
            ["new codes", "one code"],
            f"{title}: generated after each epoch",
            [str(epoch + 1) for epoch in shown],
        )
    return figures


def _draw_points(
    trainer: Trainer, record: Record, data_set: DataSet, title: str
) -> "dict[str, Figure]":
    inputs, labels, *_ = some_examples(data_set, N_POINTS)
    groups, axes = point_groups(inputs, labels), principal_axes(inputs)
    decoded = trainer.model.reconstruct(trainer.session, inputs)
    panels = {
        "test points": (plane(inputs, axes), groups),
        "their decodings": (plane(decoded, axes), groups),
    }
    group = np.zeros(N_POINTS, int)  # all of one colour
    panel = {f"{N_POINTS} generated points": (plane(_generated(trainer, N_POINTS), axes), group)}
    return {
        "points": plot_points(panels, title, **class_legend(record, labels)),
        "generated": plot_points(panel, title),
    }


def _generated(trainer: Trainer, n: int) -> np.ndarray:
    codes = np.random.default_rng(0).standard_normal([n, trainer.model.params["z_dim"]])
    return trainer.model.generate(trainer.session, codes, 0)
