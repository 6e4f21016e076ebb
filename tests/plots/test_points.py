"""The colours of points, of their clusters and of the legend."""

import numpy as np
import pytest

from moe_vae.data.dataset import DataSet
from moe_vae.plots.charts import expert_colour
from moe_vae.plots.common import draw_points


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
    for column, arm in ((0, 1), (1, 0), (2, 2)):
        assert colour_of_column(figure, column) == pytest.approx(expert_colour(arm))


def test_points_without_labels_have_the_colour_of_their_cluster():
    figure = drawn(None)
    (dots,) = figure.axes[0].collections
    assert tuple(dots.get_facecolor()[0]) == pytest.approx(expert_colour(2))
    assert figure.axes[0].get_title() == "test points, by cluster"
    assert legend(figure) == ["0", "1", "2"]
