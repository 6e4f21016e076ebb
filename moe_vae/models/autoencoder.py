"""What the plain VAE, VaDE and DMVAE share: an encoder, a code with noise, and a decoder."""

import abc
from typing import Any

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import IMAGE_SHAPE, check_points, check_unit_range
from moe_vae.data.dataset import Batch, DataSet, Shape
from moe_vae.model import Model, Signature
from moe_vae.nn.layers import bounded_variance, gaussian_code, reparametrise
from moe_vae.nn.losses import bernoulli_reconstruction_loss, gaussian_reconstruction_loss
from moe_vae.nn.networks import decoder_layers, decoder_output, encoder_layers
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.params import ParameterError

__all__ = ["VariationalAutoencoder", "check_inputs"]


def check_inputs(inputs: Any, n_features: int, likelihood: str) -> np.ndarray:
    """Checks that `inputs` can come from a model's decoder.

    Args:
      inputs: array-like, or a `StoredImages`.
      n_features: number of columns.
      likelihood: "bernoulli" asks for values in [0, 1], "gaussian" for finite ones.

    Returns:
      `inputs`, unchanged.

    Raises:
      DataError: wrong type, shape or values; the message says what came.
    """
    inputs = check_points(inputs, n_features)
    if likelihood == "bernoulli":
        check_unit_range("inputs", inputs, "likelihood 'bernoulli'")
    return inputs


