"""Scores of mixtures whose experts are digits."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from moe_vae.evaluation.metrics import match_clusters
from moe_vae.evaluation.recogniser import N_READ
from moe_vae.training.trainer import Trainer

__all__ = ["score_specialists"]


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
      Dict with `share`, the share of the drawings, 200 of each expert, that the recogniser reads
      as the expert's digit; `share_by_expert`; `digit_by_expert`; and `n_digits`, the number of
      different digits among those that each expert draws most often.
    """
    model, matched = trainer.model, match_clusters(np.array(confusion))
    experts = range(model.n_columns)
    random = np.random.default_rng(seed)
    shares, most_drawn = [], set()
    for expert in experts:
        z = random.standard_normal([N_READ, model.params["z_dim"]])
        drawn = model.generate(trainer.session, z, expert)
        read = recogniser.model.predict(recogniser.session, drawn)
        shares.append(float((read == matched[expert]).mean()))
        most_drawn.add(int(np.bincount(read).argmax()))
    return {
        "share": float(np.mean(shares)),
        "share_by_expert": shares,
        "digit_by_expert": [int(matched[expert]) for expert in experts],
        "n_digits": len(most_drawn),
    }
