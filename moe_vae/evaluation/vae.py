"""Scores of a plain VAE."""

from typing import Any

import numpy as np

from moe_vae.data.dataset import DataSet
from moe_vae.training.trainer import Trainer

__all__ = ["score_vae"]


def score_vae(trainer: Trainer, data_set: DataSet) -> dict[str, Any]:
    """Scores a trained plain VAE.

    Args:
      trainer: a `Trainer` of a `PlainVAE`.
      data_set: a `DataSet`; its labels are not used.

    Returns:
      Dict with the `bound` on the mean of log p(x), in nats, from one sample of each code; the
      `squared_error` of the decodings of mean codes, summed over an example's features, its mean
      over the examples; and the `losses`.
    """
    losses = trainer.evaluate(data_set)
    decoded = trainer.model.reconstruct(trainer.session, data_set.images)
    squares = np.square(decoded - data_set.images).sum(axis=1)
    return {
        "bound": -losses["loss"],
        "squared_error": float(squares.mean()),
        "losses": losses,
    }
