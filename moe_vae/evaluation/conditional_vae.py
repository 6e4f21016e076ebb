"""Scores of a conditional VAE."""

import numpy as np

from moe_vae.data.checks import NUM_CLASSES

__all__ = ["PICTURES_A_DIGIT", "score_generation"]

PICTURES_A_DIGIT = 200


def score_conditional_vae(trainer, data_set):
    """Scores a trained conditional VAE on data that it was not trained on.

    Args:
      trainer: a `Trainer`.
      data_set: a `DataSet`.

    Returns:
      Dict with the digit classifier's `accuracy` and the `losses`.
    """
    predicted = trainer.model.predict(trainer.session, data_set.images)
    return {
        "accuracy": float((predicted == data_set.labels).mean()),
        "losses": trainer.evaluate(data_set),
    }


def score_generation(trainer, recogniser, seed=0):
    """Measures how often a conditional VAE draws the digit that it was asked for.

    Args:
      trainer: a conditional VAE's `Trainer`.
      recogniser: a `Recogniser`'s `Trainer`.
      seed: seed of the codes.

    Returns:
      Dict with `share`, of 200 pictures a digit that the recogniser reads as asked, and
      `share_by_digit`.
    """
    model = trainer.model
    digits = np.repeat(np.arange(NUM_CLASSES), PICTURES_A_DIGIT)
    z = np.random.default_rng(seed).standard_normal([len(digits), model.params["z_dim"]])
    drawn = model.generate(trainer.session, z, digits)
    right = recogniser.model.predict(recogniser.session, drawn) == digits
    by_digit = right.reshape(NUM_CLASSES, PICTURES_A_DIGIT).mean(axis=1)
    return {"share": float(right.mean()), "share_by_digit": by_digit.tolist()}
