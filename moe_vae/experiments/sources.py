"""Data sets by name, and what a model needs of them beside images and labels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from moe_vae.data.checks import IMAGE_SHAPE, NUM_CLASSES, DataError
from moe_vae.data.dataset import DataSets, Form
from moe_vae.data.digits import DIGITS_SHAPE, read_small_digits
from moe_vae.data.mnist import read_data_sets
from moe_vae.data.neighbours import compared_examples, nearest_neighbours, walk_steps
from moe_vae.data.spiral import SPIRAL_ARMS, make_spiral
from moe_vae.data.targets import add_affine_targets

__all__ = [
    "CACHE",
    "MNIST_SOURCES",
    "SOURCES",
    "DataChoice",
    "Source",
    "is_points",
    "prepare_data",
    "read_data",
    "source_titled",
]

CACHE = Path("runs", "cache")
SHUFFLE_SEED = 0
SPIRAL_SEED = 0  # of the points; a run's own seed is that of its weights and batches


class Source(NamedTuple):
    """A data set by its name on the command line.

    Attributes:
      help: what it is, a few words for `--help`.
      form: the examples' shape and the number of classes.
      read: function of the directory of MNIST's files, or None, that returns new `DataSets`.
      title: the name of these `DataSets`; "" where it depends on what can be read.
    """

    help: str
    form: Form
    read: Callable[[str | Path | None], DataSets]
    title: str = ""


_MNIST_FORM = Form(IMAGE_SHAPE, NUM_CLASSES)

SOURCES = {
    "auto": Source(
        "MNIST if it is there or can be downloaded, else the sample",
        _MNIST_FORM,
        lambda directory: read_data_sets(directory, "auto"),
    ),
    "mnist": Source(
        "MNIST, from --data-dir or downloaded",
        _MNIST_FORM,
        lambda directory: read_data_sets(directory, "mnist"),
        "MNIST",
    ),
    "sample": Source(
        "5,000 digits of MNIST that are installed with the package",
        _MNIST_FORM,
        lambda directory: read_data_sets(directory, "sample"),
        "sample of 5,000 MNIST digits",
    ),
    "fashion-mnist": Source(
        "Fashion-MNIST, from --data-dir, Debian's package or downloaded",
        _MNIST_FORM,
        lambda directory: read_data_sets(directory, "fashion-mnist"),
        "Fashion-MNIST",
    ),
    "spiral": Source(
        "the paper's five arms, points in the plane",
        Form((2,), SPIRAL_ARMS),
        lambda directory: make_spiral(SPIRAL_SEED),
        "spiral",
    ),
    "digits": Source(
        "scikit-learn's 1,797 digits of 8 x 8 pixels",
        Form(DIGITS_SHAPE, NUM_CLASSES),
        lambda directory: read_small_digits(),
        "8 x 8 digits",
    ),
}
# Those that every model reads.
MNIST_SOURCES = tuple(name for name, source in SOURCES.items() if source.form == _MNIST_FORM)


@dataclass(frozen=True)
class DataChoice:
    """Which data set to read, and from where.

    Attributes:
      name: a key of `SOURCES`.
      directory: where MNIST's four files are or go; None means the environment variable
        `MOE_VAE_DATA`, or else `MNIST_data`.
      cache: directory that keeps the nearest neighbours that some models need; None keeps nothing.
    """

    name: str = "auto"
    directory: str | Path | None = None
    cache: Path | None = CACHE

    @property
    def form(self) -> Form:
        """The examples' shape and the number of classes."""
        return SOURCES[self.name].form

    def read(self) -> DataSets:
        """Returns the data sets as they are; see `read_data`."""
        return read_data(self.name, self.directory)

    def prepared(self, params: dict[str, Any]) -> DataSets:
        """Returns the data sets with what a model of these parameters needs; see `prepare_data`."""
        return prepare_data(self.read(), params, self.cache)


def is_points(data: str) -> bool:
    """Whether a data set, a key of `SOURCES`, holds points and no images."""
    return SOURCES[data].form.are_points


def source_titled(title: str) -> str:
    """Returns the key of `SOURCES` whose data sets have a title, as a run's record keeps it.

    Raises:
      DataError: there is none.
    """
    for name, source in SOURCES.items():
        if source.title == title:
            return name
    raise DataError(f"data are {title!r}, which no source has: name one of {', '.join(SOURCES)}")


def read_data(name: str = "auto", directory: str | Path | None = None) -> DataSets:
    """Reads a data set by its name.

    Args:
      name: a key of `SOURCES`.
      directory: where MNIST's four files are or go; see `DataChoice`.

    Returns:
      A new `DataSets`, no batch of it taken.

    Raises:
      DataError: the name is unknown, or the data cannot be had.
    """
    if name not in SOURCES:
        raise DataError(f"data is {name!r}: it must be one of {', '.join(SOURCES)}")
    return SOURCES[name].read(directory)


def prepare_data(
    data_sets: DataSets, params: dict[str, Any], cache: Path | None = None
) -> DataSets:
    """Adds what a model needs of its data: targets to regress on, or nearest neighbours.

    Args:
      data_sets: a `DataSets`.
      params: dict of all the model's parameters.
      cache: see `nearest_neighbours`.

    Returns:
      For a regression a new `DataSets` with targets by `add_affine_targets`. For a model with the
      parameter `n_neighbours` above 0 the same one, its training set with `neighbours`; the
      spiral, which is sorted by arm, is a shuffled copy then. For other models the same one.
    """
    if params.get("task") == "regression":
        return add_affine_targets(data_sets, params["n_outputs"], params["targets_seed"])
    if params.get("n_neighbours"):
        return _with_neighbours(data_sets, params, cache)
    return data_sets


def _with_neighbours(data_sets: DataSets, params: dict[str, Any], cache: Path | None) -> DataSets:
    if data_sets.name == "spiral":
        data_sets = data_sets.map(lambda part: part.shuffled(SHUFFLE_SEED))
    train = data_sets.train
    compared = compared_examples(train.images, train.shape, params["deskew"])
    train.neighbours = nearest_neighbours(compared, params["n_neighbours"], cache)
    train.neighbour_steps = walk_steps(compared, train.neighbours, params["neighbour_reach"])
    return data_sets
