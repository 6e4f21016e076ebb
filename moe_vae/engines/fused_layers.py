"""The fused engine's layers: several plain layers in one variable, images without blank pixels."""

import copy
import itertools
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from moe_vae.compat import Session, Tensor, tf

__all__ = [
    "FusedLayers",
    "InkedImages",
    "Part",
    "PlainSaver",
    "WholeImages",
    "layer_parts",
    "pixel_losses",
    "plain_variables",
    "with_ones",
]


class Part(NamedTuple):
    """A plain layer inside a fused variable: its scope and name, and its sizes."""

    name: str
    n_inputs: int
    n_outputs: int


def layer_parts(scope: str, sizes: Sequence[int]) -> list[Part]:
    """Returns the `Part`s of a stack of `tf.layers.dense` in a scope, named as it names them."""
    return [
        Part(f"{scope}/dense{f'_{number}' if number else ''}", n_inputs, n_outputs)
        for number, (n_inputs, n_outputs) in enumerate(itertools.pairwise(sizes))
    ]


def _kernel_and_bias(part: Part) -> Tensor:
    """Draws a layer's kernel as `tf.layers.dense` does, with its bias of zeros as the last row."""
    limit = np.sqrt(6 / (part.n_inputs + part.n_outputs))  # uniform, of variance 2/(in + out)
    # Each part has its own seed, so that first weights do not depend on the number of groups.
    is_seeded = tf.get_default_graph().seed is not None
    seed = zlib.crc32(part.name.encode()) >> 1 if is_seeded else None
    kernel = tf.random_uniform([part.n_inputs, part.n_outputs], -limit, limit, seed=seed)
    return tf.concat([kernel, tf.zeros([1, part.n_outputs])], axis=0)


class FusedLayers:
    """The kernels and biases of plain layers of the same inputs, one variable, biases a last row.

    Attributes:
      variable: float variable [inputs + 1, outputs].

    Args:
      name: the variable's name.
      parts: list of the `Part`s whose outputs stand side by side in it.
    """

    def __init__(self, name: str, parts: list[Part]) -> None:
        self._parts = parts
        value = tf.concat([_kernel_and_bias(part) for part in parts], axis=1)
        self.variable = tf.get_variable(name, initializer=value, use_resource=True)

    def __call__(self, x: Tensor) -> Tensor:
        """Returns x [batch, inputs] through the layers, float tensor [batch, outputs]."""
        return with_ones(x) @ self.variable.read_value()

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


def with_ones(x: Tensor) -> Tensor:
    return tf.concat([x, tf.ones([tf.shape(x)[0], 1])], axis=1)


class InkedImages:
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

    def at(self, rows: Tensor) -> "InkedImages":
        """Returns the images at `rows`."""
        chosen = copy.copy(self)
        chosen._pixels = tf.gather(self._pixels, rows)
        return chosen

    def __matmul__(self, layers: FusedLayers) -> Tensor:
        """Returns the outputs of the first `layers`, float tensor [batch, outputs]."""

        @tf.custom_gradient
        def product(weights: Tensor, pixels: Tensor, weight_rows: Tensor) -> tuple:
            def gradient(upstream: Tensor) -> tuple:
                by_weights = tf.matmul(pixels, upstream, transpose_a=True)
                return tf.gather(by_weights, self._places), None, None

            return pixels @ tf.gather(weights, weight_rows), gradient

        return product(layers.variable.read_value(), self._pixels, self._weight_rows)


class WholeImages:
    """A batch of images with all its pixels, for convolutions.

    Attributes:
      images: float tensor [batch, pixels].

    Args:
      images: the tensor.
    """

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def at(self, rows: Tensor) -> "WholeImages":
        """Returns the images at `rows`."""
        return WholeImages(tf.gather(self.images, rows))


def plain_variables() -> Any:
    """Returns a context in which the plain graph's layers make variables that a loop may change.

    They have the plain graph's names.
    """
    return tf.variable_scope(tf.get_variable_scope(), use_resource=True)


def pixel_losses(h: Tensor, weights: Tensor, images: Tensor, std: float) -> Tensor:
    """Returns the reconstruction losses [batch] of an expert's last layer.

    With s = sigmoid(h W) and x the images, an image's loss is -sum_pixels log N(x; s, std), and
    the gradient by h W is (s - x) s (1 - s) / std^2 for each pixel, times the loss's gradient.
    That factor, one an image, multiplies the small operands of the two products.
    """

    @tf.custom_gradient
    def losses(h: Tensor, weights: Tensor, images: Tensor) -> tuple:
        decoded = tf.sigmoid(with_ones(h) @ weights)
        errors = decoded - images
        by_logits = tf.raw_ops.SigmoidGrad(y=decoded, dy=errors)
        constant = int(images.shape[1]) * np.log(std * np.sqrt(2 * np.pi))

        def gradient(upstream: Tensor) -> tuple:
            factor = (upstream / std**2)[:, None]
            by_h = tf.matmul(by_logits, weights[:-1], transpose_b=True) * factor
            # An update of the weights waits for this product, so it cannot change them too early.
            with tf.control_dependencies([by_h]):
                by_weights = tf.matmul(with_ones(h) * factor, by_logits, transpose_a=True)
            return by_h, by_weights, None

        return tf.reduce_sum(tf.square(errors), axis=1) * (0.5 / std**2) + constant, gradient

    return losses(h, weights, images)


class PlainSaver:
    """Saves and restores fused variables under the plain graph's names, Adam's slots included.

    Create it after the optimiser, whose variables it saves, and before the graph is finalised.

    Args:
      layers: all the `FusedLayers` of the model.
    """

    def __init__(self, layers: list[FusedLayers]) -> None:
        self._path = tf.placeholder(tf.string, [], "checkpoint_path")
        variables = {variable.op.name: variable for variable in tf.global_variables()}
        plain: dict[str, Tensor] = {}
        stored: list[tuple[FusedLayers, str, Any, list[str]]] = []
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
