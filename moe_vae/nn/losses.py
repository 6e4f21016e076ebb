"""Reconstruction losses, divergences and the bound of a mixture, all in nats."""

import numpy as np

from moe_vae.compat import Tensor, tf, tfd

__all__ = [
    "bernoulli_reconstruction_loss",
    "gaussian_reconstruction_loss",
    "kl_between_categoricals",
    "kl_between_gaussians",
    "kl_to_standard_normal",
    "log_likelihood_bound",
    "self_label_loss",
    "x_log_x",
]


def gaussian_reconstruction_loss(x: Tensor, decoded: Tensor, std: float | Tensor) -> Tensor:
    """Computes -sum_pixels log N(x; decoded, std).

    Args:
      x: float tensor [batch, pixels].
      decoded: float tensor [..., batch, pixels], the means.
      std: the standard deviation, above 0: one number for every pixel, or a float tensor that
        broadcasts to [..., batch, pixels].

    Returns:
      Float tensor [..., batch], one value for each example.
    """
    with tf.name_scope("reconstruction_loss"):
        return -tf.reduce_sum(tfd.Normal(loc=decoded, scale=std).log_prob(x), axis=-1)


def bernoulli_reconstruction_loss(x: Tensor, logits: Tensor) -> Tensor:
    """Computes -sum_pixels [x log p + (1 - x) log (1 - p)] with p = sigmoid(logits).

    Args:
      x: float tensor [batch, pixels] in [0, 1].
      logits: float tensor [batch, pixels].

    Returns:
      Float tensor [batch], one value for each example.
    """
    with tf.name_scope("reconstruction_loss"):
        cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits)
        return tf.reduce_sum(cross_entropy, axis=1)


def kl_to_standard_normal(mu: Tensor, var: Tensor) -> Tensor:
    """Computes KL(N(mu, diag var) || N(0, I)) = -1/2 sum_z (1 + log var - mu^2 - var).

    Args:
      mu: float tensor [..., batch, z_dim].
      var: float tensor [..., batch, z_dim], positive.

    Returns:
      Float tensor [..., batch].
    """
    with tf.name_scope("kl"):
        return -0.5 * tf.reduce_sum(1 + tf.log(var) - tf.square(mu) - var, axis=-1)


def kl_between_gaussians(mu: Tensor, var: Tensor, prior_mu: Tensor, prior_var: Tensor) -> Tensor:
    """Computes KL(N(mu, diag var) || N(prior_mu, diag prior_var)).

        1/2 sum_z [log(prior_var / var) + (var + (mu - prior_mu)^2) / prior_var - 1]

    Args:
      mu, var, prior_mu, prior_var: float tensors that broadcast to [..., z_dim]; the variances are
        positive.

    Returns:
      Float tensor [...].
    """
    with tf.name_scope("kl_between_gaussians"):
        log_ratio = tf.log(prior_var) - tf.log(var)
        squares = (var + tf.math.squared_difference(mu, prior_mu)) / prior_var
        return 0.5 * tf.reduce_sum(log_ratio + squares - 1, axis=-1)


def kl_between_categoricals(log_q: Tensor, log_p: Tensor) -> Tensor:
    """Computes KL(q || p) = sum_k q_k (log q_k - log p_k).

    Args:
      log_q, log_p: float tensors that broadcast to [..., clusters], normalised log probabilities.

    Returns:
      Float tensor [...].
    """
    with tf.name_scope("kl_between_categoricals"):
        return tf.reduce_sum(tf.exp(log_q) * (log_q - log_p), axis=-1)


def log_likelihood_bound(probs: Tensor, losses: Tensor) -> Tensor:
    """Computes the mean over the batch of -sum_k p_k L_k - KL(p || uniform).

    If -L_k is a lower bound on log p(x|k), the result is one on log p(x), for any p and a uniform
    prior of k.

    Args:
      probs: float tensor [batch, n], p; rows sum to 1.
      losses: float tensor [batch, n], L.

    Returns:
      Scalar tensor.
    """
    with tf.name_scope("bound"):
        kl = tf.reduce_sum(x_log_x(probs), axis=1) + np.log(int(probs.shape[1]))
        return -tf.reduce_mean(tf.reduce_sum(probs * losses, axis=1) + kl)


def self_label_loss(probs: Tensor, logits: Tensor, threshold: float) -> Tensor:
    """Computes the cross entropy of one prediction with another that is certain.

    The examples count whose largest probability is at least the threshold. Let S_c be those of
    them whose likeliest cluster is c, and C the clusters whose S_c is not empty:

        loss = mean over c in C of the mean over n in S_c of -log softmax(logits_n)[c]

    So all clusters that occur count alike. The loss is 0 if no example counts. It passes no
    gradient on to `probs`.

    Args:
      probs: float tensor [batch, n_clusters]; rows sum to 1.
      logits: float tensor [batch, n_clusters], of other views of the same examples.
      threshold: in 0 to 1.

    Returns:
      Scalar tensor, in nats.
    """
    with tf.name_scope("self_label_loss"):
        probs = tf.stop_gradient(probs)
        chosen = tf.one_hot(tf.argmax(probs, axis=1), int(probs.shape[1]))
        chosen *= tf.cast(tf.reduce_max(probs, axis=1, keepdims=True) >= threshold, tf.float32)
        sizes = tf.reduce_sum(chosen, axis=0)
        sums = tf.reduce_sum(chosen * -tf.nn.log_softmax(logits), axis=0)
        n_occurring = tf.reduce_sum(tf.cast(sizes > 0, tf.float32))
        return tf.math.divide_no_nan(tf.reduce_sum(tf.math.divide_no_nan(sums, sizes)), n_occurring)


def x_log_x(x: Tensor) -> Tensor:
    """Computes x log(x), which is 0 at 0, with the gradient log(x) + 1, and 0 at 0.

    Args:
      x: float tensor of any shape, not negative.

    Returns:
      Float tensor of the same shape.
    """
    # The gradient of `tf.math.xlogy` at 0 is minus infinity in the nightly builds of TensorFlow
    # 2.23, and its product with the gradient 0 of a probability that underflows is NaN.
    nonzero = tf.where_v2(tf.equal(x, 0), tf.ones_like(x), x)
    return tf.math.xlogy(nonzero, nonzero)
