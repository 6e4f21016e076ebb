"""A data set that hands out shuffled batches, as TensorFlow's tutorial module did."""

import functools
import zlib
from typing import NamedTuple

import numpy as np

from moe_vae.data.checks import (
    DataError,
    check_images,
    check_labels,
    check_targets,
)

__all__ = ["DataSet", "DataSets"]


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
