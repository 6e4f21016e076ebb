"""Post 3's model in few large operations, for speed.

It computes what `Manager` and its `VAE`s compute, and draws the same noise from the same key.
What takes the time of a step is its matrix products, and nearly all of what is not a product can
go:

- All first layers of a group of experts are one product, and it leaves out the pixels that are
  blank in the whole batch: their weights get and give nothing. (Of MNIST's 784 pixels some 515 are
  inked in one image or more of 100.)
- The last layers, the other large ones, are one product an expert, for a stacked product runs
  slower; sigmoid, likelihood and their gradient are four passes over its pixels.
- A bias is the last row of its kernel, so that neither it nor its gradient is a pass of its own.
- Adam has a few large variables to go through instead of a hundred.

The experts are in as many groups as there are cores, one beside the other. Checkpoints have the
plain graph's names and shapes, so that either engine, and TensorFlow 1.15, reads the other's.
"""

import copy
import itertools
import os
import zlib
from typing import NamedTuple

import numpy as np

from moe_vae.compat import tf
from moe_vae.datasets import IMAGE_PIXELS, check_images
from moe_vae.looped import LoopedTrainer
from moe_vae.mixture_of_vaes import MIXTURE_OF_VAES_PARAMS, N_EXPERTS, Manager
from moe_vae.networks import activation_function, bounded_variance, kl_to_standard_normal
from moe_vae.noise import noise_key, noise_numbers, numbered_noise
from moe_vae.parameters import ParameterError, check_params
from moe_vae.sessions import run_in_chunks

__all__ = ["FusedManager", "build_fused_mixture_of_vaes"]


class _Part(NamedTuple):
    """A plain layer inside a fused variable: its scope and name, and its sizes."""

    name: str
    n_inputs: int
    n_outputs: int


def _parts(scope, sizes):
    """Returns the `_Part`s of a stack of `tf.layers.dense` in a scope, named as it names them."""
    return [
        _Part(f"{scope}/dense{f'_{number}' if number else ''}", n_inputs, n_outputs)
        for number, (n_inputs, n_outputs) in enumerate(itertools.pairwise(sizes))
    ]


def _kernel_and_bias(part):
    """Draws a plain layer's kernel, with its bias of zeros below it, as `tf.layers.dense` does."""
    limit = np.sqrt(6 / (part.n_inputs + part.n_outputs))  # uniform, of variance 2/(in + out)
    # A part's own seed, so that a run's first weights do not depend on the number of groups.
    is_seeded = tf.get_default_graph().seed is not None
    seed = zlib.crc32(part.name.encode()) >> 1 if is_seeded else None
    kernel = tf.random_uniform([part.n_inputs, part.n_outputs], -limit, limit, seed=seed)
    return tf.concat([kernel, tf.zeros([1, part.n_outputs])], axis=0)


class _Layers:
    """The kernels and biases of several plain layers in one variable, each bias a last row.

    Attributes:
      variable: float variable [inputs + 1, outputs], or [rows, inputs + 1, outputs].

    Args:
      name: the variable's name.
      rows: list, one entry a matrix, of the lists of `_Part`s whose outputs stand side by side in
        it.
      is_stack: whether the matrices make a stack; else there is one row, a matrix.
    """

    def __init__(self, name, rows, is_stack=False):
        self._rows = rows
        self._is_stack = is_stack
        values = [[_kernel_and_bias(part) for part in row] for row in rows]
        self.variable = tf.get_variable(name, initializer=self._joined(values), use_resource=True)

    def __call__(self, x):
        """Returns x [batch, inputs] through the layers, [batch, outputs].

        Of a stack x is a list, one entry a row, and the outputs are [rows, batch, outputs].
        """
        if self._is_stack:
            return _stacked_product(x, self.variable.read_value())
        kernel, bias = self.kernel_and_bias()
        return x @ kernel + bias

    def kernel_and_bias(self):
        """Returns the kernels and the biases, these with an axis for the batch."""
        value = self.variable.read_value()
        return tf.split(value, [self._rows[0][0].n_inputs, 1], axis=-2)

    def _joined(self, values):
        rows = [tf.concat(of_row, axis=-1) for of_row in values]
        return tf.stack(rows) if self._is_stack else rows[0]

    def plain(self, value):
        """Returns dict of a plain variable's name to its part of a `value` of the variable."""
        tensors = {}
        for row, of_row in zip(
            self._rows, tf.unstack(value) if self._is_stack else [value], strict=True
        ):
            columns = tf.split(of_row, [part.n_outputs for part in row], axis=-1)
            for part, of_part in zip(row, columns, strict=True):
                tensors[f"{part.name}/kernel"] = of_part[:-1]
                tensors[f"{part.name}/bias"] = of_part[-1]
        return tensors

    def fused(self, tensors):
        """Returns the value of the variable of which `tensors` are the parts, by plain name."""
        return self._joined(
            [
                [
                    tf.concat(
                        [tensors[f"{part.name}/kernel"], tensors[f"{part.name}/bias"][None]], axis=0
                    )
                    for part in row
                ]
                for row in self._rows
            ]
        )


