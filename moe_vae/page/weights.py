"""A model's arrays as text for a page: rounded, compressed and in base64."""

import base64
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from moe_vae.export.model_file import halved

__all__ = ["STEPS", "Packed", "pack_arrays", "pack_bytes"]

# How finely large arrays can be rounded, from the finest: half precision (None), or to that many
# steps for the root mean square of a column.
STEPS = (None, 16, 12, 10, 8, 7, 6, 5)

# Smaller arrays, biases above all, stay in half precision: they take little space.
_LARGE = 4096
_MAX_STEP = 127  # of a signed byte


class Packed(NamedTuple):
    """Arrays for a page.

    Attributes:
      described: a list with one dict for each array: `name`, `shape`, and `kind`, which says how
        its values stand in the bytes: "half", "single" or "steps".
      text: the bytes of all arrays, one after another, as `pack_bytes` writes them.
      rounded: dict of name to float32 array: the values that the page computes with.
    """

    described: list[dict[str, Any]]
    text: str
    rounded: dict[str, np.ndarray]


def pack_bytes(*parts: bytes, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> str:
    """Returns bytes as base64 of a zlib stream, which a browser can read.

    Args:
      parts: what to pack; each has a code of its own.
      strategy: one of zlib's.
    """
    writer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy)
    packed = [writer.compress(part) + writer.flush(zlib.Z_FULL_FLUSH) for part in parts]
    return base64.b64encode(b"".join([*packed, writer.flush()])).decode()


def pack_arrays(
    variables: Mapping[str, np.ndarray], constants: Mapping[str, np.ndarray], steps: int | None
) -> Packed:
    """Packs arrays for a page.

    A large variable w is rounded column by column, a column being what the last axis counts:

        w[i, j] = q[i, j] s[j],  q[i, j] a whole number in -127 to 127,
        s[j] = max(rms(w[:, j]) / steps, max |w[:, j]| / 127)

    The common small numbers then take fewer bits than a byte, by Huffman's code.

    Args:
      variables: dict of name to float32 array.
      constants: the same; they are not rounded.
      steps: one of `STEPS`; None keeps half precision.

    Returns:
      A `Packed`.
    """
    described, content, rounded = [], [], {}
    kinds = {name: _kind(value, steps) for name, value in variables.items()}
    kinds |= dict.fromkeys(constants, "single")
    for name, value in {**variables, **constants}.items():
        stored, rounded[name] = _WRITERS[kinds[name]](np.asarray(value, np.float32), steps)
        described.append({"name": name, "shape": list(value.shape), "kind": kinds[name]})
        content += [each.astype(each.dtype.newbyteorder("<")).tobytes() for each in stored]
    # Weights hardly ever repeat a sequence, so only Huffman's code makes them smaller.
    return Packed(described, pack_bytes(*content, strategy=zlib.Z_HUFFMAN_ONLY), rounded)


def _kind(value: np.ndarray, steps: int | None) -> str:
    if steps is not None and value.size >= _LARGE and value.ndim > 1:
        return "steps"
    return "half" if halved(value).dtype == np.float16 else "single"


# What is written for an array, and the values that are read from it.
_Written = tuple[list[np.ndarray], np.ndarray]


def _single(values: np.ndarray, steps: int | None) -> _Written:
    del steps
    return [values], values


def _half(values: np.ndarray, steps: int | None) -> _Written:
    del steps
    half = values.astype(np.float16)
    return [half], half.astype(np.float32)


def _stepped(values: np.ndarray, steps: int | None) -> _Written:
    """Writes the whole numbers, as signed bytes, and the step of each column."""
    assert steps is not None
    rows = values.astype(np.float64).reshape(-1, values.shape[-1])
    step = np.maximum(
        np.sqrt(np.square(rows).mean(axis=0)) / steps, np.abs(rows).max(axis=0) / _MAX_STEP
    )
    step = np.where(step > 0, step, 1).astype(np.float32)  # a column of zeros
    whole = np.clip(np.rint(rows / step), -_MAX_STEP, _MAX_STEP).astype(np.int8)
    whole = whole.reshape(values.shape)
    return [whole, step], whole.astype(np.float32) * step


_WRITERS = {"single": _single, "half": _half, "steps": _stepped}
