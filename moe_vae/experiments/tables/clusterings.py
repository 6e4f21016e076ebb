"""The studies of the paper's clusterings: objectives, starts, samples of the code, and parts."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from moe_vae.experiments.recipes import RECIPES
from moe_vae.experiments.tables.markdown import (
    cited,
    list_values,
    markdown_table,
    mean_and_deviation,
)

__all__ = [
    "from_scratch_table",
    "gate_samples_table",
    "relaxed_mixtures_table",
    "relaxed_table",
    "samples_table",
    "temperature_table",
    "variants_table",
]

Values = dict[str, Any]

# The epochs of the bound after which the trainings are compared.
_EPOCHS = (1, 5, 20, 60)


def _by_step(results: Values, study: str) -> dict[tuple[str, str], list[Values]]:
    """The runs of a study by step and data, in the recipe's order."""
    groups: dict[tuple[str, str], list[Values]] = {}
    for run in results[study]["runs"]:
        groups.setdefault((run["step"], run["data"]), []).append(run)
    return groups


def _title(study: str, step: str) -> tuple[str, ...]:
    """The cells that name a step in the tables of its study."""
    return RECIPES[study].steps[step].title


def relaxed_table(results: Values) -> str:
    """DMVAE by its objective: clustering, loss and time."""
    rows = [
        (
            data,
            *_title("relaxed", step),
            mean_and_deviation(_accuracies(runs), "{:.3f}"),
            list_values(_accuracies(runs), "{:.3f}"),
            mean_and_deviation([run["test"]["losses"]["loss"] for run in runs], "{:.3f}"),
            mean_and_deviation(
                [run["measured"]["objectives"][0]["loss"] for run in runs if "measured" in run],
                "{:.3f}",
            ),
            f"{_seconds(runs):.2f}",
        )
        for (step, data), runs in _by_step(results, "relaxed").items()
        if _title("relaxed", step)
    ]
    heading = ("data", "objective", "accuracy", "accuracy of each seed", "own loss, test set")
    return markdown_table((*heading, "exact loss, one batch", "epoch (s)"), rows)


def _accuracies(runs: Iterable[Values]) -> list[float]:
    return [run["test"]["accuracy"] for run in runs]


def _seconds(runs: Iterable[Values]) -> float:
    """The median over all epochs of all runs."""
    return float(np.median([seconds for run in runs for seconds in run["seconds"]]))


def relaxed_mixtures_table(results: Values) -> str:
    """DVMoE by its gate's objective: rows of Table 1 and of Table 2."""
    groups = _by_step(results, "relaxed")
    rows = []
    for (step, data), runs in groups.items():
        table, _, rest = step.partition("-exact")
        relaxed = groups.get((f"{table}-relaxed{rest}", data))
        if not table.startswith("table") or table == step or relaxed is None:
            continue
        is_regression = runs[0]["params"]["task"] == "regression"
        name, form = ("squared_error", "{:.3g}") if is_regression else ("accuracy", "{:.4f}")
        exact_of, relaxed_of = (
            {run["seed"]: run["test"][name] for run in each} for each in (runs, relaxed)
        )
        pairs = [(exact_of[seed], relaxed_of[seed]) for seed in exact_of if seed in relaxed_of]
        # The lower error and the higher accuracy are better.
        better = sum(theirs < ours if is_regression else theirs > ours for ours, theirs in pairs)
        rows.append(
            (
                f"Table {table[-1]}, {data}" + (f", D = {rest[1:]}" if rest else ""),
                "squared error" if is_regression else "test accuracy",
                *(
                    cell
                    for values in (exact_of.values(), relaxed_of.values())
                    for cell in (
                        mean_and_deviation(list(values), form),
                        form.format(np.median(list(values))),
                    )
                ),
                f"{better} of {len(pairs)}",
            )
        )
    heading = ("mixture", "score", "exact", "exact, median", "relaxed", "relaxed, median")
    return markdown_table((*heading, "relaxed is better"), rows)


