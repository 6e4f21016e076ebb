"""Passes over data sets of any size, a chunk of rows at a time."""

import zlib
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

__all__ = ["CHUNK_VALUES", "Rows", "count_not_finite", "crc32", "row_chunks", "value_range"]

CHUNK_VALUES = 1 << 23  # values in a chunk: 32 MB as float32


class Rows(Protocol):
    """What an array and a `StoredImages` have in common: rows that can be taken out."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of rows and of columns."""

    @property
    def dtype(self) -> np.dtype:
        """The type of the rows that are taken out."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any) -> np.ndarray: ...


def row_chunks(rows: Rows) -> Iterator[slice]:
    """Returns slices that cover all rows in order, each of at most 8 million values."""
    size = max(1, CHUNK_VALUES // max(1, int(np.prod(rows.shape[1:]))))
    return (slice(start, start + size) for start in range(0, len(rows), size))


def value_range(rows: Rows) -> tuple[float, float]:
    """Returns the smallest and the largest value of at least one row; both are NaN if any is."""
    parts = (rows[chunk] for chunk in row_chunks(rows))
    extremes = np.array([(part.min(), part.max()) for part in parts])
    # NumPy's minimum and maximum are NaN if any value is.
    return extremes[:, 0].min(), extremes[:, 1].max()


def count_not_finite(rows: Rows) -> int:
    """Returns how many values are NaN or infinite."""
    return sum(int(np.count_nonzero(~np.isfinite(rows[chunk]))) for chunk in row_chunks(rows))


def crc32(rows: Rows, start: int = 0) -> int:
    """Returns the CRC-32 of the bytes of all rows, as `zlib.crc32` does for the whole array.

    Args:
      rows: an array, or a `StoredImages`, whose float32 values count.
      start: the CRC-32 of what comes before.
    """
    for chunk in row_chunks(rows):
        start = zlib.crc32(np.ascontiguousarray(rows[chunk]).data, start)
    return start
