"""Figures of the conditional VAE."""

from typing import TYPE_CHECKING, Any

from moe_vae.data.dataset import DataSet
from moe_vae.plots.charts import plot_losses, plot_samples
from moe_vae.plots.common import (
    class_name,
    draw_points,
    draws_points,
    pictures,
    plot_reconstructions,
    run_name,
)
from moe_vae.training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_conditional_vae"]


def draw_conditional_vae(
    trainer: Trainer, record: dict[str, Any], data_set: DataSet
) -> "dict[str, Figure]":
    """Draws a trained conditional VAE: dict of name to figure.

    Args:
      trainer: a `Trainer` after `fit`.
      record: its `run_record`.
      data_set: images to reconstruct.

    Source: post 2, cells 8 and 9.
    """
    title = f"Conditional VAE ({run_name(record)})"
    losses = plot_losses(
        trainer.history,
        {"loss_auto_encode": "VAE loss", "loss_digit_classifier": "digit classifier loss"},
        title,
    )
    if draws_points(record):
        return {"losses": losses, **draw_points(trainer, record, data_set, title)}
    numbers = [str(digit) for digit in range(trainer.model.n_columns)]
    return {
        "losses": losses,
        "samples": plot_samples(
            pictures(trainer.samples, record),
            f"One code, every {class_name(record)} ({run_name(record)})",
            column_labels=record["class_names"] or numbers,
        ),
        "reconstructions": plot_reconstructions(trainer, record, data_set, title),
    }
