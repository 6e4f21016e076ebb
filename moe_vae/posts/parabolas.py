"""Post 3's argument in one dimension: a function that is one parabola left of x', another right.

K-means on x alone cuts it in the wrong place; a mixture of experts finds where it changes.
"""

from typing import NamedTuple

import numpy as np
from sklearn.cluster import KMeans

from moe_vae.compat import tf
from moe_vae.nn.sessions import open_session

__all__ = [
    "SPLIT",
    "KMeansFit",
    "MixtureFit",
    "ParabolaMixture",
    "fit_after_kmeans",
    "fit_mixture",
    "parabola_data",
    "two_parabolas",
]

SPLIT = 0.7  # x', the point where one parabola gives way to the other


def two_parabolas(x):
    """Computes a ball's two bounces: 1 - ((x - 0.35) / 0.35)^2 left of x' = 0.7, and right of it
    0.8 (1 - ((x - 0.85) / 0.15)^2).

    Args:
      x: float array, values in [0, 1].

    Returns:
      Float array of the same shape; y is continuous, 0 at x = 0, x' and 1.
    """
    left = 1 - ((x - SPLIT / 2) / (SPLIT / 2)) ** 2
    right = 0.8 * (1 - ((x - (1 + SPLIT) / 2) / ((1 - SPLIT) / 2)) ** 2)
    return np.where(x < SPLIT, left, right)


def parabola_data(n_examples=1000):
    """Returns `x` and `y`, float32 [n, 1]: evenly spread x in [0, 1] and `two_parabolas` of it."""
    x = np.linspace(0, 1, n_examples, dtype=np.float32)[:, np.newaxis]
    return x, two_parabolas(x).astype(np.float32)


class KMeansFit(NamedTuple):
    """The data cut first and fitted afterwards."""

    boundary: float
    coefficients: list

    def predict(self, x):
        """Returns the fit at `x`, each side by its own parabola."""
        left, right = (np.polyval(c, x) for c in self.coefficients)
        return np.where(x < self.boundary, left, right)


def fit_after_kmeans(x, y, seed=0):
    """Cuts the data by K-means on x alone, then fits a parabola to each segment.

    Args:
      x, y: float arrays [n, 1].
      seed: seed of K-means' starting points.

    Returns:
      A `KMeansFit`; its `boundary` is x'', midway between the two centres.

    Source: post 3, third drawing.
    """
    centres = KMeans(n_clusters=2, n_init=10, random_state=seed).fit(x).cluster_centers_
    boundary = float(centres.mean())
    sides = (x < boundary, x >= boundary)
    return KMeansFit(boundary, [np.polyfit(x[side], y[side], deg=2) for side in sides])


class ParabolaMixture:
    """Two parabolas and a manager that weighs them.

        p = softmax(W x + b),  y_i = a_i x^2 + b_i x + c_i
        loss = mean over the batch of sum_i p_i (y - y_i)^2

    Its gradients, for one example, carry the argument: d loss / d y_i = -2 p_i (y - y_i), so p_i
    decides how much expert i learns; d loss / d p_i = (y - y_i)^2, so descent moves p towards the
    experts that were right.

    Attributes:
      probs, predictions: float tensors [batch, 2].
      expert_losses: float tensor [batch, 2], the squared errors.
      loss: scalar tensor.

    Args:
      x, y: float tensors [batch, 1].

    Source: post 3, fourth drawing.
    """

    def __init__(self, x, y):
        # Centred, x and x^2 are hardly correlated, which is what Adam's steps like best.
        x = 2 * x - 1
        with tf.variable_scope("manager"):
            self.probs = tf.nn.softmax(tf.layers.dense(x, 2))
        with tf.variable_scope("experts"):
            self.predictions = tf.layers.dense(tf.concat([x, tf.square(x)], axis=1), 2)
        with tf.name_scope("loss"):
            self.expert_losses = tf.square(y - self.predictions)
            self.loss = tf.reduce_mean(tf.reduce_sum(self.probs * self.expert_losses, axis=1))


class MixtureFit(NamedTuple):
    """A trained `ParabolaMixture`, on a grid: everything that a figure shows."""

    x: np.ndarray
    probs: np.ndarray
    predictions: np.ndarray
    split: float
    loss: float


def fit_mixture(x, y, steps=6000, learning_rate=0.05, seed=0):
    """Trains a `ParabolaMixture` on all the data at once, by Adam.

    Args:
      x, y: float32 arrays [n, 1], x ascending.
      steps: number of Adam steps.
      learning_rate: Adam's.
      seed: seed of the weights at the start.

    Returns:
      A `MixtureFit`; its `split` is the x where the manager's two probabilities cross.
    """
    with tf.Graph().as_default() as graph:
        tf.set_random_seed(seed)
        model = ParabolaMixture(tf.constant(x), tf.constant(y))
        step = tf.train.AdamOptimizer(learning_rate).minimize(model.loss)
        with open_session(graph) as session:
            session.run(tf.global_variables_initializer())
            for _ in range(steps):
                session.run(step)
            probs, predictions, loss = session.run([model.probs, model.predictions, model.loss])
    return MixtureFit(x, probs, predictions, _crossing(x[:, 0], probs), float(loss))


def _crossing(x, probs):
    # With two probabilities that sum to 1 the difference is monotonic in x, so that
    # interpolating x over it gives the crossing.
    difference = probs[:, 1] - probs[:, 0]
    order = np.argsort(difference)
    return float(np.interp(0, difference[order], x[order]))
