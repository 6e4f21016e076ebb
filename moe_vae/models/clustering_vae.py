"""What VaDE and DMVAE share: a variational autoencoder whose prior is a Gaussian mixture."""

import abc
from typing import Any

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import IMAGE_SHAPE
from moe_vae.data.dataset import DataSet, Shape
from moe_vae.model import Signature
from moe_vae.models.autoencoder import VariationalAutoencoder
from moe_vae.nn.gaussian_mixture import GaussianMixture
from moe_vae.nn.losses import kl_between_categoricals, kl_between_gaussians

__all__ = ["SPIRAL_PARAMS", "ClusteringVAE"]

# The settings of both models on the spiral, where they differ from the defaults.
SPIRAL_PARAMS: dict[str, Any] = {
    "n_clusters": 5,
    "likelihood": "gaussian",
    "input_std": 5.0,
    "epochs": 60,
}


class ClusteringVAE(VariationalAutoencoder):
    """A VAE with the generative story c ~ Cat(pi), z|c ~ N(mu_c, diag var_c), x|z ~ decoder(z).

    A subclass defines q(c|x) (`_build_cluster_probs`) and the terms of its loss (`_build_losses`,
    which sets `loss_cluster` as well).

    Attributes:
      prior: the `GaussianMixture` of the codes.
      log_probs: float tensor [batch, n_clusters], log q(c|x) in the loss.
      predicted_log_probs: float tensor [batch, n_clusters], log q(c|x) in a prediction.
      features: float tensor [batch, size], the last hidden layer of a network q(c|x), or None.
      And those of `VariationalAutoencoder`.

    Args:
      params: dict, its values already checked one by one.
      inputs, shape: as for `VariationalAutoencoder`.

    Raises:
      ParameterError: see `VariationalAutoencoder`.
    """

    column = answer = "cluster"
    loss_cluster: Tensor
    log_probs: Tensor
    predicted_log_probs: Tensor
    features: Tensor = None

    def __init__(self, params: dict[str, Any], inputs: Tensor, shape: Shape = IMAGE_SHAPE) -> None:
        self.n_clusters = self.n_columns = params["n_clusters"]
        super().__init__(params, inputs, shape)

    def _build_latent(self) -> None:
        with tf.name_scope("prior"):
            self.prior = self._build_prior()
        with tf.name_scope("cluster_probs"):
            self._build_cluster_probs()

    def _build_prior(self) -> GaussianMixture:
        return GaussianMixture(self.n_clusters, self.params["z_dim"], self.params["prior_mean_std"])

    @abc.abstractmethod
    def _build_cluster_probs(self) -> None:
        """Sets `log_probs` and `predicted_log_probs`."""

    def _expected_code_kl(self) -> Tensor:
        """Computes the mean over the batch of sum_c q(c|x) KL(q(z|x) || N(mu_c, diag var_c))."""
        kls = kl_between_gaussians(
            self.encoder_mu[:, None, :], self.encoder_var[:, None, :], self.prior.mu, self.prior.var
        )
        return self._mean(tf.reduce_sum(tf.exp(self.log_probs) * kls, axis=1))

    def _cluster_kl(self) -> Tensor:
        """Computes the mean over the batch of KL(q(c|x) || pi)."""
        return self._mean(kl_between_categoricals(self.log_probs, self.prior.log_weights))

    # Training.

    @property
    def losses(self) -> dict[str, Tensor]:
        """Dict of name to scalar tensor: the losses that a history records."""
        return {
            "loss_reconstruction": self.loss_reconstruction,
            "loss_code": self.loss_code,
            "loss_cluster": self.loss_cluster,
            "loss": self.loss,
        }

    @property
    def batch_means(self) -> list[Tensor]:
        """Tensors that are means over the batch, from which the losses follow."""
        return [self.loss_reconstruction, self.loss_code, self.loss_cluster]

    def pretrain(self, trainer: Any, train_set: DataSet) -> None:
        """Trains the autoencoder alone for the epochs that are left, then fits the prior by EM.

        Args:
          trainer: the `Trainer` of this model, or of a model whose gate this is.
          train_set: a `DataSet`; its labels are not used.
        """
        super().pretrain(trainer, train_set)
        if self.params["pretrain_epochs"] and not trainer.stopped:
            self.initialise_prior(trainer.session, train_set.images)

    def initialise_prior(self, session: Session, inputs: np.ndarray) -> Any:
        """Fits the prior to the mean codes of `inputs` [n, n_features] by EM.

        Returns:
          The fitted `sklearn.mixture.GaussianMixture`.
        """
        return self.prior.fit(
            session, self.mean_codes(session, inputs), self.params["gmm_restarts"]
        )

    # What a trained model can do.

    def _codes(self, session: Session, z: np.ndarray, column: int) -> np.ndarray:
        mu, var = session.run([self.prior.mu, self.prior.var])
        return mu[column] + np.sqrt(var[column]) * z

    def predict(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns each example's likeliest cluster, whole-number array [n]."""
        return self.predict_proba(session, inputs).argmax(axis=1)

    def signatures(self) -> dict[str, Signature]:
        """Returns what an export can compute; see `Model.signatures`."""
        signatures = super().signatures()
        with tf.name_scope("signatures"):
            z = tf.placeholder(tf.float32, [None, self.params["z_dim"]], "z")
            column = tf.placeholder(tf.float32, [None, self.n_clusters], "column")
            code = column @ self.prior.mu + (column @ tf.sqrt(self.prior.var)) * z
            return {
                "route": Signature({"inputs": self.inputs}, self._route_probs()),
                **signatures,
                "generate": Signature({"z": z, "column": column}, self.decoded, {self.z: code}),
            }

    @abc.abstractmethod
    def _route_probs(self) -> Tensor:
        """Returns q(c|x) without noise, float tensor [batch, n_clusters]."""
