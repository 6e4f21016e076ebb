"""The errors of Table 1's cells, draw by draw."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from moe_vae.models.gates import GATES
from moe_vae.plots.charts import expert_colour, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_errors"]

SPREAD = (
    0.25  # half the width over which a gate's dots are spread, as a share of the gates' distance
)


def plot_errors(cells: Sequence[dict[str, Any]]) -> "Figure":
    """Draws the squared test error of each draw, on a logarithmic scale, with a bar at the median.

    Each data set is a row of panels, and each number of outputs a column. A draw has the same
    horizontal place among the dots of every gate.

    Args:
      cells: the recorded cells of Table 1, one or more.
    """
    data = list(dict.fromkeys(cell["data"] for cell in cells))
    n_outputs = sorted({cell["params"]["n_outputs"] for cell in cells})
    gates = [gate for gate in GATES if gate in {cell["params"]["gate"] for cell in cells}]
    places = _places(cells)
    figure = new_figure(1.2 + 3.6 * len(n_outputs), 1.4 + 2.9 * len(data))
    figure.suptitle(
        "Squared test error of each draw of the targets (D dimensions); the bar is the median"
    )
    axes = figure.subplots(len(data), len(n_outputs), squeeze=False, sharey="row", sharex=True)
    for row, data_name in zip(axes, data, strict=True):
        for ax, size in zip(row, n_outputs, strict=True):
            panel = [
                cell
                for cell in cells
                if (cell["data"], cell["params"]["n_outputs"]) == (data_name, size)
            ]
            for place, gate in enumerate(gates):
                of_gate = [cell for cell in panel if cell["params"]["gate"] == gate]
                _draw_gate(ax, place, of_gate, places)
            ax.set(title=f"{data_name}, D = {size}", yscale="log")
            ax.set_xticks(range(len(gates)), [GATES[gate].label for gate in gates], rotation=30)
            ax.set_xticks(ax.get_xticks(), ax.get_xticklabels(), ha="right")
            ax.grid(alpha=0.3, axis="y")
        row[0].set_ylabel("squared error")
    return figure


def _places(cells: Sequence[dict[str, Any]]) -> dict[int, float]:
    """Returns how far from a gate's middle each draw's dots are."""
    draws = sorted({cell["params"]["targets_seed"] for cell in cells})
    spread = np.linspace(-SPREAD, SPREAD, len(draws)) if len(draws) > 1 else [0.0]
    return dict(zip(draws, map(float, spread), strict=True))


def _draw_gate(
    ax: Any, place: int, cells: Sequence[dict[str, Any]], places: dict[int, float]
) -> None:
    if not cells:
        return
    errors = [cell["test"]["squared_error"] for cell in cells]
    across = [place + places[cell["params"]["targets_seed"]] for cell in cells]
    colour = expert_colour(place)
    ax.scatter(across, errors, s=14, color=colour, alpha=0.8)
    ax.hlines(np.median(errors), place - 1.4 * SPREAD, place + 1.4 * SPREAD, color=colour, lw=2)
