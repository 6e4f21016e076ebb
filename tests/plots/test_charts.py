"""Charts, diagrams and post 3's concepts, as figures."""

import subprocess
import sys

import numpy as np
import pytest

from moe_vae.plots.charts import (
    expert_colour,
    plot_confusion,
    plot_image_rows,
    plot_losses,
    plot_points,
    plot_samples,
)
from moe_vae.plots.concepts import concept_figures
from moe_vae.plots.diagrams import draw_modules

IMAGES = np.random.default_rng(0).random([100, 10, 784])


def test_samples_show_20_rows_evenly_spread_over_100_epochs():
    figure = plot_samples(list(IMAGES), "title")
    labels = [ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()]
    assert len(figure.axes) == 200
    assert (len(labels), labels[0], labels[1], labels[-1]) == (
        20,
        "epoch 1",
        "epoch 6",
        "epoch 100",
    )
    shown = figure.axes[-1].images[0].get_array()
    np.testing.assert_array_equal(shown, IMAGES[99, 9].reshape(28, 28))


def test_samples_of_few_epochs_show_every_epoch_once():
    figure = plot_samples(list(IMAGES[:3]), "title")
    labels = [ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()]
    assert labels == ["epoch 1", "epoch 2", "epoch 3"]


def test_pictures_are_grey_reversed_without_ticks():
    ax = plot_image_rows(IMAGES[:1], ["row"], "title").axes[0]
    assert ax.images[0].get_cmap().name == "gray_r"
    assert ax.images[0].get_clim() == (0, 1)
    assert len(ax.get_xticks()) == len(ax.get_yticks()) == 0


def test_losses_are_drawn_over_epochs_from_1():
    figure = plot_losses({"a": [3.0, 2.0], "b": [1.0, 0.5]}, {"b": "loss b"}, "title")
    (line,) = figure.axes[0].lines
    np.testing.assert_array_equal(line.get_xydata(), [[1, 1.0], [2, 0.5]])
    assert figure.axes[0].get_title() == "loss b"


def test_confusion_writes_every_count():
    figure = plot_confusion([[5, 0], [1, 7]], "title")
    written = {t.get_position(): t.get_text() for t in figure.axes[0].texts}
    assert written == {(0, 0): "5", (0, 1): "1", (1, 1): "7"}


def test_an_expert_has_its_own_colour_in_every_figure():
    assert len({expert_colour(number) for number in range(10)}) == 10
    boxes = [patch.get_facecolor() for patch in draw_modules().axes[0].patches]
    assert len(set(boxes)) >= 12  # ten experts, the manager, the rest white


@pytest.fixture(scope="module")
def concepts():
    return concept_figures()


def test_post_3_has_its_five_drawings(concepts, tmp_path):
    assert list(concepts) == [
        "modules",
        "two_parabolas",
        "kmeans_split",
        "mixture_of_experts",
        "vae_expert",
    ]
    for name, figure in concepts.items():
        figure.savefig(tmp_path / f"{name}.png")


def test_no_title_is_wider_than_its_figure(concepts):
    for name, figure in concepts.items():
        figure.draw_without_rendering()
        for text in [ax.title for ax in figure.axes]:
            box = text.get_window_extent()
            assert box.x0 >= 0, name
            assert box.x1 <= figure.bbox.x1, name


def test_points_of_a_group_have_one_colour_and_one_legend_entry():
    points = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]])
    panels = {"left": (points, np.array([2, 0, 2])), "right": (points, np.array([1, 1, 0]))}
    figure = plot_points(panels, "title", ("x", "y"), "arm")
    left, right = figure.axes
    colours = [dots.get_facecolor()[0] for ax in (left, right) for dots in ax.collections]
    for drawn, group in zip(colours, (0, 2, 0, 1), strict=True):
        np.testing.assert_array_equal(drawn, expert_colour(group))
    legend = right.get_legend()
    assert legend.get_title().get_text() == "arm"
    assert [text.get_text() for text in legend.get_texts()] == ["0", "1", "2"]
    assert (left.get_xlabel(), left.get_ylabel(), left.get_aspect()) == ("x", "y", 1)


def test_scores_figures_and_tables_are_imported_without_their_heavy_packages():
    code = """
import importlib, pkgutil, sys
for package in ("moe_vae.evaluation", "moe_vae.plots", "moe_vae.experiments.tables"):
    path = importlib.import_module(package).__path__
    for module in pkgutil.iter_modules(path, package + "."):
        importlib.import_module(module.name)
heavy = ("tensorflow", "scipy", "sklearn", "matplotlib", "ipywidgets", "PIL")
print([name for name in heavy if name in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"