def temperature_table(results: Values) -> str:
    """The gradient's noise and the distance to the exact loss by temperature, medians over runs."""
    rows = []
    for (step, data), runs in _by_step(results, "relaxed").items():
        measured = [run["measured"]["objectives"] for run in runs if "measured" in run]
        if step not in ("relaxed", "begun-relaxed") or not measured:
            continue
        n_draws = runs[0]["measured"]["n_draws"]
        for each in zip(*measured, strict=True):
            temperature = each[0]["temperature"]
            rows.append(
                (
                    data,
                    "exact" if temperature is None else f"{temperature:g}",
                    *(
                        cell
                        for part in ("cluster encoder", "encoder")
                        for cell in _noise_cells([one["gradients"][part] for one in each], n_draws)
                    ),
                    *(
                        ""
                        if temperature is None
                        else _median([one[name] for one in each], "{:.3g}")
                        for name in ("gap", "gap_error")
                    ),
                )
            )
    heading = [
        title
        for part in ("cluster encoder", "encoder")
        for title in (f"variance, {part}", f"relative, {part}")
    ]
    return markdown_table(("data", "temperature", *heading, "gap (nats)", "its error"), rows)


def _noise_cells(moments: Sequence[Values], n_draws: int) -> tuple[str, str]:
    """The variance of a gradient, and the same relative to the square of its mean."""
    ratios = [_relative(each["variance"], each["squared_mean"], n_draws) for each in moments]
    relative = float(np.median(ratios))
    return (
        _median([each["variance"] for each in moments], "{:.3g}"),
        f"{relative:.3g}" if relative <= n_draws else f"over {n_draws}",
    )


def _relative(variance: float, squared_mean: float, n_draws: int) -> float:
    """Returns the variance over the squared mean gradient, or infinity where that is not resolved.

    The mean of n draws has itself the variance 1/n, which its square holds besides.
    """
    noise = variance / n_draws
    resolved = squared_mean - noise
    return variance / resolved if resolved > noise else math.inf


def _median(values: Sequence[float], form: str) -> str:
    return form.format(np.median(values))


def from_scratch_table(results: Values) -> str:
    """MNIST's clusterings by what they begin with, beside the published accuracies."""
    rows: list[tuple[Any, ...]] = []
    for (step, _), runs in _by_step(results, "from-scratch").items():
        params, accuracies = runs[0]["params"], _accuracies(runs)
        rows.append(
            (
                *_title("from-scratch", step),
                f"{params.get('pretrain_epochs', 0)} + {params['epochs']}",
                _first_accuracy(runs),
                mean_and_deviation(accuracies, "{:.4f}"),
                mean_and_deviation([run["test"]["nmi"] for run in runs], "{:.3f}"),
                list_values(accuracies, "{:.4f}"),
                f"{_seconds(runs):.1f}",
            )
        )
    paper = results["paper"]
    heading = (
        "model",
        "clusters begin with",
        "epochs",
        "accuracy after the bound's first epoch",
        "accuracy",
        "NMI",
        "accuracy of each seed",
        "epoch (s)",
    )
    rows += [
        (
            f"{name} ({cited(paper, entry)})",
            *[""] * 3,
            entry["value"],
            *[""] * (len(heading) - 5),
        )
        for name, entry in paper["mnist_clustering"].items()
    ]
    return markdown_table(heading, rows)


def _first_accuracy(runs: Sequence[Values]) -> str:
    values = [
        run["history"]["accuracy"][run["params"]["pretrain_epochs"]]
        for run in runs
        if "accuracy" in run["history"]
    ]
    return mean_and_deviation(values, "{:.4f}")


