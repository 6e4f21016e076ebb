"""The figures that the recorded results alone determine, drawn again without any training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moe_vae.experiments.recipes import RECIPES
from moe_vae.experiments.registry import MODELS
from moe_vae.experiments.run_files import read_json
from moe_vae.plots.regression import plot_errors

__all__ = ["draw_results"]

Record = dict[str, Any]
Figures = dict[str, Any]

CLUSTERING_DATA = ("mnist", "spiral")  # whose clusterings have recorded results


def draw_results(results: Path) -> Figures:
    """Draws the studies' figures that need their results' files alone.

    Of a single run these are its losses and its confusion table: pictures and points need the
    trained model.

    Args:
      results: the directory of the results' files; those that are missing are left out.

    Returns:
      Dict of name to `matplotlib.figure.Figure`, each under the name that its study gives it.
    """
    figures: Figures = {}
    for run in _first_of_each("model", _runs(results / "posts.json")):
        figures |= _of_run(run, run["model"])
    for data in CLUSTERING_DATA:
        runs = _runs(results / f"clustering_{data}.json")
        for run in _first_of_each("model", runs[::-1]):  # the last seed's, as `clustering` does
            figures |= _of_run(run, f"{run['model']}_{data}")
    for name, recipe in RECIPES.items():
        runs = _runs(results / f"{name}.json")
        if recipe.draw is None:
            for run in _first_of_each("step", runs[::-1]):
                figures |= _of_run(run, f"{name}_{run['step']}")
        elif runs:
            figures |= {f"{name}_{part}": drawn for part, drawn in recipe.draw(runs).items()}
    from moe_vae.schemas import CellResults

    if (path := results / "table1.json").exists():
        figures["table1_errors"] = plot_errors(read_json(path, CellResults)["cells"])
    return figures


def _runs(path: Path) -> list[Record]:
    from moe_vae.schemas import RunResults

    return read_json(path, RunResults)["runs"] if path.exists() else []


def _first_of_each(key: str, runs: list[Record]) -> list[Record]:
    """Returns the first of the runs that have the same value of a key."""
    first: dict[str, Record] = {}
    for run in runs:
        first.setdefault(run[key], run)
    return list(first.values())


def _of_run(run: Mapping[str, Any], prefix: str) -> Figures:
    # Older records have no names of classes.
    drawn = MODELS[run["model"]].draw_record({"class_names": None, **run})
    return {f"{prefix}_{name}": figure for name, figure in drawn.items()}
