"""Nearest neighbours among the examples of a data set, in bounded memory."""

import io
from pathlib import Path

import numpy as np

from moe_vae.data.arrays import read_npy
from moe_vae.data.checks import IMAGE_SHAPE, DataError
from moe_vae.data.chunks import Rows, crc32
from moe_vae.data.dataset import Shape
from moe_vae.data.large import approximate_neighbours, load_faiss, principal_components
from moe_vae.files import write_whole
from moe_vae.messages import progress_bar
from moe_vae.params import ParameterError

__all__ = ["compared_examples", "deskew", "nearest_neighbours", "walk_steps"]

# The number of rows whose distances to all examples are in memory at once: 0.2 GB for 55,000
# examples.
BLOCK_SIZE = 1000
BLUR = 0.7  # pixels, the standard deviation
MAX_EXACT = 100_000  # examples whose neighbours are searched exactly
FAR = 0.9  # share of |mean|^2 in the mean of |x|^2; above it float32 loses more than a digit


def deskew(images: np.ndarray, shape: Shape = IMAGE_SHAPE) -> np.ndarray:
    """Removes the slant and the position of digits and blurs them slightly.

    Each image is shifted until its centre of mass (the ink is the mass) is in the middle, sheared
    along its rows until row and column are uncorrelated, and blurred by a Gaussian with a standard
    deviation of 0.7 pixels. The distance between two results depends more on what the images show
    and less on how it was written.

    Args:
      images: float array [n, height * width], not negative.
      shape: (height, width).

    Returns:
      Float32 array [n, height * width].

    Raises:
      DataError: the examples are points.
    """
    from scipy import ndimage

    if len(shape) != 2:
        raise DataError(f"the data are points of {shape[0]} features: only images can be deskewed")
    n = len(images)
    upright = np.empty([n, *shape], np.float32)
    for start in range(0, n, BLOCK_SIZE):
        block = images[start : start + BLOCK_SIZE].reshape(-1, *shape)
        upright[start : start + BLOCK_SIZE] = ndimage.map_coordinates(
            block, _upright_places(block), order=1
        )
    return ndimage.gaussian_filter(upright, (0, BLUR, BLUR)).reshape(n, -1)


