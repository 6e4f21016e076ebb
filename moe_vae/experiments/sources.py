"""Data sets by name, and what a model needs of them beside images and labels."""

import dataclasses
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from moe_vae.data.checks import IMAGE_SHAPE, NUM_CLASSES, DataError
from moe_vae.data.dataset import DataSets, Form
from moe_vae.data.digits import DIGITS_SHAPE, read_small_digits
from moe_vae.data.mnist import read_mnist
from moe_vae.data.neighbours import compared_examples, nearest_neighbours, walk_steps
from moe_vae.data.own import ReadOptions, read_own
from moe_vae.data.spiral import SPIRAL_ARMS, make_spiral
from moe_vae.data.targets import add_affine_targets

__all__ = [
    "CACHE",
    "MNIST_SOURCES",
    "SHUFFLE_SEED",
    "SOURCES",
    "DataChoice",
    "Source",
    "is_path",
    "is_points",
    "prepare_data",
    "read_data",
    "source_titled",
]

# From examples [n, n_features] to what their neighbours are searched by.
Features = Callable[[np.ndarray], np.ndarray]

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


def _unlabelled(data_sets: DataSets) -> DataSets:
    without = data_sets.map(lambda part: part.without_labels())
    return without._replace(name=f"{data_sets.name} without labels")


