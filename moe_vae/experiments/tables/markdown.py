"""Markdown tables and the numbers in their cells."""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

import numpy as np

__all__ = [
    "cited",
    "list_values",
    "markdown_row",
    "markdown_table",
    "mean_and_deviation",
    "mean_row",
    "mebibytes",
    "median_and_quartiles",
]


def markdown_row(cells: Iterable[Any]) -> str:
    """Returns one line of a Markdown table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def markdown_table(heading: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Returns a Markdown table, without a newline at its end.

    Args:
      heading: the title of each column.
      rows: the cells of each row, one a column.
    """
    return "\n".join(map(markdown_row, [heading, ["---"] * len(heading), *rows]))


def mean_and_deviation(values: Sequence[float], form: str) -> str:
    """Returns "mean ± sample standard deviation" of the values.

    Args:
      values: one value a run.
      form: format of a number, such as "{:.3f}".

    Returns:
      The text; the value alone if there is one, and nothing if there is none.
    """
    if not values:
        return ""
    mean = form.format(fmean(values))
    return mean if len(values) == 1 else f"{mean} ± {form.format(np.std(values, ddof=1))}"


def median_and_quartiles(values: Sequence[float], form: str) -> str:
    """Returns "median (lower quartile to upper quartile)" of the values.

    Args:
      values: one value a run.
      form: format of a number, such as "{:.3f}".

    Returns:
      The text; the value alone if there is one, and nothing if there is none.
    """
    if not values:
        return ""
    lower, median, upper = (form.format(each) for each in np.quantile(values, [0.25, 0.5, 0.75]))
    return median if len(values) == 1 else f"{median} ({lower} to {upper})"


def list_values(values: Iterable[float], form: str) -> str:
    """Returns all values, separated by commas; `form` is the format of a number."""
    return ", ".join(form.format(value) for value in values)


def mean_row(runs: Sequence[dict[str, Any]], names: Iterable[str]) -> dict[str, Any]:
    """Returns a row with the means over runs, and with "mean of n" as its seed.

    Args:
      runs: the runs' rows, dicts of name to value.
      names: the values to average. One that a run did not record is left out.
    """
    shared = [name for name in names if all(name in run for run in runs)]
    return {
        "seed": f"mean of {len(runs)}",
        **{name: fmean(run[name] for run in runs) for name in shared},
    }


def cited(paper: dict[str, Any], entry: dict[str, Any]) -> str:
    """Returns where a published value stands: the source's label, and the commit if it is known.

    Args:
      paper: the content of the result file "paper".
      entry: the value's `source`, a key of the paper's `sources`, and its `commit` if that is not
        the source's.
    """
    source = paper["sources"][entry["source"]]
    commit = entry.get("commit") or source["commit"]
    return f"{source['label']} {commit}" if commit else source["label"]


def mebibytes(n_bytes: float) -> str:
    """Returns a number of bytes in whole MiB."""
    return f"{n_bytes / 2**20:.0f}"
