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

Checkpoints have the plain graph's names and shapes, so that both engines, and TensorFlow 1.15, can
read them.
"""

import copy
import itertools
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import IMAGE_PIXELS, check_images
from moe_vae.engines.looped import LoopedTrainer
from moe_vae.models.hierarchy import HierarchicalMixture
from moe_vae.models.specialists import (
    BalancedManager,
    SpecialistManager,
    mixture_of_vaes_params,
    vae_params,
)
from moe_vae.nn.layers import activation_function, bounded_variance
from moe_vae.nn.losses import kl_to_standard_normal
from moe_vae.nn.noise import noise_key, noise_numbers, numbered_noise
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.params import ParameterError, check_params
from moe_vae.posts.mixture_of_vaes import N_EXPERTS, Manager

__all__ = [
    "FusedBalancedManager",
    "FusedHierarchicalMixture",
    "FusedManager",
    "FusedSpecialistManager",
    "build_fused_hierarchical_mixture",
    "build_fused_mixture_of_vaes",
]


class _Part(NamedTuple):
    """A plain layer inside a fused variable: its scope and name, and its sizes."""

    name: str
    n_inputs: int
    n_outputs: int


def _parts(scope: str, sizes: Sequence[int]) -> list[_Part]:
    """Returns the `_Part`s of a stack of `tf.layers.dense` in a scope, named as it names them."""
    return [
        _Part(f"{scope}/dense{f'_{number}' if number else ''}", n_inputs, n_outputs)
        for number, (n_inputs, n_outputs) in enumerate(itertools.pairwise(sizes))
    ]


def _kernel_and_bias(part: _Part) -> Tensor:
    """Draws a layer's kernel as `tf.layers.dense` does, with its bias of zeros as the last row."""
    limit = np.sqrt(6 / (part.n_inputs + part.n_outputs))  # uniform, of variance 2/(in + out)
    # Each part has its own seed, so that first weights do not depend on the number of groups.
    is_seeded = tf.get_default_graph().seed is not None
    seed = zlib.crc32(part.name.encode()) >> 1 if is_seeded else None
    kernel = tf.random_uniform([part.n_inputs, part.n_outputs], -limit, limit, seed=seed)
    return tf.concat([kernel, tf.zeros([1, part.n_outputs])], axis=0)


