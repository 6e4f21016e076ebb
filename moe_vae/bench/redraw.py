"""The measurements' figures, drawn again from the recorded results."""

from pathlib import Path
from typing import TYPE_CHECKING

from moe_vae.bench.charts import plot_epochs, plot_growth, plot_scaling, plot_training_growth
from moe_vae.bench.engines import BENCH_OUT
from moe_vae.bench.growth import GROWTH_OUT, POINT
from moe_vae.bench.training_growth import TRAINING_GROWTH_OUT
from moe_vae.bench.workers import SCALING_OUT
from moe_vae.experiments.run_files import read_json
from moe_vae.plots.soak import plot_soak

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_measurements"]

SOAK = "soak.json"  # of `make soak`


def draw_measurements(results: Path) -> "dict[str, Figure]":
    """Draws the figures of the recorded measurements.

    Args:
      results: the directory of the results' files; those that are missing are left out.

    Returns:
      Dict of name to `matplotlib.figure.Figure`, each under the name that its measurement gives it.
    """
    from moe_vae.schemas import EpochResults, PointResults, ScalingResults, SoakResults

    figures = {}
    if (path := results / BENCH_OUT.name).exists():
        figures["bench"] = plot_epochs(read_json(path, EpochResults)["epochs"])
    if (path := results / GROWTH_OUT.name).exists():
        figures["bench_scaling"] = plot_growth(read_json(path, PointResults)["points"], POINT)
    if (path := results / TRAINING_GROWTH_OUT.name).exists():
        points = read_json(path, PointResults)["points"]
        figures[TRAINING_GROWTH_OUT.stem] = plot_training_growth(points)
    if (path := results / SCALING_OUT.name).exists():
        scaling = read_json(path, ScalingResults)
        n_examples = scaling["settings"]["examples"]
        parts = scaling["runs"], scaling["model"], scaling["drawn_out"]
        figures["cluster_scaling"] = plot_scaling(*parts, n_examples)
    if (path := results / SOAK).exists():
        figures["soak"] = plot_soak(read_json(path, SoakResults))
    return figures
