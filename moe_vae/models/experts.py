"""The linear experts of a mixture of experts."""

from typing import Any

import numpy as np

from moe_vae.compat import Session, Tensor, tf, tfd
from moe_vae.nn.layers import bounded_variance

__all__ = ["TASKS", "ClassificationExperts", "RegressionExperts"]

# In a fit: what is added to the squares of the inputs, far below them; the least weight that an
# expert's variance is divided by; and how far a variance is above the least at least, as the
# network can only give a variance above it.
RIDGE = MIN_WEIGHT = MARGIN = 1e-3


class RegressionExperts:
    """Linear-Gaussian experts: p_k(y|x) = N(y; W_k x + b_k, diag var_k).

    Attributes:
      means: float tensor [batch, n_experts, n_outputs], W_k x + b_k.
      var: float tensor [n_experts, n_outputs], at least `min_expert_var`.
      targets: float tensor [batch, n_outputs], y.
      log_likelihoods: float tensor [batch, n_experts], log p_k(y|x), in nats.

    Args:
      params: dict with `n_outputs` and `min_expert_var`.
      inputs: float tensor [batch, n_features].
      n_experts: number of experts.
      labels: float tensor [batch, n_outputs].

    Source: the paper, section 4.1.
    """

    def __init__(
        self, params: dict[str, Any], inputs: Tensor, n_experts: int, labels: Tensor
    ) -> None:
        n_outputs = params["n_outputs"]
        self._layer = _linear_layer(n_experts, n_outputs)
        self.means = _by_expert(self._layer(inputs), n_experts)
        self._min_var = params["min_expert_var"]
        self._raw_var = tf.get_variable(
            "raw_var", [n_experts, n_outputs], initializer=tf.zeros_initializer()
        )
        self.var = bounded_variance(self._raw_var, self._min_var)
        self.targets = labels
        density = tfd.MultivariateNormalDiag(self.means, tf.sqrt(self.var))
        self.log_likelihoods = density.log_prob(labels[:, None, :])

    def fit(
        self,
        session: Session,
        inputs: np.ndarray,
        targets: np.ndarray,
        responsibilities: np.ndarray,
    ) -> None:
        """Fits every expert by weighted least squares, an M-step of EM, in closed form.

            W_k, b_k = argmin sum_n r_nk |y_n - W_k x_n - b_k|^2
            var_k    = the weighted mean of the squared residuals, at least `min_expert_var` + 0.001

        A small ridge gives weight 0 to features that are always 0.

        Args:
          session: an open session.
          inputs: float32 array [n, n_features].
          targets: float32 array [n, n_outputs].
          responsibilities: float array [n, n_experts], r.
        """
        with_one = np.hstack([inputs, np.ones([len(inputs), 1], np.float32)])
        ridge = RIDGE * np.eye(with_one.shape[1])
        maps, variances = [], []
        for weights in responsibilities.T.astype(np.float32):
            weighted = with_one * weights[:, None]
            fitted = np.linalg.solve(weighted.T @ with_one + ridge, weighted.T @ targets)
            squares = np.square(targets - with_one @ fitted)
            maps.append(fitted)
            variances.append(weights @ squares / max(weights.sum(), MIN_WEIGHT))
        columns = np.stack(maps, axis=1).reshape(with_one.shape[1], -1)  # expert by expert
        self._layer.kernel.load(columns[:-1], session)
        self._layer.bias.load(columns[-1], session)
        above = np.maximum(np.array(variances) - self._min_var, MARGIN)
        self._raw_var.load(np.log(above), session)

    @staticmethod
    def error(predicted: Tensor, targets: Tensor) -> Tensor:
        """Returns the mean over the batch of the squared error, summed over output dimensions."""
        squares = tf.math.squared_difference(predicted, targets)
        return tf.reduce_mean(tf.reduce_sum(squares, axis=1))


class ClassificationExperts:
    """Softmax experts: p_k(y|x) is entry y of softmax(W_k x + b_k).

    Attributes:
      means: float tensor [batch, n_experts, n_outputs], the probabilities of the classes.
      targets: float tensor [batch, n_outputs], y as one-hot rows.
      log_likelihoods: float tensor [batch, n_experts], log p_k(y|x), in nats.

    Args:
      params: dict with `n_outputs`, the number of classes.
      inputs: float tensor [batch, n_features].
      n_experts: number of experts.
      labels: whole-number tensor [batch] in 0 to n_outputs - 1.

    Source: the paper, section 4.2.
    """

    def __init__(
        self, params: dict[str, Any], inputs: Tensor, n_experts: int, labels: Tensor
    ) -> None:
        n_outputs = params["n_outputs"]
        outputs = _linear_layer(n_experts, n_outputs)(inputs)
        log_probs = tf.nn.log_softmax(_by_expert(outputs, n_experts))
        self.means = tf.exp(log_probs)
        self.targets = tf.one_hot(labels, n_outputs)
        self.log_likelihoods = tf.reduce_sum(self.targets[:, None, :] * log_probs, axis=2)

    @staticmethod
    def error(predicted: Tensor, targets: Tensor) -> Tensor:
        """Returns the share of the batch whose likeliest class is not the right one."""
        wrong = tf.not_equal(tf.argmax(predicted, axis=1), tf.argmax(targets, axis=1))
        return tf.reduce_mean(tf.cast(wrong, tf.float32))


def _linear_layer(n_experts: int, n_outputs: int) -> Any:
    """Returns the layer that computes W_k x + b_k for all experts, one after the other."""
    return tf.layers.Dense(n_experts * n_outputs, name="dense")


def _by_expert(outputs: Tensor, n_experts: int) -> Tensor:
    """Reshapes a linear layer's outputs to [batch, n_experts, n_outputs]."""
    return tf.reshape(outputs, [-1, n_experts, outputs.shape[1] // n_experts])


# The experts by the value of the parameter `task`.
TASKS: dict[str, type[RegressionExperts] | type[ClassificationExperts]] = {
    "regression": RegressionExperts,
    "classification": ClassificationExperts,
}
