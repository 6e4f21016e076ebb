"""The paper's spiral of five arms."""

import numpy as np

from moe_vae.data.checks import DataError
from moe_vae.data.dataset import DataSet, DataSets

__all__ = ["SPIRAL_ARMS", "make_spiral"]

SPIRAL_ARMS = 5
SPIRAL_RADII = (2.5, 10.0)  # where an arm starts and ends
SPIRAL_ANGLE = 1.25  # radians that an arm turns through, and between the starts of two arms
SPIRAL_ANGLE_STD = 0.05  # radians


def make_spiral(
    seed: int, n_train: int = 5000, n_validation: int = 1000, n_test: int = 1000
) -> DataSets:
    """Draws the paper's spiral of five arms, real-valued points in the plane.

    With n points an arm, i = 0 to n - 1 and u_i = i / (n - 1), arm j consists of

        r = 2.5 + 7.5 u_i,  t = 1.25 (j + u_i) + 0.05 e_i,  e_i ~ N(0, 1),  x = (r sin t, r cos t)

    Args:
      seed: whole number of at least 0, which determines all points.
      n_train, n_validation, n_test: points an arm in each part, at least 1.

    Returns:
      A `DataSets` with float32 points [5 n, 2] as `images` and the arms 0 to 4 as `labels`.

    Raises:
      DataError: a number of points is below 1.

    Source: the paper, section 8, data.
    """
    random = np.random.default_rng(seed)
    sizes = {"n_train": n_train, "n_validation": n_validation, "n_test": n_test}
    for name, size in sizes.items():
        if size < 1:
            raise DataError(f"{name} is {size}: it must be at least 1")
    train, validation, test = (_draw_spiral(random, size) for size in sizes.values())
    return DataSets(train, validation, test, name="spiral")


def _draw_spiral(random: np.random.Generator, n_points: int) -> DataSet:
    arms = np.repeat(np.arange(SPIRAL_ARMS), n_points)
    along = np.tile(np.linspace(0, 1, n_points), SPIRAL_ARMS)
    inner, outer = SPIRAL_RADII
    radius = inner + (outer - inner) * along
    angle = SPIRAL_ANGLE * (arms + along) + SPIRAL_ANGLE_STD * random.standard_normal(len(arms))
    points = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    return DataSet(points.astype(np.float32), arms, shape=(2,))
