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

__all__ = ["draw_hierarchy", "draw_mixture_of_vaes", "draw_mixture_record"]

Record = dict[str, Any]

_LOSS_TITLES = {
    "expected_expert_loss": "expected expert loss",
    "balancing_loss": "balancing loss",
    "style_balancing_loss": "style balancing loss",
    "information": "information of the experts",
    "over_information": "information of the finer outputs",
    "bound": "bound on the log likelihood",
    "loss": "total loss",
}

_UNITS = {
    "expected_expert_loss": "nats an example",
    "balancing_loss": "examples squared, training set",
    "style_balancing_loss": "examples squared, training set",
    "information": "nats",
    "over_information": "nats",
    "bound": "nats an example",
}

# They fall by orders of magnitude, and so does the total loss of the post's routing.
_LOGARITHMIC = ("balancing_loss", "style_balancing_loss")


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
    draw = draw_points if draws_points(record) else _draw_images
    return {**draw_mixture_record(record), **draw(trainer, record, data_set, _title(record))}


def draw_hierarchy(trainer: Trainer, record: Record, data_set: DataSet) -> "dict[str, Figure]":
    """Draws a trained hierarchical mixture: dict of name to figure; see `draw_mixture_of_vaes`."""
    drawn = draw_mixture_of_vaes(trainer, record, data_set)
    if draws_points(record):
        return drawn
    title = f"Styles ({run_name(record)})"
    return {**drawn, "styles": plot_styles(trainer, record, data_set, title)}


def draw_mixture_record(record: Record) -> "dict[str, Figure]":
    """Draws what the record of a mixture's run alone determines: dict of name to figure.

    Args:
      record: its `run_record`.

    Source: post 3, cell 8.
    """
    history, title, parts = record["history"], _title(record), _loss_parts(record)
    titles = {name: text for name, text in _LOSS_TITLES.items() if name in history}
    accuracy, logarithmic = record["test"].get("accuracy"), (*_LOGARITHMIC, *parts)
    # The balanced routing measures balance by an entropy, the post by a variance.
    is_entropy = record["params"].get("routing") == "balanced"
    units = {**_UNITS, "balancing_loss": "nats"} if is_entropy else _UNITS
    return {
        "losses": plot_losses(history, titles, title, units, logarithmic, parts),
        **draw_confusion(record, title, accuracy, "expert", "confusion"),
    }


def _title(record: Record) -> str:
    kind = "Hierarchical mixture" if record["model"] == "hierarchy" else "Mixture"
    return f"{kind} of VAEs ({run_name(record)})"


def _loss_parts(record: Record) -> dict[str, dict[str, list[float]]]:
    """Returns what a total loss is the sum of, for the post's routing; see `plot_losses`."""
    history, weight = record["history"], record["params"].get("balancing_weight")
    if list(history) != ["expected_expert_loss", "balancing_loss", "loss"]:
        return {}
    parts = {
        "expected expert loss": history["expected_expert_loss"],
        f"{weight:g} x balancing loss": [weight * value for value in history["balancing_loss"]],
    }
    return {"loss": parts}


def _draw_images(
    trainer: Trainer, record: Record, data_set: DataSet, title: str
) -> "dict[str, Figure]":
    figures = {"reconstructions": plot_reconstructions(trainer, record, data_set, title)}
    # A training that was interrupted before the experts' first epoch has no samples.
    if trainer.samples:
        experts = range(trainer.model.n_columns)
        figures["samples"] = plot_samples(
            pictures(trainer.samples, record),
            f"Every expert from one code a row ({run_name(record)})",
            column_labels=[str(expert) for expert in experts],
            column_colours=[expert_colour(expert) for expert in experts],
            fixed_samples=pictures(trainer.fixed_samples, record),
        )
    return figures
