"""The networks of the models, dense or with convolutions, from their parameters.

A part of a model (its encoder, manager, gate, ...) reads examples through `encoder_layers`. A
decoder is made of `decoder_layers` and of one `decoder_output` or more. `params.network_params`
describes the parameters that they read. Images are in the order NHWC throughout.
"""

from collections.abc import Mapping
from typing import Any

from moe_vae.compat import Tensor, tf
from moe_vae.data.dataset import Form, Shape
from moe_vae.nn.layers import Activation, activation_function, hidden_layers, normalised_layer
from moe_vae.nn.modes import is_training
from moe_vae.params import ParameterError, network_parameter

__all__ = ["decoder_layers", "decoder_output", "encoder_layers", "has_convolutions"]

STRIDE = 2  # of every convolution, in both directions
# Of the moving averages of batch normalisation, by whether there are convolutions. The second is
# TensorFlow's own: with it the averages follow only after hundreds of steps.
MOMENTUM = {True: 0.9, False: 0.99}
_CONVOLUTIONS = "moe_vae/convolutions"  # a graph collection


def has_convolutions(graph: Any) -> bool:
    """Whether a graph has convolutions of these networks: a few large operations in sequence."""
    return bool(graph.get_collection(_CONVOLUTIONS))


def encoder_layers(
    examples: Tensor,
    params: Mapping[str, Any],
    part: str,
    shape: Shape,
    training: bool | None = None,
) -> Tensor:
    """Stacks the hidden layers of a part of a model on examples.

    With the network "conv" these are convolutions with stride 2, and then dense layers.

    Args:
      examples: float tensor [batch, n_features].
      params: dict of the model's parameters.
      part: name of the part, such as "encoder" or "manager".
      shape: (height, width) of the images, or (n_features,) of points.
      training: whether batch normalisation uses the batch's own mean and variance; None means in
        the steps of a training, as `is_training` says.

    Returns:
      Float tensor [batch, size of the last dense layer].

    Raises:
      ParameterError: the examples are points, or images too small for the convolutions.
    """
    normalise = bool(params.get("normalise" if part == "cluster_encoder" else f"{part}_normalise"))
    mode = _mode(training, normalise)
    h, is_conv = examples, _is_conv(params, part)
    momentum = MOMENTUM[is_conv]
    if is_conv:
        _begin_convolutions(params, part, shape, int(examples.shape[1]))
        h = tf.reshape(h, [-1, *shape, 1])
        for filters, kernel in _sizes(params, part):
            h = normalised_layer(
                tf.layers.conv2d,
                h,
                filters,
                params["activation"],
                normalise,
                mode,
                momentum,
                kernel_size=kernel,
                strides=STRIDE,
                padding="same",
            )
        h = _flat(h)
    sizes, activation = params[f"{part}_layers"], params["activation"]
    return hidden_layers(h, sizes, activation, normalise, mode, momentum)


def decoder_layers(
    code: Tensor, params: Mapping[str, Any], shape: Shape, training: bool | None = None
) -> Tensor:
    """Stacks a decoder's hidden layers on codes.

    With the network "conv" these are dense layers and then transposed convolutions with stride 2,
    up to images of half the size of `shape`. Each image is cropped to the size that the encoder's
    convolution would have there.

    Args:
      code: float tensor [batch, features].
      params, shape, training: as for `encoder_layers`; the part is "decoder".

    Returns:
      Float tensor [batch, features], or [batch, height, width, filters] of a "conv".

    Raises:
      ParameterError: the examples are points, or images too small for the convolutions.
    """
    normalise = bool(params.get("decoder_normalise"))
    mode, activation = _mode(training, normalise), params["activation"]
    is_conv = _is_conv(params, "decoder")
    momentum = MOMENTUM[is_conv]
    h = hidden_layers(code, params["decoder_layers"], activation, normalise, mode, momentum)
    if not is_conv:
        return h
    _begin_convolutions(params, "decoder", shape)
    (filters, _), *inner = _sizes(params, "decoder")
    maps = _map_shapes(shape, len(inner) + 1)
    height, width = maps[-1]
    h = normalised_layer(
        tf.layers.dense, h, height * width * filters, activation, normalise, mode, momentum
    )
    h = tf.reshape(h, [-1, height, width, filters])
    # A transposed convolution has the kernel of the filters that it reads, the last one that of
    # the output.
    kernels = params["decoder_kernels"]
    for (filters, _), kernel, size in zip(inner, kernels, maps[-2::-1], strict=False):
        h = normalised_layer(
            tf.layers.conv2d_transpose,
            h,
            filters,
            activation,
            normalise,
            mode,
            momentum,
            kernel_size=kernel,
            strides=STRIDE,
            padding="same",
        )
        h = _cropped(h, size)
    return h


