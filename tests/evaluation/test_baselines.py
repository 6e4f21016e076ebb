"""How the baselines of a clustering start."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from moe_vae import DataSet, DataSets
from moe_vae.data.checks import check_points
from moe_vae.evaluation.clustering import score_baselines, score_code_baselines


@pytest.fixture
def starts(monkeypatch):
    """The list of the starts of each baseline that is fitted."""
    starts, fitting = [], []
    for baseline in (KMeans, GaussianMixture):
        fit = baseline.fit

        def recorded(self, *args, fit=fit, **options):
            if not fitting:  # a Gaussian mixture fits K-means in turn
                starts.append(self.n_init)
            fitting.append(self)
            try:
                return fit(self, *args, **options)
            finally:
                fitting.pop()

        monkeypatch.setattr(baseline, "fit", recorded)
    return starts


def two_heaps(n_features):
    labels = np.repeat([0, 1], 30)
    points = np.random.default_rng(0).standard_normal([60, n_features]) + 9 * labels[:, None]
    return DataSet(points.astype(np.float32), labels, check=check_points)


# Points are two numbers; anything else is an image, whose fits are long.
STARTS = pytest.mark.parametrize(("n_features", "n_starts"), [(2, 10), (5, 1)])


@STARTS
def test_only_points_get_several_starts(starts, n_features, n_starts):
    data = two_heaps(n_features)
    scores = score_baselines(data.images, data, seed=0)
    assert list(scores) == ["K-means", "GMM, diag", "GMM, full"]
    assert starts == [n_starts] * 3


@STARTS
def test_codes_get_the_starts_of_what_they_are_codes_of(starts, n_features, n_starts):
    class Codes:
        def __init__(self):
            self.n_features = n_features

        def mean_codes(self, session, inputs):
            return inputs[:, :2]

    data = two_heaps(n_features)
    trainer = SimpleNamespace(model=Codes(), session=None)
    score_code_baselines(trainer, DataSets(data, data, data, "heaps"), seed=0)
    assert starts == [n_starts] * 3
