"""Scores of a conditional VAE."""

from typing import Any, cast

import numpy as np

from moe_vae.data.dataset import DataSet, DataSets
from moe_vae.evaluation.drawings import draw_codes
from moe_vae.evaluation.packed import pack_array, pack_pictures
from moe_vae.evaluation.recogniser import N_READ, read_drawings
from moe_vae.evaluation.vae import measure_decodings
from moe_vae.posts.conditional_vae import ConditionalVAE
from moe_vae.training.trainer import Trainer

__all__ = [
    "PLANE_DIGITS",
    "PLANE_TAIL",
    "measure_drawings",
    "score_conditional_vae",
    "score_generation",
]

# What `measure_drawings` keeps.
PLANE_DIGITS = (2, 4, 7)  # that the plane of two-dimensional codes is painted with
PLANE_SIDE = 10  # pictures
PLANE_TAIL = 0.05  # probability beyond the outermost pictures, on each side
N_PLANE_CODES = 2000  # of test images


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
        "accuracy": float((predicted == data_set.needed_labels()).mean()),
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
    right = read_drawings(recogniser, drawn) == digits
    by_digit = right.reshape(model.n_columns, N_READ).mean(axis=1)
    return {"share": float(right.mean()), "share_by_digit": by_digit.tolist()}


def measure_drawings(trainer: Trainer, data_sets: DataSets, record: dict[str, Any]) -> dict:
    """Draws digits, and for codes of two dimensions paints their plane.

    Args:
      trainer: a conditional VAE's `Trainer`.
      data_sets: the `DataSets`; only the test set is used.
      record: not used.

    Returns:
      Dict that JSON can hold, its arrays packed by `pack_array` and its pictures by
      `pack_pictures`: `squared_error`, by `measure_decodings`; and `drawn` [codes, 10, 784], by
      `draw_codes`. With two dimensions also `plane` [digits of `PLANE_DIGITS`, rows, columns,
      784], the decodings of codes at even steps of the standard normal's quantiles, the first
      dimension from left to right and the second from bottom to top; and `codes` [n, 2] and
      `labels` [n], the mean codes of the first test images.
    """
    measured = {**measure_decodings(trainer, data_sets, record), "drawn": draw_codes(trainer)}
    if trainer.model.params["z_dim"] == 2:
        measured |= _measure_plane(trainer, data_sets.test)
    return measured


def _measure_plane(trainer: Trainer, test_set: DataSet) -> dict[str, Any]:
    from scipy.stats import norm

    model, session = cast(ConditionalVAE, trainer.model), trainer.session
    steps = norm.ppf(np.linspace(PLANE_TAIL, 1 - PLANE_TAIL, PLANE_SIDE))
    grid = np.stack(np.meshgrid(steps, steps[::-1]), axis=-1).reshape(-1, 2)
    plane = np.array([model.generate(session, grid, digit) for digit in PLANE_DIGITS])
    images = test_set.images[:N_PLANE_CODES]
    codes = model.mean_codes(session, images)
    return {
        "plane": pack_pictures(plane.reshape(len(plane), PLANE_SIDE, PLANE_SIDE, -1)),
        "codes": pack_array(codes.astype(np.float32)),
        "labels": pack_array(test_set.needed_labels()[:N_PLANE_CODES].astype(np.uint8)),
    }
