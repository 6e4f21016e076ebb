"""Arrays of any form as images or points, and labels of any kind as classes."""

from pathlib import Path

import numpy as np

from moe_vae.data.checks import DataError, square_side
from moe_vae.data.chunks import count_not_finite, row_chunks, value_range
from moe_vae.data.limits import check_features
from moe_vae.data.notices import notice
from moe_vae.data.pixels import fit_to_size, has_colours, to_grey
from moe_vae.data.stored import StoredImages
from moe_vae.files import shown

__all__ = ["as_classes", "as_image_pixels", "as_point_values", "as_targets"]

N_CHANNELS = (1, 2, 3, 4)
Size = tuple[int, int]


def as_image_pixels(
    values: np.ndarray, source: str | Path, image_size: Size | None = None
) -> np.ndarray:
    """Returns an array as grey images of one size.

    Args:
      values: array [n, height, width] or [n, height, width, n_channels], the channels as in
        `to_grey`; or [n, n_features], whose images are square or have `image_size`. Whole numbers
        are in 0 to 255, or in 0 to 65,535 if one is above 255; other numbers in [0, 1].
      source: where the array is from, for messages.
      image_size: (height, width) to which images are scaled; see `fit_to_size`.

    Returns:
      Array [n, height, width]: uint8, uint16 or float. An array that needs no change is not copied.

    Raises:
      DataError: the array does not have such a form.
    """
    if values.ndim == 2:
        values = _unflattened(values, source, image_size)
    if values.ndim not in (3, 4) or (values.ndim == 4 and values.shape[-1] not in N_CHANNELS):
        raise DataError(
            f"{source}: has shape {list(values.shape)}: images must have the shape [n, height, "
            "width], [n, height, width, 1 to 4 channels] or [n, n_features]"
        )
    if not image_size:
        check_features(int(np.prod(values.shape[1:3])), source)
    if not len(values):
        raise DataError(f"{source}: holds no images: there must be at least 1")
    values = _in_range(values, source)
    if values.ndim == 4:
        values = _all_grey(values)
    if image_size and values.shape[1:] != image_size:
        check_features(int(np.prod(image_size)), source)
        height, width = image_size
        notice(f"{source}: all images were resized to {width} x {height} pixels.")
        values = np.stack([fit_to_size(image, image_size) for image in values])
    return values


def _unflattened(values: np.ndarray, source: str | Path, image_size: Size | None) -> np.ndarray:
    check_features(values.shape[1], source)
    if image_size and np.prod(image_size) == values.shape[1]:
        return values.reshape(-1, *image_size)
    try:
        side = square_side(values.shape[1])
    except DataError as error:
        raise DataError(f"{source}: {error}, or image_size must be given") from error
    return values.reshape(-1, side, side)


def _in_range(values: np.ndarray, source: str | Path) -> np.ndarray:
    """Returns pixels as they are if uint8 or uint16; else checked, whole numbers as these types."""
    kind = values.dtype.kind
    if kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    if kind not in "iuf":
        raise DataError(f"{source}: has dtype {values.dtype}: it must be a type of numbers")
    if kind == "u" and values.dtype.itemsize <= 2:
        return values
    low, high = value_range(values)
    largest = 1 if kind == "f" else 65535
    if not (low >= 0 and high <= largest):  # also if they are NaN
        found = "holds NaN" if np.isnan(low) else f"has values from {low:g} to {high:g}"
        raise DataError(
            f"{source}: {found}: images must have whole numbers in 0 to 255 or 65535, or other "
            "numbers in 0 to 1"
        )
    return values if kind == "f" else values.astype(np.uint8 if high <= 255 else np.uint16)


def _all_grey(values: np.ndarray) -> np.ndarray:
    if values.shape[-1] == 1:
        return values[..., 0]
    coloured = 0
    grey = np.empty(values.shape[:3], values.dtype)
    for chunk in row_chunks(values):
        block = np.asarray(values[chunk])
        coloured += sum(map(has_colours, block))
        grey[chunk] = to_grey(block)
    if coloured:
        notice(f"{coloured} colour images of {len(values)} were made grey.")
    return grey


