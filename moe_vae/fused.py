"""Post 3's model with all experts side by side in few large operations.

It computes what `Manager` and its `VAE`s compute, and draws the same noise from the same key. The
weights of like layers stand in one variable: the experts' and the manager's first layers read the
same images and are one matrix product; the layers behind them are batched products, one matrix an
expert. Checkpoints have the plain graph's names and shapes, so that either engine, and
TensorFlow 1.15, reads the other's.
"""

import itertools
from typing import NamedTuple

import numpy as np

from moe_vae.compat import tf
from moe_vae.datasets import IMAGE_PIXELS, check_images
from moe_vae.mixture_of_vaes import MIXTURE_OF_VAES_PARAMS, N_EXPERTS, Manager
from moe_vae.networks import (
    activation_function,
    bounded_variance,
    gaussian_reconstruction_loss,
    kl_to_standard_normal,
)
from moe_vae.noise import normal_noise
from moe_vae.parameters import ParameterError, check_params
from moe_vae.sessions import run_in_chunks

__all__ = ["FusedManager", "build_fused_mixture_of_vaes"]


class _Part(NamedTuple):
    """A plain layer inside a fused variable: its scope and name, and its sizes."""

    name: str
    n_inputs: int
    n_outputs: int


class _Layers:
    """The kernels and biases of several plain layers, in one variable each.

    Args:
      name: name of the variables' scope.
      rows: list, one entry a matrix, of the lists of `_Part`s whose outputs stand side by side in
        it.
      is_stack: whether the matrices make a stack [rows, inputs, outputs]; else there is one row,
        a matrix [inputs, outputs].
    """

    def __init__(self, name, rows, is_stack=True):
        self._rows = rows
        self._is_stack = is_stack
        self.parts = [part for row in rows for part in row]
        with tf.variable_scope(name):
            self.kernel = tf.get_variable(
                "kernel", initializer=self._join([_glorot_uniform(part) for part in self.parts])
            )
            self.bias = tf.get_variable(
                "bias", initializer=self._join([tf.zeros([part.n_outputs]) for part in self.parts])
            )

    def __call__(self, x):
        if self._is_stack:
            return x @ self.kernel + self.bias[:, None, :]
        return tf.nn.bias_add(x @ self.kernel, self.bias)

    def pick(self, row):
        """Returns the kernel and the bias of one row of a stack, by its number, a tensor."""
        return tf.gather(self.kernel, row), tf.gather(self.bias, row)

    def _join(self, values):
        values = iter(values)
        rows = [tf.concat([next(values) for _ in row], axis=-1) for row in self._rows]
        return tf.stack(rows) if self._is_stack else rows[0]

    def _split(self, value):
        rows = tf.unstack(value) if self._is_stack else [value]
        return [
            part
            for row, of_row in zip(self._rows, rows, strict=True)
            for part in tf.split(of_row, [part.n_outputs for part in row], axis=-1)
        ]

    def tensors(self, variable, value):
        """Returns dict of plain name to its part of a `value` of this `kernel` or `bias`."""
        kind = variable.op.name.split("/")[-1]
        names = (f"{part.name}/{kind}" for part in self.parts)
        return dict(zip(names, self._split(value), strict=True))

    def join(self, variable, tensors):
        """Returns the value of `variable` of which `tensors` are the parts, by plain name."""
        kind = variable.op.name.split("/")[-1]
        return self._join([tensors[f"{part.name}/{kind}"] for part in self.parts])


def _glorot_uniform(part):
    """Draws a plain layer's kernel as `tf.layers.dense` does: uniform, of variance 2/(in + out)."""
    limit = np.sqrt(6 / (part.n_inputs + part.n_outputs))
    return tf.random_uniform([part.n_inputs, part.n_outputs], -limit, limit)


def _parts(scope, sizes):
    """Returns the `_Part`s of a stack of `tf.layers.dense` in a scope, named as it names them."""
    return [
        _Part(f"{scope}/dense{f'_{number}' if number else ''}", n_inputs, n_outputs)
        for number, (n_inputs, n_outputs) in enumerate(itertools.pairwise(sizes))
    ]


