"""The Gaussian mixture against SciPy's densities and scikit-learn's fit."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from moe_vae.compat import tf
from moe_vae.nn.gaussian_mixture import FullGaussianMixture, GaussianMixture


@pytest.fixture
def heaps():
    """Points around three centres; heap 2 is twice as large as each of the others."""
    centres = np.array([[0, 0], [6, 1], [-5, 4]])
    sizes = np.array([[1.0, 0.5], [0.7, 1.2], [0.4, 0.9]])
    heap = np.array([0] * 100 + [1] * 100 + [2] * 200)
    return centres[heap] + sizes[heap] * np.random.default_rng(0).standard_normal([400, 2])


@pytest.fixture
def session():
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        np.random.seed(0)
        yield session


def test_the_joint_is_the_weighted_density(session, heaps):
    mixture = GaussianMixture(3, 2)
    session.run(tf.global_variables_initializer())
    fitted = mixture.fit(session, heaps)
    z = heaps[::40].astype(np.float32)
    joint, log_responsibilities = session.run(
        [mixture.log_joint(tf.constant(z)), mixture.log_responsibilities(tf.constant(z))]
    )
    expected = np.stack(
        [
            np.log(weight) + multivariate_normal(mean, np.diag(variances)).logpdf(z)
            for weight, mean, variances in zip(
                fitted.weights_, fitted.means_, fitted.covariances_, strict=True
            )
        ],
        axis=1,
    )
    np.testing.assert_allclose(joint, expected, rtol=1e-4, atol=1e-4)
    # In nats: scikit-learn's log likelihood is the sum of the joint.
    np.testing.assert_allclose(logsumexp(joint, axis=1), fitted.score_samples(z), atol=1e-4)
    np.testing.assert_allclose(
        log_responsibilities, expected - logsumexp(expected, axis=1, keepdims=True), atol=2e-3
    )


def test_the_joint_with_full_covariances_is_scipys(session, heaps):
    slanted = heaps @ np.array([[1.0, 0.8], [0.0, 0.5]])
    mixture = FullGaussianMixture(3, 2)
    session.run(tf.global_variables_initializer())
    z = slanted[::40].astype(np.float32)
    joint = mixture.log_joint(tf.constant(z.reshape(2, 5, 2)))  # any leading axes
    before = multivariate_normal(session.run(mixture.mu)[1]).logpdf(z) - np.log(3)
    np.testing.assert_allclose(session.run(joint)[..., 1].ravel(), before, rtol=1e-4)
    fitted = mixture.fit(session, slanted)
    expected = np.stack(
        [
            np.log(weight) + multivariate_normal(mean, covariance).logpdf(z)
            for weight, mean, covariance in zip(
                fitted.weights_, fitted.means_, fitted.covariances_, strict=True
            )
        ],
        axis=1,
    )
    correlations = [c[0, 1] / np.sqrt(c[0, 0] * c[1, 1]) for c in fitted.covariances_]
    assert min(correlations) > 0.5  # so a diagonal density would be another
    np.testing.assert_allclose(session.run(joint).reshape(10, 3), expected, rtol=1e-4, atol=1e-3)


def test_nothing_but_a_fit_changes_a_full_mixture(session):
    FullGaussianMixture(3, 2)
    assert tf.trainable_variables() == []


@pytest.mark.parametrize("uniform", [False, True])
def test_weights_are_those_of_the_fit_unless_they_are_uniform(session, heaps, uniform):
    mixture = GaussianMixture(3, 2, uniform=uniform)
    session.run(tf.global_variables_initializer())
    fitted = mixture.fit(session, heaps)
    log_weights, mu, var = session.run([mixture.log_weights, mixture.mu, mixture.var])
    np.testing.assert_allclose(sorted(fitted.weights_), [0.25, 0.25, 0.5], atol=0.01)
    expected = np.full(3, 1 / 3) if uniform else fitted.weights_
    np.testing.assert_allclose(np.exp(log_weights), expected, rtol=1e-5)
    np.testing.assert_allclose(mu, fitted.means_, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(var, fitted.covariances_, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "trained"),
    [
        ({}, {"logits", "mu", "raw_var"}),
        ({"uniform": True}, {"mu", "raw_var"}),
        ({"trainable": False}, set()),
    ],
)
def test_training_changes_what_it_is_allowed_to(session, options, trained):
    GaussianMixture(3, 2, **options)
    assert {each.op.name.split("/")[-1] for each in tf.trainable_variables()} == trained


@pytest.mark.parametrize(("options", "spread"), [({}, 1.0), ({"mean_std": 3.0}, 3.0)])
def test_a_new_mixture_has_equal_weights_unit_variances_and_spread_means(session, options, spread):
    mixture = GaussianMixture(1000, 4, **options)
    session.run(tf.global_variables_initializer())
    log_weights, mu, var = session.run([mixture.log_weights, mixture.mu, mixture.var])
    np.testing.assert_allclose(log_weights, -np.log(1000), rtol=1e-5)
    np.testing.assert_allclose(var, 1, atol=2e-5)
    assert mu.std() == pytest.approx(spread, rel=0.05)
    assert abs(mu.mean()) < 4 * spread / np.sqrt(mu.size)
