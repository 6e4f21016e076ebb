"""The plain VAE: one Gaussian as the prior, and no clusters."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from moe_vae.compat import Session, tf
from moe_vae.data.checks import IMAGE_SHAPE
from moe_vae.data.dataset import Form, Shape
from moe_vae.model import builds_model
from moe_vae.models.autoencoder import VariationalAutoencoder
from moe_vae.nn.losses import kl_to_standard_normal
from moe_vae.params import check_params

__all__ = ["VAE_PARAMS", "PlainVAE", "build_vae"]

VAE_PARAMS: dict[str, Any] = {
    "network": "dense",
    "encoder_layers": [512, 256],
    "decoder_layers": [256, 512],
    "activation": "relu",
    "likelihood": "bernoulli",
    "decoder_variance": "fixed",
    "decoder_std": 0.5,
    "input_std": 1.0,
    "z_dim": 10,
    "pretrain_epochs": 0,
    "epochs": 100,
    "batch_size": 200,
    "learning_rate": 0.002,
    "cosine_decay": False,
}


class PlainVAE(VariationalAutoencoder):
    """A VAE with the prior N(0, I), from which VaDE and DMVAE differ by their prior.

        loss_reconstruction = mean over the batch of -log p(x|z)
        loss_code           = mean over the batch of KL(q(z|x) || N(0, I))
        loss                = loss_reconstruction + loss_code

    The negative loss is on average over z a lower bound on the mean of log p(x).

    Attributes:
      loss_reconstruction, loss_code, loss: scalars, in nats.
      And those of `VariationalAutoencoder`.

    Args:
      params: dict; see `VAE_PARAMS` for names and defaults.
      inputs: float tensor [batch, n_features], in [0, 1] with a Bernoulli likelihood.
      shape: (height, width) of the images, or (n_features,) of points.

    Raises:
      ParameterError: a parameter is unknown or impossible.

    Source: the paper, section 2.3.
    """

    scope = "vae"
    column = "prior"
    n_columns = 1
    answer = "code"

    def __init__(self, params: Mapping[str, Any], inputs: Any, shape: Shape = IMAGE_SHAPE) -> None:
        super().__init__(check_params(params, VAE_PARAMS), inputs, shape)

    def _build_losses(self) -> None:
        self._build_reconstruction_loss()
        with tf.name_scope("loss_code"):
            kl = kl_to_standard_normal(self.encoder_mu, self.encoder_var)
            self.loss_code = self._mean(kl)
        self.loss = tf.add(self.loss_reconstruction, self.loss_code, name="loss")

    def predict(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns each example's mean code, float array [n, z_dim]; see `mean_codes`."""
        return self.mean_codes(session, inputs)


@builds_model
def build_vae(params: Mapping[str, Any], shape: Shape = IMAGE_SHAPE) -> PlainVAE:
    """Builds the placeholder and the model in the current graph.

    Args:
      params: dict as for `PlainVAE`.
      shape: (height, width) of the images, or (n_features,) of points.

    Returns:
      A `PlainVAE`.
    """
    inputs = tf.placeholder(tf.float32, [None, Form(shape).n_features], name="inputs")
    return PlainVAE(params, inputs, shape)