class _Images:
    """A batch of images as the first layers read it: without its blank pixels.

    Args:
      images: float tensor [batch, pixels].
    """

    def __init__(self, images):
        pixels = tf.transpose(images)
        is_inked = tf.reduce_any(tf.not_equal(pixels, 0), axis=1)
        inked = tf.cast(tf.where(is_inked)[:, 0], tf.int32)
        n_inked = tf.size(inked)
        of_batch = pixels[:1]
        # Two rows more: of ones, for the bias, and of zeros, to make the gradient of blank pixels.
        self._pixels = tf.concat(
            [tf.gather(pixels, inked), tf.ones_like(of_batch), tf.zeros_like(of_batch)], axis=0
        )
        bias_row = int(images.shape[1])
        self._rows = tf.concat([inked, [bias_row, bias_row]], axis=0)
        counted = tf.cumsum(tf.cast(is_inked, tf.int32)) - 1
        places = tf.where_v2(is_inked, counted, n_inked + 1)
        self._places = tf.concat([places, [n_inked]], axis=0)

    def __matmul__(self, layers):
        """Returns the images through first `layers`, float tensor [batch, outputs]."""

        @tf.custom_gradient
        def product(weights, pixels, rows):
            def gradient(upstream):
                return tf.gather(pixels @ upstream, self._places), None, None

            return tf.matmul(pixels, tf.gather(weights, rows), transpose_a=True), gradient

        return product(layers.variable.read_value(), self._pixels, self._rows)


def _stacked_product(inputs, weights):
    """Returns each of a list of inputs [batch, inputs] through its own row of stacked weights.

    The rows are products of their own: TensorFlow's stacked product, transposed as in a gradient,
    takes twice the time.

    Returns:
      Float tensor [rows, batch, outputs].
    """

    @tf.custom_gradient
    def product(weights, *inputs):
        kernels = tf.unstack(weights[:, :-1])

        def gradient(upstream):
            of_rows = tf.unstack(upstream, len(inputs))
            by_inputs = [
                tf.matmul(of_row, kernel, transpose_b=True)
                for of_row, kernel in zip(of_rows, kernels, strict=True)
            ]
            by_kernels = [
                tf.matmul(x, of_row, transpose_a=True)
                for x, of_row in zip(inputs, of_rows, strict=True)
            ]
            by_bias = tf.reduce_sum(upstream, axis=1, keepdims=True)
            return tf.concat([tf.stack(by_kernels), by_bias], axis=1), *by_inputs

        products = [x @ kernel for x, kernel in zip(inputs, kernels, strict=True)]
        return tf.stack(products) + weights[:, -1:], gradient

    return product(weights, *inputs)


def _with_ones(x):
    return tf.concat([x, tf.ones([tf.shape(x)[0], 1])], axis=1)


