"""Exact nearest neighbours among the examples of a data set, in bounded memory."""

import sys
import zlib

import numpy as np
from scipy import ndimage
from tqdm import tqdm

from moe_vae.data.checks import square_side
from moe_vae.params import ParameterError

__all__ = ["deskew", "nearest_neighbours", "walk_steps"]

# Rows whose distances to all examples are held at once: 0.2 GB for 55,000 examples.
BLOCK_SIZE = 1000
BLUR = 0.7  # pixels, the standard deviation


def deskew(images):
    """Takes the slant and the place out of images, and blurs them a little.

    With ink as mass, an image is shifted to have its centre of mass in the middle, and sheared
    along its rows until row and column are uncorrelated; then comes a Gaussian blur of 0.7 pixels.
    What is left of the distance between two images is more a matter of what they show.

    Args:
      images: float array [n, side * side], not negative.

    Returns:
      Float32 array [n, side * side].

    Raises:
      DataError: the images are not square.
    """
    n, side = len(images), square_side(images.shape[1])
    row, column = np.mgrid[:side, :side].astype(np.float32)
    upright = np.empty([n, side, side], np.float32)
    for start in range(0, n, BLOCK_SIZE):
        block = images[start : start + BLOCK_SIZE].reshape(-1, side, side)

        def mean(values, block=block):
            mass = np.maximum(block.sum(axis=(1, 2)), np.finfo(np.float32).tiny)
            return ((block * values).sum(axis=(1, 2)) / mass)[:, None, None]

        middle_row, middle_column = mean(row), mean(column)
        from_row = row - middle_row
        spread = np.maximum(mean(np.square(from_row)), np.finfo(np.float32).eps)
        slant = mean(from_row * (column - middle_column)) / spread
        centre = (side - 1) / 2
        places = np.broadcast_arrays(
            np.arange(len(block))[:, None, None],
            row - centre + middle_row,
            column - centre + middle_column + slant * (row - centre),
        )
        upright[start : start + BLOCK_SIZE] = ndimage.map_coordinates(block, places, order=1)
    return ndimage.gaussian_filter(upright, (0, BLUR, BLUR)).reshape(n, -1)


def nearest_neighbours(examples, n_neighbours, cache=None):
    """Finds each example's nearest others by Euclidean distance, exactly.

    The squared distances |x|^2 - 2 x.y + |y|^2 come from one matrix product a block of rows; on
    MNIST's 55,000 training images that is several times faster than a search tree, which gains
    nothing in 784 dimensions.

    Args:
      examples: float32 array [n, n_features].
      n_neighbours: from 1 to n - 1.
      cache: a `pathlib.Path` of a directory that keeps what was found, under the examples'
        checksum; None keeps nothing.

    Returns:
      Int32 array [n, n_neighbours], rows of `examples`, in no certain order.

    Raises:
      ParameterError: there are fewer than `n_neighbours` others.
      OSError: the cache cannot be read or written.
    """
    if not 1 <= n_neighbours < len(examples):
        raise ParameterError(
            f"parameter 'n_neighbours' is {n_neighbours}: it must be in 1 to {len(examples) - 1}"
        )
    if cache is None:
        return _search(examples, n_neighbours)
    checksum = zlib.crc32(np.ascontiguousarray(examples))
    path = cache / f"neighbours-{len(examples)}-{checksum:08x}-{n_neighbours}.npy"
    if not path.exists():
        found = _search(examples, n_neighbours)
        cache.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        with partial.open("wb") as file:
            np.save(file, found)
        partial.replace(path)
    return np.load(path)


def walk_steps(examples, neighbours, reach):
    """Says how many steps from neighbour to neighbour are to lead to what stands for an example.

    With D^2 the mean squared distance of two examples and s^2 that of an example to its
    neighbours, n steps that know nothing of each other would lead a distance of s sqrt(n). Here

        n = max(1, floor(reach^2 D^2 / s^2))

    Among many examples in few dimensions neighbours are so near that one tells nothing new: many
    steps are wanted, and as they go where examples are, they stay in one cluster. In many
    dimensions a neighbour is almost as far as anybody, and one step is all that can be trusted.

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
            "example has so many copies"
        )
    between = 2 * examples.var(axis=0, dtype=np.float64).sum()
    return max(1, int(reach**2 * between / step))


def _progress(starts):
    return tqdm(starts, unit="block", desc="nearest neighbours", file=sys.stdout)


def _search(examples, n_neighbours):
    squares = np.square(examples).sum(axis=1)
    found = np.empty([len(examples), n_neighbours], np.int32)
    for start in _progress(range(0, len(examples), BLOCK_SIZE)):
        block = slice(start, start + BLOCK_SIZE)
        distances = squares - 2 * (examples[block] @ examples.T)
        rows = np.arange(len(distances))
        distances[rows, start + rows] = np.inf  # an example is not its own neighbour
        found[block] = np.argpartition(distances, n_neighbours, axis=1)[:, :n_neighbours]
    return found
