"""DMVAE: VaDE's generative story with a second encoder, which reads the cluster from the input."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import IMAGE_SHAPE
from moe_vae.data.dataset import Form, Shape
from moe_vae.model import builds_model
from moe_vae.models.clustering_vae import ClusteringVAE
from moe_vae.nn.cluster_encoder import ClusterEncoder
from moe_vae.nn.gaussian_mixture import GaussianMixture
from moe_vae.nn.losses import kl_between_gaussians
from moe_vae.nn.noise import gumbel_noise
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.params import check_params
from moe_vae.schedules import progress

__all__ = ["DMVAE", "DMVAE_PARAMS", "build_dmvae"]

DMVAE_PARAMS: dict[str, Any] = {
    "network": "dense",
    "n_clusters": 10,
    "encoder_layers": [256, 256, 512],
    "cluster_encoder_layers": [256, 512],
    "normalise": False,
    "n_over_clusters": 0,
    "decoder_layers": [512, 256],
    "activation": "relu",
    "likelihood": "bernoulli",
    "decoder_variance": "fixed",
    "decoder_std": 0.5,
    "input_std": 1.0,
    "z_dim": 10,
    "prior_mean_std": 0.3,
    "cluster_prior": "uniform",
    "objective": "exact",
    "temperature": 0.2,
    "temperature_start": 0.2,
    "anneal_epochs": 0,
    "warm_up_epochs": 0,
    "held_epochs": 0,
    "pretrain_epochs": 0,
    "gmm_restarts": 5,
    "epochs": 500,
    "batch_size": 200,
    "learning_rate": 0.002,
    "cosine_decay": False,
}


class DMVAE(ClusteringVAE):
    """DMVAE's graph: network, losses, and what a trained model can do.

    With q(z|x) = N(encoder_mu, encoder_var) and q(c|x) = softmax(cluster_logits) from two
    encoders, and c relaxed to zeta = softmax((cluster_logits + gumbel) / temperature):

        p(z|zeta)           = N(sum_k zeta_k mu_k, exp(sum_k zeta_k log var_k))
        loss_reconstruction = mean over the batch of -log p(x|z)
        loss_code           = mean over the batch of KL(q(z|x) || p(z|zeta))             "relaxed"
                              or of sum_k q(c=k|x) KL(q(z|x) || N(mu_k, var_k))            "exact"
        loss_cluster        = mean over the batch of KL(q(c|x) || pi)
        loss                = loss_reconstruction + kl_weight (loss_code + loss_cluster)

    With the `cluster_prior` "uniform", the paper's, every pi_c is 1 / n_clusters. With "learned",
    pi = softmax(logits), where the logits start at 0 and are trained. For fixed encoders the loss
    is least where pi is the mean of q(c|x) over the data.

    "exact" is the expectation over c that "relaxed" estimates from one draw; it needs neither
    Gumbel noise nor a temperature. `kl_weight` grows from 0 to 1 in equal steps over the first
    `warm_up_epochs` and is 1 afterwards. Over the first `anneal_epochs` the temperature goes from
    `temperature_start` to `temperature` by equal factors. During the first `held_epochs` the
    cluster encoder is not trained, so that codes and prior can adapt to one that was trained
    before. (Without held epochs all of MNIST was in one cluster within three epochs.)

    The clusters start close together (`prior_mean_std`) and separate as the codes form. When they
    start far apart, as VaDE's do, the cluster nearest to the first codes takes all of them.

    Attributes:
      cluster_logits: float tensor [batch, n_clusters].
      log_probs, predicted_log_probs: float tensors [batch, n_clusters], both log q(c|x).
      gumbel, zeta: float tensors [batch, n_clusters]; either may be fed.
      relaxed_mu, relaxed_var: float tensors [batch, z_dim], of p(z|zeta).
      temperature, kl_weight, held: scalars; may be fed.
      loss_reconstruction, loss_code, loss_cluster, loss: scalars, in nats.
      And those of `ClusteringVAE`.

    Args:
      params: dict; see `DMVAE_PARAMS` for names and defaults.
      inputs: float tensor [batch, n_features], in [0, 1] with a Bernoulli likelihood.
      shape: (height, width) of the images, or (n_features,) of points.

    Raises:
      ParameterError: a parameter is unknown or impossible.

    Source: the paper, section 6.
    """

    scope = "dmvae"

    def __init__(
        self, params: Mapping[str, Any], inputs: Tensor, shape: Shape = IMAGE_SHAPE
    ) -> None:
        super().__init__(check_params(params, DMVAE_PARAMS), inputs, shape)

    def _build_prior(self) -> GaussianMixture:
        return GaussianMixture(
            self.n_clusters,
            self.params["z_dim"],
            self.params["prior_mean_std"],
            uniform=self.params["cluster_prior"] == "uniform",
        )

    def _build_cluster_probs(self) -> None:
        self.temperature = tf.placeholder_with_default(
            float(self.params["temperature"]), [], "temperature"
        )
        self._encoder = ClusterEncoder(self.params, self.n_clusters, self.shape)
        self.features, self._outputs = self._encoder.features_and_outputs(self.inputs)
        logits = self._encoder.logits(self._outputs)
        self.held = tf.placeholder_with_default(0.0, [], "held")
        # The value is that of `logits` for any `held`; at 1 no gradient reaches their encoder.
        self.cluster_logits = logits + self.held * (tf.stop_gradient(logits) - logits)
        self.log_probs = tf.nn.log_softmax(self.cluster_logits, name="log_probs")
        self.predicted_log_probs = self.log_probs
        self._relax()

    def _relax(self) -> None:
        """Draws zeta as `tfd.RelaxedOneHotCategorical` does, with noise that can be fed."""
        with tf.name_scope("relax"):
            self.gumbel = gumbel_noise(tf.shape(self.cluster_logits), "gumbel")
            self.zeta = tf.nn.softmax(
                (self.cluster_logits + self.gumbel) / self.temperature, name="zeta"
            )
            self.relaxed_mu = self.zeta @ self.prior.mu
            self.relaxed_var = tf.exp(self.zeta @ tf.log(self.prior.var))

    def _build_losses(self) -> None:
        self._build_reconstruction_loss()
        with tf.name_scope("loss_code"):
            relaxed = self.params["objective"] == "relaxed"
            self.loss_code = self._relaxed_code_kl() if relaxed else self._expected_code_kl()
        with tf.name_scope("loss_cluster"):
            self.loss_cluster = self._cluster_kl()
        self.kl_weight = tf.placeholder_with_default(1.0, [], "kl_weight")
        self.loss = tf.add(
            self.loss_reconstruction,
            self.kl_weight * (self.loss_code + self.loss_cluster),
            name="loss",
        )

    def _relaxed_code_kl(self) -> Tensor:
        """Computes the mean over the batch of KL(q(z|x) || p(z|zeta))."""
        return self._mean(
            kl_between_gaussians(
                self.encoder_mu, self.encoder_var, self.relaxed_mu, self.relaxed_var
            )
        )

    @property
    def _noises(self) -> list[Tensor]:
        return [self.eps, self.gumbel]

    def schedule(self, phase: str, epoch: int) -> dict[Tensor, float]:
        """Returns an epoch's temperature, weight of the prior's terms, and `held`."""
        del phase
        start, end = self.params["temperature_start"], self.params["temperature"]
        annealed = progress(epoch, self.params["anneal_epochs"])
        return {
            self.temperature: start * (end / start) ** annealed,
            self.kl_weight: progress(epoch, self.params["warm_up_epochs"]),
            self.held: float(epoch < self.params["held_epochs"]),
        }

    def predict_proba(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns q(cluster | x), float array [n, n_clusters], for float32 [n, n_features]."""
        log_probs = run_in_chunks(
            session, self.predicted_log_probs, {self.inputs: self.check(inputs)}
        )
        return np.exp(log_probs)

    def _route_probs(self) -> Tensor:
        return self._encoder.probs(self._outputs)


@builds_model
def build_dmvae(params: Mapping[str, Any], shape: Shape = IMAGE_SHAPE) -> DMVAE:
    """Builds the placeholder and the model in the current graph.

    Args:
      params: dict as for `DMVAE`.
      shape: (height, width) of the images, or (n_features,) of points.

    Returns:
      A `DMVAE`.
    """
    inputs = tf.placeholder(tf.float32, [None, Form(shape).n_features], name="inputs")
    return DMVAE(params, inputs, shape)