def _pixel_losses(h, weights, images, std):
    """Returns the reconstruction losses [batch] of an expert's last layer.

    With s = sigmoid(h W) and x the images, an image's loss is -sum_pixels log N(x; s, std), and
    the gradient by h W is (s - x) s (1 - s) / std^2, for each pixel, times the loss's own. That
    factor, one an image, goes to the narrow sides of the two products instead of the wide one.
    """

    @tf.custom_gradient
    def losses(h, weights, images):
        decoded = tf.sigmoid(_with_ones(h) @ weights)
        errors = decoded - images
        by_logits = tf.raw_ops.SigmoidGrad(y=decoded, dy=errors)
        constant = int(images.shape[1]) * np.log(std * np.sqrt(2 * np.pi))

        def gradient(upstream):
            factor = (upstream / std**2)[:, None]
            by_h = tf.matmul(by_logits, weights[:-1], transpose_b=True) * factor
            # Whoever changes the weights waits for this one, and so finds them read to the end.
            with tf.control_dependencies([by_h]):
                by_weights = tf.matmul(_with_ones(h) * factor, by_logits, transpose_a=True)
            return by_h, by_weights, None

        return tf.reduce_sum(tf.square(errors), axis=1) * (0.5 / std**2) + constant, gradient

    return losses(h, weights, images)


class _Group:
    """Some of the experts, side by side: their variables, and what an image is to them.

    Args:
      params: dict of the model's parameters.
      number: which group, for its variables' names.
      experts: the experts' numbers.
      n_pixels: number of pixels of an image.
    """

    def __init__(self, params, number, experts, n_pixels):
        self._params = params
        self.n_experts = len(experts)
        self._activation = activation_function(params["activation"])
        z_dim, n_hidden = params["z_dim"], len(params["encoder_layers"])
        sizes = [n_pixels, *params["encoder_layers"]]
        encoders = []
        for e in experts:
            # The heads of mean and variance are two layers after the last hidden one.
            heads = [
                _Part(f"encode_{e}/dense_{n_hidden + head}", sizes[-1], z_dim) for head in range(2)
            ]
            encoders.append([[part] for part in _parts(f"encode_{e}", sizes)] + [heads])
        decoders = [
            _parts(f"decode_{e}", [z_dim, *params["decoder_layers"], n_pixels]) for e in experts
        ]
        with tf.variable_scope("encoders"):
            first = [part for encoder in encoders for part in encoder[0]]
            self._first = _Layers(f"first_{number}", [first])
            self._encoders = [
                _Layers(f"layer_{depth}_{number}", [encoder[depth] for encoder in encoders], True)
                for depth in range(1, n_hidden + 1)
            ]
        with tf.variable_scope("decoders"):
            self._decoders = [
                _Layers(f"layer_{depth}_{number}", [[decoder[depth]] for decoder in decoders], True)
                for depth in range(len(decoders[0]) - 1)
            ]
            self._last = [
                _Layers(f"last_{e}", [[decoder[-1]]])
                for e, decoder in zip(experts, decoders, strict=True)
            ]

    @property
    def layers(self):
        """List of all the group's `_Layers`."""
        return [self._first, *self._encoders, *self._decoders, *self._last]

    def encode(self, images):
        """Returns mean and variance of q(z|x), [experts, batch, z_dim], of an `_Images`."""
        h = self._activation(images @ self._first)
        h = tf.split(h, self.n_experts, axis=1)
        for layer in self._encoders[:-1]:
            h = tf.unstack(self._activation(layer(h)), self.n_experts)
        mu, raw_var = tf.split(self._encoders[-1](h), 2, axis=-1)
        return mu, bounded_variance(raw_var)

    def reconstruction_losses(self, z, images):
        """Returns the losses of codes' decodings, [experts, batch]; images [batch, 784]."""
        std = self._params["decoder_std"]
        h = tf.unstack(z, self.n_experts)
        for layer in self._decoders:
            h = tf.unstack(self._activation(layer(h)), self.n_experts)
        of_experts = []
        for of_expert, layer in zip(h, self._last, strict=True):
            # One after the other, so that an expert's pixels are still in the cache.
            with tf.control_dependencies(of_experts[-1:]):
                weights = layer.variable.read_value()
                of_experts.append(_pixel_losses(tf.identity(of_expert), weights, images, std))
        return tf.stack(of_experts)

    def draw(self, code):
        """Returns what each expert draws of a code [n, z_dim]: list of tensors [n, 784]."""
        drawn = []
        for row, last in enumerate(self._last):
            h = code
            for layer in self._decoders:
                kernel, bias = layer.kernel_and_bias()
                h = self._activation(h @ kernel[row] + bias[row])
            drawn.append(tf.sigmoid(last(h)))
        return drawn


