"""Post 3's argument in one dimension: a function that changes from one parabola to another at x'.

K-means on x alone cuts the data in the wrong place; a mixture of experts finds x'.
"""

from typing import NamedTuple

import numpy as np

from moe_vae.compat import Tensor, tf
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

SPLIT = 0.7  # x', where the second parabola begins


# The data.


def parabola_data(n_examples: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Returns evenly spaced x in [0, 1] and y = `two_parabolas(x)`, float32 arrays [n, 1]."""
    x = np.linspace(0, 1, n_examples, dtype=np.float32)[:, np.newaxis]
    return x, two_parabolas(x).astype(np.float32)


def two_parabolas(x: np.ndarray) -> np.ndarray:
    """Computes the height of a ball that bounces twice.

        y = 1 - ((x - 0.35) / 0.35)^2            for x < x' = 0.7
        y = 0.8 (1 - ((x - 0.85) / 0.15)^2)      otherwise

    Args:
      x: float array, values in [0, 1].

    Returns:
      Float array of the same shape; y is continuous, and 0 at x = 0, x' and 1.
    """
    left = 1 - ((x - SPLIT / 2) / (SPLIT / 2)) ** 2
    right = 0.8 * (1 - ((x - (1 + SPLIT) / 2) / ((1 - SPLIT) / 2)) ** 2)
    return np.where(x < SPLIT, left, right)


# Post 3, third drawing: cut the data, then fit each segment.


class KMeansFit(NamedTuple):
    """Two parabolas, each fitted to one side of a boundary.

    Attributes:
      boundary: the x where the data were cut.
      coefficients: the coefficients of the left and of the right parabola, as `np.polyfit` returns
        them.
    """

    boundary: float
    coefficients: list[np.ndarray]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Returns the value at `x` of the parabola on that side."""
        left, right = (np.polyval(c, x) for c in self.coefficients)
        return np.where(x < self.boundary, left, right)


def fit_after_kmeans(x: np.ndarray, y: np.ndarray, seed: int = 0) -> KMeansFit:
    """Cuts the data with K-means on x alone, then fits a parabola to each segment.

    Args:
      x, y: float arrays [n, 1].
      seed: seed of K-means' starting points.

    Returns:
      A `KMeansFit`; its `boundary` is x'', midway between the two centres.

    Source: post 3, third drawing.
    """
    from sklearn.cluster import KMeans

    centres = KMeans(n_clusters=2, n_init=10, random_state=seed).fit(x).cluster_centers_
    boundary = float(centres.mean())
    sides = (x < boundary, x >= boundary)
    return KMeansFit(boundary, [np.polyfit(x[side], y[side], deg=2) for side in sides])


# Post 3, fourth drawing: a mixture of experts.


class ParabolaMixture:
    """Two parabolas, and a manager that weighs them.

        p = softmax(W x + b),  y_i = a_i x^2 + b_i x + c_i
        loss = mean over the batch of sum_i p_i (y - y_i)^2

    For one example its gradients are

        d loss / d y_i = -2 p_i (y - y_i)     p_i decides how much expert i learns
        d loss / d p_i = (y - y_i)^2          descent moves p towards the expert that is right

    Attributes:
      probs, predictions: float tensors [batch, 2].
      expert_losses: float tensor [batch, 2], the squared errors.
      loss: scalar tensor.

    Args:
      x, y: float tensors [batch, 1].

    Source: post 3, fourth drawing.
    """

    def __init__(self, x: Tensor, y: Tensor) -> None:
        # Once x is centred, x and x^2 are nearly uncorrelated, and Adam converges faster.
        x = 2 * x - 1
        with tf.variable_scope("manager"):
            self.probs = tf.nn.softmax(tf.layers.dense(x, 2))
        with tf.variable_scope("experts"):
            self.predictions = tf.layers.dense(tf.concat([x, tf.square(x)], axis=1), 2)
        with tf.name_scope("loss"):
            self.expert_losses = tf.square(y - self.predictions)
            self.loss = tf.reduce_mean(tf.reduce_sum(self.probs * self.expert_losses, axis=1))


class MixtureFit(NamedTuple):
    """A trained `ParabolaMixture` at the points it was trained on.

    Attributes:
      x: float32 array [n, 1].
      probs, predictions: float32 arrays [n, 2].
      split: the x where the manager's two probabilities are equal.
      loss: the loss after training.
    """

    x: np.ndarray
    probs: np.ndarray
    predictions: np.ndarray
    split: float
    loss: float


def fit_mixture(
    x: np.ndarray, y: np.ndarray, steps: int = 6000, learning_rate: float = 0.05, seed: int = 0
) -> MixtureFit:
    """Trains a `ParabolaMixture` with Adam, on all the data in every step.

    Args:
      x, y: float32 arrays [n, 1], x ascending.
      steps: number of steps.
      learning_rate: Adam's learning rate.
      seed: seed of the initial weights.

    Source: post 3, fourth drawing.
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


def _crossing(x: np.ndarray, probs: np.ndarray) -> float:
    # The softmax of two linear functions is monotonic in x, so x can be interpolated over it.
    difference = probs[:, 1] - probs[:, 0]
    order = np.argsort(difference)
    return float(np.interp(0, difference[order], x[order]))
