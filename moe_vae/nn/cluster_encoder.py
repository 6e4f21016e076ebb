"""The network q(c|x): a part of DMVAE, of specialists and of the information encoder."""

from typing import Any

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import IMAGE_SHAPE
from moe_vae.data.dataset import Shape
from moe_vae.nn.networks import encoder_layers
from moe_vae.params import ParameterError

__all__ = ["CLOSED", "ClusterEncoder"]

# Added to a logit that does not belong to a group: its exponential becomes 0, and all gradients
# stay finite, as they would not with minus infinity.
CLOSED = -1e9


class ClusterEncoder:
    """Logits of q(c|x), with one output for each cluster or with a group of finer outputs.

    With `n_over_clusters` the network has that many outputs. A cluster's logit is then the
    logarithm of the sum of the exponentials of the outputs in its group, so q(c|x) is the sum of
    their probabilities. Training leaves the groups alone; `assign` sets them.

    Attributes:
      groups: float tensor [n_over_clusters, n_clusters], 1 where an output belongs to a cluster,
        else 0; None without `n_over_clusters`.

    Args:
      params: dict with the parameters of its `encoder_layers`, `n_over_clusters` (0 for none) and
        `input_std`, by which the inputs are divided.
      n_clusters: number of clusters.
      shape: (height, width) of the images, or (n_features,) of points.

    Raises:
      ParameterError: there are fewer outputs than clusters, so that a cluster would have none.
    """

    def __init__(self, params: dict[str, Any], n_clusters: int, shape: Shape = IMAGE_SHAPE) -> None:
        self.params = params
        self.n_clusters = n_clusters
        self.shape = shape
        self.groups: Tensor = None
        if n_over := params["n_over_clusters"]:
            if n_over < n_clusters:
                raise ParameterError(
                    f"parameter 'n_over_clusters' is {n_over}: it must be 0, or at least "
                    f"the number of clusters, {n_clusters}"
                )
            with tf.variable_scope("groups"):
                evenly = np.eye(n_clusters)[np.arange(n_over) % n_clusters]
                self.groups = tf.get_variable(
                    "groups",
                    initializer=tf.constant(evenly, tf.float32),
                    trainable=False,
                )
                # Made now, because nothing can be added to a finalised graph.
                self._new_groups = tf.placeholder(tf.float32, [n_over, n_clusters])
                self._assign = tf.assign(self.groups, self._new_groups)

    def outputs(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Computes the network's outputs, before grouping; see `features_and_outputs`."""
        return self.features_and_outputs(inputs, training)[1]

    def features_and_outputs(self, inputs: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
        """Computes the network's last hidden layer, and its outputs before grouping.

        All calls share their weights.

        Args:
          inputs: float tensor [batch, n_features].
          training: see `encoder_layers`.

        Returns:
          Float tensors [batch, size of the layer] and [batch, n_over_clusters]; without groups the
          second is [batch, n_clusters].
        """
        with tf.variable_scope("encode_cluster", reuse=tf.AUTO_REUSE):
            scaled = inputs / self.params["input_std"]
            h = encoder_layers(scaled, self.params, "cluster_encoder", self.shape, training)
            return h, tf.layers.dense(h, self.params["n_over_clusters"] or self.n_clusters)

    def logits(self, outputs: Tensor) -> Tensor:
        """Returns the clusters' logits [batch, n_clusters] for `outputs`."""
        if self.groups is None:
            return outputs
        with tf.name_scope("grouped"):
            closed = CLOSED * (1 - self.groups)
            return tf.reduce_logsumexp(outputs[:, :, None] + closed, axis=1)

    def probs(self, outputs: Tensor) -> Tensor:
        """Returns q(c|x) [batch, n_clusters] for `outputs`: the groups' sums of probabilities.

        It is the softmax of `logits`, in fewer operations.
        """
        probs = tf.nn.softmax(outputs)
        return probs if self.groups is None else probs @ self.groups

    def assigned(self, session: Session) -> np.ndarray:
        """Returns the cluster of each output, whole-number array [n_over_clusters]."""
        return session.run(self.groups).argmax(axis=1)

    def assign(self, session: Session, groups: np.ndarray) -> None:
        """Sets the cluster of each output.

        Args:
          session: an open session.
          groups: whole-number array [n_over_clusters] in 0 to n_clusters - 1.
        """
        session.run(self._assign, {self._new_groups: np.eye(self.n_clusters)[groups]})
