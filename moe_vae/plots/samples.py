"""Figures of VaDE's training, and of its gate, by the number of samples of the code."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from moe_vae.plots.charts import expert_colour, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_samples"]

Record = dict[str, Any]

N_UNSETTLED = 3  # first epochs, whose losses would hide all others


def draw_samples(records: Sequence[Record], titles: Mapping[str, str]) -> "dict[str, Figure]":
    """Draws the trainings on each data set, and the gates.

    Args:
      records: the runs' records; those of the trainings have `accuracy` in their history, and
        those of gates what `measure_gate` returns as `measured`.
      titles: the names of the trainings by their steps.

    Returns:
      Dict of name to figure: `training_spiral`, `training_mnist` and `gate`, as far as there are
      runs.
    """
    by_data: dict[str, list[Record]] = {}
    for record in records:
        if record["step"] in titles:
            by_data.setdefault(record["data"], []).append(record)
    figures = {
        f"training_{data.lower()}": _plot_trainings(runs, titles) for data, runs in by_data.items()
    }
    gates = [record for record in records if "measured" in record]
    if gates:
        figures["gate"] = _plot_gates(gates)
    return figures


def _plot_trainings(runs: Sequence[Record], titles: Mapping[str, str]) -> "Figure":
    """Draws one line a run: loss and accuracy, over epochs and over seconds."""
    figure = new_figure(10, 6.4)
    figure.suptitle(f"{runs[0]['data']}: one line a run, without the autoencoder's epochs")
    axes = figure.subplots(2, 2, sharex="col", sharey="row")
    shown: set[str] = set()
    settled = []
    for run in runs:
        step, n_before = run["step"], run["params"]["pretrain_epochs"]
        style = {"color": expert_colour(list(titles).index(step)), "linewidth": 1, "alpha": 0.8}
        label = None if step in shown else titles[step]
        shown.add(step)
        seconds = np.cumsum(run["seconds"][n_before:])
        epochs = np.arange(1, len(seconds) + 1)
        for row, name in zip(axes, ("loss", "accuracy"), strict=True):
            values = run["history"][name][n_before:]
            row[0].plot(epochs, values, label=label, **style)
            row[1].plot(seconds, values, **style)
            if name == "loss":
                settled += values[N_UNSETTLED:] or values
    axes[0, 0].set_ylabel("loss on the training set (nats)")
    axes[1, 0].set_ylabel("clustering accuracy, test set")
    margin = 0.05 * (max(settled) - min(settled)) or 1.0
    axes[0, 0].set_ylim(min(settled) - margin, max(settled) + margin)
    axes[1, 0].set_xlabel("epoch of the bound")
    axes[1, 1].set_xlabel("seconds of training steps")
    for ax in axes.flat:
        ax.grid(alpha=0.3)
    axes[0, 0].legend(fontsize=8)
    return figure


def _plot_gates(runs: Sequence[Record]) -> "Figure":
    """Draws one line a run: medians over the repetitions, with bands from least to greatest."""
    titles = {
        "distance": "distance to the expectation",
        "accuracy": "clustering accuracy of the gate",
        "squared_error": "squared error",
        "seconds": "seconds for all test points",
    }
    figure = new_figure(15, 3.6)
    figure.suptitle("The gate's predictions by the number of samples; dashed: DVMoE")
    for ax, (name, title) in zip(figure.subplots(1, len(titles)), titles.items(), strict=True):
        for run in runs:
            gates, colour = run["measured"]["gates"], expert_colour(run["seed"])
            if gates[0]["n_samples"] is not None:
                _plot_gate(ax, gates, name, colour, f"seed {run['seed']}")
            elif name in gates[0]:
                ax.axhline(np.median(gates[0][name]), color=colour, linestyle="--", linewidth=1)
        ax.set(xscale="log", xlabel="samples", title=title)
        if name != "accuracy":
            ax.set_yscale("log")
        ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    return figure


def _plot_gate(ax: Any, gates: Sequence[Record], name: str, colour: Any, label: str) -> None:
    samples = [gate["n_samples"] for gate in gates]
    values = np.array([gate[name] for gate in gates])
    ax.fill_between(
        samples, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.2, linewidth=0
    )
    ax.plot(samples, np.median(values, axis=1), color=colour, marker=".", label=label)
