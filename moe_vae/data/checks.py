"""What arrays the models read, and one-line errors for all others."""

import math

import numpy as np

__all__ = [
    "DataError",
    "check_examples",
    "check_images",
    "check_labels",
    "check_points",
    "check_targets",
    "square_side",
]

IMAGE_SIDE = 28


IMAGE_PIXELS = IMAGE_SIDE * IMAGE_SIDE


POINT_FEATURES = 2  # of the spiral


SMALL_PIXELS = 64  # of scikit-learn's digits


NUM_CLASSES = 10


class DataError(ValueError):
    """A file, an array or a source is not the data that was asked for."""


def check_images(images):
    """Checks that `images` is what the models read: float32 [n, 784] with values in [0, 1].

    Args:
      images: array-like.

    Returns:
      `images`, as it is.

    Raises:
      DataError: wrong type, shape or values; the message says what came.
    """
    images = np.asarray(images)
    if images.dtype != np.float32:
        raise DataError(f"images have dtype {images.dtype}: it must be float32")
    if images.ndim != 2 or images.shape[1] != IMAGE_PIXELS or len(images) == 0:
        raise DataError(
            f"images have shape {list(images.shape)}: it must be [n, {IMAGE_PIXELS}] with n >= 1"
        )
    # min and max pass a NaN on, so two passes without a copy cover all three faults.
    low, high = images.min(), images.max()
    if np.isnan(low):
        raise DataError("images hold NaN: every value must be in [0, 1]")
    if low < 0 or high > 1:
        raise DataError(f"images range from {low} to {high}: every value must be in [0, 1]")
    return images


def check_examples(examples, n_features):
    """Checks `examples` as images where they have an image's features, otherwise as points.

    Args, Returns and Raises are those of `check_images` and `check_points`.
    """
    if n_features == IMAGE_PIXELS:
        return check_images(examples)
    return check_points(examples, n_features)


def square_side(n_pixels):
    """Returns how many pixels a side has of images that are square.

    Raises:
      DataError: so many pixels make no square.
    """
    side = math.isqrt(n_pixels)
    if side * side != n_pixels:
        raise DataError(f"images have {n_pixels} pixels: they must be square")
    return side


def check_points(points, n_features=None):
    """Checks that `points` are real-valued examples: float32 [n, n_features], all finite.

    Args:
      points: array-like.
      n_features: number of columns; None allows any from 1.

    Returns:
      `points`, as they are.

    Raises:
      DataError: wrong type, shape or values; the message says what came.
    """
    points = np.asarray(points)
    columns = "n_features" if n_features is None else n_features
    if points.dtype != np.float32:
        raise DataError(f"points have dtype {points.dtype}: it must be float32")
    if points.ndim != 2 or 0 in points.shape or points.shape[1] != (n_features or points.shape[1]):
        raise DataError(
            f"points have shape {list(points.shape)}: it must be [n, {columns}] with n >= 1"
        )
    _check_finite("points", points)
    return points


def check_labels(labels, n_examples, n_classes=NUM_CLASSES):
    """Checks that `labels` are whole numbers [n_examples] in 0 to n_classes - 1.

    Returns:
      `labels`, as they are.

    Raises:
      DataError: wrong type, shape or values; the message says what came.
    """
    labels = np.asarray(labels)
    if labels.shape != (n_examples,):
        raise DataError(f"labels have shape {list(labels.shape)}: it must be [{n_examples}]")
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"labels have dtype {labels.dtype}: it must be a whole-number type")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise DataError(
            f"labels range from {labels.min()} to {labels.max()}: "
            f"every label must be in 0 to {n_classes - 1}"
        )
    return labels


def check_targets(targets, n_examples, n_outputs=None):
    """Checks that `targets` are to be regressed on: float32 [n_examples, n_outputs], all finite.

    Args:
      targets: array-like.
      n_examples: number of rows.
      n_outputs: number of columns; None allows any from 1.

    Returns:
      `targets`, as they are.

    Raises:
      DataError: wrong type, shape or values; the message says what came.
    """
    targets = np.asarray(targets)
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


def _check_finite(name, values):
    bad = np.count_nonzero(~np.isfinite(values))
    if bad:
        raise DataError(f"{name} hold {bad} NaN or infinite values: every value must be finite")
