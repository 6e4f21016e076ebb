"""Mixtures of experts behind every gate: their scores and drawings, and the paper's tables."""

import numpy as np
from sklearn.metrics import r2_score

from moe_vae.evaluation.metrics import clustering_scores, confusion_table

__all__ = ["score_mixture_of_experts"]


def score_mixture_of_experts(trainer, data_set):
    """Scores a trained mixture's predictions, and its gate's likeliest expert as a clustering.

    Args:
      trainer: a `Trainer` of a `MixtureOfExperts`.
      data_set: a `DataSet`, with targets for a regression.

    Returns:
      Dict with, of a regression, `squared_error` (mean over the examples of the squared error,
      summed over the outputs) and `r2` (share of the targets' variance that is explained), of a
      classification `accuracy`; and `log_likelihood` (mean, in nats), the `gate`'s
      `clustering_scores`, its `confusion` table [classes, experts] and the `losses`.
    """
    model, session = trainer.model, trainer.session
    labels = data_set.labels
    predicted = model.predict(session, data_set.images)
    if model.params["task"] == "classification":
        wanted = labels
        scores = {"accuracy": float((predicted == labels).mean())}
    else:
        wanted = data_set.targets
        scores = {
            "squared_error": float(np.square(predicted - wanted).sum(axis=1).mean()),
            "r2": float(r2_score(wanted, predicted, multioutput="variance_weighted")),
        }
    experts = model.predict_gate(session, data_set.images).argmax(axis=1)
    sizes = (int(labels.max()) + 1, model.gate.n_clusters)
    likelihoods = model.predict_log_likelihood(session, data_set.images, wanted)
    return {
        **scores,
        "log_likelihood": float(likelihoods.mean()),
        "gate": clustering_scores(labels, experts, *sizes),
        "confusion": confusion_table(labels, experts, *sizes).tolist(),
        "losses": trainer.evaluate(data_set),
    }
