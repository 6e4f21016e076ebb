"""Restarts of a training from several seeds, of which the best by held-out loss is kept."""

from collections.abc import Callable, Sequence

from moe_vae.data.dataset import DataSet
from moe_vae.params import ParameterError
from moe_vae.training.trainer import Trainer

__all__ = ["fit_restarts"]


def fit_restarts(
    start: Callable[[int], Trainer],
    train_set: DataSet,
    validation_set: DataSet,
    seeds: Sequence[int],
    epochs: int | None = None,
) -> tuple[Trainer, dict[int, float]]:
    """Trains one model from several seeds and keeps the one with the lowest held-out loss.

    The loss needs no labels, so the choice does not use the score. Ctrl-C ends the running restart
    and starts no other.

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
    """
    if not seeds:
        raise ParameterError("seeds is empty: it must hold at least one whole number")
    kept: Trainer | None = None
    losses: dict[int, float] = {}
    for seed in seeds:
        trainer = start(seed)
        trainer.model.pretrain(trainer, train_set)
        if not trainer.interrupted:
            trainer.fit(train_set, epochs, sample=False)
        losses[seed] = trainer.evaluate(validation_set)["loss"]
        dropped: Trainer | None = trainer
        if losses[seed] == min(losses.values()):
            kept, dropped = trainer, kept
        if dropped is not None:
            dropped.session.close()
        if trainer.interrupted:
            break
    assert kept is not None  # there is a seed
    return kept, losses