SOURCES = {
    "auto": Source(
        "MNIST if it is there or can be downloaded, else the sample",
        _MNIST_FORM,
        lambda directory: read_mnist(directory, "auto"),
    ),
    "mnist": Source(
        "MNIST, from --data-dir or downloaded",
        _MNIST_FORM,
        lambda directory: read_mnist(directory, "mnist"),
        "MNIST",
    ),
    "sample": Source(
        "5,000 digits of MNIST that are installed with the package",
        _MNIST_FORM,
        lambda directory: read_mnist(directory, "sample"),
        "sample of 5,000 MNIST digits",
    ),
    "unlabelled-mnist": Source(
        "MNIST without its labels, so that nothing can be scored by them",
        Form(IMAGE_SHAPE),
        lambda directory: _unlabelled(read_mnist(directory, "mnist")),
        "MNIST without labels",
    ),
    "fashion-mnist": Source(
        "Fashion-MNIST, from --data-dir, Debian's package or downloaded",
        _MNIST_FORM,
        lambda directory: read_mnist(directory, "fashion-mnist"),
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


AS_IT_IS = ReadOptions()


@dataclass(frozen=True)
class DataChoice:
    """Which data set to read, and from where.

    Attributes:
      name: a key of `SOURCES`, or the path of your own data; see `read_own`.
      directory: where MNIST's four files are or go; None means the environment variable
        `MOE_VAE_DATA`, or else `MNIST_data`.
      cache: directory that keeps the nearest neighbours that some models need; None keeps nothing.
      reading: how your own data are read.
    """

    name: str = "auto"
    directory: str | Path | None = None
    cache: Path | None = CACHE
    reading: ReadOptions = AS_IT_IS

    @property
    def form(self) -> Form:
        """The examples' shape and the number of classes; your own data are read for it.

        Raises:
          DataError: the data cannot be read.
        """
        return SOURCES[self.name].form if self.name in SOURCES else self._own.form

    @property
    def title(self) -> str:
        """The name of the data sets; those that have no fixed one are read for it.

        Raises:
          DataError: the data cannot be read.
        """
        fixed = SOURCES[self.name].title if self.name in SOURCES else ""
        return fixed or self.read().name

    def read(self) -> DataSets:
        """Returns new data sets, no batch of them taken; see `read_data`."""
        if self.name in SOURCES:
            return read_data(self.name, self.directory)
        return self._own.map(lambda part: part.with_targets(part.targets))

    @functools.cached_property
    def _own(self) -> DataSets:
        return read_data(self.name, self.directory, self.reading)

    def record(self) -> dict[str, Any]:
        """Returns what a run's record keeps, from which `recorded` makes the choice again."""
        own = self.name not in SOURCES
        reading = dataclasses.asdict(self.reading) if own else {}
        given = {key: value for key, value in reading.items() if value is not None}
        return {"name": self.name, **{key: _plain(value) for key, value in given.items()}}

    def recorded(self, record: dict[str, Any]) -> "DataChoice":
        """Returns the choice of a run's record, with this one's directories.

        Raises:
          DataError: the record names no source.
        """
        source = record.get("source")
        if source is None:  # a run of version 0.1
            return dataclasses.replace(self, name=source_titled(record.get("data", "")))
        size = source.get("image_size")
        options = {key: value for key, value in source.items() if key != "name"}
        options |= {} if size is None else {"image_size": tuple(size)}
        return dataclasses.replace(self, name=source["name"], reading=ReadOptions(**options))

    def prepared(self, params: dict[str, Any], features: Features | None = None) -> DataSets:
        """Returns the data sets with what a model of these parameters needs; see `prepare_data`."""
        return prepare_data(self.read(), params, self.cache, features)


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


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def read_data(
    name: str = "auto",
    directory: str | Path | None = None,
    reading: ReadOptions | None = None,
) -> DataSets:
    """Reads a data set by its name, or your own data by their path.

    Args:
      name: a key of `SOURCES`, or a path; see `read_own`.
      directory: where MNIST's four files are or go; see `DataChoice`.
      reading: how your own data are read; None means the defaults.

    Returns:
      A new `DataSets`, no batch of it taken.

    Raises:
      DataError: the name is unknown, or the data cannot be had.
    """
    if name in SOURCES:
        return SOURCES[name].read(directory)
    if not is_path(name):
        raise DataError(
            f"data is {name!r}: it must be one of {', '.join(SOURCES)}, or the path of your own "
            "data"
        )
    return read_own(name, reading)


def is_path(name: str) -> bool:
    """Whether a data set's name is no key of `SOURCES` but a path, of which there is something."""
    return name not in SOURCES and (os.sep in name or os.path.lexists(name))


def prepare_data(
    data_sets: DataSets,
    params: dict[str, Any],
    cache: Path | None = None,
    features: Features | None = None,
) -> DataSets:
    """Adds what a model needs of its data: targets to regress on, or nearest neighbours.

    Args:
      data_sets: a `DataSets`.
      params: dict of all the model's parameters.
      cache: see `nearest_neighbours`.
      features: function of examples that returns what neighbours are searched by with the
        `neighbour_space` "features". Without it there are no neighbours then, as an evaluation
        needs none.

    Returns:
      For a regression on data without targets a new `DataSets` with those of
      `add_affine_targets`. For a model with the parameter `n_neighbours` the same one, its training
      set with `neighbours` if that is above 0; the spiral, which is sorted by arm, is a shuffled
      copy then, because the model measures information in batches. For other models the same one.
    """
    if params.get("task") == "regression" and data_sets.train.targets is None:
        return add_affine_targets(data_sets, params["n_outputs"], params["targets_seed"])
    if "n_neighbours" not in params:
        return data_sets
    if data_sets.name == "spiral":
        data_sets = data_sets.map(lambda part: part.shuffled(SHUFFLE_SEED))
    if params["n_neighbours"]:
        return _with_neighbours(data_sets, params, cache, features)
    return data_sets


def _with_neighbours(
    data_sets: DataSets, params: dict[str, Any], cache: Path | None, features: Features | None
) -> DataSets:
    train = data_sets.train
    if params.get("neighbour_space") == "features":
        if features is not None:
            found = features(train.images)
            train.neighbours = nearest_neighbours(found, params["n_neighbours"], cache)
        return data_sets
    compared = compared_examples(train.images, train.shape, params["deskew"])
    train.neighbours = nearest_neighbours(compared, params["n_neighbours"], cache)
    train.neighbour_steps = walk_steps(compared, train.neighbours, params["neighbour_reach"])
    return data_sets
