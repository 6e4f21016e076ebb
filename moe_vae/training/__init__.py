"""Training a model in one process."""

from moe_vae.training.restarts import fit_restarts
from moe_vae.training.trainer import Trainer, TrainingError, set_seeds, start_trainer

__all__ = ["Trainer", "TrainingError", "fit_restarts", "set_seeds", "start_trainer"]
