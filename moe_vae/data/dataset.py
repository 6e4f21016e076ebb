"""A data set that hands out shuffled batches as TensorFlow's tutorial module did."""

import math
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from moe_vae.data.checks import (
    IMAGE_SHAPE,
    DataError,
    check_examples,
    check_labels,
    check_targets,
)
from moe_vae.data.chunks import crc32
from moe_vae.files import shown

__all__ = ["Batch", "DataSet", "DataSets", "Form", "Shape"]

# Of one example: (height, width) of an image, or (n_features,) of a point.
Shape = tuple[int, ...]


class Form(NamedTuple):
    """What a model must know of the data before it is built.

    Attributes:
      shape: (height, width) of an image with values in [0, 1], or (n_features,) of a point, whose
        values may be any numbers.
      n_classes: number of classes, or None without labels.
    """

    shape: Shape
    n_classes: int | None = None

    @property
    def n_features(self) -> int:
        """The number of columns."""
        return math.prod(self.shape)

    @property
    def are_points(self) -> bool:
        """Whether the examples are points and not images."""
        return len(self.shape) == 1


class Batch(NamedTuple):
    """Some examples of a data set.

    Attributes:
      images: float32 array [n, n_features].
      labels: whole-number array [n], or None.
      targets: float32 array [n, n_outputs], the values to predict from the images, or None.
      partners: float32 array [n, n_features], a near image for each of `images`, or None.
    """

    images: np.ndarray
    labels: np.ndarray | None
    targets: np.ndarray | None = None
    partners: np.ndarray | None = None


