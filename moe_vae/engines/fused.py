"""The fused engine: post 3's model, faster. It skips negligible work and fuses the rest.

It computes what `Manager` and its `VAE`s compute, and draws the same noise from the same key.
Matrix products take most of a step's time. The engine saves these:

- An expert reads only the images that count for it. Where p(expert | image) is so small that single
  precision would lose its term in a sum, neither the loss nor the gradient is computed. Early in a
  training this saves little; later the manager sends most images to one or two experts.
- First layers leave out the pixels that are blank in the whole batch, because their weights
  neither contribute nor get a gradient. (Of MNIST's 784 pixels about 515 have ink in at least one
  of 100 images.)
- Sigmoid, likelihood and their gradient are four passes over the pixels.
- A bias is the last row of its kernel, so that it needs no pass of its own and Adam has half as
  many variables.

For experts with convolutions only the first of these applies; their layers are the plain graph's.

Checkpoints have the plain graph's names and shapes, so that both engines, and TensorFlow 1.15, can
read them.
"""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import IMAGE_SHAPE, check_images
from moe_vae.data.dataset import Form, Shape
from moe_vae.engines.fused_expert import ConvExpert, FusedExpert, rows_that_count
from moe_vae.engines.fused_layers import (
    FusedLayers,
    InkedImages,
    PlainSaver,
    WholeImages,
    layer_parts,
    plain_variables,
)
from moe_vae.engines.looped import LoopedTrainer
from moe_vae.model import builds_model
from moe_vae.models.hierarchy import HierarchicalMixture
from moe_vae.models.specialists import (
    BalancedManager,
    SpecialistManager,
    mixture_of_vaes_params,
    vae_params,
)
from moe_vae.nn.layers import activation_function
from moe_vae.nn.losses import kl_to_standard_normal
from moe_vae.nn.noise import noise_key, noise_numbers, numbered_noise
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.params import ParameterError, check_params
from moe_vae.posts.mixture_of_vaes import Manager

__all__ = [
    "FusedBalancedManager",
    "FusedHierarchicalMixture",
    "FusedManager",
    "FusedSpecialistManager",
    "build_fused_hierarchical_mixture",
    "build_fused_mixture_of_vaes",
]


class _FusedExperts:
    """The part of a manager whose VAEs the engine computes; list it before the manager's class."""

    params: dict[str, Any]
    images: Tensor
    eps: list[Tensor]

    def _make_vaes(self, params: Mapping[str, Any], n_vaes: int, shape: Shape) -> None:
        if params["output_activation"] != "sigmoid":
            raise ParameterError(
                f"parameter 'output_activation' is {params['output_activation']!r}: "
                "with the fused engine it must be 'sigmoid'"
            )
        for name in sorted(params):
            # An expert would see the mean and the variance of its own images alone.
            if name.endswith("_normalise") and params[name]:
                raise ParameterError(
                    f"parameter {name!r} is {params[name]}: the fused engine has no batch "
                    "normalisation of experts and their managers; use --engine plain"
                )
        self._noise_numbers = noise_numbers(n_vaes)
        make = FusedExpert if params["network"] == "dense" else ConvExpert
        self._vaes = [make(params, number, shape) for number in range(n_vaes)]
        with tf.name_scope("draw"):
            self.code = tf.placeholder(tf.float32, [None, params["z_dim"]], "code")
            self.drawn = [vae.draw(self.code) for vae in self._vaes]

    def _read(self, images: Tensor) -> InkedImages | WholeImages:
        """Returns the images as the VAEs read them."""
        return self._vaes[0].reads(images)

    def _calc_losses(
        self, read: InkedImages | WholeImages, key: Tensor, probs: Tensor, slopes: Tensor
    ) -> Tensor:
        """Returns the losses [batch, n_vaes]; they are 0 where an image does not count for a VAE.

        Args:
          read: what `_read` returned for `images`.
          key: int32 tensor [2], the key of the noise.
          probs, slopes: float tensors [batch, n_vaes]; see `rows_that_count`.
        """
        shape = [tf.shape(self.images)[0], self.params["z_dim"]]
        with tf.name_scope("noise"):
            self.eps = [
                numbered_noise(shape, key, number, f"eps_{place}")
                for place, number in enumerate(self._noise_numbers)
            ]
        losses, self._codes = [], []
        by_vae = (tf.unstack(tf.transpose(of), len(self._vaes)) for of in (probs, slopes))
        for number, (vae, *of_vae) in enumerate(zip(self._vaes, *by_vae, strict=True)):
            with tf.name_scope(f"expert_{number}"):
                rows = rows_that_count(*of_vae)
                mu, var = vae.encode(read.at(rows))
                z = mu + tf.sqrt(var) * tf.gather(self.eps[number], rows)
                of_rows = vae.reconstruction_losses(z, tf.gather(self.images, rows))
                of_rows += kl_to_standard_normal(mu, var)
                losses.append(tf.scatter_nd(rows[:, None], of_rows, shape[:1]))
                self._codes.append(tf.scatter_nd(rows[:, None], mu, shape))
        return tf.stack(losses, axis=1)

    def _layers(self) -> list[FusedLayers]:
        """Returns all `FusedLayers`."""
        return [layer for vae in self._vaes for layer in vae.layers]

    def saver(self) -> "PlainSaver":
        """Returns a saver that uses the plain graph's names."""
        return PlainSaver(self._layers())

    @property
    def _noises(self) -> list[Tensor]:
        return self.eps

    def _draw_by(self, session: Session, z: np.ndarray, number: int) -> np.ndarray:
        return run_in_chunks(session, self.drawn[number], {self.code: z})

    def _mean_codes_by(self, session: Session, images: np.ndarray, number: int) -> np.ndarray:
        return run_in_chunks(session, self._codes[number], {self.images: images})


