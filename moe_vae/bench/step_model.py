"""A model of the seconds of a cluster's step, fitted to measured runs and extrapolated.

The model of a synchronous step, with K experts, W workers, a batch of B for each, b(K) bytes over
one worker's connections and S parameter servers:

    seconds = compute K B max(1, W / cores) + receive W b / S + update b / S + wait

A process that trains alone takes compute K B. The four constants are fitted to the measured runs
by least squares of the relative errors, none of them below 0. b(K) is linear in K, fitted to the
counted bytes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = [
    "ASSUMPTIONS",
    "EXTRAPOLATED_EXAMPLES",
    "EXTRAPOLATED_EXPERTS",
    "EXTRAPOLATED_WORKERS",
    "extrapolate",
    "fit_model",
    "step_seconds",
]

CONSTANTS = ("compute", "receive", "update", "wait")
EXTRAPOLATED_WORKERS = (1, 2, 4, 8, 16, 32, 64)
EXTRAPOLATED_EXPERTS = (10, 100)
EXTRAPOLATED_EXAMPLES = 55_000
ASSUMPTIONS = (
    "every worker has a core of its own, as fast as one of this machine's",
    "a byte takes as long between two hosts as over this machine's loopback",
    "the experts are distributed evenly over the parameter servers, and each of these has a link "
    "and a core of its own",
    "the time to compute is proportional to the number of experts and to the batch size",
    "each worker's batch size stays the same, so the total batch grows with the number of workers; "
    "the model does not cover what that does to the losses",
    "the time that worker 0 alone spends on evaluation after each epoch is left out",
)

Record = Mapping[str, Any]


def _terms(
    n_workers: int, n_experts: int, batch_size: int, n_bytes: float, n_servers: int, cores: int
) -> list[float]:
    """Returns the factors of the `CONSTANTS`; 0 workers mean one process without a cluster."""
    if not n_workers:
        return [n_experts * batch_size, 0.0, 0.0, 0.0]
    turns = max(1.0, n_workers / cores)
    over_servers = n_bytes / n_servers
    return [n_experts * batch_size * turns, n_workers * over_servers, over_servers, 1.0]


def fit_model(runs: Sequence[Record], batch_size: int, n_servers: int) -> dict[str, Any]:
    """Fits the model of this module to measured runs.

    Args:
      runs: list of dicts with `workers` (0: no cluster), `experts`, `cores`, `seconds_a_step` and
        `bytes_a_step_and_worker`.
      batch_size: examples in a worker's batch.
      n_servers: number of parameter servers.

    Returns:
      Dict with the `constants`, `bytes` of a step and worker (`fixed` and for `each_expert`) and
      the `relative_errors`, one a run.
    """
    from scipy.optimize import nnls

    terms = np.array(
        [
            _terms(
                run["workers"],
                run["experts"],
                batch_size,
                run["bytes_a_step_and_worker"],
                n_servers,
                run["cores"],
            )
            for run in runs
        ]
    )
    seconds = np.array([run["seconds_a_step"] for run in runs])
    relative = terms / seconds[:, None]
    scale = np.where(relative.any(axis=0), np.abs(relative).max(axis=0), 1.0)
    constants = nnls(relative / scale, np.ones(len(runs)))[0] / scale
    return {
        "constants": dict(zip(CONSTANTS, constants.tolist(), strict=True)),
        "bytes": _fit_bytes([run for run in runs if run["workers"]]),
        "relative_errors": (terms @ constants / seconds - 1).tolist(),
    }


def _fit_bytes(runs: Sequence[Record]) -> dict[str, float]:
    n_bytes = [run["bytes_a_step_and_worker"] for run in runs]
    each_expert, fixed = np.polyfit([run["experts"] for run in runs], n_bytes, 1)
    return {"fixed": float(fixed), "each_expert": float(each_expert)}


def step_seconds(
    model: Record, n_workers: int, n_experts: int, batch_size: int, n_servers: int
) -> float:
    """Returns the seconds of a step where every worker has a core of its own; see the module.

    Args:
      model: what `fit_model` returns.
      n_workers: number of workers; 0 means one process without a cluster.
      n_experts: number of experts.
      batch_size: examples in a worker's batch.
      n_servers: number of parameter servers.
    """
    n_bytes = model["bytes"]["fixed"] + model["bytes"]["each_expert"] * n_experts
    terms = _terms(n_workers, n_experts, batch_size, n_bytes, n_servers, max(1, n_workers))
    return float(np.dot(terms, [model["constants"][name] for name in CONSTANTS]))


def extrapolate(model: Record, batch_size: int, n_servers: int) -> list[dict[str, Any]]:
    """Extrapolates the model to 64 workers and 100 experts, on as many examples as MNIST has.

    Args:
      model: what `fit_model` returns.
      batch_size: examples in a worker's batch.
      n_servers: number of parameter servers.

    Returns:
      List of dicts, one for each number of experts: `experts`, `batch_size`, `parameter_servers`;
      the seconds an epoch of one process `alone` and of each number of `workers`; and, as `pays`,
      the smallest number of workers that is faster than one process, or None.
    """
    entries = []
    for n_experts in EXTRAPOLATED_EXPERTS:
        seconds = {
            n: _epoch_seconds(model, n, n_experts, batch_size, n_servers)
            for n in EXTRAPOLATED_WORKERS
        }
        alone = _epoch_seconds(model, 0, n_experts, batch_size, n_servers)
        entries.append(
            {
                "experts": n_experts,
                "batch_size": batch_size,
                "parameter_servers": n_servers,
                "alone": alone,
                "workers": {str(n): value for n, value in seconds.items()},
                "pays": next((n for n, value in seconds.items() if value < alone), None),
            }
        )
    return entries


def _epoch_seconds(
    model: Record, n_workers: int, n_experts: int, batch_size: int, n_servers: int
) -> float:
    n_steps = EXTRAPOLATED_EXAMPLES / (max(1, n_workers) * batch_size)
    return n_steps * step_seconds(model, n_workers, n_experts, batch_size, n_servers)
