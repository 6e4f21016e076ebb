"""What an estimator may call after every epoch."""

from typing import Any

import numpy as np

__all__ = ["EarlyStopping"]


class EarlyStopping:
    """Ends a training whose loss has stopped falling.

    Args:
      patience: number of epochs without a fall, after which the training ends; at least 1.
      min_delta: how much lower, in nats, a loss must be to count as a fall; at least 0.
      validation: array [n, n_features] of examples whose mean loss at their mean codes is watched,
        minus the estimator's `score_samples`; None watches the loss of the training set.
      loss: the name of the training loss, a key of the estimator's `history_`; not used with
        `validation`.

    Attributes:
      best_: the lowest loss so far, or None before the first epoch.

    Raises:
      ValueError: `patience` or `min_delta` is out of range; in a training, the estimator has no
        such loss, or no `score_samples` for `validation`.
    """

    def __init__(
        self,
        patience: int = 5,
        min_delta: float = 0.0,
        validation: Any = None,
        loss: str = "loss",
    ) -> None:
        if patience < 1:
            raise ValueError(f"patience is {patience}: it must be at least 1")
        if min_delta < 0:
            raise ValueError(f"min_delta is {min_delta}: it must be at least 0")
        self.patience = patience
        self.min_delta = min_delta
        self.validation = validation
        self.loss = loss
        self.begin()

    def begin(self) -> None:
        """Forgets what was seen; called at the beginning of every fit."""
        self.best_: float | None = None
        self._n_without_fall = 0

    def __call__(self, estimator: Any) -> bool:
        """Returns whether the training should end.

        Args:
          estimator: the estimator that is being trained; it can already predict.
        """
        loss = self._watched(estimator)
        if self.best_ is None or loss < self.best_ - self.min_delta:
            self.best_, self._n_without_fall = loss, 0
        else:
            self._n_without_fall += 1
        return self._n_without_fall >= self.patience

    def _watched(self, estimator: Any) -> float:
        if self.validation is not None:
            if not hasattr(estimator, "score_samples"):
                raise ValueError(
                    f"validation: a {type(estimator).__name__} has no score_samples; without "
                    "validation the training loss is watched"
                )
            return -float(np.mean(estimator.score_samples(self.validation)))
        if self.loss not in estimator.history_:
            raise ValueError(
                f"loss is {self.loss!r}: it must be one of {', '.join(estimator.history_)}"
            )
        return estimator.history_[self.loss][-1]
