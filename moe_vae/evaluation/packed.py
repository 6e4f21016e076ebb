"""Arrays as text, so that a result file can hold pictures without a line for each pixel."""

import base64
import zlib
from typing import Any

import numpy as np

__all__ = ["pack_array", "pack_pictures", "unpack_array", "unpack_pictures"]

WHITE = 255  # of a pixel in one byte


def pack_array(array: np.ndarray) -> dict[str, Any]:
    """Returns an array as a dict that JSON can hold: `dtype`, `shape`, and `data` as text."""
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": data}


def unpack_array(packed: dict[str, Any]) -> np.ndarray:
    """Returns the array that `pack_array` packed."""
    values = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), packed["dtype"])
    return values.reshape(packed["shape"])


def pack_pictures(pictures: np.ndarray) -> dict[str, Any]:
    """Packs pictures, an array of any shape, with one byte for each pixel.

    Values outside [0, 1] become 0 or 1.
    """
    return pack_array(np.rint(np.clip(WHITE * np.asarray(pictures), 0, WHITE)).astype(np.uint8))


def unpack_pictures(packed: dict[str, Any]) -> np.ndarray:
    """Returns the pictures that `pack_pictures` packed, float array with values in [0, 1]."""
    return unpack_array(packed) / WHITE
