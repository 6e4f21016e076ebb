"""Which examples are like those that a model was trained on, by their losses."""

from typing import Any

import numpy as np

from moe_vae.compat import Session
from moe_vae.data.dataset import DataSet
from moe_vae.model import Model, ModelError

__all__ = ["QUANTILES", "loss_quantiles", "measure_losses"]

QUANTILES = ("0.5", "0.9", "0.99", "0.999")
N_EXAMPLES = 10_000  # of the training set, spread evenly


def measure_losses(model: Model, session: Session, inputs: np.ndarray) -> np.ndarray | None:
    """Returns `Model.example_losses`, float array [n], or None if the model has none."""
    try:
        return model.example_losses(session, inputs)
    except ModelError:
        return None


def loss_quantiles(model: Model, session: Session, data_set: DataSet) -> dict[str, Any]:
    """Returns quantiles of the losses of at most 10,000 examples.

    Args:
      model: a trained `Model`.
      session: the session of its variables.
      data_set: the `DataSet` that it was trained on.

    Returns:
      Dict with `loss_quantiles`, a dict of each of `QUANTILES` to a loss in nats; empty if the
      model gives no losses. An example with a larger loss than quantile q is less like the training
      set than the share q of that set.
    """
    n = min(N_EXAMPLES, data_set.num_examples)
    rows = np.linspace(0, data_set.num_examples - 1, n).astype(int)
    losses = measure_losses(model, session, data_set.images[rows])
    if losses is None:
        return {}
    return {"loss_quantiles": {q: float(np.quantile(losses, float(q))) for q in QUANTILES}}
