"""Images that stay as they are stored, bytes in memory or a file, and become numbers in use."""

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from moe_vae.data.chunks import row_chunks

__all__ = ["StoredImages", "as_rows", "scaled"]


def scaled(pixels: np.ndarray, inverted: bool = False, largest: float | None = None) -> np.ndarray:
    """Returns pixels as float32 values in [0, 1].

    Args:
      pixels: array of any shape.
      inverted: whether 0 becomes 1 and 1 becomes 0.
      largest: the pixel that becomes 1; None means the type's largest for uint8 and uint16, and 1
        for other types.
    """
    if largest is None:
        largest = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    values = pixels.astype(np.float32)
    if largest != 1:
        values *= np.float32(1 / largest)
    return 1 - values if inverted else values


class StoredImages:
    """Images that are read as a float32 array [n, n_features], but take the space of their pixels.

    A million images of 28 x 28 pixels take 0.8 GB of bytes, and 3.1 GB as float32 values. Pixels in
    a file that is mapped into memory (`numpy.memmap`) take no memory of their own.

    `stored[rows]`, for a slice or an array of row numbers, is a float32 array [m, n_features];
    `numpy.asarray(stored)` makes one of all images.

    Attributes:
      shape: (n, n_features).
      dtype: float32, the type of what is read.
      ndim: 2.

    Args:
      pixels: array [n, ...], one image a row.
      order: whole-number array, the rows of `pixels` in the order of the images; None means all
        rows, as they stand.
      inverted, largest: see `scaled`.
    """

    def __init__(
        self,
        pixels: np.ndarray,
        order: np.ndarray | None = None,
        inverted: bool = False,
        largest: float | None = None,
    ) -> None:
        self._pixels = pixels
        self._order = order
        self._inverted = inverted
        self._largest = largest
        n_images = len(pixels) if order is None else len(order)
        self.shape = (n_images, int(np.prod(pixels.shape[1:])))
        self.dtype = np.dtype(np.float32)
        self.ndim = 2

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        if not isinstance(rows, slice):
            rows = np.asarray(rows)
            if rows.ndim != 1:
                raise IndexError(
                    f"rows have {rows.ndim} dimensions: they must be a slice or a list of rows"
                )
        pixels = self._pixels[rows if self._order is None else self._order[rows]]
        return scaled(pixels.reshape(len(pixels), -1), self._inverted, self._largest)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("stored images are read into a new array: copy must not be False")
        images = np.empty(self.shape, np.float32)
        for chunk in row_chunks(self):
            images[chunk] = self[chunk]
        return images if dtype is None else images.astype(dtype, copy=False)


def as_rows(values: "ArrayLike | StoredImages") -> np.ndarray:
    """Returns `values` as an array, or as they are if they are `StoredImages`."""
    # Type hints call both an array: whoever reads rows needs not know which it is.
    return cast(np.ndarray, values if isinstance(values, StoredImages) else np.asarray(values))
