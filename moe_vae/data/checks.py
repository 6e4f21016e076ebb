"""The forms of array that the models read, and one-line errors for all others."""

import math

import numpy as np
from numpy.typing import ArrayLike

from moe_vae.data.chunks import count_not_finite, value_range
from moe_vae.data.stored import as_rows

__all__ = [
    "IMAGE_PIXELS",
    "IMAGE_SHAPE",
    "IMAGE_SIDE",
    "NUM_CLASSES",
    "DataError",
    "as_images",
    "check_codes",
    "check_columns",
    "check_examples",
    "check_images",
    "check_labels",
    "check_points",
    "check_targets",
    "check_unit_range",
    "square_side",
]

IMAGE_SIDE = 28  # pixels of MNIST's images
IMAGE_PIXELS = IMAGE_SIDE * IMAGE_SIDE
IMAGE_SHAPE = (IMAGE_SIDE, IMAGE_SIDE)
NUM_CLASSES = 10


class DataError(ValueError):
    """A file, an array or a data source is not what is needed."""


def check_images(images: ArrayLike, n_pixels: int = IMAGE_PIXELS) -> np.ndarray:
    """Checks that `images` are float32 [n, n_pixels] with values in [0, 1].

    Args:
      images: the images.
      n_pixels: the number of columns, MNIST's 784 by default.

    Returns:
      `images`, unchanged.

    Raises:
      DataError: the type, the shape or a value is wrong.
    """
    images = _array("images", images)
    if images.dtype != np.float32:
        raise DataError(f"images have dtype {images.dtype}: it must be float32")
    if images.ndim != 2 or images.shape[1] != n_pixels or len(images) == 0:
        raise DataError(
            f"images have shape {list(images.shape)}: it must be [n, {n_pixels}] with n >= 1"
        )
    # The minimum and the maximum are NaN if any value is, so they show all three faults.
    low, high = value_range(images)
    if np.isnan(low):
        raise DataError("images hold NaN: every value must be in [0, 1]")
    if low < 0 or high > 1:
        raise DataError(f"images range from {low} to {high}: every value must be in [0, 1]")
    return images


def check_points(points: ArrayLike, n_features: int | None = None) -> np.ndarray:
    """Checks that `points` are real-valued examples: float32 [n, n_features], all finite.

    Args:
      points: the examples.
      n_features: the number of columns; None allows any number from 1.

    Returns:
      `points`, unchanged.

    Raises:
      DataError: the type, the shape or a value is wrong.
    """
    points = _array("points", points)
    columns = "n_features" if n_features is None else n_features
    if points.dtype != np.float32:
        raise DataError(f"points have dtype {points.dtype}: it must be float32")
    if points.ndim != 2 or 0 in points.shape or points.shape[1] != (n_features or points.shape[1]):
        raise DataError(
            f"points have shape {list(points.shape)}: it must be [n, {columns}] with n >= 1"
        )
    _check_finite("points", points)
    return points


def check_examples(examples: ArrayLike, n_features: int, are_images: bool) -> np.ndarray:
    """Checks `examples` with `check_images` or `check_points`.

    Args:
      examples: the examples.
      n_features: the number of columns.
      are_images: whether every value must be in [0, 1].

    Returns and Raises are those of the two functions.
    """
    if are_images:
        return check_images(examples, n_features)
    return check_points(examples, n_features)


def check_labels(labels: ArrayLike, n_examples: int, n_classes: int | None = None) -> np.ndarray:
    """Checks that `labels` are whole numbers [n_examples] in 0 to n_classes - 1.

    Args:
      labels: the labels.
      n_examples: how many there must be.
      n_classes: number of classes; None allows any number.

    Returns:
      `labels`, unchanged.

    Raises:
      DataError: the type, the shape or a value is wrong.
    """
    labels = _array("labels", labels)
    if labels.shape != (n_examples,):
        raise DataError(f"labels have shape {list(labels.shape)}: it must be [{n_examples}]")
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"labels have dtype {labels.dtype}: it must be a whole-number type")
    if labels.min() < 0 or (n_classes is not None and labels.max() >= n_classes):
        allowed = "at least 0" if n_classes is None else f"in 0 to {n_classes - 1}"
        raise DataError(
            f"labels range from {labels.min()} to {labels.max()}: every label must be {allowed}"
        )
    return labels