class FusedManager(Manager):
    """The manager and its experts, `Manager` in other operations; see there for the mathematics.

    Attributes:
      eps: list of float tensors [batch, z_dim], one an expert; may be fed.
      encoder_mu, encoder_var: float tensors [experts, batch, z_dim].
      code, drawn: float tensor [n, z_dim], to be fed, and list of float tensors [n, 784], what
        each expert draws of it.
      And those of `Manager`.

    Args:
      params: dict; see `MIXTURE_OF_VAES_PARAMS` for names and defaults.
      n_experts: number of experts, at least 1.
      images: float tensor [batch, pixels] in [0, 1]; its methods that take images want 784.
      n_groups: the experts are in so many groups, at least 1; None means one a core.

    Raises:
      ParameterError: a parameter is unknown or impossible, or there is no expert.
    """

    trainer_class = LoopedTrainer

    def __init__(self, params, n_experts, images, n_groups=None):
        self.params = check_params(params, MIXTURE_OF_VAES_PARAMS)
        if n_experts < 1:
            raise ParameterError(f"n_experts is {n_experts}: it must be at least 1")
        self.n_experts = self.n_columns = n_experts
        self._build_layers(n_groups or len(os.sched_getaffinity(0)), int(images.shape[1]))
        self._noise_numbers = noise_numbers(n_experts)
        self._connect(images, noise_key())
        self._codes_by_image = tf.transpose(self.encoder_mu, [1, 0, 2])
        with tf.name_scope("draw"):
            self.code = tf.placeholder(tf.float32, [None, self.params["z_dim"]], "code")
            self.drawn = [drawn for group in self._groups for drawn in group.draw(self.code)]

    def _build_layers(self, n_groups, n_pixels):
        experts = np.array_split(range(self.n_experts), min(n_groups, self.n_experts))
        self._groups = [
            _Group(self.params, number, of_group.tolist(), n_pixels)
            for number, of_group in enumerate(experts)
        ]
        sizes = [n_pixels, *self.params["manager_layers"], self.n_experts]
        with tf.variable_scope("manager"):
            self._manager = [
                _Layers(f"layer_{depth}", [[part]])
                for depth, part in enumerate(_parts("prob", sizes))
            ]

    def on(self, images, key):
        """Returns the same model, with its operations once more, on other images and noise.

        Args:
          images: float tensor [batch, 784] in [0, 1].
          key: int32 tensor [2], the noise's.
        """
        model = copy.copy(self)
        model._connect(images, key)
        return model

    def _connect(self, images, key):
        self.images = images
        without_blanks = _Images(images)
        with tf.name_scope("manager"):
            self.probs = self._calc_probs(without_blanks)
        with tf.name_scope("noise"):
            shape = [tf.shape(images)[0], self.params["z_dim"]]
            self.eps = [
                numbered_noise(shape, key, number, f"eps_{e}")
                for e, number in enumerate(self._noise_numbers)
            ]
        of_groups, eps = [], iter(self.eps)
        for group in self._groups:
            with tf.name_scope("experts"):
                mu, var = group.encode(without_blanks)
                of_group = tf.stack(list(itertools.islice(eps, group.n_experts)))
                z = mu + tf.sqrt(var) * of_group
                losses = group.reconstruction_losses(z, images) + kl_to_standard_normal(mu, var)
            of_groups.append((mu, var, losses))
        self.encoder_mu, self.encoder_var, losses = (
            tf.concat(values, axis=0) for values in zip(*of_groups, strict=True)
        )
        self.expert_losses = tf.transpose(losses)
        with tf.name_scope("manager"):
            self._build_mixture_losses()

    def _calc_probs(self, without_blanks):
        activation = activation_function(self.params["activation"])
        h = activation(without_blanks @ self._manager[0])
        for layer in self._manager[1:-1]:
            h = activation(layer(h))
        return tf.nn.softmax(self._manager[-1](h))

    def saver(self):
        """Returns what saves and restores the variables by the plain graph's names."""
        layers = [layer for group in self._groups for layer in group.layers]
        return _PlainSaver([*layers, *self._manager])

    def generate_row(self, session, z):
        """Lets every expert draw one and the same code; see `Manager.generate_row`."""
        return np.concatenate(session.run(self.drawn, {self.code: z}))

    def generate(self, session, z, expert):
        """Lets one expert draw; see `Manager.generate`."""
        self._check_expert(expert)
        return run_in_chunks(session, self.drawn[expert], {self.code: z})

    def reconstruct(self, session, images):
        """Decodes each image's mean code by its likeliest expert; see `Manager.reconstruct`."""
        images = check_images(images)
        chosen = self.predict(session, images)
        codes = run_in_chunks(session, self._codes_by_image, {self.images: images})
        decoded = np.empty_like(images)
        for expert in np.unique(chosen):
            of_expert = chosen == expert
            decoded[of_expert] = self.generate(session, codes[of_expert, expert], expert)
        return decoded


