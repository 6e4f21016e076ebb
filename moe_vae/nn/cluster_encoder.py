"""q(c|x) as a perceptron: the part that DMVAE, the manager and the information encoder share."""

import numpy as np

from moe_vae.compat import tf
from moe_vae.nn.layers import hidden_layers

__all__ = ["CLOSED", "ClusterEncoder"]

# Added to a logit that is not of a group: its exponential is 0, and no gradient is infinite.
CLOSED = -1e9


class ClusterEncoder:
    """Logits of q(c|x), either one output a cluster or, finer, several outputs grouped.

    With `n_over_clusters` there are so many outputs, and cluster c's logit is the logarithm of the
    sum of the exponentials of those in its group, so that q(c|x) is the sum of theirs. The groups
    are a variable that no training moves; `assign` sets them.

    Attributes:
      groups: float tensor [n_over_clusters, n_clusters], 1 where an output is of a cluster, else
        0; None without `n_over_clusters`.

    Args:
      params: dict with `cluster_encoder_layers`, `activation`, `normalise`, `n_over_clusters` (0
        for none) and `input_std`, by which the inputs are divided.
      n_clusters: number of clusters.
    """

    def __init__(self, params, n_clusters):
        self.params = params
        self.n_clusters = n_clusters
        self.groups = None
        if n_over := params["n_over_clusters"]:
            with tf.variable_scope("groups"):
                evenly = np.eye(n_clusters)[np.arange(n_over) % n_clusters]
                self.groups = tf.get_variable(
                    "groups",
                    initializer=tf.constant(evenly, tf.float32),
                    trainable=False,
                )
                # A finalised graph takes no new operation, so the assignment is there already.
                self._new_groups = tf.placeholder(tf.float32, [n_over, n_clusters])
                self._assign = tf.assign(self.groups, self._new_groups)

    def outputs(self, inputs, training=False):
        """Returns the outputs before they are grouped, float tensor [batch, n_outputs].

        Calls share their weights; `training` is as in `hidden_layers`.
        """
        with tf.variable_scope("encode_cluster", reuse=tf.AUTO_REUSE):
            h = hidden_layers(
                inputs / self.params["input_std"],
                self.params["cluster_encoder_layers"],
                self.params["activation"],
                self.params["normalise"],
                training,
            )
            return tf.layers.dense(h, self.params["n_over_clusters"] or self.n_clusters)

    def logits(self, outputs):
        """Returns the clusters' logits [batch, n_clusters] for `outputs`."""
        if self.groups is None:
            return outputs
        with tf.name_scope("grouped"):
            closed = CLOSED * (1 - self.groups)
            return tf.reduce_logsumexp(outputs[:, :, None] + closed, axis=1)

    def assigned(self, session):
        """Returns each finer output's cluster, whole-number array [n_over_clusters]."""
        return session.run(self.groups).argmax(axis=1)

    def assign(self, session, groups):
        """Says which cluster each of the finer outputs belongs to.

        Args:
          session: an open session.
          groups: whole-number array [n_over_clusters] in 0 to n_clusters - 1.
        """
        session.run(self._assign, {self._new_groups: np.eye(self.n_clusters)[groups]})