def samples_table(results: Values) -> str:
    """VaDE by the samples of its training: loss and accuracy over the epochs, and time."""
    rows = [
        (
            data,
            *_title("samples", step),
            len(runs),
            *_cells_over_epochs(runs, "loss", "{:.2f}"),
            *_cells_over_epochs(runs, "accuracy", "{:.3f}"),
            f"{np.median([_epoch_of_the_bound(run) for run in runs]):.2f}",
        )
        for (step, data), runs in _by_step(results, "samples").items()
        if _title("samples", step)
    ]
    titles = [f"{name}, epoch {epoch}" for name in ("loss", "accuracy") for epoch in _EPOCHS]
    return markdown_table(("data", "training", "runs", *titles, "epoch (s)"), rows)


def _cells_over_epochs(runs: Sequence[Values], name: str, form: str) -> Iterator[str]:
    for epoch in _EPOCHS:
        values = [
            history[epoch - 1]
            for run in runs
            if len(history := run["history"][name][run["params"]["pretrain_epochs"] :]) >= epoch
        ]
        yield mean_and_deviation(values, form)


def _epoch_of_the_bound(run: Values) -> float:
    return float(np.median(run["seconds"][run["params"]["pretrain_epochs"] :]))


def gate_samples_table(results: Values) -> str:
    """The gates' predictions by the number of samples: means over the runs and repetitions."""
    gates: dict[int | None, list[Values]] = {}
    for (step, _), runs in _by_step(results, "samples").items():
        if RECIPES["samples"].steps[step].model != "moe":
            continue
        for run in runs:
            for gate in run["measured"]["gates"]:
                gates.setdefault(gate["n_samples"], []).append(gate)
    rows = [
        (
            "DVMoE" if n_samples is None else f"VaDE-ME, S = {n_samples:,}",
            *_spread_cells(of_runs, "distance", "{:.2g}"),
            *_spread_cells(of_runs, "accuracy", "{:.5f}"),
            *_spread_cells(of_runs, "squared_error", "{:.4g}"),
            f"{np.median([seconds for gate in of_runs for seconds in gate['seconds']]):.3f}",
        )
        for n_samples, of_runs in gates.items()
    ]
    titles = [
        title
        for name in ("distance", "accuracy", "squared error")
        for title in (name, f"spread of the {name}")
    ]
    return markdown_table(("gate", *titles, "time (s)"), rows)


def _spread_cells(gates: Sequence[Values], name: str, form: str) -> tuple[str, str]:
    """The mean over all runs, and the mean over them of the deviation between repetitions."""
    if name not in gates[0]:
        return "", ""
    # Less the first value, so that equal values have no spread at all.
    spreads = [np.std(np.subtract(gate[name], gate[name][0]), ddof=1) for gate in gates]
    return form.format(np.mean([gate[name] for gate in gates])), f"{np.mean(spreads):.2g}"


def variants_table(results: Values) -> str:
    """The plain VAE, VaDE and DMVAE with other parts: loss on the test set, accuracy and time."""
    rows = []
    for (step, data), runs in _by_step(results, "variants").items():
        params, losses = runs[0]["params"], [run["test"]["losses"] for run in runs]
        accuracies = [run["test"]["accuracy"] for run in runs if "accuracy" in run["test"]]
        rows.append(
            (
                data,
                *_title("variants", step),
                f"{params.get('pretrain_epochs', 0)} + {params['epochs']}",
                len(runs),
                mean_and_deviation([each["loss"] for each in losses], "{:.2f}"),
                mean_and_deviation([each["loss_reconstruction"] for each in losses], "{:.2f}"),
                mean_and_deviation([run["measured"]["squared_error"] for run in runs], "{:.3f}"),
                mean_and_deviation(accuracies, "{:.3f}"),
                list_values(accuracies, "{:.3f}"),
                f"{np.median([_epoch_of_the_bound(run) for run in runs]):.2f}",
            )
        )
    heading = ("data", "model", "changed", "epochs", "runs", "loss, test set")
    last = ("squared error", "accuracy", "accuracy of each seed", "epoch of the bound (s)")
    return markdown_table((*heading, "of it reconstruction", *last), rows)
