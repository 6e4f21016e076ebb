"""Scores of a conditional VAE."""

from typing import Any

import numpy as np

from moe_vae.data.dataset import DataSet
from moe_vae.evaluation.recogniser import N_READ
from moe_vae.training.trainer import Trainer

__all__ = ["score_conditional_vae", "score_generation"]


def score_conditional_vae(trainer: Trainer, data_set: DataSet) -> dict[str, Any]:
    """Scores a trained conditional VAE on data that it was not trained on.

    Args:
      trainer: a conditional VAE's `Trainer`.
      data_set: a `DataSet`.

    Returns:
      Dict with the digit classifier's `accuracy` and the `losses`.
    """
    predicted = trainer.model.predict(trainer.session, data_set.images)
    return {
        "accuracy": float((predicted == data_set.labels).mean()),
        "losses": trainer.evaluate(data_set),
    }


def score_generation(trainer: Trainer, recogniser: Trainer, seed: int = 0) -> dict[str, Any]:
    """Measures how often a conditional VAE draws the digit that it was asked for.

    Args:
      trainer: a conditional VAE's `Trainer`.
      recogniser: a `Recogniser`'s `Trainer`.
      seed: seed of the codes.

    Returns:
      Dict with `share`, the share of the drawings, 200 of each digit, that the recogniser reads as
      the digit asked for, and `share_by_digit`.
    """
    model = trainer.model
    digits = np.repeat(np.arange(model.n_columns), N_READ)
    z = np.random.default_rng(seed).standard_normal([len(digits), model.params["z_dim"]])
    drawn = model.generate(trainer.session, z, digits)
    right = recogniser.model.predict(recogniser.session, drawn) == digits
    by_digit = right.reshape(model.n_columns, N_READ).mean(axis=1)
    return {"share": float(right.mean()), "share_by_digit": by_digit.tolist()}
