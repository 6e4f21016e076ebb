"""How the baselines of a clustering start, and what they are fitted to."""

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


# Two groups of test points lie close to each other, and a third falls in two. Only what was fitted
# to the training points, of which each group is one round heap, tells the groups apart.
HEAPS = 10.0 * np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
TEST_CENTRES = np.array(
    [[[4, 0], [4, 0]], [[6, 0], [6, 0]], [[-6, 10], [3, 10]], [[10, 10], [10, 10]]]
)
ALL_FOUND = {"accuracy": 1.0, "nmi": pytest.approx(1.0), "ari": pytest.approx(1.0)}


def heaps(n_each, centres, std):
    """Points of four groups, as many around each of a group's centres, and their groups."""
    n_centres = centres.shape[1]
    labels = np.repeat(np.arange(4), n_each * n_centres)
    places = np.repeat(centres.reshape(-1, 2), n_each, axis=0)
    noise = np.random.default_rng(n_each).standard_normal(places.shape)
    return (places + std * noise).astype(np.float32), labels


@pytest.fixture(scope="module")
def train_points():
    return heaps(100, HEAPS[:, None, :], 1.0)[0]


@pytest.fixture(scope="module")
def test_points():
    return DataSet(*heaps(25, TEST_CENTRES, 0.1), check=check_points)


def test_baselines_are_fitted_to_the_training_points(train_points, test_points):
    scores = score_baselines(train_points, test_points, seed=0)
    assert scores == dict.fromkeys(("K-means", "GMM, diag", "GMM, full"), ALL_FOUND)
    of_test = score_baselines(test_points.images, test_points, seed=0)
    assert of_test["K-means"]["accuracy"] <= 0.75


def test_baselines_on_codes_are_fitted_to_the_training_sets_codes(train_points, test_points):
    class Mirror:
        n_features = 2

        def mean_codes(self, session, inputs):
            return -inputs

    train = DataSet(train_points, np.zeros(len(train_points), int), check=check_points)
    trainer = SimpleNamespace(model=Mirror(), session=None)
    scores = score_code_baselines(trainer, DataSets(train, train, test_points, "heaps"), seed=0)
    assert scores == dict.fromkeys(("K-means", "GMM, diag", "GMM, full"), ALL_FOUND)


@pytest.mark.parametrize(
    ("n_features", "names"),
    [(100, ["K-means", "GMM, diag", "GMM, full"]), (101, ["K-means", "GMM, diag"])],
)
def test_only_few_features_get_a_full_covariance(n_features, names):
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 150)
    points = random.standard_normal([300, n_features]).astype(np.float32)
    points[:, 0] += 20 * labels
    scores = score_baselines(points, DataSet(points, labels, check=check_points), seed=0)
    assert list(scores) == names