def check_targets(targets: ArrayLike, n_examples: int, n_outputs: int | None = None) -> np.ndarray:
    """Checks that `targets` are regression targets: float32 [n_examples, n_outputs], all finite.

    Args:
      targets: one row for each example.
      n_examples: the number of rows.
      n_outputs: the number of columns; None allows any number from 1.

    Returns:
      `targets`, unchanged.

    Raises:
      DataError: the type, the shape or a value is wrong.
    """
    targets = _array("targets", targets)
    columns = "n_outputs" if n_outputs is None else n_outputs
    if targets.dtype != np.float32:
        raise DataError(f"targets have dtype {targets.dtype}: it must be float32")
    if (
        targets.ndim != 2
        or len(targets) != n_examples
        or targets.shape[1] != (n_outputs or max(targets.shape[1], 1))
    ):
        raise DataError(
            f"targets have shape {list(targets.shape)}: it must be [{n_examples}, {columns}]"
        )
    _check_finite("targets", targets)
    return targets


def check_unit_range(name: str, values: ArrayLike, setting: str) -> None:
    """Checks that finite `values` are in [0, 1], as a model with a certain setting needs them.

    Args:
      name: what the values are, for the message.
      values: array, or a `StoredImages`.
      setting: the parameter and its value, for the message.

    Raises:
      DataError: a value is below 0 or above 1.
    """
    low, high = value_range(_array(name, values))
    if low < 0 or high > 1:
        raise DataError(
            f"{name} range from {low} to {high}: with {setting} every value must be in [0, 1]"
        )


def check_codes(codes: ArrayLike, z_dim: int) -> None:
    """Checks that `codes` are numbers [n, z_dim], all finite.

    Raises:
      DataError: the kind, the shape or a value is wrong.
    """
    values = _array("codes", codes)
    if values.dtype.kind not in "iuf":
        raise DataError(f"codes have dtype {values.dtype}: they must be numbers")
    if values.ndim != 2 or values.shape[1] != z_dim or not len(values):
        raise DataError(
            f"codes have shape {list(values.shape)}: it must be [n, {z_dim}] with n >= 1"
        )
    if not np.isfinite(values).all():
        raise DataError("codes hold NaN or infinite values: every value must be finite")


def check_columns(name: str, columns: ArrayLike, n_codes: int | None) -> None:
    """Checks that `columns` are whole numbers: one for all codes, or one for each.

    Args:
      name: what they count, such as "digit" or "expert", for the message.
      columns: the numbers.
      n_codes: number of codes; None where there can only be one for all.

    Raises:
      DataError: the kind or the shape is wrong.
    """
    values = _array(name, columns)
    if values.dtype.kind not in "iu":
        raise DataError(f"{name} has dtype {values.dtype}: it must be a whole number")
    if values.shape not in ((), (n_codes,)):
        allowed = "a single number" if n_codes is None else f"[{n_codes}] or a single number"
        raise DataError(f"{name} has shape {list(values.shape)}: it must be {allowed}")


def as_images(pixels: np.ndarray) -> np.ndarray:
    """Returns pixels in 0 to 255 of n images as float32 images [n, 784] in [0, 1]."""
    images = pixels.reshape(len(pixels), IMAGE_PIXELS).astype(np.float32)
    images *= np.float32(1 / 255)
    return images


def square_side(n_pixels: int) -> int:
    """Returns the side, in pixels, of a square image with `n_pixels`.

    Raises:
      DataError: `n_pixels` is not a square number.
    """
    side = math.isqrt(n_pixels)
    if side * side != n_pixels:
        raise DataError(f"images have {n_pixels} pixels: they must be square")
    return side


def _array(name: str, values: ArrayLike) -> np.ndarray:
    try:
        return as_rows(values)
    except (ValueError, OverflowError) as error:  # rows of different lengths
        raise DataError(f"{name} are no array ({error})") from error


def _check_finite(name: str, values: np.ndarray) -> None:
    bad = count_not_finite(values)
    if bad:
        raise DataError(f"{name} hold {bad} NaN or infinite values: every value must be finite")
