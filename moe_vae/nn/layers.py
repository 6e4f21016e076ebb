"""Dense layers and the Gaussian code that the autoencoders share."""

from collections.abc import Callable, Sequence
from typing import Any

from moe_vae.compat import Tensor, tf
from moe_vae.nn.noise import normal_noise

__all__ = [
    "VARIANCE_FLOOR",
    "Activation",
    "activation_function",
    "average_updates",
    "bounded_variance",
    "gaussian_code",
    "hidden_layers",
    "moving_averages",
    "normalised_layer",
    "reparametrise",
    "weighted_sum",
]

VARIANCE_FLOOR = 1e-5

Activation = str | Callable[[Tensor], Tensor]

# Graph collection: for each moving average of batch normalisation the name of a variable that is
# trained beside it, the operation that updates it, and the average itself.
_AVERAGES = "moe_vae/averages"


def hidden_layers(
    x: Tensor,
    layers: Sequence[int],
    activation: Activation,
    normalise: bool = False,
    training: bool | Tensor = False,
    momentum: float = 0.99,
) -> Tensor:
    """Stacks dense layers on `x`.

    Args:
      x: float tensor [batch, features].
      layers: the layers' sizes.
      activation: name or function, applied after each layer.
      normalise: whether to put batch normalisation between each layer and its activation.
      training, momentum: see `normalised_layer`.

    Returns:
      Float tensor [batch, layers[-1]].
    """
    for size in layers:
        x = normalised_layer(tf.layers.dense, x, size, activation, normalise, training, momentum)
    return x


def normalised_layer(
    layer: Callable[..., Tensor],
    x: Tensor,
    size: int,
    activation: Activation,
    normalise: bool,
    training: bool | Tensor,
    momentum: float,
    **settings: Any,
) -> Tensor:
    """Adds a layer and its activation, perhaps with batch normalisation between them.

    Args:
      layer: one of the functions of `tf.layers`.
      x: float tensor, what it reads.
      size: its units or filters.
      activation: name or function.
      normalise: whether there is batch normalisation. The layer has no bias then.
      training: if true, batch normalisation uses the mean and the variance of the batch, otherwise
        their moving averages. `average_updates` returns the operations that update these.
      momentum: the share of a moving average that remains after a step.
      settings: what else the layer takes.

    Returns:
      Float tensor.
    """
    function = activation_function(activation)
    if not normalise:
        return layer(x, size, activation=function, **settings)
    normalisation = tf.layers.BatchNormalization(momentum=momentum)
    x = normalisation(layer(x, size, use_bias=False, **settings), training=training)
    averages = normalisation.moving_mean, normalisation.moving_variance
    for update, average in zip(normalisation.updates, averages, strict=False):
        tf.add_to_collection(_AVERAGES, (normalisation.beta.op.name, update, average))
    return function(x)


def average_updates(variables: Sequence[Any]) -> list:
    """Returns the operations of the current graph that update moving averages.

    Args:
      variables: the variables that are trained; only their layers' averages are updated.
    """
    trained = {variable.op.name for variable in variables}
    return [update for name, update, _ in tf.get_collection(_AVERAGES) if name in trained]


def moving_averages() -> list:
    """Returns the variables of the current graph that are updated by `average_updates`."""
    return [average for *_, average in tf.get_collection(_AVERAGES)]


def activation_function(activation: Activation) -> Callable[[Tensor], Tensor]:
    """Returns the TensorFlow function that an activation names, or the function itself."""
    if activation == "linear":
        return tf.identity
    return activation if callable(activation) else getattr(tf.nn, activation)


def gaussian_code(h: Tensor, z_dim: int) -> tuple[Tensor, Tensor]:
    """Computes the mean and the variance of q(z|x) = N(mu, diag var) from an encoder's last layer.

    Args:
      h: float tensor [batch, features].
      z_dim: number of latent dimensions.

    Returns:
      `mu` and `var`, float tensors [batch, z_dim]; `var` is at least 1e-5.
    """
    mu = tf.layers.dense(h, z_dim)
    var = bounded_variance(tf.layers.dense(h, z_dim))
    return mu, var


def bounded_variance(raw: Tensor, floor: float = VARIANCE_FLOOR) -> Tensor:
    """Computes floor + exp(raw), a variance that cannot reach 0."""
    return floor + tf.exp(raw)


def reparametrise(mu: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
    """Draws z = mu + sqrt(var) * eps with eps ~ N(0, I), so that gradients reach `mu` and `var`.

    Args:
      mu: float tensor [batch, z_dim].
      var: float tensor [batch, z_dim], positive.

    Returns:
      `eps` and `z`, float tensors [batch, z_dim]. Either may be fed.
    """
    with tf.name_scope("reparametrise"):
        eps = normal_noise(tf.shape(mu), "eps")
        z = tf.add(mu, tf.sqrt(var) * eps, name="z")
    return eps, z


def weighted_sum(weights: Tensor, values: Sequence[Tensor]) -> Tensor:
    """Computes sum_k weights_k values_k for each example.

    Args:
      weights: float tensor [batch, n].
      values: n float tensors [batch, features].

    Returns:
      Float tensor [batch, features].
    """
    return tf.reduce_sum(tf.expand_dims(weights, 2) * tf.stack(values, axis=1), axis=1)