def decoder_output(
    hidden: Tensor,
    params: Mapping[str, Any],
    shape: Shape,
    n_features: int,
    activation: Activation | None = None,
) -> Tensor:
    """Adds a decoder's last layer, dense or a transposed convolution.

    Args:
      hidden: what `decoder_layers` returned.
      params, shape: as for `decoder_layers`.
      n_features: number of columns of the result.
      activation: name or function, or None.

    Returns:
      Float tensor [batch, n_features].
    """
    function = None if activation is None else activation_function(activation)
    if not _is_conv(params, "decoder"):
        return tf.layers.dense(hidden, n_features, activation=function)
    image = tf.layers.conv2d_transpose(
        hidden,
        1,
        params["decoder_kernels"][-1],
        strides=STRIDE,
        padding="same",
        activation=function,
    )
    return _flat(_cropped(image, shape))


def _mode(training: bool | None, normalise: bool) -> bool | Tensor:
    """Returns what batch normalisation asks: whether this is a step of a training."""
    if training is None:
        return is_training() if normalise else False
    return training


def _is_conv(params: Mapping[str, Any], part: str) -> bool:
    return params.get(network_parameter(part, params)) == "conv"


def _sizes(params: Mapping[str, Any], part: str) -> list[tuple[int, int]]:
    """Returns the number of filters and the side of the kernel of each convolution."""
    return list(zip(params[f"{part}_filters"], params[f"{part}_kernels"], strict=True))


def _begin_convolutions(
    params: Mapping[str, Any], part: str, shape: Shape, n_features: int | None = None
) -> None:
    """Checks that there may be convolutions, and notes that the graph has some."""
    tf.add_to_collection(_CONVOLUTIONS, part)
    name, n_layers = network_parameter(part, params), len(params[f"{part}_filters"])
    if len(shape) != 2:
        raise ParameterError(
            f"parameter {name!r} is 'conv': convolutions read images, and the examples are points "
            f"of {shape[0]} features; set it to 'dense'"
        )
    if n_features is not None and Form(shape).n_features != n_features:
        raise ParameterError(
            f"shape is {list(shape)}: with convolutions it must be (height, width) of the images, "
            f"which have {n_features} pixels"
        )
    if min(shape) < STRIDE**n_layers:
        raise ParameterError(
            f"parameter '{part}_filters' has {n_layers} convolutions: images of {shape[0]} x "
            f"{shape[1]} pixels are too small for them; each side must be at least "
            f"{STRIDE**n_layers}"
        )


def _map_shapes(shape: Shape, n_layers: int) -> list[tuple[int, int]]:
    """Returns the height and the width of the image and after each of `n_layers` convolutions."""
    height, width = shape
    shapes = [(height, width)]
    for _ in range(n_layers):
        height, width = -(-height // STRIDE), -(-width // STRIDE)
        shapes.append((height, width))
    return shapes


def _cropped(images: Tensor, shape: Shape) -> Tensor:
    height, width = shape
    if images.shape[1:3].as_list() == [height, width]:
        return images
    return images[:, :height, :width]


def _flat(images: Tensor) -> Tensor:
    _, height, width, channels = images.shape.as_list()
    return tf.reshape(images, [-1, height * width * channels])
