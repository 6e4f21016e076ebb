"""One run: what it is identified and remembered by."""

import platform

import numpy as np

from moe_vae.compat import tf
from moe_vae.experiments.registry import MODELS

__all__ = ["run_identity", "run_record"]


def run_identity(name, trainer, data_sets, seed):
    """Collects what decides how a run goes, ready for JSON; the arguments are `run_record`'s."""
    return {
        "model": name,
        "params": trainer.model.params,
        "seed": seed,
        "data": {
            "name": data_sets.name + trainer.data_note,
            "checksum": data_sets.train.checksum(),
        },
    }


def run_record(name, trainer, data_sets, seed):
    """Collects what a finished run is to be remembered by, ready for JSON.

    Args:
      name: a key of `MODELS`.
      trainer: its `Trainer` after `fit`.
      data_sets: the `DataSets` that it was trained on.
      seed: the seed that it was started from.
    """
    return {
        "model": name,
        "data": data_sets.name,
        "n_features": data_sets.train.images.shape[1],
        "seed": seed,
        "params": trainer.model.params,
        "interrupted": trainer.interrupted,
        "history": trainer.history,
        "seconds": trainer.seconds,
        "test": MODELS[name].score(trainer, data_sets.test),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
        },
    }
