"""How the baselines of a clustering start, and what they are fitted to."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from moe_vae import DataSet, DataSets
from moe_vae.evaluation import clustering
from moe_vae.evaluation.clustering import score_baselines, score_code_baselines
from moe_vae.nn.gaussian_mixture import EM_VARIANCE_FLOOR


@pytest.fixture
def starts(monkeypatch):
    """The list of the starts of each baseline that is fitted; one of them is made."""
    starts, fitting = [], []
    for baseline in (KMeans, GaussianMixture):
        fit = baseline.fit

        def recorded(self, *args, fit=fit, **options):
            if not fitting:  # a Gaussian mixture fits K-means in turn
                starts.append(self.n_init)
                self.n_init = 1
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
    return DataSet(points.astype(np.float32), labels, shape=points.shape[1:])


NAMES = ["K-means", "GMM, diag", "GMM, full"]


def test_every_baseline_keeps_the_best_of_ten_starts(starts):
    data = two_heaps(5)
    assert list(score_baselines(data.images, data, seed=0)) == NAMES
    assert starts == [10] * 3


def test_points_get_the_likeliest_of_forty_starts_besides(starts):
    data = two_heaps(2)
    many = ["GMM, diag, 40 starts", "GMM, full, 40 starts"]
    assert list(score_baselines(data.images, data, seed=0)) == [*NAMES, *many]
    assert starts == [10] * 3 + [40] * 2


@pytest.mark.parametrize("n_features", [2, 5])
def test_codes_get_ten_starts(starts, n_features):
    class Codes:
        def mean_codes(self, session, inputs):
            return inputs[:, :2]

    data = two_heaps(n_features)
    trainer = SimpleNamespace(model=Codes(), session=None)
    assert list(score_code_baselines(trainer, DataSets(data, data, data, "heaps"), 0)) == NAMES
    assert starts == [10] * 3


@pytest.mark.usefixtures("_few_starts")
def test_a_mixtures_loss_is_minus_its_log_likelihood_and_falls_with_more_starts():
    """Six heaps for four clusters have many local optima."""
    random = np.random.default_rng(2)
    labels = np.arange(240) % 4
    centres = 4 * random.standard_normal([6, 2])
    points = centres[np.arange(240) % 6] + random.standard_normal([240, 2])
    data = DataSet(points.astype(np.float32), labels, shape=points.shape[1:])
    scores = score_baselines(data.images, data, seed=0)
    for covariance in ("diag", "full"):
        loss, least = (
            scores[f"GMM, {covariance}{starts}"]["loss"] for starts in ("", ", 6 starts")
        )
        assert least <= loss + 1e-6
        mixture = GaussianMixture(
            4, covariance_type=covariance, n_init=3, reg_covar=EM_VARIANCE_FLOOR, random_state=0
        ).fit(data.images)
        of_each = multivariate_log_density(data.images, mixture)
        assert loss == pytest.approx(-of_each.mean(), rel=1e-4)
    assert "loss" not in scores["K-means"]


def multivariate_log_density(points, mixture):
    full = mixture.covariance_type == "full"
    joint = [
        np.log(weight) + multivariate_normal(mean, cov if full else np.diag(cov)).logpdf(points)
        for weight, mean, cov in zip(
            mixture.weights_, mixture.means_, mixture.covariances_, strict=True
        )
    ]
    return logsumexp(joint, axis=0)


# Two groups of test points lie close to each other, and a third falls in two. Only what was fitted
# to the training points, of which each group is one round heap, tells the groups apart.
HEAPS = 10.0 * np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
TEST_CENTRES = np.array(
    [[[4, 0], [4, 0]], [[6, 0], [6, 0]], [[-6, 10], [3, 10]], [[10, 10], [10, 10]]]
)
ALL_FOUND = {"accuracy": 1.0, "nmi": pytest.approx(1.0), "ari": pytest.approx(1.0)}


def without_losses(scores):
    return {
        name: {measure: value for measure, value in score.items() if measure != "loss"}
        for name, score in scores.items()
    }


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
    return DataSet(*heaps(25, TEST_CENTRES, 0.1), shape=(2,))


@pytest.fixture
def _few_starts(monkeypatch):
    monkeypatch.setattr(clustering, "N_STARTS", 3)
    monkeypatch.setattr(clustering, "MANY_STARTS", 6)


@pytest.mark.usefixtures("_few_starts")
def test_baselines_are_fitted_to_the_training_points(train_points, test_points):
    scores = score_baselines(train_points, test_points, seed=0)
    assert without_losses(scores) == dict.fromkeys(scores, ALL_FOUND)
    of_test = score_baselines(test_points.images, test_points, seed=0)
    assert of_test["K-means"]["accuracy"] <= 0.75


@pytest.mark.usefixtures("_few_starts")
def test_baselines_on_codes_are_fitted_to_the_training_sets_codes(train_points, test_points):
    class Mirror:
        def mean_codes(self, session, inputs):
            return -inputs

    train = DataSet(train_points, np.zeros(len(train_points), int), shape=(2,))
    trainer = SimpleNamespace(model=Mirror(), session=None)
    scores = score_code_baselines(trainer, DataSets(train, train, test_points, "heaps"), seed=0)
    assert without_losses(scores) == dict.fromkeys(NAMES, ALL_FOUND)


@pytest.mark.parametrize(
    ("n_features", "names"),
    [(100, ["K-means", "GMM, diag", "GMM, full"]), (101, ["K-means", "GMM, diag"])],
)
@pytest.mark.usefixtures("_few_starts")
def test_only_few_features_get_a_full_covariance(n_features, names):
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 150)
    points = random.standard_normal([300, n_features]).astype(np.float32)
    points[:, 0] += 20 * labels
    scores = score_baselines(points, DataSet(points, labels, shape=points.shape[1:]), seed=0)
    assert list(scores) == names
