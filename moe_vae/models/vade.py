"""VaDE: a variational autoencoder whose prior is a Gaussian mixture, for clustering."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import IMAGE_SHAPE
from moe_vae.data.dataset import Form, Shape
from moe_vae.model import builds_model
from moe_vae.models.clustering_vae import ClusteringVAE
from moe_vae.nn.noise import noise_key, normal_noise
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.params import ParameterError, check_params

__all__ = ["VADE_PARAMS", "VaDE", "build_vade"]

VADE_PARAMS: dict[str, Any] = {
    "network": "dense",
    "n_clusters": 10,
    "encoder_layers": [512, 256],
    "decoder_layers": [256, 512],
    "activation": "relu",
    "likelihood": "bernoulli",
    "decoder_variance": "fixed",
    "decoder_std": 0.5,
    "input_std": 1.0,
    "z_dim": 10,
    "prior_mean_std": 5.0,
    "n_samples": 10,
    "n_training_samples": 1,
    "pretrain_epochs": 50,
    "gmm_restarts": 5,
    "epochs": 500,
    "batch_size": 200,
    "learning_rate": 0.002,
    "cosine_decay": False,
}


class VaDE(ClusteringVAE):
    """VaDE's graph: network, losses, and what a trained model can do.

    With q(z|x) = N(encoder_mu, encoder_var), one sample z of it, and the responsibilities
    gamma_c = p(c|z) = pi_c N(z; mu_c, var_c) / sum_c' pi_c' N(z; mu_c', var_c'):

        loss_reconstruction = mean over the batch of -log p(x|z)
        loss_code    = mean over the batch of sum_c gamma_c KL(q(z|x) || N(mu_c, var_c))
        loss_cluster = mean over the batch of KL(gamma || pi)
        loss         = loss_reconstruction + loss_code + loss_cluster

    `loss` is the negative of the paper's objective. For any fixed gamma the negative loss is a
    lower bound on log p(x), so it is one for this gamma, too, on average over z.

    With `n_training_samples` above 1, gamma is the mean of p(c|z) over that many samples, of which
    z is one. The decoder still reads z alone, so that only the noise of gamma changes.

    Attributes:
      responsibilities: float tensor [batch, n_clusters], gamma; rows sum to 1.
      log_probs: float tensor [batch, n_clusters], log gamma.
      eps_training: float tensor [batch, n_training_samples - 1, z_dim], the noise of the samples
        beside z in gamma, if there are any; may be fed.
      n_samples: scalar, the number of codes that a prediction averages over; may be fed.
      eps_samples: float tensor [batch, n_samples, z_dim], their noise; may be fed.
      predicted_log_probs: float tensor [batch, n_clusters], log of the mean of p(c|z) over the
        samples.
      loss_reconstruction, loss_code, loss_cluster, loss: scalars, in nats.
      And those of `ClusteringVAE`.

    Args:
      params: dict; see `VADE_PARAMS` for names and defaults.
      inputs: float tensor [batch, n_features], in [0, 1] with a Bernoulli likelihood.
      shape: (height, width) of the images, or (n_features,) of points.

    Raises:
      ParameterError: a parameter is unknown or impossible.

    Source: the paper, section 3.
    """

    scope = "vade"

    def __init__(
        self, params: Mapping[str, Any], inputs: Tensor, shape: Shape = IMAGE_SHAPE
    ) -> None:
        super().__init__(check_params(params, VADE_PARAMS), inputs, shape)

    def _build_cluster_probs(self) -> None:
        self.log_probs = self._training_log_probs()
        self.responsibilities = tf.exp(self.log_probs, name="responsibilities")
        self.n_samples = tf.placeholder_with_default(self.params["n_samples"], [], "n_samples")
        with tf.name_scope("samples"):
            batch, z_dim = tf.shape(self.encoder_mu)[0], self.params["z_dim"]
            self.eps_samples = normal_noise([batch, self.n_samples, z_dim], "eps")
            self._noise_key = noise_key()
            std = tf.sqrt(self.encoder_var)[:, None, :]
            z = self.encoder_mu[:, None, :] + std * self.eps_samples
            self.predicted_log_probs = self._mean_log_probs(z)

    def _training_log_probs(self) -> Tensor:
        n_others = self.params["n_training_samples"] - 1
        if not n_others:
            return self.prior.log_responsibilities(self.z)
        with tf.name_scope("training_samples"):
            batch, z_dim = tf.shape(self.encoder_mu)[0], self.params["z_dim"]
            self.eps_training = normal_noise([batch, n_others, z_dim], "eps")
            std = tf.sqrt(self.encoder_var)[:, None, :]
            others = self.encoder_mu[:, None, :] + std * self.eps_training
            return self._mean_log_probs(tf.concat([self.z[:, None, :], others], axis=1))

    def _mean_log_probs(self, z: Tensor) -> Tensor:
        """Returns the log of the mean of p(c|z) over the samples `z` [batch, n_samples, z_dim]."""
        log_probs = self.prior.log_responsibilities(z)
        n_samples = tf.cast(tf.shape(z)[1], tf.float32)
        return tf.reduce_logsumexp(log_probs, axis=1) - tf.log(n_samples)

    def _build_losses(self) -> None:
        self._build_reconstruction_loss()
        with tf.name_scope("loss_code"):
            self.loss_code = self._expected_code_kl()
        with tf.name_scope("loss_cluster"):
            self.loss_cluster = self._cluster_kl()
        self.loss = tf.add_n(
            [self.loss_reconstruction, self.loss_code, self.loss_cluster], name="loss"
        )

    @property
    def _noises(self) -> list[Tensor]:
        more = self.params["n_training_samples"] > 1
        return [self.eps, *([self.eps_training] if more else [])]

    def predict_proba(
        self,
        session: Session,
        inputs: np.ndarray,
        n_samples: int | None = None,
        key: np.ndarray | None = None,
    ) -> np.ndarray:
        """Estimates p(cluster | x) = E_q(z|x) p(c|z) from samples of z.

        Args:
          session: a session that holds trained variables.
          inputs: float32 array [n, n_features].
          n_samples: number of samples for each example; None means the parameter `n_samples`.
          key: the noise's key, as `key_value` returns it, for every chunk of the examples; None
            draws one at random.

        Returns:
          Float array [n, n_clusters]; rows sum to 1.

        Raises:
          ParameterError: `n_samples` is below 1.

        Source: the paper, section 5.
        """
        n_samples = self.params["n_samples"] if n_samples is None else n_samples
        if n_samples < 1:
            raise ParameterError(f"n_samples is {n_samples}: it must be at least 1")
        fixed: dict[Tensor, Any] = {self.n_samples: n_samples}
        if key is not None:
            fixed[self._noise_key] = key
        feed = {self.inputs: self.check(inputs)}
        return np.exp(run_in_chunks(session, self.predicted_log_probs, feed, fixed))

    def _route_probs(self) -> Tensor:
        """Returns p(c|z) at the mean code, which `predict_proba` approaches as var falls to 0."""
        return tf.nn.softmax(self.prior.log_joint(self.encoder_mu))


@builds_model
def build_vade(params: Mapping[str, Any], shape: Shape = IMAGE_SHAPE) -> VaDE:
    """Builds the placeholder and the model in the current graph.

    Args:
      params: dict as for `VaDE`.
      shape: (height, width) of the images, or (n_features,) of points.

    Returns:
      A `VaDE`.
    """
    inputs = tf.placeholder(tf.float32, [None, Form(shape).n_features], name="inputs")
    return VaDE(params, inputs, shape)
