"""Mixtures of Gaussians in a graph: VaDE's and DMVAE's prior, and the gmm gate."""

from typing import Any

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.nn.layers import VARIANCE_FLOOR, bounded_variance
from moe_vae.threads import threads_for

__all__ = ["EM_VARIANCE_FLOOR", "FullGaussianMixture", "GaussianMixture"]

# The lowest variance that EM may find: above VARIANCE_FLOOR, so that the variables can hold it.
EM_VARIANCE_FLOOR = 10 * VARIANCE_FLOOR

LOG_2_PI = float(np.log(2 * np.pi))


class GaussianMixture:
    """The mixture sum_c pi_c N(z; mu_c, diag var_c), computed in logarithms.

    Attributes:
      log_weights: float tensor [n_clusters], log pi.
      mu, var: float tensors [n_clusters, n_features].

    Args:
      n_clusters: number of Gaussians.
      n_features: number of dimensions of z.
      mean_std: standard deviation of the means' initial values, which are normal.
      trainable: whether training changes the means and the variances.
      uniform: whether every weight pi_c stays at 1 / n_clusters.
    """

    _covariance_type = "diag"  # scikit-learn's word

    def __init__(
        self,
        n_clusters: int,
        n_features: int,
        mean_std: float = 1.0,
        trainable: bool = True,
        uniform: bool = False,
    ) -> None:
        weights_trainable = trainable and not uniform
        with tf.variable_scope("gaussian_mixture"):
            logits = _variable("logits", [n_clusters], 0.0, weights_trainable)
            self.mu = _variable("mu", [n_clusters, n_features], mean_std, trainable)
            shape = self._build_shape(trainable)
            # Without this, logits that come from another model would count.
            counted = tf.zeros_like(logits) if uniform else logits
            self.log_weights = tf.nn.log_softmax(counted, name="log_weights")
            self._build_assignment([logits, self.mu, shape])
        self._uniform = uniform

    def _build_shape(self, trainable: bool) -> Tensor:
        """Sets `var`, and returns the variable that it is computed from."""
        raw_var = _variable("raw_var", self.mu.shape.as_list(), 0.0, trainable)
        self.var = bounded_variance(raw_var)
        return raw_var

    def _fitted_shape(self, fitted: Any) -> np.ndarray:
        """Returns the value of that variable for a mixture that scikit-learn fitted."""
        return np.log(fitted.covariances_ - VARIANCE_FLOOR)

    def _build_assignment(self, variables: list[Tensor]) -> None:
        # Made now, because nothing can be added to a finalised graph.
        self._values = [tf.placeholder(tf.float32, variable.shape) for variable in variables]
        self._assign = tf.group(
            *(tf.assign(*pair) for pair in zip(variables, self._values, strict=True))
        )

    def log_joint(self, z: Tensor) -> Tensor:
        """Computes log pi_c + log N(z; mu_c, diag var_c), in nats.

        Args:
          z: float tensor [..., n_features].

        Returns:
          Float tensor [..., n_clusters].
        """
        with tf.name_scope("log_joint"):
            squares = tf.math.squared_difference(tf.expand_dims(z, -2), self.mu) / self.var
            log_density = -0.5 * tf.reduce_sum(LOG_2_PI + tf.log(self.var) + squares, axis=-1)
            return self.log_weights + log_density

    def log_responsibilities(self, z: Tensor) -> Tensor:
        """Computes log p(c|z) = log_joint - logsumexp_c log_joint, float [..., n_clusters]."""
        return tf.nn.log_softmax(self.log_joint(z), name="log_responsibilities")

    def fit(self, session: Session, z: np.ndarray, n_init: int = 1) -> Any:
        """Fits the mixture by EM and assigns the result to the variables.

        EM starts from K-means, which draws from NumPy's global generator.

        Args:
          session: an open session.
          z: float array [n, n_features] with n at least n_clusters.
          n_init: number of starts; the most likely result is kept.

        Returns:
          The fitted `sklearn.mixture.GaussianMixture`.
        """
        from sklearn.mixture import GaussianMixture as Mixture

        n_clusters = int(self.mu.shape[0])
        mixture = Mixture(
            n_clusters,
            covariance_type=self._covariance_type,
            reg_covar=EM_VARIANCE_FLOOR,
            n_init=n_init,
        )
        with threads_for(z):
            fitted = mixture.fit(np.asarray(z, np.float64))
        log_weights = np.zeros(n_clusters) if self._uniform else np.log(fitted.weights_)
        values = [log_weights, fitted.means_, self._fitted_shape(fitted)]
        session.run(self._assign, dict(zip(self._values, values, strict=True)))
        return fitted


class FullGaussianMixture(GaussianMixture):
    """The mixture sum_c pi_c N(z; mu_c, S_c) with full covariances, which only `fit` changes.

    With the Cholesky factor U_c of the precision, S_c^-1 = U_c U_c^T, in n dimensions:

        log N(z; mu_c, S_c) = sum_j log U_cjj - 1/2 (n log 2 pi + |U_c^T (z - mu_c)|^2)

    Attributes:
      log_weights: float tensor [n_clusters], log pi.
      mu: float tensor [n_clusters, n_features].
      precision_factors: float tensor [n_clusters, n_features, n_features], the upper triangular
        U_c; identity matrices before a fit.

    Args:
      n_clusters: number of Gaussians.
      n_features: number of dimensions of z.
    """

    _covariance_type = "full"

    def __init__(self, n_clusters: int, n_features: int) -> None:
        super().__init__(n_clusters, n_features, trainable=False)

    def _build_shape(self, trainable: bool) -> Tensor:
        n_clusters, n_features = self.mu.shape.as_list()
        self.precision_factors = tf.get_variable(
            "precision_factors",
            initializer=tf.eye(n_features, batch_shape=[n_clusters]),
            trainable=trainable,
        )
        return self.precision_factors

    def _fitted_shape(self, fitted: Any) -> np.ndarray:
        return fitted.precisions_cholesky_

    def log_joint(self, z: Tensor) -> Tensor:
        """Computes log pi_c + log N(z; mu_c, S_c), in nats.

        Args:
          z: float tensor [..., n_features].

        Returns:
          Float tensor [..., n_clusters].
        """
        with tf.name_scope("log_joint"):
            differences = tf.expand_dims(z, -2) - self.mu
            whitened = tf.einsum("...ci,cij->...cj", differences, self.precision_factors)
            log_factors = tf.log(tf.linalg.diag_part(self.precision_factors))
            log_density = tf.reduce_sum(
                log_factors - 0.5 * (LOG_2_PI + tf.square(whitened)), axis=-1
            )
            return self.log_weights + log_density


def _variable(name: str, shape: list[int], std: float, trainable: bool) -> Tensor:
    return tf.get_variable(
        name, shape, initializer=tf.random_normal_initializer(stddev=std), trainable=trainable
    )
