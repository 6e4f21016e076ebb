"""Figures of mixtures of VAEs, flat and hierarchical."""

from typing import TYPE_CHECKING, Any

from moe_vae.data.dataset import DataSet
from moe_vae.plots.charts import expert_colour, plot_losses, plot_samples
from moe_vae.plots.common import (
    draw_confusion,
    draw_points,
    draws_points,
    pictures,
    plot_reconstructions,
    run_name,
)
from moe_vae.plots.styles import plot_styles
from moe_vae.training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_hierarchy", "draw_mixture_of_vaes"]

Record = dict[str, Any]

_LOSS_TITLES = {
    "expected_expert_loss": "expected expert loss",
    "balancing_loss": "balancing loss",
    "style_balancing_loss": "style balancing loss",
    "information": "information of the experts (nats)",
    "over_information": "information of the finer outputs (nats)",
    "bound": "bound on the log likelihood (nats)",
    "loss": "total loss",
}


def draw_mixture_of_vaes(
    trainer: Trainer, record: Record, data_set: DataSet
) -> "dict[str, Figure]":
    """Draws a trained mixture of VAEs: dict of name to figure.

    Args:
      trainer: a `Trainer` after `fit`.
      record: its `run_record`.
      data_set: images to reconstruct, or points.

    Source: post 3, cells 8 and 9.
    """
    return _draw_mixture(trainer, record, data_set, "Mixture of VAEs")


def draw_hierarchy(trainer: Trainer, record: Record, data_set: DataSet) -> "dict[str, Figure]":
    """Draws a trained hierarchical mixture: dict of name to figure; see `draw_mixture_of_vaes`."""
    title = f"Styles ({run_name(record)})"
    drawn = _draw_mixture(trainer, record, data_set, "Hierarchical mixture of VAEs")
    if draws_points(record):
        return drawn
    return {**drawn, "styles": plot_styles(trainer, record, data_set, title)}


def _draw_mixture(
    trainer: Trainer, record: Record, data_set: DataSet, label: str
) -> "dict[str, Figure]":
    title = f"{label} ({run_name(record)})"
    titles = {name: text for name, text in _LOSS_TITLES.items() if name in trainer.history}
    draw = draw_points if draws_points(record) else _draw_images
    accuracy = record["test"].get("accuracy")
    return {
        "losses": plot_losses(trainer.history, titles, title),
        **draw_confusion(record, title, accuracy, trainer.model.column, "confusion"),
        **draw(trainer, record, data_set, title),
    }


def _draw_images(
    trainer: Trainer, record: Record, data_set: DataSet, title: str
) -> "dict[str, Figure]":
    figures = {"reconstructions": plot_reconstructions(trainer, record, data_set, title)}
    # A training that was interrupted before the experts' first epoch has no samples.
    if trainer.samples:
        experts = range(trainer.model.n_columns)
        figures["samples"] = plot_samples(
            pictures(trainer.samples, record),
            f"One code, every expert ({run_name(record)})",
            column_labels=[str(expert) for expert in experts],
            column_colours=[expert_colour(expert) for expert in experts],
        )
    return figures
