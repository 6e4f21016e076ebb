"""Charts, diagrams and post 3's concepts, as figures."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from matplotlib.patches import Circle, FancyArrowPatch

from moe_vae.plots.charts import (
    expert_colour,
    plot_confusion,
    plot_image_rows,
    plot_losses,
    plot_points,
    plot_samples,
)
from moe_vae.plots.concepts import concept_figures
from moe_vae.plots.diagrams import draw_encoder_network, draw_modules

IMAGES = np.random.default_rng(0).random([100, 10, 784])


def row_labels(figure):
    return [ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()]


def test_samples_show_the_posts_20_rows_of_100_epochs():
    figure = plot_samples(list(IMAGES), "title")
    # linspace(0, 99, 20) is 0, 5.2, 10.4, ..., 26.05, ..., 99; the posts cut the fractions off.
    epochs = [1, 6, 11, 16, 21, 27, 32, 37, 42, 47, 53, 58, 63, 68, 73, 79, 84, 89, 94, 100]
    assert row_labels(figure) == [f"epoch {epoch}" for epoch in epochs]
    for row, epoch in enumerate(epochs):
        shown = figure.axes[10 * row + 9].images[0].get_array()
        np.testing.assert_array_equal(shown, IMAGES[epoch - 1, 9].reshape(28, 28))


def test_samples_of_few_epochs_show_every_epoch_once():
    figure = plot_samples(list(IMAGES[:3]), "title")
    assert row_labels(figure) == ["epoch 1", "epoch 2", "epoch 3"]


def test_samples_of_one_code_stand_beside_those_of_new_codes():
    figure = plot_samples(list(IMAGES[:2]), "title", fixed_samples=list(IMAGES[2:4]))
    left, right = figure.subfigs
    assert left.get_suptitle() == "a new code in each epoch"
    assert right.get_suptitle() == "one code for all epochs"
    for part, images in ((left, IMAGES[:2]), (right, IMAGES[2:4])):
        assert row_labels(part) == ["epoch 1", "epoch 2"]
        shown = [ax.images[0].get_array() for ax in part.axes]
        np.testing.assert_array_equal(np.reshape(shown, [2, 10, 784]), images)


def test_a_picture_that_does_not_exist_leaves_its_place_empty():
    images = np.stack([IMAGES[0, 0], np.full(784, np.nan)])
    first, second = plot_image_rows([images], ["row"], "title").axes
    assert len(first.images) == 1
    assert first.get_frame_on()
    assert len(second.images) == 0
    assert not second.get_frame_on()


def test_pictures_are_white_on_black_without_ticks():
    ax = plot_image_rows(IMAGES[:1], ["row"], "title").axes[0]
    assert ax.images[0].get_cmap().name == "Greys_r"
    assert ax.images[0].get_clim() == (0, 1)
    assert ax.images[0].to_rgba(np.array([0.0, 1.0]))[:, :3].tolist() == [[0] * 3, [1] * 3]
    assert len(ax.get_xticks()) == len(ax.get_yticks()) == 0


def test_each_sample_has_its_own_scale():
    faint = 0.3 + 0.1 * IMAGES[:2]
    first, *_, last = plot_samples(list(faint), "title").axes
    for ax, image in ((first, faint[0, 0]), (last, faint[1, 9])):
        assert ax.images[0].get_cmap().name == "Greys_r"
        assert ax.images[0].get_clim() == (image.min(), image.max())


def test_losses_are_drawn_over_epochs_from_1():
    figure = plot_losses({"a": [3.0, 2.0], "b": [1.0, 0.5]}, {"b": "loss b"}, "title")
    (line,) = figure.axes[0].lines
    np.testing.assert_array_equal(line.get_xydata(), [[1, 1.0], [2, 0.5]])
    assert figure.axes[0].get_title() == "loss b"


def test_a_loss_has_its_unit_and_a_sum_its_parts():
    history = {"a": [3.0, 2.0], "b": [100.0, 10.0], "c": [0.0, 10.0]}
    figure = plot_losses(
        history,
        {"a": "loss a", "b": "loss b", "c": "loss c"},
        "title",
        {"a": "nats"},
        ["b", "c"],
        {"b": {"most": [99.0, 9.0], "rest": [1.0, 1.0]}},
    )
    assert [ax.get_ylabel() for ax in figure.axes] == ["nats", *["value on the training set"] * 2]
    # A scale without a place for 0 would hide a value.
    assert [ax.get_yscale() for ax in figure.axes] == ["linear", "log", "linear"]
    assert [line.get_label() for line in figure.axes[1].lines] == ["sum", "most", "rest"]
    np.testing.assert_array_equal(figure.axes[1].lines[1].get_ydata(), [99.0, 9.0])


def test_confusion_writes_every_count():
    figure = plot_confusion([[5, 0], [1, 7]], "title")
    written = {t.get_position(): t.get_text() for t in figure.axes[0].texts}
    assert written == {(0, 0): "5", (0, 1): "1", (1, 1): "7"}


def test_an_expert_has_its_own_colour_in_every_figure():
    assert len({expert_colour(number) for number in range(10)}) == 10
    boxes = [patch.get_facecolor() for patch in draw_modules().axes[0].patches]
    assert len(set(boxes)) >= 12  # ten experts, the manager, the rest white


def test_each_experts_loss_is_written_on_its_own_arrow():
    (ax,) = draw_modules().axes
    labels = [text for text in ax.texts if text.get_text().startswith("$L_")]
    # The arrows from the experts up to the sum, in the experts' order.
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    upwards = [patch._posA_posB for patch in arrows if patch._posA_posB[0][1] == 1.95][:10]
    assert len(labels) == len(upwards) == 10
    for label, ends in zip(labels, np.array(upwards), strict=True):
        (along, up), (dx, dy) = np.array(label.get_position()) - ends[0], ends[1] - ends[0]
        assert along * dy == pytest.approx(up * dx)
        assert 0 < up < dy


def test_every_unit_of_the_encoder_network_reads_all_units_of_the_layer_before():
    (ax,) = draw_encoder_network().axes
    circles = [patch.center for patch in ax.patches if isinstance(patch, Circle)]
    columns = Counter(x for x, _ in circles)
    sizes = [columns[x] for x in sorted(columns)]
    assert sizes == [6, 5, 5, 6, 2]  # input, two hidden layers, mean and log variance, z and eps
    assert len(ax.lines) == 6 * 5 + 5 * 5 + 5 * 6


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


def test_a_group_has_its_own_text_in_the_legend_if_there_is_one():
    panels = {"points": (np.zeros([2, 2]), np.array([0, 1]))}
    (ax,) = plot_points(panels, "title", group_labels={1: "1 (cluster 4)"}).axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0", "1 (cluster 4)"]


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
