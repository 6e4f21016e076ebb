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

__all__ = ["draw_conditional_vae", "draw_conditional_vae_record"]


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
    title, drawn = _title(record), draw_conditional_vae_record(record)
    if draws_points(record):
        return {**drawn, **draw_points(trainer, record, data_set, title)}
    numbers = [str(digit) for digit in range(trainer.model.n_columns)]
    return {
        **drawn,
        "samples": plot_samples(
            pictures(trainer.samples, record),
            f"Every {class_name(record)} from one code a row ({run_name(record)})",
            column_labels=record["class_names"] or numbers,
            fixed_samples=pictures(trainer.fixed_samples, record),
        ),
        "reconstructions": plot_reconstructions(trainer, record, data_set, title),
    }


def draw_conditional_vae_record(record: dict[str, Any]) -> "dict[str, Figure]":
    """Draws what the record of a conditional VAE's run alone determines: dict of name to figure.

    Args:
      record: its `run_record`.

    Source: post 2, cell 8.
    """
    weight = record["params"]["digit_classification_weight"]
    units = {
        "loss_auto_encode": "nats an image",
        "loss_digit_classifier": f"{weight:g} x nats an image",
    }
    titles = {"loss_auto_encode": "VAE loss", "loss_digit_classifier": "digit classifier loss"}
    return {"losses": plot_losses(record["history"], titles, _title(record), units)}


def _title(record: dict[str, Any]) -> str:
    return f"Conditional VAE ({run_name(record)})"