class VariationalAutoencoder(Model, abc.ABC):
    """A VAE with the encoder q(z|x) = N(mu, diag var) and a decoder p(x|z).

    A subclass defines the prior of the code, if it has variables (`_build_latent`), and the terms
    of its loss (`_build_losses`). With the `likelihood` "bernoulli", p(x|z) has the mean
    sigmoid(.). With "gaussian" it is N(decoded, diag decoded_std^2). Its standard deviation is the
    parameter `decoder_std` with the `decoder_variance` "fixed". With "learned", the decoder has a
    second last layer r for it:

        decoded_std = decoder_std sqrt(1e-5 + exp(r))

    The floor keeps the density finite where inputs hardly vary, as the blank pixels at the edge of
    images do. At first r is near 0 and `decoded_std` near `decoder_std`. A decoder that learns its
    variance from the start can widen it to the spread of the inputs and never read the code, as it
    did on the spiral. `pretrain_epochs` of the autoencoder alone, without the prior's part of the
    loss, come before that.

    The encoder reads `inputs / input_std`, and a Gaussian decoder's mean is `input_std` times its
    last layer. With `input_std` near the inputs' own standard deviation the networks need not learn
    the scale; losses and outputs keep the inputs' units.

    Attributes:
      encoder_mu, encoder_var, eps, z: float tensors [batch, z_dim], z = mu + sqrt(var) eps with
        eps ~ N(0, I); `eps` and `z` may be fed.
      decoded: float tensor [batch, n_features], the mean of p(x|z).
      decoded_std: the standard deviation of a Gaussian p(x|z) in the inputs' units: a number, or a
        float tensor [batch, n_features] if it is learned.
      loss_reconstruction: scalar, the mean over the batch of -log p(x|z), in nats.
      loss_code: scalar, the prior's part of the loss that reads the code, in nats.
      loss: scalar, the negative bound, in nats for each example.
      scope: name of the variable scope, part of every variable's name in a checkpoint.

    Args:
      params: dict, its values already checked one by one.
      inputs: float tensor [batch, n_features].
      shape: (height, width) of the images, or (n_features,) of points.

    Raises:
      ParameterError: the variance is to be learned, but the likelihood is not Gaussian.

    Source: the paper, sections 2.3 and 3.
    """

    draws = True
    scope: str
    loss_reconstruction: Tensor
    loss_code: Tensor

    def __init__(self, params: dict[str, Any], inputs: Tensor, shape: Shape = IMAGE_SHAPE) -> None:
        if params["decoder_variance"] == "learned" and params["likelihood"] != "gaussian":
            raise ParameterError(
                "parameter 'decoder_variance' is 'learned': "
                f"with likelihood {params['likelihood']!r} it must be 'fixed'"
            )
        self.params = params
        self.inputs = inputs
        self.shape = shape
        self.n_features = int(inputs.shape[1])
        self._terms: list[Tensor] = []  # of each example's loss
        with tf.variable_scope(self.scope) as self._scope:
            self._build_network()
            self._build_losses()
            self._example_losses = tf.add_n(self._terms, name="example_losses")

    def _build_network(self) -> None:
        with tf.name_scope("encoder"):
            self.encoder_mu, self.encoder_var = self._encode(self.inputs)
        self.eps, self.z = reparametrise(self.encoder_mu, self.encoder_var)
        self._build_latent()
        with tf.name_scope("decoder"):
            self._decoder_output, self.decoded_std = self._decode(self.z)
            self.decoded = self._decoder_mean(self._decoder_output)

    def _build_latent(self) -> None:
        """Adds the variables of the code's prior: none by default."""

    @abc.abstractmethod
    def _build_losses(self) -> None:
        """Sets `loss_reconstruction`, `loss_code` and `loss`."""

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Returns `mu` and `var` [batch, z_dim] of q(z|x), for examples beside the model's own.

        All calls share the model's weights. Batch normalisation uses its moving averages.
        """
        with tf.variable_scope(self._scope, auxiliary_name_scope=False):
            return self._encode(inputs, training=False)

    def _encode(self, inputs: Tensor, training: bool | None = None) -> tuple[Tensor, Tensor]:
        with tf.variable_scope("encode", reuse=tf.AUTO_REUSE):
            scaled = inputs / self.params["input_std"]
            h = encoder_layers(scaled, self.params, "encoder", self.shape, training)
            return gaussian_code(h, self.params["z_dim"])

    def decode(self, z: Tensor) -> Tensor:
        """Returns the mean [batch, n_features] of p(x|z), for codes beside the model's own.

        Weights and batch normalisation are as in `encode`.
        """
        with tf.variable_scope(self._scope, auxiliary_name_scope=False):
            return self._decoder_mean(self._decode(z, training=False)[0])

    def _decode(self, z: Tensor, training: bool | None = None) -> tuple[Tensor, Any]:
        """Returns the last layer [batch, n_features], and a Gaussian's standard deviation."""
        with tf.variable_scope("decode", reuse=tf.AUTO_REUSE):
            h = decoder_layers(z, self.params, self.shape, training)
            output = decoder_output(h, self.params, self.shape, self.n_features)
            if self.params["decoder_variance"] == "fixed":
                return output, self.params["decoder_std"]
            var = bounded_variance(decoder_output(h, self.params, self.shape, self.n_features))
            return output, self.params["decoder_std"] * tf.sqrt(var)

    def _decoder_mean(self, output: Tensor) -> Tensor:
        if self.params["likelihood"] == "bernoulli":
            return tf.sigmoid(output)
        return self.params["input_std"] * output

    def _reconstruction_loss(self) -> Tensor:
        """Returns -log p(x|z), in nats, float tensor [batch]."""
        if self.params["likelihood"] == "bernoulli":
            return bernoulli_reconstruction_loss(self.inputs, self._decoder_output)
        return gaussian_reconstruction_loss(self.inputs, self.decoded, self.decoded_std)

    def _build_reconstruction_loss(self) -> None:
        with tf.name_scope("loss_reconstruction"):
            self.loss_reconstruction = self._mean(self._reconstruction_loss())

    def _mean(self, losses: Tensor) -> Tensor:
        """Returns the mean of losses [batch], which it adds to the examples' terms."""
        self._terms.append(losses)
        return tf.reduce_mean(losses)

    # Training.

    @property
    def phases(self) -> dict[str, Tensor]:
        """Dict of phase to the loss that it minimises: the autoencoder alone, then the bound.

        The first phase keeps the noise of z, so that it trains the variances of q(z|x), too. At
        their start, near 1, they are far wider than the clusters of a noiseless autoencoder's
        codes: on the spiral the first epoch of the bound then put all points in one cluster.
        """
        return {"auto_encode": self.loss_reconstruction, "loss": self.loss}

    def pretrain(self, trainer: Any, train_set: DataSet) -> None:
        """Trains the autoencoder alone for the epochs that are left of `pretrain_epochs`.

        Args:
          trainer: the `Trainer` of this model, or of a model whose gate this is.
          train_set: a `DataSet`; its labels are not used.
        """
        epochs = self.params["pretrain_epochs"]
        if epochs:
            left = epochs - trainer.epochs_done["auto_encode"]
            trainer.fit(train_set, left, sample=False, phase="auto_encode")

    @property
    def losses(self) -> dict[str, Tensor]:
        """Dict of name to scalar tensor: the losses that a history records."""
        return {
            "loss_reconstruction": self.loss_reconstruction,
            "loss_code": self.loss_code,
            "loss": self.loss,
        }

    @property
    def batch_means(self) -> list[Tensor]:
        """Tensors that are means over the batch, from which the losses follow."""
        return [self.loss_reconstruction, self.loss_code]

    def feed(self, batch: Batch) -> dict[Tensor, Any]:
        """Returns the feed dict for a batch; its labels and targets are not used."""
        return {self.inputs: self.check(batch.images)}

    def check(self, inputs: Any) -> np.ndarray:
        """Returns `inputs` if the model can read them, or raises `DataError`."""
        return check_inputs(inputs, self.n_features, self.params["likelihood"])

    # What a trained model can do.

    def generate(self, session: Session, z: Any, column: Any) -> np.ndarray:
        """Draws examples: the decoder's means at codes from one of the prior's parts.

        Args:
          session: a session that holds trained variables.
          z: float array [n, z_dim], standard-normal noise; or n, for noise from NumPy's global
            generator.
          column: number of the cluster, from 0; a plain VAE's prior has one part, 0.

        Returns:
          Float array [n, n_features].

        Raises:
          ParameterError: there is no such part.
        """
        if not 0 <= column < self.n_columns:
            raise ParameterError(
                f"{self.column} is {column}: it must be in 0 to {self.n_columns - 1}"
            )
        if np.ndim(z) == 0:
            z = np.random.normal(size=[z, self.params["z_dim"]])
        return run_in_chunks(session, self.decoded, {self.z: self._codes(session, z, column)})

    def _codes(self, session: Session, z: np.ndarray, column: int) -> np.ndarray:
        """Returns the codes that standard-normal noise stands for in one part of the prior."""
        del session, column
        return z

    def mean_codes(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns the mean code `encoder_mu` of each example, float array [n, z_dim]."""
        return run_in_chunks(session, self.encoder_mu, {self.inputs: self.check(inputs)})

    def reconstruct(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns the decoding of each example's mean code (eps = 0), float [n, n_features]."""
        codes = self.mean_codes(session, inputs)
        return run_in_chunks(session, self.decoded, {self.z: codes})

    def example_losses(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns each example's loss at its mean code (eps = 0), float array [n], in nats."""
        inputs = self.check(inputs)
        feed = {
            noise: np.zeros([len(inputs), *noise.shape.as_list()[1:]], np.float32)
            for noise in self._noises
        }
        return run_in_chunks(session, self._example_losses, {self.inputs: inputs, **feed})

    @property
    def _noises(self) -> list[Tensor]:
        """The noise of the loss, float tensors [batch, ...]."""
        return [self.eps]

    def signatures(self) -> dict[str, Signature]:
        """Returns what an export can compute; see `Model.signatures`."""
        inputs = {"inputs": self.inputs}
        return {
            "encode": Signature(inputs, self.encoder_mu),
            "reconstruct": Signature(inputs, self.decoded, {self.z: self.encoder_mu}),
            "generate": Signature({"z": self.z}, self.decoded),
        }
