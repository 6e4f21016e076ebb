"""Post 3's argument in one dimension, drawn."""

from typing import TYPE_CHECKING, Any

import numpy as np

from moe_vae.plots.charts import expert_colour, new_figure
from moe_vae.posts.parabolas import SPLIT, KMeansFit, MixtureFit, two_parabolas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_kmeans_fit", "plot_mixture_fit", "plot_parabolas"]

DATA_COLOUR = "0.6"
SPLIT_COLOUR = "0.2"
LEARNED_COLOUR = "crimson"
KMEANS_COLOUR = "black"
DATA_CURVE: dict[str, Any] = {"color": DATA_COLOUR, "lw": 5, "alpha": 0.7, "label": "data"}


def _parabola_axes(figure: "Figure") -> Any:
    """Axes with the data's curve and its split x'."""
    ax = figure.subplots()
    grid = np.linspace(0, 1, 501)
    ax.plot(grid, two_parabolas(grid), **DATA_CURVE)
    ax.axvline(SPLIT, color=SPLIT_COLOUR, ls="--", lw=1)
    ax.text(SPLIT + 0.008, -0.42, "$x'$", color=SPLIT_COLOUR)
    ax.set(xlabel="$x$", ylabel="$y$", xlim=(0, 1), ylim=(-0.5, 1.25))
    return ax


def plot_parabolas() -> "Figure":
    """Draws the one-dimensional function that is another parabola on either side of x'.

    Source: post 3, second drawing.
    """
    figure = new_figure(5.5, 3.6)
    ax = _parabola_axes(figure)
    ax.set_title("One parabola left of $x'$, another right of it")
    ax.legend(loc="lower left")
    return figure


def plot_kmeans_fit(fit: KMeansFit) -> "Figure":
    """Draws the segments that K-means makes, and the parabola that fits each of them best.

    Args:
      fit: a `KMeansFit`; its boundary is x''.

    Source: post 3, third drawing.
    """
    figure = new_figure(5.5, 3.6)
    ax = _parabola_axes(figure)
    sides = ((0, fit.boundary), (fit.boundary, 1))
    for number, (side, coefficients) in enumerate(zip(sides, fit.coefficients, strict=True)):
        grid = np.linspace(*side, 200)
        label = f"expert {number}, on its segment"
        ax.plot(grid, np.polyval(coefficients, grid), color=expert_colour(number), label=label)
    ax.axvline(fit.boundary, color=KMEANS_COLOUR, lw=1)
    ax.text(fit.boundary + 0.01, 0.05, "$x''$ of\nK-means")
    ax.set_title("Split by K-means on $x$: expert 1 fits neither parabola")
    ax.legend(loc="lower left")
    return figure


def plot_mixture_fit(fit: MixtureFit, kmeans: KMeansFit) -> "Figure":
    """Draws a trained mixture of experts: above each expert's fit, below the manager's p(x).

    Args:
      fit: a `MixtureFit`.
      kmeans: a `KMeansFit`, for x''.

    Source: post 3, fourth drawing.
    """
    figure = new_figure(6.2, 5.4)
    figure.suptitle("A mixture of experts finds where the function changes")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    x = fit.x[:, 0]
    above.plot(x, two_parabolas(x), **DATA_CURVE)
    # The experts are interchangeable: the one on the left is called 0.
    for number, expert in enumerate(np.argsort(-fit.probs[0])):
        colour, prediction = expert_colour(number), fit.predictions[:, expert]
        own = fit.probs[:, expert] > 0.5
        above.plot(x, prediction, color=colour, ls=":", lw=1.2)
        above.plot(x[own], prediction[own], color=colour, label=f"expert {number}")
        below.plot(x, fit.probs[:, expert], color=colour, label=f"$p_{number}(x)$")
    for ax in (above, below):
        ax.axvline(SPLIT, color=SPLIT_COLOUR, ls="--", lw=1)
        ax.axvline(fit.split, color=LEARNED_COLOUR, lw=1)
        ax.axvline(kmeans.boundary, color=KMEANS_COLOUR, lw=1)
    above.set(ylabel="$y$", xlim=(0, 1), ylim=(-0.5, 1.25))
    above.legend(loc="lower left")
    below.set(xlabel="$x$", ylabel="manager's output")
    below.text(kmeans.boundary - 0.01, 0.5, "$x''$ of K-means", ha="right")
    below.text(fit.split - 0.03, 0.5, "learned", ha="right", color=LEARNED_COLOUR)
    below.text(SPLIT + 0.03, 0.5, "$x'$", color=SPLIT_COLOUR)
    below.legend(loc="center right")
    return figure
