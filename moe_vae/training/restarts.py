"""Restarts of a training from several seeds, of which the best by held-out loss is kept."""

import contextlib
import math
from collections.abc import Callable, Sequence

from moe_vae.data.dataset import DataSet
from moe_vae.params import ParameterError
from moe_vae.training.trainer import Trainer, TrainingError

__all__ = ["fit_restarts"]


def fit_restarts(
    start: Callable[[int], Trainer],
    train_set: DataSet,
    validation_set: DataSet,
    seeds: Sequence[int],
    epochs: int | None = None,
) -> tuple[Trainer, dict[int, float]]:
    """Trains one model from several seeds and keeps the one with the lowest held-out loss.

    The loss needs no labels, so the choice does not use the score. A loss that is not a number
    counts as infinite. A restart that diverges has no loss (NaN) and is not kept. Ctrl-C ends the
    running restart and starts no other.

    Args:
      start: function of a seed that returns a `Trainer`, ready to train.
      train_set: a `DataSet`; each restart continues the order of its batches.
      validation_set: a `DataSet` that the training does not see.
      seeds: list of whole numbers, one a restart.
      epochs: number of epochs; None means the model's own.

    Returns:
      The kept `Trainer`, and a dict of seed to held-out loss.

    Raises:
      ParameterError: there is no seed.
      TrainingError: every restart diverged.
    """
    if not seeds:
        raise ParameterError("seeds is empty: it must hold at least one whole number")
    kept: Trainer | None = None
    least = math.inf
    losses: dict[int, float] = {}
    with contextlib.ExitStack() as kept_session:
        for seed in seeds:
            trainer = start(seed)
            with contextlib.ExitStack() as own_session:
                own_session.callback(trainer.session.close)
                try:
                    trainer.model.pretrain(trainer, train_set)
                    if not trainer.stopped:
                        trainer.fit(train_set, epochs, sample=False)
                except TrainingError:
                    losses[seed] = math.nan
                    continue
                losses[seed] = trainer.evaluate(validation_set)["loss"]
                # NaN compares with nothing.
                loss = math.inf if math.isnan(losses[seed]) else losses[seed]
                if loss <= least:
                    kept, least = trainer, loss
                    kept_session.close()
                    kept_session.enter_context(own_session.pop_all())
            if trainer.interrupted:
                break
        kept_session.pop_all()
    if kept is None:
        raise TrainingError(f"the training diverged from each of the seeds {list(seeds)}")
    return kept, losses
