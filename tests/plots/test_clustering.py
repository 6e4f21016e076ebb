"""Figures of a clustering."""

from types import SimpleNamespace

import numpy as np
import pytest

from moe_vae.data.dataset import DataSet
from moe_vae.plots import clustering


def test_equal_codes_have_a_plane():
    """A network whose units are all off gives each example one code."""
    plane = clustering._embed(np.ones([120, 3], np.float32))
    assert plane.shape == (120, 2)
    assert np.isfinite(plane).all()


@pytest.mark.parametrize(("n_codes", "names"), [(1, []), (2, []), (3, ["codes"])])
def test_too_few_codes_have_no_figure(n_codes, names):
    points = np.random.default_rng(0).random([n_codes, 2]).astype(np.float32)
    model = SimpleNamespace(mean_codes=lambda session, inputs: inputs)
    trainer = SimpleNamespace(model=model, session=None)
    figures = clustering.draw_codes(trainer, {}, DataSet(points, None, shape=(2,)), "title")
    assert list(figures) == names


def test_a_clusters_pictures_have_its_classs_colour_or_none_of_a_class():
    matched = {cluster: 9 - cluster for cluster in range(10)}
    assert clustering.column_colour(matched, 2) == clustering.column_colour({}, 7)
    of_classes = {clustering.column_colour(matched, cluster) for cluster in range(10)}
    assert clustering.column_colour(matched, 10) not in of_classes
