"""IDX files, the format of MNIST: any number of dimensions, any type, gzipped or not."""

import gzip
import io
import math
import re
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from moe_vae.data.checks import DataError
from moe_vae.data.limits import MAX_UNPACKED_BYTES, check_unpacked, existing
from moe_vae.data.parts import Examples, Parts, part_of_name

__all__ = ["is_idx", "read_idx", "read_idx_folder", "read_idx_stream", "read_promised"]

# The third byte of a file.
TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

MAX_DIMENSIONS = 64  # NumPy's


class _Header(NamedTuple):
    """What the first bytes of an IDX file say of the rest."""

    dtype: np.dtype
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return 4 + 4 * len(self.shape)

    @property
    def n_bytes(self) -> int:
        """The size of the whole file."""
        return self.size + math.prod(self.shape) * self.dtype.itemsize


def is_idx(path: Path) -> bool:
    """Whether a file is named like an IDX file: `train-images-idx3-ubyte`, `images.idx.gz`."""
    return re.search(r"[-.]idx(\d|$)", path.name.removesuffix(".gz")) is not None


def _header(content: bytes) -> _Header | None:
    """Returns the header at the start of a file, or None if there is no whole one."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES or not content[3]:
        return None
    shape = content[4 : 4 + 4 * content[3]]
    if len(shape) < 4 * content[3]:
        return None
    return _Header(np.dtype(TYPES[content[2]]), tuple(np.frombuffer(shape, ">u4").tolist()))


def read_idx_stream(stream: io.BufferedIOBase, source: str | Path) -> bytes:
    """Reads a file up to one byte past the end that its header promises.

    A gzipped file that unpacks to more than it should therefore takes no more memory.

    Returns:
      The bytes. What does not begin with a header is read no further than a header's length.

    Raises:
      DataError: the header promises too much for memory.
    """
    content = stream.read(4)
    content += stream.read(4 * content[3]) if len(content) == 4 else b""
    header = _header(content)
    if header is None:
        return content
    check_unpacked(header.n_bytes, source)
    return content + stream.read(header.n_bytes - header.size + 1)


def read_promised(path: Path) -> bytes:
    """Reads a file, gzipped if its name ends in `.gz`, with `read_idx_stream`.

    Raises:
      DataError: the file cannot be read or unpacked, or promises too much for memory.
    """
    existing(path, folders=False)  # a pipe would wait for ever
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            return read_idx_stream(stream, path)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def read_idx(path: Path) -> np.ndarray:
    """Reads the array in an IDX file; that in a file that is not gzipped is mapped into memory.

    Raises:
      DataError: the file cannot be read, is no IDX file, is shorter or longer than it says, or has
        more than 64 dimensions.
    """
    if path.suffix == ".gz":
        content = read_promised(path)
        header = _checked_header(content, len(content), path)
        return np.frombuffer(content, header.dtype, offset=header.size).reshape(header.shape)
    existing(path, folders=False)
    try:
        with path.open("rb") as stream:
            start = stream.read(4 + 4 * 255)
        header = _checked_header(start, path.stat().st_size, path)
        if 0 in header.shape:  # an empty file cannot be mapped
            return np.empty(header.shape, header.dtype)
        return np.memmap(path, header.dtype, "r", header.size, header.shape)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def _checked_header(start: bytes, n_bytes: int, path: Path) -> _Header:
    header = _header(start)
    if header is None:
        raise DataError(
            f"{path}: begins with {start[:4].hex(' ') or 'nothing'}: an IDX file begins with "
            "00 00, its type (08 to 0e), its number of dimensions and their sizes"
        )
    if len(header.shape) > MAX_DIMENSIONS:
        raise DataError(
            f"{path}: its header promises {len(header.shape)} dimensions: there may be at most "
            f"{MAX_DIMENSIONS}"
        )
    if 0 in header.shape and math.prod(filter(None, header.shape)) > MAX_UNPACKED_BYTES:
        raise DataError(f"{path}: its header promises the impossible shape {list(header.shape)}")
    if n_bytes != header.n_bytes:
        found = f"more than {header.n_bytes}" if n_bytes > header.n_bytes else str(n_bytes)
        raise DataError(
            f"{path}: holds {found} bytes, but its header promises shape {list(header.shape)}, "
            f"{header.n_bytes} bytes"
        )
    return header


def read_idx_folder(folder: Path) -> Parts:
    """Reads a folder of IDX files: images and, if any, labels, told apart by their dimensions.

    Files whose names contain `train` are training examples, `test` or `t10k` test examples, and
    `val` validation examples; files without such a word are one set, to be split.

    Raises:
      DataError: a file is damaged, two files have the same role, or labels have no images.
    """
    paths = {path.name.removesuffix(".gz"): path for path in sorted(folder.iterdir(), reverse=True)}
    images: dict[str, Path] = {}
    labels: dict[str, Path] = {}
    arrays = {}
    for path in sorted(path for path in paths.values() if is_idx(path)):
        arrays[path] = read_idx(path)
        part = part_of_name(path.name)
        role = labels if arrays[path].ndim == 1 else images
        if part in role:
            raise DataError(
                f"{folder}: {role[part].name} and {path.name} both hold "
                f"{'labels' if role is labels else 'images'} for {part}: there must be one file"
            )
        role[part] = path
    for part in labels.keys() - images.keys():
        raise DataError(f"{labels[part]}: holds labels, but {folder} has no images for them")
    return {
        part: Examples(arrays[path], arrays[labels[part]] if part in labels else None)
        for part, path in images.items()
    }
