"""The figure of DMVAE's relaxed objective by temperature."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from moe_vae.plots.charts import expert_colour, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_relaxation"]

Record = dict[str, Any]

# The runs that are shown: those that were trained by the relaxed objective at one temperature.
SHOWN = ("relaxed", "begun-relaxed")


def draw_relaxation(records: Sequence[Record]) -> "dict[str, Figure]":
    """Draws the gradient's noise and the distance to the exact loss by temperature.

    The lines are medians over the runs, the bands go from the least to the greatest run. A dashed
    line is the exact objective's value.

    Args:
      records: the runs' records, some with what `measure_relaxation` returns as `measured`.

    Returns:
      Dict of name to figure: `temperature`, or nothing if no run was measured.
    """
    by_data: dict[str, list[Record]] = {}
    for record in records:
        if record["step"] in SHOWN and "measured" in record:
            by_data.setdefault(record["data"], []).append(record["measured"])
    if not by_data:
        return {}
    figure = new_figure(12, 3.6)
    figure.suptitle("DMVAE's relaxed objective by temperature")
    axes = figure.subplots(1, 3)
    for number, (data, measured) in enumerate(by_data.items()):
        exact, *relaxed = zip(*(each["objectives"] for each in measured), strict=True)
        colour = expert_colour(number)
        for ax, part in zip(axes, ("cluster encoder", "encoder"), strict=False):
            _plot_band(ax, relaxed, lambda each, part=part: _variance(each, part), data, colour)
            noise = float(np.median([_variance(each, part) for each in exact]))
            if noise:  # a logarithmic axis has no 0
                ax.axhline(noise, color=colour, linestyle="--", label=f"{data}, exact")
        _plot_band(axes[2], relaxed, lambda each: each["gap"], data, colour)
    for ax, title in zip(
        axes,
        (
            "variance of the gradient,\ncluster encoder",
            "variance of the gradient,\nencoder",
            "relaxed minus exact loss (nats)",
        ),
        strict=True,
    ):
        ax.set(xscale="log", xlabel="temperature", title=title)
        ax.grid(alpha=0.3)
        ax.legend(fontsize=8)
    for ax in axes[:2]:
        ax.set_yscale("log")
    axes[2].axhline(0, color="black", linewidth=0.8)
    axes[2].set_yscale("symlog", linthresh=0.01)
    return {"temperature": figure}


def _variance(measured: Record, part: str) -> float:
    return measured["gradients"][part]["variance"]


def _plot_band(
    ax: Any, by_temperature: Sequence[Sequence[Record]], value_of: Any, label: str, colour: Any
) -> None:
    """Draws the median, the least and the greatest value over the runs by temperature."""
    temperatures = [runs[0]["temperature"] for runs in by_temperature]
    values = np.array([[value_of(each) for each in runs] for runs in by_temperature])
    ax.fill_between(
        temperatures, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.2, linewidth=0
    )
    ax.plot(temperatures, np.median(values, axis=1), color=colour, marker=".", label=label)
