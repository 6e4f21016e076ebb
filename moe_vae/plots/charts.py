"""Figures of results. Every function returns a matplotlib figure and writes no file.

An expert has one colour and a digit has one place wherever they appear.
"""

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from moe_vae.data.checks import square_side
from moe_vae.posts.parabolas import SPLIT, two_parabolas

__all__ = [
    "expert_colour",
    "plot_confusion",
    "plot_image_rows",
    "plot_kmeans_fit",
    "plot_losses",
    "plot_mixture_fit",
    "plot_parabolas",
    "plot_points",
    "plot_samples",
]

PICTURE_INCHES = 0.7
TRUTH_COLOUR = "0.6"
EDGE_COLOUR = "0.2"


def expert_colour(number):
    """Returns the colour of an expert: the ten of tab10, again from the first after the tenth."""
    return colormaps["tab10"](number % 10)


def plot_losses(history, titles, title):
    """Draws one curve a loss, side by side, over the epochs.

    Args:
      history: dict of loss name to a list with one value an epoch.
      titles: dict of loss name to the title of its curve; the curves stand in its order.
      title: title of the whole.

    Source: post 2, cell 8; post 3, cell 8.
    """
    figure = Figure(figsize=(4.2 * len(titles), 3.4), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(1, len(titles), squeeze=False)[0]
    for ax, (name, curve_title) in zip(axes, titles.items(), strict=True):
        values = history[name]
        ax.plot(np.arange(1, len(values) + 1), values, marker="." if len(values) < 30 else "")
        ax.set_title(curve_title, pad=14)
        ax.set_xlabel("epoch")
        ax.set_ylabel("whole training set")
        ax.grid(alpha=0.3)
    return figure


def plot_image_rows(rows, row_labels, title, column_labels=None, column_colours=None):
    """Draws a grid of images, dark on white.

    Args:
      rows: float array [rows, columns, side * side] with values in [0, 1].
      row_labels: one text a row.
      title: title of the whole.
      column_labels: one text a column, or None for none.
      column_colours: one colour a column for its label, or None for black.
    """
    n_rows, n_columns = len(rows), len(rows[0])
    figure = Figure(
        figsize=(PICTURE_INCHES * n_columns + 1.0, PICTURE_INCHES * n_rows + 0.9),
        layout="constrained",
    )
    figure.suptitle(title)
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    for row, (images, label) in enumerate(zip(rows, row_labels, strict=True)):
        for ax, image in zip(axes[row], images, strict=True):
            side = square_side(len(image))
            ax.imshow(np.reshape(image, [side, side]), cmap="gray_r", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
        axes[row, 0].set_ylabel(label, rotation=0, ha="right", va="center")
    for column, label in enumerate(column_labels or []):
        colour = column_colours[column] if column_colours else "black"
        axes[0, column].set_title(label, color=colour, fontsize=10)
    return figure


def plot_samples(samples, title, num_epochs=20, column_labels=None, column_colours=None):
    """Draws what the model drew after each epoch: one row an epoch, one column a digit or expert.

    Args:
      samples: list with one array [columns, 784] an epoch.
      title: title of the whole.
      num_epochs: at most so many rows, evenly spread over the epochs.
      column_labels, column_colours: see `plot_image_rows`.

    Source: post 2, cell 9; post 3, cell 9.
    """
    n_rows = min(num_epochs, len(samples))
    shown = np.linspace(0, len(samples) - 1, n_rows).round().astype(int)
    return plot_image_rows(
        np.asarray(samples)[shown],
        [f"epoch {epoch + 1}" for epoch in shown],
        title,
        column_labels,
        column_colours,
    )


def plot_confusion(table, title, cluster_name="expert", class_name="digit"):
    """Draws how many examples of each class went to each cluster.

    Args:
      table: whole-number array [classes, clusters].
      title: title of the whole.
      cluster_name, class_name: what a cluster and a class are called.
    """
    table = np.asarray(table)
    n_classes, n_clusters = table.shape
    figure = Figure(figsize=(0.62 * n_clusters + 1.6, 0.45 * n_classes + 1.4), layout="constrained")
    figure.suptitle(title, fontsize=11)
    ax = figure.subplots()
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for label in range(n_classes):
        for cluster in range(n_clusters):
            if count := table[label, cluster]:
                colour = "white" if shares[label, cluster] > 0.55 else "black"
                ax.text(cluster, label, count, ha="center", va="center", color=colour, fontsize=8)
    ax.set(
        xlabel=cluster_name, ylabel=class_name, xticks=range(n_clusters), yticks=range(n_classes)
    )
    return figure


def plot_points(panels, title, axis_labels=(None, None)):
    """Draws points in the plane, one panel beside the other, one colour a group.

    Args:
      panels: dict of a panel's title to its points, float array [n, 2], and their groups, whole
        numbers [n]; a group has one colour in all panels.
      title: title of the whole.
      axis_labels: what the horizontal and the vertical axis show; None for the plane itself.
    """
    figure = Figure(figsize=(4.2 * len(panels) + 0.6, 4.5), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(1, len(panels), squeeze=False, sharex=True, sharey=True)[0]
    for ax, (panel_title, (points, groups)) in zip(axes, panels.items(), strict=True):
        for group in np.unique(groups):
            chosen = np.asarray(points)[groups == group]
            ax.scatter(*chosen.T, s=4, color=expert_colour(int(group)), label=str(group))
        ax.set(title=panel_title, aspect="equal", xlabel=axis_labels[0])
        ax.grid(alpha=0.3)
    axes[0].set_ylabel(axis_labels[1])
    axes[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5), markerscale=3, frameon=False)
    return figure


def _parabola_axes(figure):
    ax = figure.subplots()
    grid = np.linspace(0, 1, 501)
    ax.plot(grid, two_parabolas(grid), color=TRUTH_COLOUR, lw=5, alpha=0.7, label="the data")
    ax.axvline(SPLIT, color=EDGE_COLOUR, ls="--", lw=1)
    ax.text(SPLIT + 0.008, -0.42, "$x'$", color=EDGE_COLOUR)
    ax.set(xlabel="$x$", ylabel="$y$", xlim=(0, 1), ylim=(-0.5, 1.25))
    return ax


def plot_parabolas():
    """Draws the one-dimensional function that changes its parabola at x'.

    Source: post 3, second drawing.
    """
    figure = Figure(figsize=(5.5, 3.6), layout="constrained")
    ax = _parabola_axes(figure)
    ax.set_title("One parabola left of $x'$, another right of it")
    ax.legend(loc="lower left")
    return figure


def plot_kmeans_fit(fit):
    """Draws the data cut by K-means at x'' and the parabola that fits each segment best.

    Args:
      fit: a `KMeansFit`.

    Source: post 3, third drawing.
    """
    figure = Figure(figsize=(5.5, 3.6), layout="constrained")
    ax = _parabola_axes(figure)
    sides = ((0, fit.boundary), (fit.boundary, 1))
    for number, (side, coefficients) in enumerate(zip(sides, fit.coefficients, strict=True)):
        grid = np.linspace(*side, 200)
        label = f"expert {number}, on its segment"
        ax.plot(grid, np.polyval(coefficients, grid), color=expert_colour(number), label=label)
    ax.axvline(fit.boundary, color="black", lw=1)
    ax.text(fit.boundary + 0.01, 0.05, "$x''$ of\nK-means")
    ax.set_title("Cut by K-means on $x$: expert 1 fits neither parabola")
    ax.legend(loc="lower left")
    return figure


def plot_mixture_fit(fit, kmeans):
    """Draws a trained mixture of experts: each expert's fit, and p(x) with the splits.

    Args:
      fit: a `MixtureFit`.
      kmeans: a `KMeansFit`, for x''.

    Source: post 3, fourth drawing.
    """
    figure = Figure(figsize=(6.2, 5.4), layout="constrained")
    figure.suptitle("A mixture of experts finds where the function changes")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    x = fit.x[:, 0]
    above.plot(x, two_parabolas(x), color=TRUTH_COLOUR, lw=5, alpha=0.7, label="the data")
    # Experts are interchangeable; the one that has the left side is called 0.
    for number, expert in enumerate(np.argsort(-fit.probs[0])):
        colour, prediction = expert_colour(number), fit.predictions[:, expert]
        own = fit.probs[:, expert] > 0.5
        above.plot(x, prediction, color=colour, ls=":", lw=1.2)
        above.plot(x[own], prediction[own], color=colour, label=f"expert {number}")
        below.plot(x, fit.probs[:, expert], color=colour, label=f"$p_{number}(x)$")
    for ax in (above, below):
        ax.axvline(SPLIT, color=EDGE_COLOUR, ls="--", lw=1)
        ax.axvline(fit.split, color="crimson", lw=1)
        ax.axvline(kmeans.boundary, color="black", lw=1)
    above.set(ylabel="$y$", xlim=(0, 1), ylim=(-0.5, 1.25))
    above.legend(loc="lower left")
    below.set(xlabel="$x$", ylabel="manager's output")
    below.text(kmeans.boundary - 0.01, 0.5, "$x''$ of K-means", ha="right")
    below.text(fit.split - 0.01, 0.75, "learned", ha="right", color="crimson")
    below.text(SPLIT + 0.01, 0.2, "$x'$", color=EDGE_COLOUR)
    below.legend(loc="center right")
    return figure
