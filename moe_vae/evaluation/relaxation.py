"""What the relaxation of DMVAE's clusters costs: noise in the gradient, and distance to the bound.

The paper's own objective draws a relaxed cluster (Gumbel softmax) for each example; the exact one
takes the expectation over the clusters. Both are computed here from the same trained variables.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from moe_vae.compat import Tensor, tf
from moe_vae.data.dataset import DataSet, DataSets, Shape
from moe_vae.models.dmvae import build_dmvae
from moe_vae.nn.noise import key_value, noise_key
from moe_vae.nn.sessions import open_session
from moe_vae.training.trainer import Trainer

__all__ = ["N_DRAWS", "TEMPERATURES", "measure_relaxation"]

TEMPERATURES = (0.01, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
N_DRAWS = 100

# The parts of the network whose gradients are measured, by the scope of their variables.
_PARTS = {"cluster encoder": "encode_cluster", "encoder": "encode"}


def measure_relaxation(
    trainer: Trainer, data_sets: DataSets, record: dict[str, Any]
) -> dict[str, Any]:
    """Measures a trained DMVAE's exact and relaxed objectives on one batch of training examples.

    For a part of the network and an objective, g_1 to g_n are the gradients of the loss under n
    draws of all noise (that of z, and Gumbel's in the relaxed objective), m their mean, and

        variance     = sum_i |g_i - m|^2 / (n - 1)
        squared_mean = |m|^2

    On average |m|^2 is the squared mean gradient plus variance / n.

    The n draws of z are the same for every objective and temperature, so the difference of a
    relaxed loss and the exact one has no noise of z.

    Args:
      trainer: a `Trainer` of a `DMVAE`; whichever objective it was trained by.
      data_sets: the `DataSets` that it was trained on.
      record: its `run_record`.

    Returns:
      Dict with `n_draws`, `batch_size`, and `objectives`: a list of dicts, the exact objective
      (`temperature` None) first and then the relaxed one at each of `TEMPERATURES`. Each has
      `loss`, the mean over the draws in nats; `gap`, the mean of this loss minus the exact one,
      and its standard error `gap_error`; and `gradients`, a dict of "cluster encoder" and
      "encoder" to a dict of `variance` and `squared_mean`.

    Source: the paper, sections 6 and 7.
    """
    params, batch_size = record["params"], trainer.model.batch_size("loss")
    values, shape = trainer.variables(), data_sets.train.shape
    inputs = _batch(data_sets.train, batch_size)
    exact = _measure(params, "exact", values, inputs, shape, [None])
    relaxed = _measure(params, "relaxed", values, inputs, shape, list(TEMPERATURES))
    reference = np.array(exact[0]["losses"])
    measured = [{**each, **_gap(np.array(each.pop("losses")), reference)} for each in exact]
    measured += [{**each, **_gap(np.array(each.pop("losses")), reference)} for each in relaxed]
    return {"n_draws": N_DRAWS, "batch_size": batch_size, "objectives": measured}


def _batch(data_set: DataSet, batch_size: int) -> np.ndarray:
    rows = np.random.default_rng(0).choice(data_set.num_examples, batch_size, replace=False)
    return data_set.images[rows]


def _gap(losses: np.ndarray, exact: np.ndarray) -> dict[str, float]:
    gaps = losses - exact
    return {
        "loss": float(losses.mean()),
        "gap": float(gaps.mean()),
        "gap_error": float(gaps.std(ddof=1) / np.sqrt(len(gaps))),
    }


def _measure(
    params: dict[str, Any],
    objective: str,
    values: dict[str, np.ndarray],
    inputs: np.ndarray,
    shape: Shape,
    temperatures: list[float | None],
) -> list[dict[str, Any]]:
    """Measures one objective at each temperature: `losses` of the draws, and `gradients`."""
    with tf.Graph().as_default() as graph:
        tf.set_random_seed(0)
        model = build_dmvae({**params, "objective": objective}, shape)
        gradients = {part: _gradient(model, scope) for part, scope in _PARTS.items()}
        key = noise_key()
        with open_session(graph) as session:
            for variable in tf.global_variables():
                variable.load(values[variable.op.name], session)
            measured = []
            for temperature in temperatures:
                feed: dict[Tensor, Any] = {model.inputs: inputs}
                if temperature is not None:
                    feed[model.temperature] = temperature
                draws = (
                    session.run([model.loss, gradients], {**feed, key: key_value(0, draw)})
                    for draw in range(N_DRAWS)
                )
                losses, moments = _moments(draws)
                measured.append(
                    {
                        "objective": objective,
                        "temperature": temperature,
                        "losses": losses,
                        "gradients": moments,
                    }
                )
    return measured


def _gradient(model: Any, scope: str) -> Tensor:
    """Returns the loss's gradient for the trained variables in a scope, as one vector."""
    variables = tf.trainable_variables(f"{model.scope}/{scope}/")
    gradients = tf.gradients(model.loss, variables, unconnected_gradients="zero")
    return tf.concat([tf.reshape(gradient, [-1]) for gradient in gradients], axis=0)


def _moments(
    draws: Iterator[tuple[float, dict[str, np.ndarray]]],
) -> tuple[list[float], dict[str, dict[str, float]]]:
    """Returns the losses of all draws, and the moments of their gradients (Welford's method)."""
    losses: list[float] = []
    means: dict[str, Any] = dict.fromkeys(_PARTS, 0.0)
    squares = dict.fromkeys(_PARTS, 0.0)
    for loss, gradients in draws:
        losses.append(float(loss))
        for part, vector in gradients.items():
            gradient = vector.astype(np.float64)
            change = gradient - means[part]
            means[part] = means[part] + change / len(losses)
            squares[part] += float(change @ (gradient - means[part]))
    return losses, {
        part: {
            "variance": squares[part] / (len(losses) - 1),
            "squared_mean": float(means[part] @ means[part]),
        }
        for part in _PARTS
    }
