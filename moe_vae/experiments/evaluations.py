"""What an evaluation adds to the scores on the test set, by kind of model.

Each function takes the model's `Trainer`, the `DataSets`, the run's record and the scores on the
test set, and returns a dict that JSON can hold.
"""

import contextlib
from typing import Any

from moe_vae.data.dataset import DataSets
from moe_vae.evaluation.clustering import score_code_baselines
from moe_vae.evaluation.conditional_vae import score_generation
from moe_vae.evaluation.recogniser import train_recogniser
from moe_vae.evaluation.specialists import score_specialists
from moe_vae.training.trainer import Trainer

__all__ = [
    "evaluate_codes",
    "evaluate_conditional_vae",
    "evaluate_nothing",
    "evaluate_specialists",
]

Scores = dict[str, Any]


def evaluate_nothing(trainer: Trainer, data_sets: DataSets, record: Scores, test: Scores) -> Scores:
    """Adds nothing."""
    del trainer, data_sets, record, test
    return {}


def evaluate_conditional_vae(
    trainer: Trainer, data_sets: DataSets, record: Scores, test: Scores
) -> Scores:
    """Adds how often an independent classifier recognises the images that the model draws."""
    del record, test
    if data_sets.form.are_points:
        return {}
    recogniser, accuracy = train_recogniser(data_sets)
    with contextlib.closing(recogniser.session):
        generation = score_generation(trainer, recogniser)
    return {"recogniser_accuracy": accuracy, "generation": generation}


def evaluate_specialists(
    trainer: Trainer, data_sets: DataSets, record: Scores, test: Scores
) -> Scores:
    """Adds the same for experts that are classes.

    That is nothing for the post's routing, for points, and without labels.
    """
    routing, form = record["params"].get("routing", "post"), data_sets.form
    if routing in ("post", "balanced") or form.are_points or form.n_classes is None:
        return {}
    recogniser, accuracy = train_recogniser(data_sets)
    with contextlib.closing(recogniser.session):
        generation = score_specialists(trainer, recogniser, test["confusion"])
    return {"recogniser_accuracy": accuracy, "generation": generation}


def evaluate_codes(trainer: Trainer, data_sets: DataSets, record: Scores, test: Scores) -> Scores:
    """Adds the losses on the validation set, and the baselines' scores on the model's codes."""
    del test
    return {
        "validation": trainer.evaluate(data_sets.validation),
        "codes": score_code_baselines(trainer, data_sets, record["seed"]),
    }