class _PlainSaver:
    """Saves and restores fused variables, Adam's slots included, as the plain graph's.

    Made after the optimiser, whose variables it saves too, and before the graph is finalised.
    """

    def __init__(self, layers):
        self._path = tf.placeholder(tf.string, [], "checkpoint_path")
        variables = {variable.op.name: variable for variable in tf.global_variables()}
        plain, stored = {}, []
        for layer in layers:
            for slot in ("", "/Adam", "/Adam_1"):
                variable = variables.pop(layer.variable.op.name + slot)
                parts = {
                    name + slot: tensor
                    for name, tensor in layer.plain(variable.read_value()).items()
                }
                plain |= parts
                stored.append((layer, slot, variable, list(parts)))
        plain |= variables  # what has no parts, such as Adam's powers of beta
        names = {"prefix": self._path, "tensor_names": list(plain)}
        names["shape_and_slices"] = [""] * len(plain)
        tensors = [tf.convert_to_tensor(tensor) for tensor in plain.values()]
        self._save = tf.raw_ops.SaveV2(tensors=tensors, **names)
        read = tf.raw_ops.RestoreV2(dtypes=[tensor.dtype for tensor in tensors], **names)
        restored = dict(zip(plain, read, strict=True))
        self._restore = [
            tf.assign(variable, restored[name]) for name, variable in variables.items()
        ]
        for layer, slot, variable, parts in stored:
            tensors = {name.removesuffix(slot): restored[name] for name in parts}
            value = tf.ensure_shape(layer.fused(tensors), variable.shape)
            self._restore.append(tf.assign(variable, value))

    def save(self, session, path, **_):
        """Writes a checkpoint, as `tf.train.Saver.save` does."""
        session.run(self._save, {self._path: path})

    def restore(self, session, path):
        """Reads a checkpoint, as `tf.train.Saver.restore` does."""
        session.run(self._restore, {self._path: path})


def build_fused_mixture_of_vaes(params, n_experts=N_EXPERTS, n_groups=None):
    """Builds the placeholder and the fused model in the current graph.

    Args:
      params: dict as for `VAE` and `Manager`; a `routing` must be "post".
      n_experts: number of experts, at least 1.
      n_groups: the experts are in so many groups, at least 1; None means one a core.

    Returns:
      A `FusedManager`.

    Raises:
      ParameterError: a parameter is unknown or impossible.
    """
    params = dict(params)
    routing = params.pop("routing", "post")
    if routing != "post":
        raise ParameterError(f"parameter 'routing' is {routing!r}: for the fused engine it is post")
    images = tf.placeholder(tf.float32, [None, IMAGE_PIXELS], name="images")
    return FusedManager(params, n_experts, images, n_groups)
