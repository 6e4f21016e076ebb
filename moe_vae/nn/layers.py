"""The pieces that all models build from: dense stacks, the Gaussian code, losses, divergences."""

from moe_vae.compat import tf, tfd
from moe_vae.nn.noise import normal_noise

__all__ = [
    "VARIANCE_FLOOR",
    "activation_function",
    "bernoulli_reconstruction_loss",
    "bounded_variance",
    "gaussian_code",
    "gaussian_reconstruction_loss",
    "hidden_layers",
    "kl_between_categoricals",
    "kl_between_gaussians",
    "kl_to_standard_normal",
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


def gaussian_reconstruction_loss(x, decoded, std):
    """Computes -sum_pixels log N(x; decoded, std), in nats for each example.

    Args:
      x: float tensor [batch, pixels].
      decoded: float tensor [..., batch, pixels], the means.
      std: the common standard deviation, above 0.

    Returns:
      Float tensor [..., batch].
    """
    with tf.name_scope("reconstruction_loss"):
        return -tf.reduce_sum(tfd.Normal(loc=decoded, scale=std).log_prob(x), axis=-1)


def bernoulli_reconstruction_loss(x, logits):
    """Computes -sum_pixels [x log p + (1 - x) log (1 - p)], p = sigmoid(logits), in nats.

    Args:
      x: float tensor [batch, pixels] in [0, 1].
      logits: float tensor [batch, pixels].

    Returns:
      Float tensor [batch], one value an example.
    """
    with tf.name_scope("reconstruction_loss"):
        cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits)
        return tf.reduce_sum(cross_entropy, axis=1)


def kl_to_standard_normal(mu, var):
    """Computes KL(N(mu, diag var) || N(0, I)) = -1/2 sum_z (1 + log var - mu^2 - var), in nats.

    Args:
      mu: float tensor [..., batch, z_dim].
      var: float tensor [..., batch, z_dim], positive.

    Returns:
      Float tensor [..., batch].
    """
    with tf.name_scope("kl"):
        return -0.5 * tf.reduce_sum(1 + tf.log(var) - tf.square(mu) - var, axis=-1)


def kl_between_gaussians(mu, var, prior_mu, prior_var):
    """Computes KL(N(mu, diag var) || N(prior_mu, diag prior_var)), in nats:

        1/2 sum_z [log(prior_var / var) + (var + (mu - prior_mu)^2) / prior_var - 1]

    Args:
      mu, var, prior_mu, prior_var: float tensors [..., z_dim] that broadcast; variances positive.

    Returns:
      Float tensor [...].
    """
    with tf.name_scope("kl_between_gaussians"):
        log_ratio = tf.log(prior_var) - tf.log(var)
        squares = (var + tf.math.squared_difference(mu, prior_mu)) / prior_var
        return 0.5 * tf.reduce_sum(log_ratio + squares - 1, axis=-1)


def kl_between_categoricals(log_q, log_p):
    """Computes KL(q || p) = sum_k q_k (log q_k - log p_k), in nats.

    Args:
      log_q, log_p: float tensors [..., clusters] that broadcast, normalised log probabilities.

    Returns:
      Float tensor [...].
    """
    with tf.name_scope("kl_between_categoricals"):
        return tf.reduce_sum(tf.exp(log_q) * (log_q - log_p), axis=-1)
