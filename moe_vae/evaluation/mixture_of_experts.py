"""Mixtures of experts behind every gate: their scores and drawings, and the paper's tables."""

import numpy as np
from sklearn.metrics import r2_score

from moe_vae.evaluation.metrics import clustering_scores, confusion_table
from moe_vae.plots.charts import plot_confusion, plot_losses, plot_points

__all__ = [
    "CLUSTERING_GATES",
    "SYSTEMS",
    "TABLE_1_PARAMS",
    "TABLE_2_PARAMS",
    "draw_mixture_of_experts",
    "score_mixture_of_experts",
]

# The paper's names of the mixtures, by gate, in the tables' order.
SYSTEMS = {
    "softmax": "softmax ME",
    "gmm": "GMM-gated ME",
    "deep": "Deep MoE",
    "vade": "VaDE-ME",
    "dmvae": "DVMoE",
}

N_POINTS = 1000  # in a drawing


# The gates that begin with a clustering of the same name.
CLUSTERING_GATES = ("vade", "dmvae")


# The settings of the tables, by data and gate: those that differ from the model's defaults. The
# gates that are VAEs begin with a trained clustering, and so need fewer epochs.
def _settings(**epochs):
    return {gate: {"epochs": epochs[gate], "cosine_decay": True} for gate in SYSTEMS}


TABLE_1_PARAMS = {
    "spiral": _settings(softmax=40, gmm=15, deep=40, vade=15, dmvae=15),
    "mnist": _settings(softmax=6, gmm=2, deep=8, vade=2, dmvae=2),
}
# Where the gate is there before the experts, these start where EM puts them.
for _gate in ("gmm", *CLUSTERING_GATES):
    TABLE_1_PARAMS["spiral"][_gate]["expert_em_steps"] = 3
    TABLE_1_PARAMS["mnist"][_gate]["expert_em_steps"] = 3
_FEW_STARTS = {"gmm_restarts": 1, "gmm_examples": 10_000}  # a full fit takes a minute
TABLE_1_PARAMS["mnist"]["gmm"].update(_FEW_STARTS)
TABLE_2_PARAMS = {
    gate: {**params, "task": "classification", "n_outputs": 10}
    for gate, params in _settings(softmax=6, gmm=2, deep=8, vade=4, dmvae=8).items()
}
TABLE_2_PARAMS["gmm"].update(_FEW_STARTS)
# A hundred nats of the bound to a tenth of a nat of the task: at weight 1 labels move no gate.
for _gate in CLUSTERING_GATES:
    TABLE_2_PARAMS[_gate]["gate_weight"] = 0.01


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


def draw_mixture_of_experts(trainer, record, data_set):
    """Draws a trained mixture of experts: dict of name to figure.

    Args:
      trainer: a `Trainer` after `fit`.
      record: its `run_record`.
      data_set: images or points that it was not trained on, with targets for a regression.
    """
    params, test = record["params"], record["test"]
    title = f"{SYSTEMS[params['gate']]} ({record['data']}, seed {record['seed']})"
    class_name = "arm" if record["n_features"] == 2 else "digit"
    of_task = trainer.epochs_done["loss"]
    names = {"loss_task": "loss of the task", "error": "error", "loss": "total loss"}
    return {
        "losses": plot_losses(
            {name: trainer.history[name][-of_task:] for name in names}, names, title
        ),
        "gate": plot_confusion(
            test["confusion"],
            f"{title}\nthe gate as a clustering: {test['gate']['accuracy']:.3f}",
            "expert",
            class_name,
        ),
        "predictions": _draw_predictions(trainer, title, data_set, class_name),
    }


def _draw_predictions(trainer, title, data_set, class_name):
    rows = np.linspace(0, data_set.num_examples - 1, min(N_POINTS, data_set.num_examples))
    images, labels, *targets = data_set.examples(rows.astype(int))
    predicted = trainer.model.predict(trainer.session, images)
    if trainer.model.params["task"] == "classification":
        table = confusion_table(labels, predicted, 10, 10)
        return plot_confusion(table, f"{title}\n{len(images)} images", "predicted", class_name)
    panels = {
        f"output {output}": (np.stack([wanted, guess], axis=1), labels)
        for output, (wanted, guess) in enumerate(zip(targets[0].T, predicted.T, strict=True))
    }
    return plot_points(panels, f"{title}, by {class_name}", ("target", "prediction"))
