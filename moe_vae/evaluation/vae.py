"""Scores of a plain VAE, and how near any VAE's decodings are to its inputs."""

from typing import Any

import numpy as np

from moe_vae.data.dataset import DataSet, DataSets
from moe_vae.training.trainer import Trainer

__all__ = ["measure_decodings", "score_vae"]


def score_vae(trainer: Trainer, data_set: DataSet) -> dict[str, Any]:
    """Scores a trained plain VAE.

    Args:
      trainer: a `Trainer` of a `PlainVAE`.
      data_set: a `DataSet`; its labels are not used.

    Returns:
      Dict with the `bound` on the mean of log p(x), in nats, from one sample of each code; the
      `squared_error` of `measure_decodings`; and the `losses`.
    """
    losses = trainer.evaluate(data_set)
    return {
        "bound": -losses["loss"],
        "squared_error": _squared_error(trainer, data_set),
        "losses": losses,
    }


def measure_decodings(
    trainer: Trainer, data_sets: DataSets, record: dict[str, Any]
) -> dict[str, float]:
    """Measures the distance of the test examples to the decodings of their mean codes.

    Args:
      trainer: a `Trainer` of a model that can `reconstruct`.
      data_sets: the data, of which the test set is read.
      record: not used.

    Returns:
      Dict with the `squared_error`, summed over an example's features, its mean over the examples.
    """
    del record
    return {"squared_error": _squared_error(trainer, data_sets.test)}


def _squared_error(trainer: Trainer, data_set: DataSet) -> float:
    decoded = trainer.model.reconstruct(trainer.session, data_set.images)
    return float(np.square(decoded - data_set.images).sum(axis=1).mean())