class FusedManager(Manager):
    """The manager and its experts, `Manager` in other operations; see there for the mathematics.

    Attributes:
      eps: list of float tensors [batch, z_dim], one an expert; may be fed.
      encoder_mu, encoder_var, z: float tensors [experts, batch, z_dim]; `z` may be fed.
      decoded_images: float tensor [experts, batch, 784].
      code, expert_number, drawn: float tensors [n, z_dim] and [n, 784] and a whole number, all
        for one expert that draws alone; the first two are to be fed.
      And those of `Manager`.

    Args:
      params: dict; see `MIXTURE_OF_VAES_PARAMS` for names and defaults.
      n_experts: number of experts, at least 1.
      images: float tensor [batch, 784] in [0, 1].

    Raises:
      ParameterError: a parameter is unknown or impossible, or there is no expert.
    """

    def __init__(self, params, n_experts, images):
        self.params = check_params(params, MIXTURE_OF_VAES_PARAMS)
        if n_experts < 1:
            raise ParameterError(f"n_experts is {n_experts}: it must be at least 1")
        self.n_experts = self.n_columns = n_experts
        self.images = images
        self._activation = activation_function(self.params["activation"])
        with tf.name_scope("layers"):
            self._build_layers()
        self._build_experts()
        with tf.name_scope("manager"):
            self.probs = tf.nn.softmax(self._manager_logits)
            self._build_losses()
        self._build_drawing()

    def _build_layers(self):
        params, z_dim = self.params, self.params["z_dim"]
        experts = range(self.n_experts)
        manager = _parts("prob", [IMAGE_PIXELS, *params["manager_layers"], self.n_experts])
        n_hidden = len(params["encoder_layers"])
        sizes = [IMAGE_PIXELS, *params["encoder_layers"]]
        encoders = []
        for e in experts:
            # The heads of mean and variance are two layers after the last hidden one.
            heads = [
                _Part(f"encode_{e}/dense_{n_hidden + number}", sizes[-1], z_dim)
                for number in range(2)
            ]
            encoders.append([[part] for part in _parts(f"encode_{e}", sizes)] + [heads])
        decoders = [
            _parts(f"decode_{e}", [z_dim, *params["decoder_layers"], IMAGE_PIXELS]) for e in experts
        ]
        first = [encoder[0][0] for encoder in encoders]
        self._first = _Layers("first", [[*first, manager[0]]], is_stack=False)
        self._encoders = [
            _Layers(f"encoders_{depth}", [encoder[depth] for encoder in encoders])
            for depth in range(1, n_hidden + 1)
        ]
        self._decoders = [
            _Layers(f"decoders_{depth}", [[decoder[depth]] for decoder in decoders])
            for depth in range(len(decoders[0]))
        ]
        self._manager = [
            _Layers(f"manager_{depth}", [[part]], is_stack=False)
            for depth, part in enumerate(manager[1:], 1)
        ]

    def _build_experts(self):
        with tf.name_scope("first_layers"):
            n_hidden = self.params["encoder_layers"][0]
            of_experts, of_manager = tf.split(
                self._activation(self._first(self.images)),
                [self.n_experts * n_hidden, self.params["manager_layers"][0]],
                axis=1,
            )
            h = tf.transpose(tf.reshape(of_experts, [-1, self.n_experts, n_hidden]), [1, 0, 2])
        with tf.name_scope("manager_logits"):
            for layer in self._manager[:-1]:
                of_manager = self._activation(layer(of_manager))
            self._manager_logits = self._manager[-1](of_manager)
        with tf.name_scope("encoders"):
            for layer in self._encoders[:-1]:
                h = self._activation(layer(h))
            self.encoder_mu, raw_var = tf.split(self._encoders[-1](h), 2, axis=-1)
            self.encoder_var = bounded_variance(raw_var)
            self._codes_by_image = tf.transpose(self.encoder_mu, [1, 0, 2])
        with tf.name_scope("reparametrise"):
            shape = [tf.shape(self.images)[0], self.params["z_dim"]]
            self.eps = [normal_noise(shape, f"eps_{e}") for e in range(self.n_experts)]
            self.z = tf.add(
                self.encoder_mu, tf.sqrt(self.encoder_var) * tf.stack(self.eps), name="z"
            )
        with tf.name_scope("decoders"):
            h = self.z
            for layer in self._decoders[:-1]:
                h = self._activation(layer(h))
            self.decoded_images = tf.sigmoid(self._decoders[-1](h))

    def _build_losses(self):
        reconstruction = gaussian_reconstruction_loss(
            self.images, self.decoded_images, self.params["decoder_std"]
        )
        prior = kl_to_standard_normal(self.encoder_mu, self.encoder_var)
        self.expert_losses = tf.transpose(reconstruction + prior)
        self._build_mixture_losses()

    def _build_drawing(self):
        with tf.name_scope("draw"):
            self.code = tf.placeholder(tf.float32, [None, self.params["z_dim"]], "code")
            self.expert_number = tf.placeholder(tf.int32, [], "expert_number")
            h = self.code
            for number, layer in enumerate(self._decoders):
                kernel, bias = layer.pick(self.expert_number)
                last = number == len(self._decoders) - 1
                h = (tf.sigmoid if last else self._activation)(h @ kernel + bias)
            self.drawn = h

    def saver(self):
        """Returns what saves and restores the variables by the plain graph's names."""
        layers = [self._first, *self._encoders, *self._decoders, *self._manager]
        return _PlainSaver(layers)

    def _draw(self, session, z, expert):
        return run_in_chunks(session, self.drawn, {self.code: z}, {self.expert_number: expert})

    def generate_row(self, session, z):
        """Lets every expert draw one and the same code; see `Manager.generate_row`."""
        return np.concatenate([self._draw(session, z, e) for e in range(self.n_experts)])

    def generate(self, session, z, expert):
        """Lets one expert draw; see `Manager.generate`."""
        self._check_expert(expert)
        return self._draw(session, z, expert)

    def reconstruct(self, session, images):
        """Decodes each image's mean code by its likeliest expert; see `Manager.reconstruct`."""
        images = check_images(images)
        chosen = self.predict(session, images)
        codes = run_in_chunks(session, self._codes_by_image, {self.images: images})
        decoded = np.empty_like(images)
        for expert in np.unique(chosen):
            of_expert = chosen == expert
            decoded[of_expert] = self._draw(session, codes[of_expert, expert], expert)
        return decoded


