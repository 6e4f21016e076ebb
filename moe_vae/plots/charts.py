"""Charts of any results: losses, images, confusion tables and points.

An expert has one colour and a digit has one place wherever they appear. Every image is drawn as the
posts draw theirs, with white ink on black.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from moe_vae.data.checks import square_side

if TYPE_CHECKING:
    from matplotlib.figure import Figure, FigureBase

__all__ = [
    "expert_colour",
    "new_figure",
    "plot_confusion",
    "plot_image_rows",
    "plot_losses",
    "plot_points",
    "plot_samples",
]

Colour = Any  # whatever matplotlib takes for one

# As in the posts' cell 9.
PICTURE_INCHES = 0.7
LETTER_INCHES = 0.09  # of a title
LABEL_LENGTH = 9  # of a column, which has room for so many letters of the usual size
PICTURE_COLOURS = "Greys_r"  # 0 is black and 1 is white

N_MARKED = 30  # a curve of fewer epochs has a dot for each


def new_figure(
    width: float, height: float, layout: Literal["constrained"] | None = "constrained"
) -> "Figure":
    """Returns an empty figure; its width and height are in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout)


def expert_colour(number: int) -> tuple[float, ...]:
    """Returns an expert's colour: the ten of matplotlib's tab10, repeated for more experts."""
    from matplotlib import colormaps

    return colormaps["tab10"](number % 10)


def plot_losses(
    history: Mapping[str, Sequence[float]],
    titles: Mapping[str, str],
    title: str,
    units: Mapping[str, str] | None = None,
    logarithmic: Collection[str] = (),
    parts: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
) -> "Figure":
    """Draws each loss over the epochs, in a panel of its own.

    Args:
      history: dict of loss name to a list with one value for each epoch, over the training set.
      titles: dict of loss name to the title of its panel, in the order of the panels.
      title: title of the figure.
      units: dict of loss name to its unit; a loss that is not in it has none.
      logarithmic: names of losses whose panels have a logarithmic scale if all values are positive.
      parts: dict of loss name to what it is the sum of, a dict of a part's label to its values.

    Source: post 2, cell 8; post 3, cell 8.
    """
    from matplotlib.ticker import MaxNLocator

    units, parts = units or {}, parts or {}
    figure = new_figure(4.2 * len(titles), 3.4)
    figure.suptitle(title)
    axes = figure.subplots(1, len(titles), squeeze=False)[0]
    for ax, (name, panel_title) in zip(axes, titles.items(), strict=True):
        values, of_name = history[name], parts.get(name, {})
        epochs = np.arange(1, len(values) + 1)
        marker = "." if len(values) < N_MARKED else ""
        # A part may lie on the sum.
        style: dict[str, Any] = {"lw": 5, "alpha": 0.35, "label": "sum"} if of_name else {}
        ax.plot(epochs, values, marker=marker, **style)
        for label, part in of_name.items():
            ax.plot(epochs, part, linestyle="--", linewidth=1, label=label)
        if of_name:
            ax.legend(fontsize=8)
        if name in logarithmic and min(values) > 0:
            ax.set_yscale("log")
        ax.set_title(panel_title, pad=14)
        ax.set_xlabel("epoch")
        ax.set_ylabel(units.get(name, "value on the training set"))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(alpha=0.3, which="both")
    return figure


def plot_image_rows(
    rows: ArrayLike,
    row_labels: Sequence[str],
    title: str,
    column_labels: Sequence[str] | None = None,
    column_colours: Sequence[Colour] | None = None,
    own_scales: bool = False,
) -> "Figure":
    """Draws a grid of images, white on black.

    Args:
      rows: float array [rows, columns, height, width], or [rows, columns, side * side] for square
        images, with values in [0, 1]. Where an image is NaN, its place is empty.
      row_labels: one text for each row.
      title: title of the figure.
      column_labels: one text for each column, or None for no labels.
      column_colours: the colour of each column's label, or None for black.
      own_scales: whether black and white are the least and the largest value of each image, and not
        0 and 1.
    """
    rows = _squares(rows)
    # Wide enough for the title, too.
    width, height = _grid_inches(rows)
    figure = new_figure(max(width, LETTER_INCHES * len(title)), height)
    _draw_grid(figure, rows, row_labels, title, column_labels, column_colours, own_scales)
    return figure


def _squares(rows: ArrayLike) -> np.ndarray:
    """Returns a grid's images as an array [rows, columns, height, width]."""
    rows = np.asarray(rows)
    if rows.ndim == 3:
        rows = rows.reshape(*rows.shape[:2], *[square_side(rows.shape[2])] * 2)
    return rows


def _grid_inches(rows: np.ndarray) -> tuple[float, float]:
    """Returns the width and the height of a grid with its labels."""
    n_rows, n_columns, height, width = rows.shape
    # The longer side of an image is as long as that of a square one.
    scale = PICTURE_INCHES / max(height, width)
    return scale * width * n_columns + 1.0, scale * height * n_rows + 0.9


def _draw_grid(
    figure: "FigureBase",
    rows: np.ndarray,
    row_labels: Sequence[str],
    title: str,
    column_labels: Sequence[str] | None,
    column_colours: Sequence[Colour] | None,
    own_scales: bool,
) -> None:
    """Draws a grid of images [rows, columns, height, width]; see `plot_image_rows`."""
    n_rows, n_columns = rows.shape[:2]
    black, white = (None, None) if own_scales else (0, 1)
    figure.suptitle(title)
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    for row, (images, label) in enumerate(zip(rows, row_labels, strict=True)):
        for ax, image in zip(axes[row], images, strict=True):
            ax.set(xticks=[], yticks=[])
            if np.isnan(image).all():
                ax.set_frame_on(False)
            else:
                ax.imshow(image, cmap=PICTURE_COLOURS, vmin=black, vmax=white)
        axes[row, 0].set_ylabel(label, rotation=0, ha="right", va="center")
    size = 8 if any(len(label) > LABEL_LENGTH for label in column_labels or []) else 10
    for column, label in enumerate(column_labels or []):
        colour = column_colours[column] if column_colours else "black"
        axes[0, column].set_title(label, color=colour, fontsize=size)


