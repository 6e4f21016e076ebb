"""What a trained model draws from codes that are the same for every model."""

from typing import Any

import numpy as np

from moe_vae.data.dataset import DataSets
from moe_vae.evaluation.packed import pack_pictures
from moe_vae.training.trainer import Trainer

__all__ = ["draw_codes", "measure_network"]

N_DRAWN_CODES = 3


def draw_codes(trainer: Trainer, n_codes: int = N_DRAWN_CODES) -> dict[str, Any]:
    """Draws codes from N(0, I), each as every digit or by every expert.

    Args:
      trainer: the `Trainer` of a conditional VAE or of a mixture of VAEs.
      n_codes: number of codes. They are the same for all models with as many latent dimensions.

    Returns:
      The drawings [codes, digits or experts, n_features], packed by `pack_pictures`.
    """
    model = trainer.model
    codes = np.random.default_rng(0).standard_normal([n_codes, 1, model.params["z_dim"]])
    drawn = [model.generate_row(trainer.session, code) for code in codes]
    return pack_pictures(np.array(drawn))


def measure_network(trainer: Trainer, data_sets: DataSets, record: dict[str, Any]) -> dict:
    """Counts a trained model's parameters, and draws a few codes with it.

    Args:
      trainer: as for `draw_codes`.
      data_sets, record: not used.

    Returns:
      Dict that JSON can hold: `n_parameters`, the number of trained values; and `drawn`, what
      `draw_codes` returns.
    """
    del data_sets, record
    trained = trainer.session.graph.get_collection("trainable_variables")
    return {
        "n_parameters": sum(variable.shape.num_elements() for variable in trained),
        "drawn": draw_codes(trainer),
    }
