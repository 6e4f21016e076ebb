"""The figure of `make soak`: what one process holds after many rounds and checkpoints."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from moe_vae.plots.charts import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_soak"]

Record = Mapping[str, Any]

COLUMNS = {
    "rounds": "rounds of training, generation and evaluation",
    "checkpoints": "checkpoints written in one directory",
}

ROOM = 1.15  # above the highest curve
COUNTED = {"open_files": "open files", "graphs": "graphs of TensorFlow"}


def plot_soak(results: Record) -> "Figure":
    """Draws memory, open files and graphs over the rounds, and over the checkpoints.

    Args:
      results: the content of `results/soak.json`.
    """
    figure = new_figure(10, 5.4)
    rows = figure.subplots(2, len(COLUMNS), sharex="col", squeeze=False)
    for (memory, counts), (kind, label) in zip(rows.T, COLUMNS.items(), strict=True):
        records, numbers = results[kind], _numbers(results[kind])
        _plot_memory(memory, records, results["growth_mb"][kind])
        for name, title in COUNTED.items():
            if name in records[0]:
                counts.plot(numbers, [each[name] for each in records], label=title)
        counts.set(xlabel=label, ylabel="number")
        counts.set_ylim(0, ROOM * counts.get_ylim()[1])
        counts.legend()
    for ax in rows.flat:
        ax.grid(alpha=0.3)
    figure.suptitle("What one process holds")
    return figure


def _plot_memory(ax: "Axes", records: Sequence[Record], growth: float) -> None:
    """Draws the memory, and the line that is fitted to its second half."""
    numbers, memory = _numbers(records), np.array([each["memory_mb"] for each in records])
    half = len(records) // 2
    ax.plot(numbers, memory, label="measured")
    later = numbers[half:]
    line = memory[half:].mean() + growth * (later - later.mean())
    label = f"second half: {1000 * growth:+.1f} kB each time"
    ax.plot(later, line, "--", color="black", label=label)
    ax.set_ylabel("resident memory (MB)")
    ax.set_ylim(0, ROOM * memory.max())
    ax.legend(loc="lower right")


def _numbers(records: Sequence[Record]) -> np.ndarray:
    return np.arange(1, len(records) + 1)
