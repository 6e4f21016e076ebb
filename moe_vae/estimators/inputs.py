"""What the estimators ask of X."""

import math
from typing import Any

import numpy as np

__all__ = ["check_image_shape", "check_range"]


def check_image_shape(image_shape: Any, n_features: int) -> tuple[int, int]:
    """Returns an `image_shape` as two whole numbers.

    Raises:
      ValueError: it is not (height, width), or its product is not the number of features.
    """
    is_pair = isinstance(image_shape, (tuple, list)) and len(image_shape) == 2
    if (
        not is_pair
        or not all(isinstance(side, (int, np.integer)) and side > 0 for side in image_shape)
        or math.prod(image_shape) != n_features
    ):
        raise ValueError(
            f"image_shape is {image_shape}: it must be (height, width) with a product of "
            f"{n_features}, the number of features of X"
        )
    height, width = image_shape
    return int(height), int(width)


def check_range(images: np.ndarray) -> None:
    """Checks that all values of images are in 0 to 1.

    Raises:
      ValueError: one is not.
    """
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 1:
        raise ValueError(
            f"X ranges from {low} to {high}: with image_shape every value must be in 0 to 1"
        )
