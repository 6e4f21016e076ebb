"""What VaDE and DMVAE share: a variational autoencoder whose prior is a Gaussian mixture."""

import abc
from typing import Any

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import DataError, check_points
from moe_vae.data.dataset import Batch, DataSet
from moe_vae.model import Model
from moe_vae.nn.gaussian_mixture import GaussianMixture
from moe_vae.nn.layers import gaussian_code, hidden_layers, reparametrise
from moe_vae.nn.losses import (
    bernoulli_reconstruction_loss,
    gaussian_reconstruction_loss,
    kl_between_categoricals,
    kl_between_gaussians,
)
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.params import ParameterError

__all__ = ["SPIRAL_PARAMS", "ClusteringVAE", "check_inputs"]

# The settings of both models on the spiral, where they differ from the defaults.
SPIRAL_PARAMS: dict[str, Any] = {
    "n_clusters": 5,
    "likelihood": "gaussian",
    "input_std": 5.0,
    "epochs": 60,
}


def check_inputs(inputs: Any, n_features: int, likelihood: str) -> np.ndarray:
    """Checks that `inputs` can come from a model's decoder.

    Args:
      inputs: array-like.
      n_features: number of columns.
      likelihood: "bernoulli" asks for values in [0, 1], "gaussian" for finite ones.

    Returns:
      `inputs`, unchanged.

    Raises:
      DataError: wrong type, shape or values; the message says what came.
    """
    inputs = check_points(inputs, n_features)
    low, high = inputs.min(), inputs.max()
    if likelihood == "bernoulli" and (low < 0 or high > 1):
        raise DataError(
            f"inputs range from {low} to {high}: "
            "with likelihood 'bernoulli' every value must be in [0, 1]"
        )
    return inputs


