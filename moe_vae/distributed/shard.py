"""A worker's share of a data set."""

from typing import Any

import numpy as np

from moe_vae.data.dataset import Batch, DataSet

__all__ = ["Shard"]


class Shard(DataSet):
    """A worker's share of a data set: every `n_shards`-th example, from its number on.

    Its batches come from the share alone. No example is in two shares.

    Args:
      data_set: the whole `DataSet`.
      number: which share, from 0.
      n_shards: number of shares.
    """

    def __init__(self, data_set: DataSet, number: int, n_shards: int) -> None:
        vars(self).update(vars(data_set), _order=None, _position=0)
        self._rows = np.arange(number, data_set.num_examples, n_shards)

    @property
    def num_examples(self) -> int:
        """Number of examples in the share."""
        return len(self._rows)

    def examples(self, rows: Any) -> Batch:
        """Returns the share's examples at `rows`; see `DataSet.examples`."""
        return super().examples(self._rows[rows])
