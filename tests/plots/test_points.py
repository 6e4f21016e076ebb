"""The colours of points, of their clusters and of the legend."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from moe_vae.data.dataset import DataSet
from moe_vae.experiments.sources import SOURCES
from moe_vae.plots.charts import expert_colour
from moe_vae.plots.common import class_name, class_title, draw_points


class Model:
    """Generates column c at (c, 0), and finds the cluster of every point to be 2."""

    column, n_columns, params = "cluster", 3, {"z_dim": 1}

    def generate(self, session, z, column):
        return np.tile([column, 0.0], (len(z), 1))

    def reconstruct(self, session, points):
        return points

    def predict(self, session, points):
        return np.full(len(points), 2)


class Trainer:
    model, session = Model(), None


def drawn(labels, confusion=None):
    test = {} if confusion is None else {"confusion": confusion}
    record = {"data": "spiral", "class_names": None, "test": test}
    points = np.arange(8, dtype=np.float32).reshape(4, 2)
    return draw_points(Trainer(), record, DataSet(points, labels, shape=(2,)), "title")["points"]


def legend(figure):
    return [text.get_text() for text in figure.axes[-1].get_legend().get_texts()]


def colour_of_column(figure, column):
    (found,) = [
        dots.get_facecolor()[0]
        for dots in figure.axes[-1].collections
        if (dots.get_offsets()[:, 0] == column).all()
    ]
    return tuple(found)


def test_a_cluster_has_the_colour_of_its_arm_and_stands_beside_it_in_the_legend():
    figure = drawn(np.array([0, 1, 0, 1]), [[0, 9, 1], [9, 0, 1]])
    assert legend(figure) == ["0 (cluster 1)", "1 (cluster 0)", "none (cluster 2)"]
    for column, arm in ((0, 1), (1, 0)):
        assert colour_of_column(figure, column) == pytest.approx(expert_colour(arm))
    assert colour_of_column(figure, 2) == to_rgba("silver")


def test_clusters_without_a_class_share_a_colour_that_no_class_has(monkeypatch):
    monkeypatch.setattr(Model, "n_columns", 12)
    figure = drawn(np.array([0, 3, 6, 9]), np.eye(10, 12, dtype=int).tolist())
    assert legend(figure)[-1] == "none (cluster 10) (cluster 11)"
    others = figure.axes[-1].collections[-1]
    assert set(others.get_offsets()[:, 0]) == {10, 11}
    colours = {tuple(dots.get_facecolor()[0]) for dots in figure.axes[-1].collections}
    assert len(colours) == 11


def test_every_cluster_of_more_than_a_thousand_has_a_point(monkeypatch):
    monkeypatch.setattr(Model, "n_columns", 1001)
    figure = drawn(np.array([0, 1, 0, 1]), np.zeros([2, 1001], int).tolist())
    drawn_at = [dots.get_offsets()[:, 0] for dots in figure.axes[-1].collections]
    assert sorted(np.concatenate(drawn_at)) == list(range(1001))


@pytest.mark.parametrize(
    ("data", "names", "expected"),
    [
        ("MNIST", None, "digit 3"),
        ("8 x 8 digits", None, "digit 3"),
        ("spiral", None, "arm 3"),
        ("wines.csv", None, "class 3"),
        ("pets", ["ant", "bee", "cat", "dog"], "dog"),
    ],
)
def test_whole_numbers_are_digits_where_the_data_are(data, names, expected):
    assert class_title({"data": data, "class_names": names}, 3) == expected


def test_every_source_of_digits_is_known_by_its_title():
    for name in ("mnist", "sample", "digits"):
        assert class_name({"data": SOURCES[name].title, "class_names": None}) == "digit"


def test_points_without_labels_have_the_colour_of_their_cluster():
    figure = drawn(None)
    (dots,) = figure.axes[0].collections
    assert tuple(dots.get_facecolor()[0]) == pytest.approx(expert_colour(2))
    assert figure.axes[0].get_title() == "test points, by cluster"
    assert legend(figure) == ["0", "1", "2"]
