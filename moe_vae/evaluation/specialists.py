"""Scores of mixtures whose experts are digits, and what is recorded of any mixture's experts."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from moe_vae.data.dataset import DataSet, DataSets
from moe_vae.evaluation.clustering import accuracy_listener
from moe_vae.evaluation.drawings import draw_codes
from moe_vae.evaluation.metrics import match_clusters
from moe_vae.evaluation.recogniser import N_READ, read_drawings
from moe_vae.training.trainer import Trainer

__all__ = ["measure_experts", "score_specialists", "share_listener"]

N_DRAWN_CODES = 8  # that `measure_experts` has every expert draw


def score_specialists(
    trainer: Trainer, recogniser: Trainer, confusion: ArrayLike, seed: int = 0
) -> dict[str, Any]:
    """Measures how often each expert draws the digit that it was matched with.

    Args:
      trainer: a mixture of VAEs' `Trainer`.
      recogniser: a `Recogniser`'s `Trainer`.
      confusion: table [digits, experts] of counts, which matches digits and experts one to one.
      seed: seed of the codes.

    Returns:
      Dict with `share_by_expert`, the share of each expert's 200 drawings that the recogniser reads
      as the expert's digit; `share`, their mean; `digit_by_expert`; and `n_digits`, the number of
      different digits among those that each expert draws most often. An expert without a digit,
      where there are more experts than digits, has None in both lists.
    """
    model, matched = trainer.model, match_clusters(np.array(confusion))
    experts = range(model.n_columns)
    random = np.random.default_rng(seed)
    shares: list[float | None] = []
    most_drawn = set()
    for expert in experts:
        z = random.standard_normal([N_READ, model.params["z_dim"]])
        drawn = model.generate(trainer.session, z, expert)
        read = read_drawings(recogniser, drawn)
        digit = matched.get(expert)
        shares.append(None if digit is None else float((read == digit).mean()))
        most_drawn.add(int(np.bincount(read).argmax()))
    return {
        "share": float(np.mean([share for share in shares if share is not None])),
        "share_by_expert": shares,
        "digit_by_expert": [matched.get(expert) for expert in experts],
        "n_digits": len(most_drawn),
    }


def measure_experts(trainer: Trainer, data_sets: DataSets, record: dict[str, Any]) -> dict:
    """Lets every expert of a mixture of VAEs draw the same codes.

    Args:
      trainer: a mixture of VAEs' `Trainer`.
      data_sets, record: not used.

    Returns:
      Dict with `drawn` [codes, experts, n_features], by `draw_codes`.
    """
    del data_sets, record
    return {"drawn": draw_codes(trainer, N_DRAWN_CODES)}


def share_listener(data_set: DataSet) -> Callable[[Trainer, DataSet], None]:
    """Returns a listener of a mixture's trainer that records the experts' shares after every epoch.

    An expert's share is the mean of p(expert | image) over the training set. The history gets the
    list of them as `shares`, beside the `accuracy` of `accuracy_listener`. Training sees neither.

    Args:
      data_set: see `accuracy_listener`.
    """
    record_accuracy = accuracy_listener(data_set)

    def record(trainer: Trainer, train_set: DataSet) -> None:
        record_accuracy(trainer, train_set)
        probs = trainer.model.predict_proba(trainer.session, train_set.images)
        shares = probs.mean(axis=0, dtype=np.float64)
        trainer.history.setdefault("shares", []).append(shares.tolist())

    return record
