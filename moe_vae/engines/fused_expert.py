"""One VAE of the fused engine, dense or with convolutions."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from moe_vae.compat import Tensor, tf
from moe_vae.data.dataset import Form, Shape
from moe_vae.engines.fused_layers import (
    FusedLayers,
    InkedImages,
    Part,
    WholeImages,
    layer_parts,
    pixel_losses,
    plain_variables,
)
from moe_vae.nn.layers import activation_function, bounded_variance
from moe_vae.nn.losses import gaussian_reconstruction_loss
from moe_vae.posts.mixture_of_vaes import VAE

__all__ = ["ConvExpert", "FusedExpert", "rows_that_count"]


def rows_that_count(probs: Tensor, slope: Tensor) -> Tensor:
    """Returns the rows at which p(expert | image) exceeds rounding, in order.

    The expert's gradient is a sum over images of terms proportional to p, and the gradient of a
    manager that is trained is one of terms proportional to p (1 - p). A row counts if its p is not
    lost in single precision beside the largest term of the smaller sum.

    Args:
      probs: float tensor [batch], p.
      slope: float tensor [batch]: p or, with a manager that is trained, p (1 - p).
    """
    largest = tf.reduce_max(tf.stop_gradient(slope))
    return tf.cast(tf.where(probs > np.finfo(np.float32).epsneg * largest)[:, 0], tf.int32)


class FusedExpert:
    """One dense expert: its variables, its losses and its drawings.

    Args:
      params: dict of the model's parameters.
      number: the expert's.
      shape: (height, width) of the images.
    """

    reads = InkedImages

    def __init__(self, params: Mapping[str, Any], number: int, shape: Shape) -> None:
        n_pixels = Form(shape).n_features
        self._decoder_std = params["decoder_std"]
        self._activation = activation_function(params["activation"])
        z_dim, sizes = params["z_dim"], [n_pixels, *params["encoder_layers"]]
        encoder = [[part] for part in layer_parts(f"encode_{number}", sizes)]
        # The heads of mean and variance are two layers after the last hidden one.
        heads = [
            Part(f"encode_{number}/dense_{len(encoder) + head}", sizes[-1], z_dim)
            for head in range(2)
        ]
        decoder = layer_parts(f"decode_{number}", [z_dim, *params["decoder_layers"], n_pixels])
        with tf.variable_scope(f"expert_{number}"):
            self._encoder = [
                FusedLayers(f"encoder_{depth}", parts)
                for depth, parts in enumerate([*encoder, heads])
            ]
            self._decoder = [
                FusedLayers(f"decoder_{depth}", [part]) for depth, part in enumerate(decoder)
            ]

    @property
    def layers(self) -> list[FusedLayers]:
        """List of all the expert's `FusedLayers`."""
        return [*self._encoder, *self._decoder]

    def encode(self, images: InkedImages) -> tuple[Tensor, Tensor]:
        """Returns mean and variance of q(z|x), float tensors [batch, z_dim]."""
        first, *hidden, heads = self._encoder
        h = self._activation(images @ first)
        for layer in hidden:
            h = self._activation(layer(h))
        mu, raw_var = tf.split(heads(h), 2, axis=1)
        return mu, bounded_variance(raw_var)

    def reconstruction_losses(self, z: Tensor, images: Tensor) -> Tensor:
        """Returns the reconstruction losses [batch] of codes z for images [batch, pixels]."""
        weights = self._decoder[-1].variable.read_value()
        return pixel_losses(self._decode_hidden(z), weights, images, self._decoder_std)

    def draw(self, code: Tensor) -> Tensor:
        """Returns the decodings of codes [n, z_dim], float tensor [n, pixels]."""
        return tf.sigmoid(self._decoder[-1](self._decode_hidden(code)))

    def _decode_hidden(self, z: Tensor) -> Tensor:
        for layer in self._decoder[:-1]:
            z = self._activation(layer(z))
        return z


class ConvExpert(VAE):
    """One expert with convolutions, for the images that count alone.

    Its layers and its variables are those of `VAE`, which computes all images. Its other operations
    are `FusedExpert`'s; see there.
    """

    reads = WholeImages
    layers: tuple[FusedLayers, ...] = ()

    def __init__(self, params: Mapping[str, Any], number: int, shape: Shape) -> None:
        # Not `VAE`'s own, which builds its operations for all images.
        self.params, self.id, self.shape = dict(params), number, shape
        self.n_features = Form(shape).n_features

    def encode(self, images: WholeImages) -> tuple[Tensor, Tensor]:
        """Returns mean and variance of q(z|x), float tensors [batch, z_dim]."""
        with plain_variables():
            return super().encode(images.images)

    def draw(self, code: Tensor) -> Tensor:
        """Returns the decodings of codes [n, z_dim], float tensor [n, pixels]."""
        with plain_variables():
            return self.decode(code)

    def reconstruction_losses(self, z: Tensor, images: Tensor) -> Tensor:
        """Returns the reconstruction losses [batch] of codes z for images [batch, pixels]."""
        return gaussian_reconstruction_loss(images, self.draw(z), self.params["decoder_std"])
