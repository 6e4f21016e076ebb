import numpy as np
import pytest

from moe_vae.compat import tf
from moe_vae.posts.parabolas import (
    SPLIT,
    ParabolaMixture,
    fit_after_kmeans,
    fit_mixture,
    parabola_data,
    two_parabolas,
)


def test_the_data_are_two_parabolas_that_meet_at_the_split():
    x = np.linspace(0, 1, 1001)
    y = two_parabolas(x)
    for side in (x < SPLIT, x >= SPLIT):
        residual = y[side] - np.polyval(np.polyfit(x[side], y[side], 2), x[side])
        assert np.abs(residual).max() < 1e-9
    assert np.abs(np.diff(y)).max() < 0.02
    assert np.abs(y - np.polyval(np.polyfit(x, y, 2), x)).max() > 0.3


def test_the_parabolas_have_the_posts_roots_and_tops():
    x = np.array([0, SPLIT / 2, SPLIT, (1 + SPLIT) / 2, 1])
    np.testing.assert_allclose(two_parabolas(x), [0, 1, 0, 0.8, 0], atol=1e-9)


def test_kmeans_cuts_in_the_middle_and_fits_badly_there():
    x, y = parabola_data()
    fit = fit_after_kmeans(x, y)
    assert fit.boundary == pytest.approx(0.5, abs=0.01)
    # Left of x'' there is one parabola, which the fit matches; right of it there are parts of two.
    error = np.abs(fit.predict(x) - y)
    assert error[x < 0.49].max() < 1e-5
    assert error[x > 0.51].max() > 0.3


@pytest.mark.parametrize("seed", range(3))
def test_the_mixture_finds_the_split(seed):
    x, y = parabola_data()
    fit = fit_mixture(x, y, seed=seed)
    assert fit.split == pytest.approx(SPLIT, abs=0.05)
    best = np.where(fit.probs[:, :1] > 0.5, fit.predictions[:, :1], fit.predictions[:, 1:])
    assert np.square(best - y).mean() < 0.002


def test_gradients_of_the_loss_carry_the_posts_argument():
    x, y = parabola_data(20)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        model = ParabolaMixture(tf.constant(x), tf.constant(y))
        by_predictions, by_probs = tf.gradients(model.loss, [model.predictions, model.probs])
        session.run(tf.global_variables_initializer())
        p, predictions, by_predictions, by_probs = session.run(
            [model.probs, model.predictions, by_predictions, by_probs]
        )
    np.testing.assert_allclose(by_predictions, -2 * p * (y - predictions) / 20, rtol=1e-4)
    np.testing.assert_allclose(by_probs, np.square(y - predictions) / 20, rtol=1e-4)


def test_at_the_start_the_manager_weighs_both_experts_alike_in_the_middle():
    """Its input is centred, so that with biases of 0 nothing tells the experts apart at 0.5."""
    x = np.array([[0.5], [0.9]], np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        model = ParabolaMixture(tf.constant(x), tf.constant(x))
        session.run(tf.global_variables_initializer())
        probs, predictions = session.run([model.probs, model.predictions])
    np.testing.assert_allclose(probs[0], 0.5, atol=1e-6)
    np.testing.assert_allclose(predictions[0], 0, atol=1e-6)
    assert abs(probs[1, 0] - 0.5) > 1e-3