class _Layers:
    """The kernels and biases of plain layers of the same inputs, one variable, biases a last row.

    Attributes:
      variable: float variable [inputs + 1, outputs].

    Args:
      name: the variable's name.
      parts: list of the `_Part`s whose outputs stand side by side in it.
    """

    def __init__(self, name: str, parts: list[_Part]) -> None:
        self._parts = parts
        value = tf.concat([_kernel_and_bias(part) for part in parts], axis=1)
        self.variable = tf.get_variable(name, initializer=value, use_resource=True)

    def __call__(self, x: Tensor) -> Tensor:
        """Returns x [batch, inputs] through the layers, float tensor [batch, outputs]."""
        return _with_ones(x) @ self.variable.read_value()

    def plain(self, value: Tensor) -> dict[str, Tensor]:
        """Splits a `value` of the variable: dict of each plain variable's name to its value."""
        tensors = {}
        columns = tf.split(value, [part.n_outputs for part in self._parts], axis=1)
        for part, of_part in zip(self._parts, columns, strict=True):
            tensors[f"{part.name}/kernel"] = of_part[:-1]
            tensors[f"{part.name}/bias"] = of_part[-1]
        return tensors

    def fused(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Joins plain values into a value of the variable; `tensors` has them by plain name."""
        columns = [
            tf.concat([tensors[f"{part.name}/kernel"], tensors[f"{part.name}/bias"][None]], axis=0)
            for part in self._parts
        ]
        return tf.concat(columns, axis=1)


def _with_ones(x: Tensor) -> Tensor:
    return tf.concat([x, tf.ones([tf.shape(x)[0], 1])], axis=1)


class _Images:
    """A batch of images without its blank pixels, for first layers.

    Args:
      images: float tensor [batch, pixels].
    """

    def __init__(self, images: Tensor) -> None:
        pixels = tf.transpose(images)
        is_inked = tf.reduce_any(tf.not_equal(pixels, 0), axis=1)
        inked = tf.cast(tf.where(is_inked)[:, 0], tf.int32)
        n_inked = tf.size(inked)
        of_batch = pixels[:1]
        # Two more columns: ones for the bias, and zeros for the gradient of blank pixels.
        self._pixels = tf.transpose(
            tf.concat(
                [tf.gather(pixels, inked), tf.ones_like(of_batch), tf.zeros_like(of_batch)], axis=0
            )
        )
        bias_row = int(images.shape[1])
        self._weight_rows = tf.concat([inked, [bias_row, bias_row]], axis=0)
        counted = tf.cumsum(tf.cast(is_inked, tf.int32)) - 1
        places = tf.where_v2(is_inked, counted, n_inked + 1)
        self._places = tf.concat([places, [n_inked]], axis=0)

    def at(self, rows: Tensor) -> "_Images":
        """Returns the images at `rows`."""
        chosen = copy.copy(self)
        chosen._pixels = tf.gather(self._pixels, rows)
        return chosen

    def __matmul__(self, layers: _Layers) -> Tensor:
        """Returns the outputs of the first `layers`, float tensor [batch, outputs]."""

        @tf.custom_gradient
        def product(weights: Tensor, pixels: Tensor, weight_rows: Tensor) -> tuple:
            def gradient(upstream: Tensor) -> tuple:
                by_weights = tf.matmul(pixels, upstream, transpose_a=True)
                return tf.gather(by_weights, self._places), None, None

            return pixels @ tf.gather(weights, weight_rows), gradient

        return product(layers.variable.read_value(), self._pixels, self._weight_rows)


def _pixel_losses(h: Tensor, weights: Tensor, images: Tensor, std: float) -> Tensor:
    """Returns the reconstruction losses [batch] of an expert's last layer.

    With s = sigmoid(h W) and x the images, an image's loss is -sum_pixels log N(x; s, std), and
    the gradient by h W is (s - x) s (1 - s) / std^2 for each pixel, times the loss's gradient.
    That factor, one an image, multiplies the small operands of the two products.
    """

    @tf.custom_gradient
    def losses(h: Tensor, weights: Tensor, images: Tensor) -> tuple:
        decoded = tf.sigmoid(_with_ones(h) @ weights)
        errors = decoded - images
        by_logits = tf.raw_ops.SigmoidGrad(y=decoded, dy=errors)
        constant = int(images.shape[1]) * np.log(std * np.sqrt(2 * np.pi))

        def gradient(upstream: Tensor) -> tuple:
            factor = (upstream / std**2)[:, None]
            by_h = tf.matmul(by_logits, weights[:-1], transpose_b=True) * factor
            # An update of the weights waits for this product, so it cannot change them too early.
            with tf.control_dependencies([by_h]):
                by_weights = tf.matmul(_with_ones(h) * factor, by_logits, transpose_a=True)
            return by_h, by_weights, None

        return tf.reduce_sum(tf.square(errors), axis=1) * (0.5 / std**2) + constant, gradient

    return losses(h, weights, images)


def _rows_that_count(probs: Tensor, slope: Tensor) -> Tensor:
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


class _Expert:
    """One expert: its variables, its losses and its drawings.

    Args:
      params: dict of the model's parameters.
      number: the expert's.
      n_pixels: number of pixels of an image.
    """

    def __init__(self, params: Mapping[str, Any], number: int, n_pixels: int) -> None:
        self._decoder_std = params["decoder_std"]
        self._activation = activation_function(params["activation"])
        z_dim, sizes = params["z_dim"], [n_pixels, *params["encoder_layers"]]
        encoder = [[part] for part in _parts(f"encode_{number}", sizes)]
        # The heads of mean and variance are two layers after the last hidden one.
        heads = [
            _Part(f"encode_{number}/dense_{len(encoder) + head}", sizes[-1], z_dim)
            for head in range(2)
        ]
        decoder = _parts(f"decode_{number}", [z_dim, *params["decoder_layers"], n_pixels])
        with tf.variable_scope(f"expert_{number}"):
            self._encoder = [
                _Layers(f"encoder_{depth}", parts) for depth, parts in enumerate([*encoder, heads])
            ]
            self._decoder = [
                _Layers(f"decoder_{depth}", [part]) for depth, part in enumerate(decoder)
            ]

    @property
    def layers(self) -> list[_Layers]:
        """List of all the expert's `_Layers`."""
        return [*self._encoder, *self._decoder]

    def encode(self, images: _Images) -> tuple[Tensor, Tensor]:
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
        return _pixel_losses(self._decode_hidden(z), weights, images, self._decoder_std)

    def draw(self, code: Tensor) -> Tensor:
        """Returns the decodings of codes [n, z_dim], float tensor [n, pixels]."""
        return tf.sigmoid(self._decoder[-1](self._decode_hidden(code)))

    def _decode_hidden(self, z: Tensor) -> Tensor:
        for layer in self._decoder[:-1]:
            z = self._activation(layer(z))
        return z


class _FusedExperts:
    """The part of a manager whose VAEs are `_Expert`s; list it before the manager's class."""

    params: dict[str, Any]
    images: Tensor

    def _make_vaes(self, params: Mapping[str, Any], n_vaes: int, n_pixels: int) -> None:
        if n_vaes < 1:
            raise ParameterError(f"n_experts is {n_vaes}: it must be at least 1")
        if params["output_activation"] != "sigmoid":
            raise ParameterError(
                f"parameter 'output_activation' is {params['output_activation']!r}: "
                "with the fused engine it must be 'sigmoid'"
            )
        self._noise_numbers = noise_numbers(n_vaes)
        self._vaes = [_Expert(params, number, n_pixels) for number in range(n_vaes)]
        with tf.name_scope("draw"):
            self.code = tf.placeholder(tf.float32, [None, params["z_dim"]], "code")
            self.drawn = [vae.draw(self.code) for vae in self._vaes]

    def _calc_losses(
        self, without_blanks: _Images, key: Tensor, probs: Tensor, slopes: Tensor
    ) -> Tensor:
        """Returns the losses [batch, n_vaes]; they are 0 where an image does not count for a VAE.

        Args:
          without_blanks: the `_Images` of `images`.
          key: int32 tensor [2], the key of the noise.
          probs, slopes: float tensors [batch, n_vaes]; see `_rows_that_count`.
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
                rows = _rows_that_count(*of_vae)
                mu, var = vae.encode(without_blanks.at(rows))
                z = mu + tf.sqrt(var) * tf.gather(self.eps[number], rows)
                of_rows = vae.reconstruction_losses(z, tf.gather(self.images, rows))
                of_rows += kl_to_standard_normal(mu, var)
                losses.append(tf.scatter_nd(rows[:, None], of_rows, shape[:1]))
                self._codes.append(tf.scatter_nd(rows[:, None], mu, shape))
        return tf.stack(losses, axis=1)

    def _layers(self) -> list[_Layers]:
        """Returns all `_Layers`."""
        return [layer for vae in self._vaes for layer in vae.layers]

    def saver(self) -> "_PlainSaver":
        """Returns a saver that uses the plain graph's names."""
        return _PlainSaver(self._layers())

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

    def reconstruct(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Decodes each image's mean code by its likeliest expert; see `Manager.reconstruct`."""
        images = check_images(inputs)
        chosen = self.predict(session, images)
        decoded = np.empty_like(images)
        for expert in np.unique(chosen):
            of_expert = chosen == expert
            codes = self._mean_codes_by(session, images[of_expert], expert)
            decoded[of_expert] = self._draw_by(session, codes, expert)
        return decoded


class FusedManager(_FusedMixture):
    """`Manager` and its experts in other operations; see `Manager` for the mathematics.

    Attributes:
      eps: list of float tensors [batch, z_dim], one an expert; may be fed.
      expert_losses: float tensor [batch, experts], 0 where the image does not count for the expert.
      code, drawn: float tensor [n, z_dim], to be fed, and list of float tensors [n, 784], its
        decoding by each expert.
      And those of `Manager`.

    Args:
      params: dict; see `MIXTURE_OF_VAES_PARAMS` for names and defaults.
      n_experts: number of experts, at least 1.
      images: float tensor [batch, pixels] in [0, 1]; methods that read images need 784 pixels.

    Raises:
      ParameterError: a parameter is unknown or impossible, or there is no expert.
    """

    def __init__(self, params: Mapping[str, Any], n_experts: int, images: Tensor) -> None:
        self.params = check_params(params, self.defaults)
        self.n_columns, self.n_features = n_experts, int(images.shape[1])
        self._make_vaes(self.params, n_experts, self.n_features)
        sizes = [self.n_features, *self.params["manager_layers"], n_experts]
        with tf.variable_scope("manager"):
            self._manager = [
                _Layers(f"layer_{depth}", [part])
                for depth, part in enumerate(_parts("prob", sizes))
            ]
        self._connect(images, noise_key())

    def on(self, images: Tensor, key: Tensor) -> "FusedManager":
        """Returns the same model on other images and noise, with new operations.

        Args:
          images: float tensor [batch, 784] in [0, 1].
          key: int32 tensor [2], the key of the noise.
        """
        model = copy.copy(self)
        model._connect(images, key)
        return model

    def _connect(self, images: Tensor, key: Tensor) -> None:
        self.images = images
        without_blanks = _Images(images)
        with tf.name_scope("manager"):
            self.probs = self._calc_probs(without_blanks)
        slopes = self.probs * (1 - self.probs)
        self.expert_losses = self._calc_losses(without_blanks, key, self.probs, slopes)
        with tf.name_scope("manager"):
            self._build_mixture_losses()

    def _calc_probs(self, without_blanks: _Images) -> Tensor:
        activation = activation_function(self.params["activation"])
        h = activation(without_blanks @ self._manager[0])
        for layer in self._manager[1:-1]:
            h = activation(layer(h))
        return tf.nn.softmax(self._manager[-1](h))

    def _layers(self) -> list[_Layers]:
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

    def _loss_at(self, number: Tensor, phase: str, loss: Tensor) -> Tensor:
        del loss
        images = self._batches[phase][self.model.images][number]
        return self.model.on(images, self._key_at(number)).loss


FusedManager.trainer_class = FusedTrainer


class FusedBalancedManager(FusedManager, BalancedManager):
    """`BalancedManager` in the operations of `FusedManager`; see there."""


class FusedSpecialistManager(_FusedMixture, SpecialistManager):
    """`SpecialistManager` with `FusedManager`'s experts; its router is the plain one's."""

    def __init__(self, params: Mapping[str, Any], n_experts: int, images: Tensor) -> None:
        checked = check_params(params, self.defaults)
        self._make_vaes(checked, n_experts, int(images.shape[1]))
        super().__init__(params, self._vaes, images)

    def _calc_expert_losses(self) -> Tensor:
        slopes = self.probs * (1 - self.probs) if self._trains_router else self.probs
        return self._calc_losses(_Images(self.images), noise_key(), self.probs, slopes)


class FusedHierarchicalMixture(_FusedExperts, HierarchicalMixture):
    """`HierarchicalMixture` with `FusedManager`'s VAEs; its two routers are the plain one's."""

    def __init__(self, params: Mapping[str, Any], n_experts: int, images: Tensor) -> None:
        checked = check_params(params, self.defaults)
        n_styles = checked["n_styles"]
        self._make_vaes(checked, n_experts * n_styles, int(images.shape[1]))
        groups = [
            self._vaes[first : first + n_styles] for first in range(0, len(self._vaes), n_styles)
        ]
        super().__init__(params, groups, images)

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
            _Images(self.images), noise_key(), tf.reshape(joint, by_vae), tf.reshape(slopes, by_vae)
        )
        return tf.reshape(losses, by_style)

    def _draw(self, session: Session, z: np.ndarray, expert: int, style: int) -> np.ndarray:
        return self._draw_by(session, z, expert * self.n_styles + style)

    def _mean_codes(
        self, session: Session, images: np.ndarray, expert: int, style: int
    ) -> np.ndarray:
        return self._mean_codes_by(session, images, expert * self.n_styles + style)


class _PlainSaver:
    """Saves and restores fused variables under the plain graph's names, Adam's slots included.

    Create it after the optimiser, whose variables it saves, and before the graph is finalised.

    Args:
      layers: all the `_Layers` of the model.
    """

    def __init__(self, layers: list[_Layers]) -> None:
        self._path = tf.placeholder(tf.string, [], "checkpoint_path")
        variables = {variable.op.name: variable for variable in tf.global_variables()}
        plain: dict[str, Tensor] = {}
        stored: list[tuple[_Layers, str, Any, list[str]]] = []
        for layer in layers:
            for slot in ("", "/Adam", "/Adam_1"):
                variable = variables.pop(layer.variable.op.name + slot)
                parts = {
                    name + slot: tensor
                    for name, tensor in layer.plain(variable.read_value()).items()
                }
                plain |= parts
                stored.append((layer, slot, variable, list(parts)))
        plain |= variables  # variables without parts, such as Adam's powers of beta
        names = {
            "prefix": self._path,
            "tensor_names": list(plain),
            "shape_and_slices": [""] * len(plain),
        }
        tensors = [tf.convert_to_tensor(tensor) for tensor in plain.values()]
        self._save = tf.raw_ops.SaveV2(tensors=tensors, **names)
        read = tf.raw_ops.RestoreV2(dtypes=[tensor.dtype for tensor in tensors], **names)
        restored = dict(zip(plain, read, strict=True))
        self._restore = [
            tf.assign(variable, restored[name]) for name, variable in variables.items()
        ]
        for layer, slot, variable, part_names in stored:
            by_part = {name.removesuffix(slot): restored[name] for name in part_names}
            value = tf.ensure_shape(layer.fused(by_part), variable.shape)
            self._restore.append(tf.assign(variable, value))

    def save(self, session: Session, path: str, **_: Any) -> None:
        """Writes a checkpoint, as `tf.train.Saver.save` does."""
        session.run(self._save, {self._path: path})

    def restore(self, session: Session, path: str) -> None:
        """Reads a checkpoint, as `tf.train.Saver.restore` does."""
        session.run(self._restore, {self._path: path})


# The fused managers by their routing.
_MANAGERS: dict[str, type[FusedManager] | type[FusedSpecialistManager]] = {
    "post": FusedManager,
    "balanced": FusedBalancedManager,
    "information": FusedSpecialistManager,
}


def build_fused_mixture_of_vaes(
    params: Mapping[str, Any], n_experts: int = N_EXPERTS
) -> FusedManager | FusedSpecialistManager:
    """Builds the placeholder and the fused model in the current graph.

    Args:
      params: dict as for `build_mixture_of_vaes`.
      n_experts: number of experts, at least 1.

    Returns:
      The manager; see `FusedManager`.

    Raises:
      ParameterError: a parameter is unknown or impossible.
    """
    params = check_params(params, mixture_of_vaes_params(params))
    routing = params["routing"]
    if routing not in _MANAGERS:
        raise ParameterError(
            f"parameter 'routing' is {routing!r}: with the fused engine it must be one of "
            f"{', '.join(_MANAGERS)}"
        )
    if routing == "post":
        params = vae_params(params)
    images = tf.placeholder(tf.float32, [None, IMAGE_PIXELS], name="images")
    return _MANAGERS[routing](params, n_experts, images)


def build_fused_hierarchical_mixture(
    params: Mapping[str, Any], n_experts: int = N_EXPERTS
) -> FusedHierarchicalMixture:
    """Builds the placeholder and the fused model in the current graph.

    Args:
      params: dict as for `build_hierarchical_mixture`.
      n_experts: number of experts, at least 1.

    Returns:
      A `FusedHierarchicalMixture`.

    Raises:
      ParameterError: a parameter is unknown or impossible.
    """
    images = tf.placeholder(tf.float32, [None, IMAGE_PIXELS], name="images")
    return FusedHierarchicalMixture(params, n_experts, images)
