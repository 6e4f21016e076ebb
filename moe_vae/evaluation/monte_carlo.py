"""The gate that predicts by samples: its error and its time by the number of samples.

VaDE's gate is p(c|x) = E_q(z|x) p(c|z), which a prediction estimates from S samples of z. DMVAE's
gate is the output of a network.
"""

import time
from typing import Any, cast

import numpy as np

from moe_vae.data.dataset import DataSet, DataSets
from moe_vae.evaluation.metrics import clustering_scores
from moe_vae.models.mixture_of_experts import MixtureOfExperts
from moe_vae.models.vade import VaDE
from moe_vae.nn.noise import key_value, noise_key
from moe_vae.nn.sessions import chunks, run_in_chunks
from moe_vae.training.trainer import Trainer

__all__ = ["N_REPETITIONS", "N_SAMPLES", "measure_gate"]

N_SAMPLES = (1, 3, 10, 30, 100, 300, 1000)
N_REPETITIONS = 10


def measure_gate(trainer: Trainer, data_sets: DataSets, record: dict[str, Any]) -> dict[str, Any]:
    """Measures the predictions of a regression's mixture on the test set, and their time.

    With VaDE as the gate, each number of samples in `N_SAMPLES` is repeated `N_REPETITIONS` times
    with other noise. The gate's `distance` is the mean over the examples of the total variation
    distance 1/2 sum_c |g_c - r_c| to the reference r, the mean of as many further repetitions at
    the largest number of samples. Other gates are the same in every repetition.

    Args:
      trainer: a `Trainer` of a `MixtureOfExperts` for a regression.
      data_sets: the `DataSets` with targets that it was trained on.
      record: its `run_record`.

    Returns:
      Dict with `n_repetitions` and `gates`: a list of dicts with `n_samples` (None for a gate that
      takes none) and, one value for each repetition, `accuracy` of the likeliest expert as a
      clustering, `squared_error` of the regression, `distance` (only with samples) and `seconds`,
      the time of the gate's probabilities for all test examples.

    Source: the paper, section 5.1.
    """
    del record
    model, test = cast(MixtureOfExperts, trainer.model), data_sets.test
    _gate_log_probs(trainer, test.images[:1], N_SAMPLES[0], 0)  # the first run is slow
    if isinstance(model.gate, VaDE):
        repetitions = range(N_REPETITIONS, 2 * N_REPETITIONS)
        others = [_gate_log_probs(trainer, test.images, N_SAMPLES[-1], i) for i in repetitions]
        reference = np.exp(others).mean(axis=0)
        gates = [_measure(trainer, test, n_samples, reference) for n_samples in N_SAMPLES]
    else:
        gates = [_measure(trainer, test)]
    return {"n_repetitions": N_REPETITIONS, "gates": gates}


def _measure(
    trainer: Trainer,
    test: DataSet,
    n_samples: int | None = None,
    reference: np.ndarray | None = None,
) -> dict[str, Any]:
    """Measures one number of samples, or a gate that takes none; see `measure_gate`."""
    model = cast(MixtureOfExperts, trainer.model)
    labels = test.needed_labels()
    sizes = (int(labels.max()) + 1, model.n_columns)
    values: dict[str, list[float]] = {}
    for repetition in range(N_REPETITIONS):
        start = time.perf_counter()
        log_probs = _gate_log_probs(trainer, test.images, n_samples, repetition)
        seconds = time.perf_counter() - start
        predicted = run_in_chunks(
            trainer.session,
            model.predicted,
            {model.inputs: test.images, model.gate.predicted_log_probs: log_probs},
        )
        clusters = log_probs.argmax(axis=1)
        scores = {
            "accuracy": clustering_scores(labels, clusters, *sizes)["accuracy"],
            "squared_error": float(np.square(predicted - test.targets).sum(axis=1).mean()),
            "seconds": seconds,
        }
        if reference is not None:
            distances = 0.5 * np.abs(np.exp(log_probs) - reference).sum(axis=1)
            scores["distance"] = float(distances.mean())
        for name, value in scores.items():
            values.setdefault(name, []).append(value)
    return {"n_samples": n_samples, **values}


def _gate_log_probs(
    trainer: Trainer, inputs: np.ndarray, n_samples: int | None, draw: int
) -> np.ndarray:
    """Returns log g(x) [n, n_clusters]; the noise is a function of `n_samples` and `draw`."""
    model, session = cast(MixtureOfExperts, trainer.model), trainer.session
    gate, parts = model.gate, []
    with session.graph.as_default():
        key = noise_key()
    for number, rows in enumerate(chunks(len(inputs))):
        feed: dict[Any, Any] = {model.inputs: inputs[rows]}
        if isinstance(gate, VaDE):
            feed[gate.n_samples] = n_samples
            feed[key] = key_value(n_samples or 0, draw * len(inputs) + number)
        parts.append(session.run(gate.predicted_log_probs, feed))
    return np.concatenate(parts)