def as_point_values(values: np.ndarray, source: str | Path) -> np.ndarray:
    """Returns an array of numbers [n, ...] as points [n, n_features], not copied.

    Raises:
      DataError: it is not such an array, or a value is NaN or infinite as a float32.
    """
    if values.dtype.kind not in "biuf":
        raise DataError(f"{source}: has dtype {values.dtype}: it must be a type of numbers")
    if values.ndim < 2 or not len(values):
        raise DataError(
            f"{source}: has shape {list(values.shape)}: points must have the shape [n, n_features]"
        )
    check_features(int(np.prod(values.shape[1:])), source)
    with np.errstate(over="ignore"):  # what is too large becomes infinite
        bad = count_not_finite(StoredImages(values, largest=1))
    if bad:
        raise DataError(f"{source}: holds {bad} NaN or infinite values: all must be finite")
    return values


def as_targets(targets: np.ndarray, n_examples: int, source: str | Path) -> np.ndarray:
    """Returns regression targets [n] or [n, n_outputs] as float32 [n, n_outputs].

    Raises:
      DataError: they are no numbers, not finite, or of another number than the examples.
    """
    if targets.ndim == 1:
        targets = targets[:, None]
    if len(targets) != n_examples:
        raise DataError(
            f"{source}: has {len(targets)} targets for {n_examples} examples: there must be one "
            "for each"
        )
    return np.asarray(as_point_values(targets, f"{source}: targets"), np.float32)


def as_classes(
    labels: dict[str, np.ndarray], source: str | Path
) -> tuple[dict[str, np.ndarray], tuple[str, ...] | None]:
    """Numbers the classes of all parts from 0, in the order of their numbers or names.

    Args:
      labels: dict of part to array [n] or [n, 1] of whole numbers or strings.
      source: where the labels are from, for messages.

    Returns:
      Dict of part to whole-number array [n], and the names of the classes; None instead of names if
      the labels are the whole numbers from 0.

    Raises:
      DataError: labels are missing, or neither whole numbers of 64 bits nor strings; or training
        examples have labels, but none of a class of other examples.
    """
    values = {part: _as_list(array, source) for part, array in labels.items()}
    if not values:
        return {}, None
    names = np.unique(np.concatenate(list(values.values())))
    if names.dtype.kind == "U" and all(name == _plain(name) for name in names):
        # Folders may be named after numbers: 10 comes after 9.
        values = {part: array.astype(np.int64) for part, array in values.items()}
        names = np.sort(names.astype(np.int64))
    for part, array in values.items():
        unknown = np.setdiff1d(array, values.get("train", array))
        if len(unknown):
            raise DataError(
                f"{source}: class {str(unknown[0])!r} has {part} examples, but no training examples"
            )
    classes = {part: np.searchsorted(names, array) for part, array in values.items()}
    are_numbers = names.dtype.kind in "iu" and np.array_equal(names, np.arange(len(names)))
    return classes, None if are_numbers else tuple(str(name) for name in names)


def _plain(name: str) -> str:
    """Returns a whole number as it is usually written, or "" for other names."""
    return str(int(name)) if name.isdecimal() and len(name) < 10 else ""


def _as_list(labels: np.ndarray, source: str | Path) -> np.ndarray:
    """Returns labels as an array [n] of whole numbers or of strings."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DataError(f"{source}: labels have shape {list(labels.shape)}: it must be [n]")
    if labels.dtype.kind in "Of":
        missing = [row for row, label in enumerate(labels) if label is None or label != label]
        if missing:
            raise DataError(f"{source}: row {missing[0] + 1} has no label: all must have one")
    if labels.dtype.kind in "OSUb":
        try:
            return labels.astype(str)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{source}: labels hold the bytes {shown(error.object)}: names must be strings, or "
                "bytes in ASCII"
            ) from error
    if labels.dtype.kind == "f" and not np.all(np.abs(labels.astype(np.float64)) < 2.0**63):
        raise DataError(
            f"{source}: labels range from {labels.min():g} to {labels.max():g}: they must be whole "
            "numbers of 64 bits, or names"
        )
    if labels.dtype.kind == "f" and np.all(labels == np.rint(labels)):
        return labels.astype(np.int64)
    if labels.dtype.kind not in "iu":
        raise DataError(
            f"{source}: labels have dtype {labels.dtype} and are not whole: they must be whole "
            "numbers or names"
        )
    return labels.astype(np.int64)
