"""What mixtures whose experts are digits are trained, scored and drawn by."""

import numpy as np

from moe_vae.evaluation.metrics import match_clusters

__all__ = ["score_specialists"]

PICTURES_AN_EXPERT = 200


def score_specialists(trainer, recogniser, confusion, seed=0):
    """Measures how often each expert draws the digit that it was matched with.

    Args:
      trainer: a mixture of VAEs' `Trainer`.
      recogniser: a `Recogniser`'s `Trainer`.
      confusion: table [digits, experts] of counts, by which they are matched one to one.
      seed: seed of the codes.

    Returns:
      Dict with `share`, of 200 pictures an expert that the recogniser reads as the expert's digit,
      `share_by_expert`, `digit_by_expert`, and `n_digits`, how many different digits the experts
      draw most often.
    """
    model, matched = trainer.model, match_clusters(np.array(confusion))
    random = np.random.default_rng(seed)
    shares, often = [], set()
    for expert in range(model.n_columns):
        z = random.standard_normal([PICTURES_AN_EXPERT, model.params["z_dim"]])
        read = recogniser.model.predict(
            recogniser.session, model.generate(trainer.session, z, expert)
        )
        shares.append(float((read == matched[expert]).mean()))
        often.add(int(np.bincount(read).argmax()))
    return {
        "share": float(np.mean(shares)),
        "share_by_expert": shares,
        "digit_by_expert": [int(matched[expert]) for expert in range(model.n_columns)],
        "n_digits": len(often),
    }