def plot_samples(
    samples: ArrayLike,
    title: str,
    num_epochs: int = 20,
    column_labels: Sequence[str] | None = None,
    column_colours: Sequence[Colour] | None = None,
    fixed_samples: ArrayLike | None = None,
) -> "Figure":
    """Draws what a model generated after each epoch: one row an epoch, one column an expert.

    The rows are the epochs `linspace(0, n - 1, num_epochs)`, rounded down, and each image has its
    own scale, from its darkest to its brightest pixel: both as in the posts. The titles and the
    columns' labels are not in the posts. The posts draw a new code in each epoch, so that rows
    differ in style, too; beside that, `fixed_samples` show what the training changes.

    Args:
      samples: list with one array for each epoch, [columns, height, width], or [columns, side *
        side] for square images; a column is a digit, an expert or a cluster, and each epoch has a
        code of its own.
      title: title of the figure.
      num_epochs: the number of rows; after fewer epochs than that, each epoch has one row.
      column_labels, column_colours: see `plot_image_rows`.
      fixed_samples: the same as `samples`, from one code for all epochs, for a second panel; None
        draws none.

    Source: post 2, cell 9; post 3, cell 9.
    """
    panels = {"a new code in each epoch": np.asarray(samples)}
    if fixed_samples is not None:
        panels["one code for all epochs"] = np.asarray(fixed_samples)
    n_epochs = len(panels["a new code in each epoch"])
    shown = np.linspace(0, n_epochs - 1, min(num_epochs, n_epochs)).astype(int)
    grids = {name: _squares(images[shown]) for name, images in panels.items()}
    widths, heights = zip(*(_grid_inches(grid) for grid in grids.values()), strict=True)
    figure = new_figure(max(sum(widths), LETTER_INCHES * len(title)), max(heights) + 0.3)
    figure.suptitle(title)
    parts = figure.subfigures(1, len(grids), squeeze=False)[0]
    for part, (name, grid) in zip(parts, grids.items(), strict=True):
        labels = [f"epoch {epoch + 1}" for epoch in shown]
        _draw_grid(part, grid, labels, name, column_labels, column_colours, own_scales=True)
    return figure


def plot_confusion(
    table: ArrayLike,
    title: str,
    cluster_name: str = "expert",
    class_name: str = "digit",
    class_names: Sequence[str] | None = None,
) -> "Figure":
    """Draws how many examples of each class went to each cluster.

    A cell is the darker the larger its share of the class.

    Args:
      table: whole-number array [classes, clusters].
      title: title of the figure.
      cluster_name, class_name: what a cluster and a class are called.
      class_names: the classes' own names, or None for their numbers.
    """
    table = np.asarray(table)
    n_classes, n_clusters = table.shape
    figure = new_figure(0.62 * n_clusters + 1.6, 0.45 * n_classes + 1.4)
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
    if class_names is not None:
        ax.set_yticks(range(n_classes), class_names[:n_classes])
    return figure


def plot_points(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray]],
    title: str,
    axis_labels: tuple[str | None, str | None] = (None, None),
    group_name: str | None = None,
    group_labels: Mapping[int, str] | None = None,
    group_colours: Mapping[int, Colour] | None = None,
) -> "Figure":
    """Draws points in the plane, in panels side by side, with one colour for each group.

    Args:
      panels: dict of a panel's title to its points, float array [n, 2], and their groups, whole
        numbers [n]; a group has the same colour in all panels.
      title: title of the figure.
      axis_labels: what the horizontal and the vertical axis show; None for no label.
      group_name: what a group is called, the legend's title; None for no title, and for no
        legend if there is one group alone.
      group_labels: dict of group to its text in the legend; a group that is not in it has its
        number.
      group_colours: dict of group to its colour; a group that is not in it has the expert's.
    """
    figure = new_figure(4.2 * len(panels) + 0.6, 4.5)
    figure.suptitle(title)
    axes = figure.subplots(1, len(panels), squeeze=False, sharex=True, sharey=True)[0]
    # Panels that share both axes can only shrink to make the two scales equal.
    adjustable = "datalim" if len(panels) == 1 else "box"
    groups_shown: dict[int, Any] = {}
    for ax, (panel_title, (points, groups)) in zip(axes, panels.items(), strict=True):
        for group in np.unique(groups):
            chosen = np.asarray(points)[groups == group]
            colour = (group_colours or {}).get(int(group), expert_colour(int(group)))
            dots = ax.scatter(*chosen.T, s=4, color=colour)
            groups_shown.setdefault(int(group), dots)
        ax.set(title=panel_title, xlabel=axis_labels[0])
        ax.set_aspect("equal", adjustable=adjustable)
        ax.grid(alpha=0.3)
    axes[0].set_ylabel(axis_labels[1])
    if group_name is not None or len(groups_shown) > 1:
        axes[-1].legend(
            [groups_shown[group] for group in sorted(groups_shown)],
            [(group_labels or {}).get(group, str(group)) for group in sorted(groups_shown)],
            title=group_name,
            loc="center left",
            bbox_to_anchor=(1, 0.5),
            markerscale=3,
            frameon=False,
        )
    return figure
