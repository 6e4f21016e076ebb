import numpy as np
from scipy.stats import norm

from moe_vae.compat import tf, tfd
from moe_vae.nn.layers import gaussian_code, reparametrise
from moe_vae.nn.losses import gaussian_reconstruction_loss, kl_to_standard_normal

MU = np.array([[0.5, -1.0, 2.0], [0.0, 0.0, 0.0]], np.float32)
VAR = np.array([[0.3, 1.0, 2.5], [1.0, 1.0, 1.0]], np.float32)


def evaluate(build):
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        tensors = build()
        session.run(tf.global_variables_initializer())
        return session.run(tensors)


def test_kl_equals_the_distribution_librarys():
    def build():
        posterior = tfd.MultivariateNormalDiag(MU, np.sqrt(VAR))
        prior = tfd.MultivariateNormalDiag(np.zeros(3, np.float32), np.ones(3, np.float32))
        return kl_to_standard_normal(tf.constant(MU), tf.constant(VAR)), posterior.kl_divergence(
            prior
        )

    ours, theirs = evaluate(build)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_kl_equals_a_monte_carlo_estimate():
    z = MU[0] + np.sqrt(VAR[0]) * np.random.default_rng(0).standard_normal([400_000, 3])
    log_ratio = norm.logpdf(z, MU[0], np.sqrt(VAR[0])) - norm.logpdf(z)
    estimates = log_ratio.sum(axis=1)
    kl = evaluate(lambda: kl_to_standard_normal(tf.constant(MU), tf.constant(VAR)))[0]
    standard_error = estimates.std() / np.sqrt(len(estimates))
    assert abs(kl - estimates.mean()) < 4 * standard_error


def test_kl_of_the_prior_itself_is_zero():
    kl = evaluate(lambda: kl_to_standard_normal(tf.constant(MU), tf.constant(VAR)))
    assert abs(kl[1]) < 1e-6


def test_reconstruction_loss_is_the_negative_log_density():
    generator = np.random.default_rng(1)
    x, decoded = generator.random([2, 4, 784]).astype(np.float32)
    loss = evaluate(lambda: gaussian_reconstruction_loss(tf.constant(x), tf.constant(decoded), 0.5))
    expected = -norm.logpdf(x.astype(np.float64), decoded.astype(np.float64), 0.5).sum(axis=1)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_reparametrised_samples_have_the_mean_and_variance_asked_for():
    mu = np.tile(MU[:1], [200_000, 1])
    var = np.tile(VAR[:1], [200_000, 1])
    eps, z = evaluate(lambda: reparametrise(tf.constant(mu), tf.constant(var)))
    np.testing.assert_allclose(z, mu + np.sqrt(var) * eps, rtol=1e-5, atol=1e-5)
    standard_error = np.sqrt(VAR[0] / len(z))
    assert (abs(z.mean(axis=0) - MU[0]) < 4 * standard_error).all()
    np.testing.assert_allclose(z.var(axis=0), VAR[0], rtol=0.02)


def test_gradients_reach_mean_and_variance_through_the_sample():
    def build():
        mu, var = tf.constant(MU), tf.constant(VAR)
        eps, z = reparametrise(mu, var)
        return [eps, *tf.gradients(z, [mu, var])]

    eps, by_mu, by_var = evaluate(build)
    np.testing.assert_allclose(by_mu, np.ones_like(MU))
    np.testing.assert_allclose(by_var, eps / (2 * np.sqrt(VAR)), rtol=1e-5)


def test_variance_of_a_code_is_bounded_below():
    _, var = evaluate(lambda: gaussian_code(tf.constant(-1e4 * np.ones([3, 8], np.float32)), 5))
    assert (var >= 1e-5).all()