class _FusedMixture(_FusedExperts, Manager):
    """The part of a manager whose experts are single VAEs."""

    def generate_row(self, session: Session, z: np.ndarray) -> np.ndarray:
        """Draws one code with every expert; see `Manager.generate_row`."""
        return np.concatenate(session.run(self.drawn, {self.code: z}))

    def generate(self, session: Session, z: np.ndarray, column: Any) -> np.ndarray:
        """Draws with one expert; see `Manager.generate`."""
        self._check_expert(column)
        return self._draw_by(session, z, column)

    def mean_codes(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns each image's mean code by its likeliest expert; see `Manager.mean_codes`."""
        return self._codes_of_chosen(session, inputs)[0]

    def reconstruct(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Decodes each image's mean code by its likeliest expert; see `Manager.reconstruct`."""
        codes, chosen = self._codes_of_chosen(session, inputs)
        decoded = np.empty_like(inputs)
        for expert in np.unique(chosen):
            of_expert = chosen == expert
            decoded[of_expert] = self._draw_by(session, codes[of_expert], expert)
        return decoded

    def _codes_of_chosen(
        self, session: Session, inputs: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the mean codes [n, z_dim] by the likeliest experts, and these experts [n]."""
        images = check_images(inputs, self.n_features)
        chosen = self.predict(session, images)
        codes = np.empty([len(images), self.params["z_dim"]], np.float32)
        for expert in np.unique(chosen):
            of_expert = chosen == expert
            codes[of_expert] = self._mean_codes_by(session, images[of_expert], expert)
        return codes, chosen


class FusedManager(_FusedMixture):
    """`Manager` and its experts in other operations; see `Manager` for the mathematics.

    Attributes:
      eps: list of float tensors [batch, z_dim], one an expert; may be fed.
      expert_losses: float tensor [batch, experts], 0 where the image does not count for the expert.
      code, drawn: float tensor [n, z_dim], to be fed, and list of float tensors [n, pixels], its
        decoding by each expert.
      And those of `Manager`.

    Args:
      params: dict; see `MIXTURE_OF_VAES_PARAMS` for names and defaults.
      images: float tensor [batch, pixels] in [0, 1].
      shape: (height, width) of the images.

    Raises:
      ParameterError: a parameter is unknown or impossible.
    """

    def __init__(self, params: Mapping[str, Any], images: Tensor, shape: Shape) -> None:
        self.params, self.shape = check_params(params, self.defaults), shape
        self.n_columns, self.n_features = self.params["n_experts"], int(images.shape[1])
        self._make_vaes(self.params, self.n_columns, shape)
        self.experts = self._vaes
        sizes = [self.n_features, *self.params["manager_layers"], self.n_columns]
        parts = layer_parts("prob", sizes) if self.params["network"] == "dense" else []
        with tf.variable_scope("manager"):
            self._manager = [
                FusedLayers(f"layer_{depth}", [part]) for depth, part in enumerate(parts)
            ]
        self._connect(images, noise_key())

    def on(self, images: Tensor, key: Tensor) -> "FusedManager":
        """Returns the same model on other images and noise, with new operations.

        Args:
          images: float tensor [batch, pixels] in [0, 1].
          key: int32 tensor [2], the key of the noise.
        """
        model = copy.copy(self)
        model._connect(images, key)
        return model

    def _connect(self, images: Tensor, key: Tensor) -> None:
        self.images = images
        read = self._read(images)
        with tf.name_scope("manager"):
            self.probs = self._calc_probs(read)
        slopes = self.probs * (1 - self.probs)
        self.expert_losses = self._calc_losses(read, key, self.probs, slopes)
        with tf.name_scope("manager"):
            self._build_mixture_losses()

    def _calc_probs(self, read: InkedImages | WholeImages) -> Tensor:
        if isinstance(read, WholeImages):
            with plain_variables():
                return self.calc_probs(read.images)
        activation = activation_function(self.params["activation"])
        h = activation(read @ self._manager[0])
        for layer in self._manager[1:-1]:
            h = activation(layer(h))
        return tf.nn.softmax(self._manager[-1](h))

    def _layers(self) -> list[FusedLayers]:
        return [*super()._layers(), *self._manager]


class FusedTrainer(LoopedTrainer):
    """The `LoopedTrainer` of a `FusedManager`: a step is the same model on another batch."""

    model: FusedManager

    def _inputs(self, loss: Tensor) -> list[Tensor]:
        del loss
        return [self.model.images]

    def _trained(self, loss: Tensor) -> list:
        del loss
        return tf.trainable_variables()

    def _loss_at(self, number: Tensor, phase: str, loss: Tensor) -> tuple[Tensor, list]:
        del loss
        images = self._batches[phase][self.model.images][number]
        return self.model.on(images, self._key_at(number)).loss, []


FusedManager.trainer_class = FusedTrainer


class FusedBalancedManager(FusedManager, BalancedManager):
    """`BalancedManager` in the operations of `FusedManager`; see there."""


class FusedSpecialistManager(_FusedMixture, SpecialistManager):
    """`SpecialistManager` with `FusedManager`'s experts; its router is the plain one's."""

    def __init__(self, params: Mapping[str, Any], images: Tensor, shape: Shape) -> None:
        checked = check_params(params, self.defaults)
        self._make_vaes(checked, checked["n_experts"], shape)
        super().__init__(params, self._vaes, images, shape)

    def _calc_expert_losses(self) -> Tensor:
        slopes = self.probs * (1 - self.probs) if self._trains_router else self.probs
        return self._calc_losses(self._read(self.images), noise_key(), self.probs, slopes)


class FusedHierarchicalMixture(_FusedExperts, HierarchicalMixture):
    """`HierarchicalMixture` with `FusedManager`'s VAEs; its two routers are the plain one's."""

    def __init__(self, params: Mapping[str, Any], images: Tensor, shape: Shape) -> None:
        checked = check_params(params, self.defaults)
        n_styles = checked["n_styles"]
        self._make_vaes(checked, checked["n_experts"] * n_styles, shape)
        groups = [
            self._vaes[first : first + n_styles] for first in range(0, len(self._vaes), n_styles)
        ]
        super().__init__(params, groups, images, shape)

    def _calc_style_losses(self) -> Tensor:
        by_vae, by_style = [-1, len(self._vaes)], [-1, self.n_columns, self.n_styles]
        joint = self.probs[:, :, None] * self.style_probs
        # Each manager that is trained has its own p (1 - p); the smallest decides.
        slopes = joint
        if self._trains_router:
            slopes = tf.minimum(slopes, joint * (1 - self.probs[:, :, None]))
        if self._learns_styles and self.n_styles > 1:
            slopes = tf.minimum(slopes, joint * (1 - self.style_probs))
        losses = self._calc_losses(
            self._read(self.images),
            noise_key(),
            tf.reshape(joint, by_vae),
            tf.reshape(slopes, by_vae),
        )
        return tf.reshape(losses, by_style)

    def _draw(self, session: Session, z: np.ndarray, expert: int, style: int) -> np.ndarray:
        return self._draw_by(session, z, expert * self.n_styles + style)

    def _mean_codes(
        self, session: Session, images: np.ndarray, expert: int, style: int
    ) -> np.ndarray:
        return self._mean_codes_by(session, images, expert * self.n_styles + style)


# The fused managers without a router, by their routing. "information" has a router.
_MANAGERS: dict[str, type[FusedManager]] = {
    "post": FusedManager,
    "balanced": FusedBalancedManager,
}
_ROUTINGS = (*_MANAGERS, "information")


@builds_model
def build_fused_mixture_of_vaes(
    params: Mapping[str, Any], shape: Shape = IMAGE_SHAPE
) -> FusedManager | FusedSpecialistManager:
    """Builds the placeholder and the fused model in the current graph.

    Args:
      params: dict as for `build_mixture_of_vaes`.
      shape: (height, width) of the images.

    Returns:
      The manager; see `FusedManager`.

    Raises:
      ParameterError: a parameter is unknown or impossible.
    """
    params = check_params(params, mixture_of_vaes_params(params))
    routing = params["routing"]
    if routing not in _ROUTINGS:
        raise ParameterError(
            f"parameter 'routing' is {routing!r}: with the fused engine it must be one of "
            f"{', '.join(_ROUTINGS)}"
        )
    images = tf.placeholder(tf.float32, [None, Form(shape).n_features], name="images")
    if routing == "information":
        return FusedSpecialistManager(params, images, shape)
    return _MANAGERS[routing](vae_params(params) if routing == "post" else params, images, shape)


@builds_model
def build_fused_hierarchical_mixture(
    params: Mapping[str, Any], shape: Shape = IMAGE_SHAPE
) -> FusedHierarchicalMixture:
    """Builds the placeholder and the fused model in the current graph.

    Args:
      params: dict as for `build_hierarchical_mixture`.
      shape: (height, width) of the images.

    Returns:
      A `FusedHierarchicalMixture`.

    Raises:
      ParameterError: a parameter is unknown or impossible.
    """
    images = tf.placeholder(tf.float32, [None, Form(shape).n_features], name="images")
    return FusedHierarchicalMixture(params, images, shape)
