"""`generate`: pictures or points drawn by a trained model."""

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np

from moe_vae.cli import options
from moe_vae.experiments.registry import MODELS
from moe_vae.experiments.run_files import save_figures
from moe_vae.files import shown
from moe_vae.model import Model
from moe_vae.plots.charts import plot_image_rows, plot_points
from moe_vae.plots.common import class_title, pictures, plane, principal_axes

__all__ = ["add_command", "run"]


# Matplotlib draws at most 2^16 pixels side by side; a picture takes 70.
MAX_PICTURES = 900
MAX_BYTES = 1 << 30
BYTES_AN_EXAMPLE = 16  # of a feature: as drawn, in a row, and in the figure


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(commands, "generate", run, "draw pictures with a trained model")
    options.add_trained(command)
    options.add_json(command)
    command.add_argument(
        "--which",
        metavar="N",
        help="which digit, class, expert or cluster to draw, by its number or its class's name; "
        "default: each",
    )
    command.add_argument(
        "--count",
        type=options.positive,
        default=10,
        metavar="N",
        help="how many pictures of each; default: 10",
    )
    command.add_argument(
        "--seed", type=options.seed, default=42, help="seed of the codes; default: 42"
    )
    command.add_argument(
        "--out",
        type=options.png,
        default=Path("generated.png"),
        metavar="PNG",
        help="the file to write; default: generated.png",
    )


def run(arguments: argparse.Namespace) -> None:
    """Draws, and writes the picture."""
    model, session, record = options.trained_by(arguments)
    if not model.draws:
        raise options.CommandError(
            f"{options.trained_name(arguments)} holds a model of kind {record['model']!r}, which "
            "draws nothing"
        )
    titles = [_column_title(model, column, record) for column in range(model.n_columns)]
    columns = _columns(arguments.which, titles)
    _check_amount(arguments.count, len(columns), record["shape"])
    codes = np.random.default_rng(arguments.seed).standard_normal(
        [arguments.count, model.params["z_dim"]]
    )
    rows = [model.generate(session, codes, column) for column in columns]
    labels = [titles[column] if model.n_columns > 1 else "" for column in columns]
    drawn, figure = _plot(model, rows, columns, labels, record)
    save_figures({arguments.out.stem: figure}, arguments.out.parent)
    result = {
        "file": str(arguments.out),
        "drawn": drawn,
        "columns": [titles[column] for column in columns],
        "count": arguments.count,
        "seed": arguments.seed,
    }
    options.report(
        arguments, result, f"{len(columns)} x {arguments.count} {drawn} are in {arguments.out}."
    )


def _check_amount(count: int, n_columns: int, shape: list[int]) -> None:
    """Raises CommandError if the figure would be too wide, or its examples exceed the memory."""
    if len(shape) == 2 and count > MAX_PICTURES:
        raise options.CommandError(
            f"--count is {count}: a figure has at most {MAX_PICTURES} pictures side by side"
        )
    n_bytes = BYTES_AN_EXAMPLE * count * n_columns * math.prod(shape)
    if n_bytes > MAX_BYTES:
        raise options.CommandError(
            f"--count is {count}: {count * n_columns:,} examples would take about "
            f"{n_bytes / 2**30:.1f} GiB; at most {MAX_BYTES / 2**30:g} GiB are taken"
        )


def _column_title(model: Model, column: int, record: dict[str, Any]) -> str:
    """Returns what a model's column is called, such as "expert 3", or "cat" if it is a class."""
    return class_title(record, column) if model.column == "digit" else f"{model.column} {column}"


def _columns(which: str | None, titles: list[str]) -> list[int]:
    """Returns the numbers of the columns that are asked for, by a number or a title."""
    if which is None:
        return list(range(len(titles)))
    if which in titles:
        return [titles.index(which)]
    if which in map(str, range(len(titles))):
        return [int(which)]
    raise options.CommandError(
        f"--which is {shown(which)}: it must be in 0 to {len(titles) - 1}, or one of "
        f"{', '.join(titles)}"
    )


def _plot(
    model: Model,
    rows: list[np.ndarray],
    columns: list[int],
    labels: list[str],
    record: dict[str, Any],
) -> tuple[str, Any]:
    """Returns what was drawn, pictures or points, and the figure of it."""
    if len(record["shape"]) == 1:
        count = len(rows[0])
        drawn = np.concatenate(rows)
        points = plane(drawn, principal_axes(drawn)), np.repeat(columns, count)
        each = "each" if model.n_columns > 1 else "the"
        title = f"{count} points of {each} {model.column}"
        return "points", plot_points({title: points}, _title(record))
    return "pictures", plot_image_rows(pictures(rows, record), labels, _title(record))


def _title(record: dict[str, Any]) -> str:
    return f"Generated by a {MODELS[record['model']].label} ({record['data']})"
