"""Figures of the studies of the posts: post 2's parameters, post 3's limits, and networks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from moe_vae.data.checks import square_side
from moe_vae.evaluation.conditional_vae import PLANE_DIGITS, PLANE_TAIL
from moe_vae.evaluation.packed import unpack_array, unpack_pictures
from moe_vae.plots.charts import PICTURE_COLOURS, expert_colour, new_figure, plot_image_rows
from moe_vae.posts.conditional_vae import CONDITIONAL_VAE_PARAMS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["VARIED", "draw_limits", "draw_networks", "draw_parameters", "varied_runs"]

# The parameters of post 2 that are varied, each alone.
VARIED = ("z_dim", "decoder_std", "digit_classification_weight")

_POSTS = {"conditional-vae": "post 2", "mixture-of-vaes": "post 3"}
_NETWORKS = {"dense": "dense networks", "conv": "convolutions"}

Record = dict[str, Any]


def varied_runs(records: Sequence[Record], parameter: str) -> list[Record]:
    """Returns the runs in which no other parameter of `VARIED` differs from the post's, by value.

    Args:
      records: the runs' records.
      parameter: one of `VARIED`.
    """
    others = [name for name in VARIED if name != parameter]
    chosen = [
        record
        for record in records
        if all(record["params"][name] == CONDITIONAL_VAE_PARAMS[name] for name in others)
    ]
    return sorted(chosen, key=lambda record: (record["params"][parameter], record["seed"]))


def draw_parameters(records: Sequence[Record]) -> "dict[str, Figure]":
    """Draws what each value of post 2's parameters does.

    Args:
      records: the runs' records, each with what `measure_drawings` returns as `measured`.

    Returns:
      Dict of name to figure: `digits`, a panel for each value; and `plane`, of the first run whose
      codes have two dimensions, if there is one.
    """
    figures = {"digits": _plot_digits(records)}
    flat = [record for record in records if record["params"]["z_dim"] == 2]
    if flat:
        figures["plane"] = _plot_plane(flat[0])
    return figures


def _plot_digits(records: Sequence[Record]) -> "Figure":
    rows = [varied_runs(records, parameter) for parameter in VARIED]
    n_columns = max(map(len, rows))
    figure = new_figure(4.4 * n_columns, 2.0 * len(rows) + 0.5)
    figure.suptitle("Conditional VAE: three codes, every digit, under other parameters")
    axes = figure.subplots(len(rows), n_columns, squeeze=False)
    for row, parameter, runs in zip(axes, VARIED, rows, strict=True):
        for ax in row[len(runs) :]:
            ax.set_axis_off()
        for ax, run in zip(row, runs, strict=False):
            _show_pictures(ax, unpack_pictures(run["measured"]["drawn"]))
            value = run["params"][parameter]
            is_posts = value == CONDITIONAL_VAE_PARAMS[parameter]
            ax.set_title(f"{parameter} {value:g}{' (the post)' if is_posts else ''}", fontsize=11)
            ax.set_xlabel(
                f"VAE loss {run['history']['loss_auto_encode'][-1]:.1f}, "
                f"accuracy {run['test']['accuracy']:.3f}, "
                f"recognised {run['evaluation']['generation']['share']:.3f}"
            )
    return figure


def _show_pictures(ax: Any, pictures: np.ndarray) -> None:
    """Shows pictures [rows, columns, pixels] side by side, without gaps."""
    n_rows, n_columns, n_pixels = pictures.shape
    side = square_side(n_pixels)
    squares = pictures.reshape(n_rows, n_columns, side, side)
    image = squares.transpose(0, 2, 1, 3).reshape(n_rows * side, n_columns * side)
    ax.imshow(image, cmap=PICTURE_COLOURS, vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])


def _plot_plane(run: Record) -> "Figure":
    """Draws the mean codes of test images, and beside them the decodings of a grid of codes."""
    measured = run["measured"]
    plane = unpack_pictures(measured["plane"])
    codes, labels = unpack_array(measured["codes"]), unpack_array(measured["labels"])
    figure = new_figure(4.2 * (len(plane) + 1) + 0.6, 5.4)
    figure.suptitle(f"Codes of two dimensions ({run['data']}, seed {run['seed']})")
    first, *others = figure.subplots(1, len(plane) + 1)
    for digit in np.unique(labels):
        chosen = codes[labels == digit]
        first.scatter(*chosen.T, s=4, color=expert_colour(int(digit)), label=str(digit))
    first.set(title="mean codes of test images", xlabel="z, first", ylabel="z, second")
    first.set_aspect("equal", adjustable="datalim")
    first.legend(title="digit", markerscale=3, fontsize=8)
    edge = f"quantiles {PLANE_TAIL:g} to {1 - PLANE_TAIL:g} of N(0, 1)"
    for ax, pictures, digit in zip(others, plane, PLANE_DIGITS, strict=True):
        _show_pictures(ax, pictures)
        ax.set(title=f"the plane, decoded as a {digit}", xlabel=f"z, first: {edge}")
    others[0].set_ylabel(f"z, second: {edge}")
    return figure


def draw_limits(records: Sequence[Record]) -> "dict[str, Figure]":
    """Draws both limits of post 3: experts that are given their digits, and no balancing.

    Args:
      records: the runs' records. Those with the routing `labels` have what `measure_experts`
        returns as `measured`; the others have `shares` in their history.

    Returns:
      Dict of name to figure: `labels` and `shares`, as far as there are runs.
    """
    figures = {}
    by_label = [record for record in records if record["params"].get("routing") == "labels"]
    if by_label:
        drawn = unpack_pictures(by_label[0]["measured"]["drawn"])
        digits = range(drawn.shape[1])
        figures["labels"] = plot_image_rows(
            drawn,
            [f"code {number}" for number in range(1, len(drawn) + 1)],
            f"VAEs of one digit each, by label ({by_label[0]['data']}, seed {by_label[0]['seed']})",
            [str(digit) for digit in digits],
            [expert_colour(digit) for digit in digits],
        )
    balanced = [record for record in records if "shares" in record["history"]]
    if balanced:
        figures["shares"] = _plot_shares(balanced)
    return figures


def _plot_shares(runs: Sequence[Record]) -> "Figure":
    """Draws a panel a run, a column for each weight and a row for each seed."""
    from matplotlib.ticker import MaxNLocator

    weights = sorted({run["params"]["balancing_weight"] for run in runs})
    seeds = sorted({run["seed"] for run in runs})
    figure = new_figure(2.3 * len(weights) + 1.4, max(1.9 * len(seeds) + 0.9, 3.6))
    figure.suptitle(f"Each expert's share of the training images ({runs[0]['data']})")
    axes = figure.subplots(len(seeds), len(weights), squeeze=False, sharex=True, sharey=True)
    for run in runs:
        column = weights.index(run["params"]["balancing_weight"])
        shares = np.array(run["history"]["shares"])
        colours = [expert_colour(expert) for expert in range(shares.shape[1])]
        epochs = np.arange(1, len(shares) + 1)
        ax = axes[seeds.index(run["seed"]), column]
        areas = ax.stackplot(epochs, shares.T, colors=colours, linewidth=0)
        ax.set(ylim=(0, 1), xlim=(1, max(len(shares), 2)))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    for ax, weight in zip(axes[0], weights, strict=True):
        ax.set_title(f"balancing_weight {weight:g}", fontsize=9)
    for ax in axes[-1]:
        ax.set_xlabel("epoch")
    for ax, seed in zip(axes[:, 0], seeds, strict=True):
        ax.set_ylabel(f"seed {seed}")
    # The last expert's area is on top, so its entry is.
    experts = [str(expert) for expert in range(len(areas))]
    figure.legend(areas[::-1], experts[::-1], title="expert", loc="outside right center")
    return figure


def draw_networks(records: Sequence[Record]) -> "dict[str, Figure]":
    """Draws what the posts' models draw, with dense networks and with convolutions.

    Args:
      records: the runs' records, each with its `step` and with what `measure_network` returns as
        `measured`.

    Returns:
      Dict of name to figure: `pictures`, a panel for the first run of each step.
    """
    first = {record["step"]: record for record in reversed(records)}
    steps = sorted(first)
    figure = new_figure(5.2 * min(len(steps), 2), 2.1 * ((len(steps) + 1) // 2) + 0.5)
    figure.suptitle("Three codes, each as every digit (post 2) or by every expert (post 3)")
    axes = figure.subplots((len(steps) + 1) // 2, min(len(steps), 2), squeeze=False)
    for ax in axes.flat[len(steps) :]:
        ax.set_axis_off()
    for ax, step in zip(axes.flat, steps, strict=False):
        run = first[step]
        _show_pictures(ax, unpack_pictures(run["measured"]["drawn"]))
        post, network = _POSTS[run["model"]], _NETWORKS[run["params"]["network"]]
        ax.set_title(f"{post}, {network}, {len(run['seconds'])} epochs", fontsize=11)
        ax.set_xlabel(f"seed {run['seed']}")
    return {"pictures": figure}