class ClusteringVAE(Model, abc.ABC):
    """A VAE with the generative story c ~ Cat(pi), z|c ~ N(mu_c, diag var_c), x|z ~ decoder(z).

    A subclass defines q(c|x) (`_build_cluster_probs`) and the terms of its loss (`_build_losses`).
    The decoder's likelihood is Bernoulli with mean sigmoid(.), or Gaussian with the standard
    deviation `decoder_std`. The encoders read `inputs / input_std`, and a Gaussian decoder's mean
    is `input_std` times its last layer. With `input_std` near the inputs' own standard deviation
    the networks need not learn the scale; losses and outputs keep the inputs' units.

    Attributes:
      encoder_mu, encoder_var, eps, z: float tensors [batch, z_dim], z = mu + sqrt(var) eps with
        eps ~ N(0, I); `eps` and `z` may be fed.
      prior: the `GaussianMixture` of the codes.
      log_probs: float tensor [batch, n_clusters], log q(c|x) in the loss.
      predicted_log_probs: float tensor [batch, n_clusters], log q(c|x) in a prediction.
      decoded: float tensor [batch, n_features], the mean of p(x|z).
      loss_reconstruction: scalar, the mean over the batch of -log p(x|z), in nats.
      loss: scalar, the negative bound, in nats for each example.
      scope: name of the variable scope, part of every variable's name in a checkpoint.

    Args:
      params: dict, already checked.
      inputs: float tensor [batch, n_features].
    """

    column = answer = "cluster"
    draws = True
    scope: str
    loss_reconstruction: Tensor
    loss_code: Tensor
    loss_cluster: Tensor
    log_probs: Tensor
    predicted_log_probs: Tensor

    def __init__(self, params: dict[str, Any], inputs: Tensor) -> None:
        self.params = params
        self.inputs = inputs
        self.n_features = int(inputs.shape[1])
        self.n_clusters = self.n_columns = params["n_clusters"]
        with tf.variable_scope(self.scope) as self._scope:
            self._build_network()
            self._build_losses()

    def _build_network(self) -> None:
        with tf.name_scope("encoder"):
            self.encoder_mu, self.encoder_var = self._encode(self.inputs)
        self.eps, self.z = reparametrise(self.encoder_mu, self.encoder_var)
        with tf.name_scope("prior"):
            self.prior = self._build_prior()
        with tf.name_scope("cluster_probs"):
            self._build_cluster_probs()
        with tf.name_scope("decoder"):
            self._decoder_output = self._decode_output(self.z)
            self.decoded = self._decoder_mean(self._decoder_output)

    @abc.abstractmethod
    def _build_cluster_probs(self) -> None:
        """Sets `log_probs` and `predicted_log_probs`."""

    @abc.abstractmethod
    def _build_losses(self) -> None:
        """Sets `loss_reconstruction`, `loss_code`, `loss_cluster` and `loss`."""

    def _build_prior(self) -> GaussianMixture:
        return GaussianMixture(self.n_clusters, self.params["z_dim"], self.params["prior_mean_std"])

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Returns `mu` and `var` [batch, z_dim] of q(z|x); the weights are shared by all calls."""
        with tf.variable_scope(self._scope, auxiliary_name_scope=False):
            return self._encode(inputs)

    def _encode(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        with tf.variable_scope("encode", reuse=tf.AUTO_REUSE):
            h = hidden_layers(
                inputs / self.params["input_std"],
                self.params["encoder_layers"],
                self.params["activation"],
            )
            return gaussian_code(h, self.params["z_dim"])

    def decode(self, z: Tensor) -> Tensor:
        """Returns the mean [batch, n_features] of p(x|z); the weights are shared by all calls."""
        with tf.variable_scope(self._scope, auxiliary_name_scope=False):
            return self._decoder_mean(self._decode_output(z))

    def _decode_output(self, z: Tensor) -> Tensor:
        with tf.variable_scope("decode", reuse=tf.AUTO_REUSE):
            h = hidden_layers(z, self.params["decoder_layers"], self.params["activation"])
            return tf.layers.dense(h, self.n_features)

    def _decoder_mean(self, output: Tensor) -> Tensor:
        if self.params["likelihood"] == "bernoulli":
            return tf.sigmoid(output)
        return self.params["input_std"] * output

    def _reconstruction_loss(self, output: Tensor) -> Tensor:
        """Returns -log p(x|z), in nats, float tensor [batch], for a decoder's output."""
        if self.params["likelihood"] == "bernoulli":
            return bernoulli_reconstruction_loss(self.inputs, output)
        return gaussian_reconstruction_loss(
            self.inputs, self._decoder_mean(output), self.params["decoder_std"]
        )

    def _build_reconstruction_loss(self) -> None:
        with tf.name_scope("loss_reconstruction"):
            self.loss_reconstruction = tf.reduce_mean(
                self._reconstruction_loss(self._decoder_output)
            )

    def _expected_code_kl(self) -> Tensor:
        """Computes the mean over the batch of sum_c q(c|x) KL(q(z|x) || N(mu_c, diag var_c))."""
        kls = kl_between_gaussians(
            self.encoder_mu[:, None, :], self.encoder_var[:, None, :], self.prior.mu, self.prior.var
        )
        return tf.reduce_mean(tf.reduce_sum(tf.exp(self.log_probs) * kls, axis=1))

    def _cluster_kl(self) -> Tensor:
        """Computes the mean over the batch of KL(q(c|x) || pi)."""
        return tf.reduce_mean(kl_between_categoricals(self.log_probs, self.prior.log_weights))

    # Training.

    @property
    def phases(self) -> dict[str, Tensor]:
        """Dict of phase to the loss that it minimises: the autoencoder alone, then the bound.

        The first phase keeps the noise of z, so that it trains the variances of q(z|x), too. At
        their start, near 1, they are far wider than the clusters of a noiseless autoencoder's
        codes: on the spiral the first epoch of the bound then put all points in one cluster.
        """
        return {"auto_encode": self.loss_reconstruction, "loss": self.loss}

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

    def feed(self, batch: Batch) -> dict[Tensor, Any]:
        """Returns the feed dict for a batch; its labels and targets are not used."""
        return {self.inputs: self.check(batch.images)}

    def check(self, inputs: Any) -> np.ndarray:
        """Returns `inputs` if the model can read them, or raises `DataError`."""
        return check_inputs(inputs, self.n_features, self.params["likelihood"])

    def pretrain(self, trainer: Any, train_set: DataSet) -> None:
        """Trains the autoencoder alone for the epochs that are left, then fits the prior by EM.

        Args:
          trainer: the `Trainer` of this model, or of a model whose gate this is.
          train_set: a `DataSet`; its labels are not used.
        """
        epochs = self.params["pretrain_epochs"]
        if epochs:
            left = epochs - trainer.epochs_done["auto_encode"]
            trainer.fit(train_set, left, sample=False, phase="auto_encode")
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

    def generate(self, session: Session, z: Any, column: Any) -> np.ndarray:
        """Draws examples from one cluster: the decoder's means at mu_c + sqrt(var_c) z.

        Args:
          session: a session that holds trained variables.
          z: float array [n, z_dim], standard-normal noise; or n, for noise from NumPy's global
            generator.
          column: number of the cluster, from 0.

        Returns:
          Float array [n, n_features].

        Raises:
          ParameterError: there is no such cluster.
        """
        if not 0 <= column < self.n_clusters:
            raise ParameterError(f"cluster is {column}: it must be in 0 to {self.n_clusters - 1}")
        if np.ndim(z) == 0:
            z = np.random.normal(size=[z, self.params["z_dim"]])
        mu, var = session.run([self.prior.mu, self.prior.var])
        return run_in_chunks(session, self.decoded, {self.z: mu[column] + np.sqrt(var[column]) * z})

    def mean_codes(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns the mean code `encoder_mu` of each example, float array [n, z_dim]."""
        return run_in_chunks(session, self.encoder_mu, {self.inputs: self.check(inputs)})

    def predict(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns each example's likeliest cluster, whole-number array [n]."""
        return self.predict_proba(session, inputs).argmax(axis=1)

    def reconstruct(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns the decoding of each example's mean code (eps = 0), float [n, n_features]."""
        codes = self.mean_codes(session, inputs)
        return run_in_chunks(session, self.decoded, {self.z: codes})
