"""Figures of mixtures of experts."""

from typing import TYPE_CHECKING, Any

import numpy as np

from moe_vae.data.dataset import DataSet
from moe_vae.evaluation.metrics import confusion_table
from moe_vae.models.gates import GATES
from moe_vae.plots.charts import plot_confusion, plot_losses, plot_points
from moe_vae.plots.common import (
    N_POINTS,
    class_legend,
    class_name,
    draw_confusion,
    point_groups,
    run_name,
    some_examples,
)
from moe_vae.training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_mixture_of_experts"]


def draw_mixture_of_experts(
    trainer: Trainer, record: dict[str, Any], data_set: DataSet
) -> "dict[str, Figure]":
    """Draws a trained mixture of experts: dict of name to figure.

    Args:
      trainer: a `Trainer` after `fit`.
      record: its `run_record`.
      data_set: images or points that it was not trained on, with targets for a regression.
    """
    title = f"{GATES[record['params']['gate']].label} ({run_name(record)})"
    n_epochs = trainer.epochs_done["loss"]  # without those that train the gate alone
    error = "error rate" if trainer.model.answer == "class" else "squared error"
    titles = {"loss_task": "task loss", "error": error, "loss": "total loss"}
    n_before = len(trainer.history["loss"]) - n_epochs
    history = {name: trainer.history[name][n_before:] for name in titles}
    accuracy = record["test"].get("gate", {}).get("accuracy")
    return {
        "losses": plot_losses(history, titles, title),
        **draw_confusion(record, f"{title}: the gate", accuracy, "expert", "gate"),
        "predictions": _plot_predictions(trainer, record, title, data_set),
    }


def _plot_predictions(
    trainer: Trainer, record: dict[str, Any], title: str, data_set: DataSet
) -> "Figure":
    model = trainer.model
    batch = some_examples(data_set, N_POINTS)
    predicted = model.predict(trainer.session, batch.images)
    groups, named = point_groups(predicted, batch.labels), class_name(record)
    if model.answer == "class":
        n_classes = model.params["n_outputs"]
        table = confusion_table(groups, predicted, n_classes, n_classes)
        title = f"{title}\n{len(predicted)} test examples"
        return plot_confusion(table, title, "predicted class", named, record["class_names"])
    assert batch.targets is not None  # without them there is no record of a regression
    panels = {
        f"output {output}": (np.stack([wanted, guess], axis=1), groups)
        for output, (wanted, guess) in enumerate(zip(batch.targets.T, predicted.T, strict=True))
    }
    legend = class_legend(record, batch.labels)
    return plot_points(panels, title, ("target", "prediction"), **legend)
