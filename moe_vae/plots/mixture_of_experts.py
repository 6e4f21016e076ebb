"""Figures of mixtures of experts."""

import numpy as np

from moe_vae.evaluation.metrics import confusion_table
from moe_vae.models.gates import GATES
from moe_vae.plots.charts import plot_confusion, plot_losses, plot_points

__all__ = ["draw_mixture_of_experts"]

N_POINTS = 1000  # in a drawing


def draw_mixture_of_experts(trainer, record, data_set):
    """Draws a trained mixture of experts: dict of name to figure.

    Args:
      trainer: a `Trainer` after `fit`.
      record: its `run_record`.
      data_set: images or points that it was not trained on, with targets for a regression.
    """
    params, test = record["params"], record["test"]
    title = f"{GATES[params['gate']].label} ({record['data']}, seed {record['seed']})"
    class_name = "arm" if record["n_features"] == 2 else "digit"
    of_task = trainer.epochs_done["loss"]
    names = {"loss_task": "loss of the task", "error": "error", "loss": "total loss"}
    return {
        "losses": plot_losses(
            {name: trainer.history[name][-of_task:] for name in names}, names, title
        ),
        "gate": plot_confusion(
            test["confusion"],
            f"{title}\nthe gate as a clustering: {test['gate']['accuracy']:.3f}",
            "expert",
            class_name,
        ),
        "predictions": _draw_predictions(trainer, title, data_set, class_name),
    }


def _draw_predictions(trainer, title, data_set, class_name):
    rows = np.linspace(0, data_set.num_examples - 1, min(N_POINTS, data_set.num_examples))
    images, labels, *targets = data_set.examples(rows.astype(int))
    predicted = trainer.model.predict(trainer.session, images)
    if trainer.model.params["task"] == "classification":
        table = confusion_table(labels, predicted, 10, 10)
        return plot_confusion(table, f"{title}\n{len(images)} images", "predicted", class_name)
    panels = {
        f"output {output}": (np.stack([wanted, guess], axis=1), labels)
        for output, (wanted, guess) in enumerate(zip(targets[0].T, predicted.T, strict=True))
    }
    return plot_points(panels, f"{title}, by {class_name}", ("target", "prediction"))