class _PlainSaver:
    """Saves and restores fused variables, Adam's slots included, as the plain graph's.

    Made after the optimiser, whose variables it saves too, and before the graph is finalised.
    """

    def __init__(self, layers):
        self._path = tf.placeholder(tf.string, [], "checkpoint_path")
        variables = {variable.op.name: variable for variable in tf.global_variables()}
        splits, joins = [], []
        for layer in layers:
            for variable in (layer.kernel, layer.bias):
                for slot in ("", "/Adam", "/Adam_1"):
                    stored = variables.pop(variable.op.name + slot)
                    splits.append((slot, layer.tensors(variable, stored)))
                    joins.append((slot, layer, variable, stored))
        plain = {
            name + slot: tensor for slot, tensors in splits for name, tensor in tensors.items()
        }
        plain.update(variables)  # what has no parts, such as Adam's powers of beta
        self._save = tf.raw_ops.SaveV2(
            prefix=self._path,
            tensor_names=list(plain),
            shape_and_slices=[""] * len(plain),
            tensors=[tf.convert_to_tensor(tensor) for tensor in plain.values()],
        )
        read = tf.raw_ops.RestoreV2(
            prefix=self._path,
            tensor_names=list(plain),
            shape_and_slices=[""] * len(plain),
            dtypes=[tensor.dtype.base_dtype for tensor in plain.values()],
        )
        restored = dict(zip(plain, read, strict=True))
        self._restore = [
            tf.assign(variable, restored[name]) for name, variable in variables.items()
        ]
        for slot, layer, variable, stored in joins:
            of_slot = {
                name.removesuffix(slot): tensor
                for name, tensor in restored.items()
                if name.endswith(slot)
            }
            self._restore.append(tf.assign(stored, layer.join(variable, of_slot)))

    def save(self, session, path, **_):
        """Writes a checkpoint, as `tf.train.Saver.save` does."""
        session.run(self._save, {self._path: path})

    def restore(self, session, path):
        """Reads a checkpoint, as `tf.train.Saver.restore` does."""
        session.run(self._restore, {self._path: path})


def build_fused_mixture_of_vaes(params, n_experts=N_EXPERTS):
    """Builds the placeholder and the fused model in the current graph.

    Args:
      params: dict as for `VAE` and `Manager`.
      n_experts: number of experts, at least 1.

    Returns:
      A `FusedManager`.
    """
    images = tf.placeholder(tf.float32, [None, IMAGE_PIXELS], name="images")
    return FusedManager(params, n_experts, images)