def _upright_places(images: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns image, row and column [n, height, width] that each pixel of the result shows."""
    height, width = images.shape[1:]
    row, column = np.mgrid[:height, :width].astype(np.float32)

    def mean(values: np.ndarray) -> np.ndarray:
        mass = np.maximum(images.sum(axis=(1, 2)), np.finfo(np.float32).tiny)
        return ((images * values).sum(axis=(1, 2)) / mass)[:, None, None]

    middle_row, middle_column = mean(row), mean(column)
    from_row = row - middle_row
    spread = np.maximum(mean(np.square(from_row)), np.finfo(np.float32).eps)
    slant = mean(from_row * (column - middle_column)) / spread
    centre_row, centre_column = (height - 1) / 2, (width - 1) / 2
    return np.broadcast_arrays(
        np.arange(len(images))[:, None, None],
        row - centre_row + middle_row,
        column - centre_column + middle_column + slant * (row - centre_row),
    )


def compared_examples(
    examples: Rows, shape: Shape = IMAGE_SHAPE, deskewed: bool = False
) -> np.ndarray:
    """Returns what the neighbours of examples are searched by.

    That is the examples themselves, or the images that `deskew` makes of them. Of more than 100,000
    examples, it is the coordinates along 50 principal components, which take a fraction of the
    memory; see `principal_components`.

    Args:
      examples: array or `StoredImages` [n, n_features].
      shape: of one example.
      deskewed: whether images are deskewed first.

    Returns:
      Float32 array [n, n_features], or [n, 50] at most.

    Raises:
      DataError: points are to be deskewed, or a set so large needs faiss, which is not installed.
    """

    def prepare(block: np.ndarray) -> np.ndarray:
        return deskew(block, shape) if deskewed else block

    if len(examples) <= MAX_EXACT:
        return prepare(np.asarray(examples))
    load_faiss(len(examples))  # missed now, not after minutes of work
    return principal_components(examples, prepare)


def nearest_neighbours(
    examples: np.ndarray, n_neighbours: int, cache: Path | None = None
) -> np.ndarray:
    """Finds each example's nearest neighbours by Euclidean distance.

    Among 100,000 examples at most, the search is exact. One matrix product gives the squared
    distances |x|^2 - 2 x.y + |y|^2 of a block of rows. For MNIST's 55,000 training images this is
    several times faster than a search tree, which saves nothing in 784 dimensions. Among more
    examples, `approximate_neighbours` misses a few. The mean of examples that are all far from 0 is
    subtracted first, because these terms would cancel in float32.

    Args:
      examples: float32 array [n, n_features].
      n_neighbours: in 1 to n - 1.
      cache: a directory that keeps the result in a file named after the checksum of what is
        searched; None keeps nothing.

    Returns:
      Int32 array [n, n_neighbours], rows of `examples`, in no particular order.

    Raises:
      ParameterError: `n_neighbours` is out of range.
      DataError: there are more than 100,000 examples, and faiss is not installed.
      OSError: the cache cannot be read or written.
    """
    if not 1 <= n_neighbours < len(examples):
        raise ParameterError(
            f"parameter 'n_neighbours' is {n_neighbours}: it must be in 1 to {len(examples) - 1}"
        )
    examples = _centred_if_far(examples)
    search = _search if len(examples) <= MAX_EXACT else approximate_neighbours
    if cache is None:
        return search(examples, n_neighbours)
    path = cache / f"neighbours-{len(examples)}-{crc32(examples):08x}-{n_neighbours}.npy"
    if not path.exists():
        content = io.BytesIO()
        np.save(content, search(examples, n_neighbours))
        write_whole(path, content.getvalue())
    return _cached(path, len(examples), n_neighbours)


def _centred_if_far(examples: np.ndarray) -> np.ndarray:
    """Returns examples that are all far from 0 without their mean, and others as they are."""
    # Centring rounds, which may swap neighbours that are almost equally near. Where it gains
    # nothing, such as in images, recorded runs keep their neighbours.
    mean = examples.mean(axis=0, dtype=np.float64)
    square = np.einsum("ij,ij->", examples, examples, dtype=np.float64) / len(examples)
    if mean @ mean <= FAR * square:
        return examples
    return examples - mean.astype(np.float32)


def _cached(path: Path, n_examples: int, n_neighbours: int) -> np.ndarray:
    found = read_npy(path)
    is_whole = found.shape == (n_examples, n_neighbours) and found.dtype.kind in "iu"
    if not is_whole or found.min() < 0 or found.max() >= n_examples:
        raise DataError(
            f"{path}: does not hold rows of {n_examples} examples, {n_neighbours} for each: "
            "delete it, and it is made again"
        )
    return np.array(found)


def _search(examples: np.ndarray, n_neighbours: int) -> np.ndarray:
    squares = np.square(examples).sum(axis=1)
    found = np.empty([len(examples), n_neighbours], np.int32)
    starts = progress_bar(
        range(0, len(examples), BLOCK_SIZE),
        unit="block",
        desc="nearest neighbours",
        disable=None,
    )
    for start in starts:
        block = slice(start, start + BLOCK_SIZE)
        distances = squares - 2 * (examples[block] @ examples.T)
        rows = np.arange(len(distances))
        distances[rows, start + rows] = np.inf  # an example is not its own neighbour
        found[block] = np.argpartition(distances, n_neighbours, axis=1)[:, :n_neighbours]
    return found


def walk_steps(examples: np.ndarray, neighbours: np.ndarray, reach: float) -> int:
    """Returns the length of the neighbour walk that picks an example's second view.

    With D^2 the mean squared distance between two examples and s^2 that between an example and
    its neighbours, n independent steps would cover a distance of s sqrt(n). The walk has

        n = max(1, floor(reach^2 D^2 / s^2))

    Among many examples in few dimensions, neighbours are so near that one step shows nothing new.
    The walk then takes many steps; since it visits examples only, it stays in one cluster. In many
    dimensions a neighbour is almost as far away as any example, and one step is enough.

    Args:
      examples: float32 array [n, n_features].
      neighbours: whole-number array [n, n_neighbours], rows of `examples`.
      reach: share of the distance D, in 0 to 1.

    Returns:
      Whole number of at least 1.

    Raises:
      ParameterError: all neighbours are copies of their example.
    """
    squares = [
        np.square(examples[rows, None] - examples[neighbours[rows]]).sum(axis=2).mean(axis=1)
        for rows in np.array_split(np.arange(len(examples)), 1 + len(examples) // BLOCK_SIZE)
    ]
    step = np.concatenate(squares).mean()
    if not step:
        raise ParameterError(
            f"parameter 'n_neighbours' is {neighbours.shape[1]}: it must be more where every "
            "example has that many copies"
        )
    between = 2 * examples.var(axis=0, dtype=np.float64).sum()
    return max(1, int(reach**2 * between / step))
