"""The pieces that all models build from: dense stacks, the Gaussian code, losses, divergences."""

from moe_vae.compat import tf
from moe_vae.nn.noise import normal_noise

__all__ = [
    "VARIANCE_FLOOR",
    "activation_function",
    "bounded_variance",
    "gaussian_code",
    "hidden_layers",
    "reparametrise",
]

VARIANCE_FLOOR = 1e-5


def activation_function(activation):
    """Returns the TensorFlow function for an `activation` parameter, by name or as it is."""
    if activation == "linear":
        return tf.identity
    return activation if callable(activation) else getattr(tf.nn, activation)


def hidden_layers(x, layers, activation, normalise=False, training=False):
    """Stacks dense layers of the sizes in `layers` on `x`.

    Args:
      x: float tensor [batch, features].
      layers: list of layer sizes.
      activation: name or function, applied after each layer.
      normalise: whether batch normalisation stands between each layer and its activation.
      training: whether that normalises by the batch's own mean and variance; otherwise by those
        that the training kept. The operations that keep them are in `tf.GraphKeys.UPDATE_OPS`.

    Returns:
      Float tensor [batch, layers[-1]].
    """
    for size in layers:
        if normalise:
            x = tf.layers.dense(x, size, use_bias=False)
            x = tf.layers.batch_normalization(x, training=training)
            x = activation_function(activation)(x)
        else:
            x = tf.layers.dense(x, size, activation=activation_function(activation))
    return x


def gaussian_code(h, z_dim):
    """Reads the mean and the variance of q(z|x) = N(mu, diag var) off an encoder's last layer.

    Args:
      h: float tensor [batch, features].
      z_dim: number of latent dimensions.

    Returns:
      `mu` and `var`, float tensors [batch, z_dim]; `var` is at least 1e-5.
    """
    mu = tf.layers.dense(h, z_dim)
    var = bounded_variance(tf.layers.dense(h, z_dim))
    return mu, var


def bounded_variance(raw, floor=VARIANCE_FLOOR):
    """Makes variances floor + exp(raw) of any real numbers, so that none can reach 0."""
    return floor + tf.exp(raw)


def reparametrise(mu, var):
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
