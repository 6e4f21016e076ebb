"""Scores of mixtures of experts, whatever their gate."""

from typing import Any, cast

import numpy as np

from moe_vae.data.checks import DataError
from moe_vae.data.dataset import DataSet
from moe_vae.evaluation.clustering import score_clusters
from moe_vae.models.mixture_of_experts import MixtureOfExperts
from moe_vae.training.trainer import Trainer

__all__ = ["score_mixture_of_experts"]


def score_mixture_of_experts(trainer: Trainer, data_set: DataSet) -> dict[str, Any]:
    """Scores a trained mixture's predictions, and its gate's likeliest expert as a clustering.

    Args:
      trainer: a `Trainer` of a `MixtureOfExperts`.
      data_set: a `DataSet`, with targets for a regression.

    Returns:
      Dict with, for a regression, `squared_error` (mean over the examples of the squared error,
      summed over the outputs) and `r2` (share of the targets' variance that is explained), for a
      classification `accuracy`; and `log_likelihood` (mean, in nats), the `losses`, the `sizes` of
      the experts' shares and, with labels, the `gate`'s `clustering_scores` and its `confusion`
      table [classes, experts].

    Raises:
      DataError: `data_set` lacks the targets of a regression or the labels of a classification.
    """
    model, session = cast(MixtureOfExperts, trainer.model), trainer.session
    images, labels = data_set.images, data_set.labels
    predicted = model.predict(session, images)
    if model.answer == "class":
        wanted = data_set.needed_labels()
        scores = {"accuracy": float((predicted == wanted).mean())}
    elif data_set.targets is None:
        raise DataError("the data set has no targets: a regression is scored by them")
    else:
        wanted, scores = data_set.targets, _regression_scores(predicted, data_set.targets)
    experts = model.predict_gate(session, images).argmax(axis=1)
    by_gate = score_clusters(labels, experts, model.n_columns)
    counts = {key: value for key, value in by_gate.items() if key in ("confusion", "sizes")}
    gate = {key: value for key, value in by_gate.items() if key not in counts}
    return {
        **scores,
        "log_likelihood": float(model.predict_log_likelihood(session, images, wanted).mean()),
        **({"gate": gate} if gate else {}),
        **counts,
        "losses": trainer.evaluate(data_set),
    }


def _regression_scores(predicted: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import r2_score

    return {
        "squared_error": float(np.square(predicted - targets).sum(axis=1).mean()),
        "r2": float(r2_score(targets, predicted, multioutput="variance_weighted")),
    }