class DataSet:
    """Images or points and, if any, their labels, regression targets and neighbours.

    NumPy's global generator decides the order of the batches, exactly as in TensorFlow's tutorial
    module: it shuffles the examples before the first batch and whenever they run out. A batch that
    reaches past the end takes its last examples from the new order.

    Attributes:
      images, labels, targets, shape: what was given.
      neighbours: whole-number array [n, n_neighbours], for each example the rows of its
        neighbours; None at first. If set, every batch has `partners`.
      neighbour_steps: the length of the walk, from neighbour to neighbour, that picks an example's
        partner; 1 at first.

    Args:
      images: float32 array [n, n_features]; images have values in [0, 1].
      labels: whole-number array [n], the classes from 0; None without labels.
      targets: float32 array [n, n_outputs], the values to predict from `images`, or None.
      shape: (height, width) of the images, or (n_features,) of points.

    Raises:
      DataError: the arrays do not have these forms.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        targets: np.ndarray | None = None,
        shape: Shape = IMAGE_SHAPE,
    ) -> None:
        form = Form(shape)
        self.images = check_examples(images, form.n_features, not form.are_points)
        self.labels = None if labels is None else check_labels(labels, len(self.images))
        self.targets = None if targets is None else check_targets(targets, len(self.images))
        self.neighbours: np.ndarray | None = None
        self.neighbour_steps = 1
        self.shape = shape
        self._order: np.ndarray | None = None
        self._position = 0

    @property
    def num_examples(self) -> int:
        """The number of examples."""
        return len(self.images)

    def next_batch(self, batch_size: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns the next images [batch_size, 784] and labels [batch_size], as the tutorial's did.

        Args and Raises are those of `take_batch`.

        Source: post 2, cell 7; post 3, cell 7.
        """
        images, labels, *_ = self.take_batch(batch_size)
        return images, labels

    def take_batch(self, batch_size: int) -> Batch:
        """Returns the next `batch_size` examples; Args and Raises are those of `take_rows`."""
        return self.examples(self.take_rows(batch_size))

    def take_rows(self, batch_size: int) -> np.ndarray:
        """Returns the rows of the next `batch_size` examples, whole-number array [batch_size].

        Args:
          batch_size: in 1 to `num_examples`.

        Raises:
          DataError: `batch_size` is out of range.
        """
        is_whole = isinstance(batch_size, numbers.Integral) and not isinstance(batch_size, bool)
        if not is_whole or not 1 <= batch_size <= self.num_examples:
            raise DataError(
                f"batch_size is {shown(batch_size)}: it must be a whole number in 1 to "
                f"{self.num_examples}"
            )
        if self._order is None:
            self._order = _shuffled(np.arange(self.num_examples))
        rows = self._order[self._position : self._position + batch_size]
        self._position += len(rows)
        if len(rows) < batch_size:
            self._order = _shuffled(self._order)
            self._position = batch_size - len(rows)
            rows = np.concatenate([rows, self._order[: self._position]])
        return rows

    def examples(self, rows: slice | np.ndarray) -> Batch:
        """Returns the examples at `rows`.

        If the data set has `neighbours`, NumPy's global generator draws the partners.
        """
        return Batch(
            self.images[rows],
            None if self.labels is None else self.labels[rows],
            None if self.targets is None else self.targets[rows],
            self._draw_partners(rows),
        )

    def _draw_partners(self, rows: slice | np.ndarray) -> np.ndarray | None:
        if self.neighbours is None:
            return None
        places = np.arange(len(self.images))[rows]  # `rows` of a shard are those of the whole set
        sizes = [self.neighbour_steps, len(places)]
        for columns in np.random.randint(self.neighbours.shape[1], size=sizes):
            places = self.neighbours[places, columns]
        return self.images[places]

    def needed_labels(self) -> np.ndarray:
        """Returns the labels.

        Raises:
          DataError: there are none.
        """
        if self.labels is None:
            raise DataError("the data have no labels, which are needed here")
        return self.labels

    def with_targets(self, targets: np.ndarray | None) -> "DataSet":
        """Returns a data set of the same images and labels with other `targets`."""
        return DataSet(self.images, self.labels, targets, self.shape)

    def without_labels(self) -> "DataSet":
        """Returns a data set of the same examples without their labels."""
        return DataSet(self.images, None, self.targets, self.shape)

    def shuffled(self, seed: int) -> "DataSet":
        """Returns a data set of the same examples, in an order that depends on the seed alone."""
        order = np.random.default_rng(seed).permutation(self.num_examples)
        labels, targets = (
            None if values is None else values[order] for values in (self.labels, self.targets)
        )
        return DataSet(self.images[order], labels, targets, self.shape)

    @property
    def batch_state(self) -> dict[str, Any]:
        """The place of the next batch; setting it makes the batches continue from there.

        A dict of `order`, a whole-number array that is empty before the first batch, and
        `position`, a whole number. The state of NumPy's generator is not part of it.
        """
        order = np.empty(0, int) if self._order is None else self._order
        return {"order": order, "position": self._position}

    @batch_state.setter
    def batch_state(self, state: dict[str, Any]) -> None:
        self._order = state["order"] if len(state["order"]) else None
        self._position = int(state["position"])

    def checksum(self) -> int:
        """Returns a CRC-32 of the images, labels and targets."""
        crc = 0
        for array in (self.images, self.labels, self.targets):
            if array is not None:
                crc = crc32(array, crc)
        return crc


class DataSets(NamedTuple):
    """The three parts of a data set.

    Attributes:
      train, validation, test: the parts.
      name: its name in titles.
      class_names: the name of each class, or None if they are plain numbers.
      inverted: whether black and white of all images were exchanged when they were read from files
        of one's own; None for other data.
    """

    train: DataSet
    validation: DataSet
    test: DataSet
    name: str
    class_names: tuple[str, ...] | None = None
    inverted: bool | None = None

    @property
    def form(self) -> Form:
        """The examples' shape and the number of classes."""
        labels = [part.labels for part in self[:3] if part.labels is not None]
        n_classes = max(int(part.max()) + 1 for part in labels) if labels else None
        return Form(self.train.shape, len(self.class_names) if self.class_names else n_classes)

    def map(self, change: Callable[[DataSet], DataSet]) -> "DataSets":
        """Returns the data sets with every part changed by a function."""
        return self._replace(
            train=change(self.train), validation=change(self.validation), test=change(self.test)
        )


def _shuffled(order: np.ndarray) -> np.ndarray:
    # The tutorial module shuffled the rows 0 to n - 1 and indexed the images, as the last shuffle
    # had left them, with the result. Composing the permutations gives the same order.
    permutation = np.arange(len(order))
    np.random.shuffle(permutation)
    return order[permutation]
