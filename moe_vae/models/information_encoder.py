"""An encoder q(c|x) that clusters without a decoder, trained on two views of each example.

The two views of an example should fall into one cluster, and all clusters should be used. Both aims
together are the mutual information between the clusters of the two views.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import IMAGE_SHAPE, check_points
from moe_vae.data.dataset import Batch, DataSet, Form, Shape
from moe_vae.model import Model, Signature, builds_model
from moe_vae.nn.cluster_encoder import ClusterEncoder
from moe_vae.nn.losses import self_label_loss
from moe_vae.nn.mutual_information import (
    grouped_information,
    joint_probs,
    merge_by_information,
    move_by_information,
    mutual_information,
)
from moe_vae.nn.noise import noise_seed
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.nn.views import random_view
from moe_vae.params import ParameterError, check_params
from moe_vae.schedules import Schedule

__all__ = ["INFORMATION_PARAMS", "InformationEncoder", "build_information_encoder"]

INFORMATION_PARAMS: dict[str, Any] = {
    "network": "dense",
    "n_clusters": 10,
    "n_over_clusters": 50,
    "cluster_encoder_layers": [1200, 1200],
    "activation": "relu",
    "normalise": True,
    "input_std": 1.0,
    "n_neighbours": 10,
    "neighbour_reach": 0.25,
    "deskew": True,
    "neighbour_space": "inputs",
    "augment": True,
    "elastic_std": 0.0,
    "plain_share": 0.0,
    "regroup": True,
    "pretrain_epochs": 8,
    "epochs": 12,
    "batch_size": 500,
    "learning_rate": 0.001,
    "self_label_weight": 0.0,
    "self_label_threshold": 0.95,
    "weight_averaging": 0.0,
}


class InformationEncoder(Model):
    """A network q(c|x) that is trained by the mutual information of two views' clusters.

    The first view shows an example, the second one of its nearest neighbours. Where neighbours are
    too close to add anything, the second view is the end of a walk among them (see `walk_steps`,
    which reads `neighbour_reach`). A `random_view` with draws of its own distorts each, but the
    first view of a `plain_share` of the examples shows them as they are. Neighbours are near in the
    (deskewed) inputs, or with the `neighbour_space` "features" in the `features` of the trained
    encoder that this one begins with; there is no walk then. Batch normalisation uses the batch's
    own statistics in the joints, so a data set must be in random order.

    The encoder has more outputs than there are clusters. The first phase, "over", trains the
    outputs alone; the second trains outputs and clusters:

        loss = -(information + over_information)

    With a `self_label_weight` above 0 the second phase adds that weight times `self_label_loss`:
    what the encoder says of an undistorted example, if it is sure by the `self_label_threshold`,
    teaches the first view. A history has the mean of the chunks' values.

    After each epoch `merge_by_information` and `move_by_information` group the outputs into
    clusters. Without `regroup`, `merge_by_information` does so once, after the first phase. With
    one output a cluster from the start, training usually ends with two digits in one cluster and
    a third digit in two. The finer outputs separate the digits. They stay in the loss so that the
    layers do not forget these distinctions. The learning rate falls to 0 along half a cosine over
    both phases. With `weight_averaging` above 0 the trainer ends with averages of the variables.

    Attributes:
      encoder: the `ClusterEncoder`.
      inputs: float tensor [batch, n_features].
      partners: float tensor [batch, n_features], what the second view shows; `inputs` unless fed.
      views: pair of float tensors [batch, n_features].
      features: float tensor [batch, size of the last hidden layer], of the undistorted inputs.
      outputs: float tensor [batch, n_over_clusters], the logits of the undistorted inputs.
      probs: float tensor [batch, n_clusters], q(c|x) of the undistorted inputs.
      joint, output_joint: float tensors [n_clusters, n_clusters] and [n_over_clusters,
        n_over_clusters], the `joint_probs` of the two views' clusters and of their outputs.
      information, over_information: scalars, in nats: of the clusters and of the outputs. A
        training step computes them over its batch, a history over the whole data set.
      self_label_loss: scalar, in nats, where `self_label_weight` is above 0.
      loss: scalar, in nats.

    Args:
      params: dict; see `INFORMATION_PARAMS` for names and defaults.
      inputs: float tensor [batch, n_features].
      shape: (height, width) of the images, or (n_features,) of points.
      probs_first: whether a training step computes `probs` before it updates the moving averages
        of batch normalisation. Required if `probs` enter the loss; otherwise thread timing decides
        which averages are used.

    Raises:
      ParameterError: a parameter is unknown or impossible.
      DataError: `augment` is set and the inputs are not images.
    """

    column = answer = "cluster"
    mixes_examples = True  # batch normalisation in the measured views

    def __init__(
        self,
        params: Mapping[str, Any],
        inputs: Tensor,
        shape: Shape = IMAGE_SHAPE,
        probs_first: bool = False,
    ) -> None:
        self.params = check_params(params, INFORMATION_PARAMS)
        if self.params["n_over_clusters"] < self.params["n_clusters"]:
            raise ParameterError(
                f"parameter 'n_over_clusters' is {self.params['n_over_clusters']}: "
                f"it must be at least 'n_clusters', {self.params['n_clusters']}"
            )
        if self.params["elastic_std"] > 0 and not self.params["augment"]:
            raise ParameterError(
                f"parameter 'elastic_std' is {self.params['elastic_std']}: "
                "it must be 0 where 'augment' is off, because no view is deformed there"
            )
        self.inputs = inputs
        self.shape = shape
        self.n_features = int(inputs.shape[1])
        self.n_clusters = self.n_columns = self.params["n_clusters"]
        self.partners = tf.placeholder_with_default(inputs, [None, self.n_features], "partners")
        with tf.variable_scope("information"):
            self.encoder = ClusterEncoder(self.params, self.n_clusters, shape)
            probs_first = probs_first or self._labels_itself
            with tf.control_dependencies([self._build_probs()] if probs_first else []):
                self._build_joints()
            if not probs_first:
                self._build_probs()
        self._build_losses()

    def _build_joints(self) -> None:
        with tf.name_scope("views"):
            first, second = self._view(self.inputs), self._view(self.partners)
            if self.params["plain_share"]:
                draws = tf.random.stateless_uniform([tf.shape(first)[0], 1], noise_seed())
                first = tf.where_v2(draws < self.params["plain_share"], self.inputs, first)
            self.views = first, second
        with tf.name_scope("joints"):
            outputs = self.encoder.outputs(tf.concat(self.views, axis=0), training=True)
            both = self.encoder.logits(outputs), outputs
            joints = [joint_probs(*tf.split(tf.nn.softmax(logits), 2)) for logits in both]
            self.joint, self.output_joint = joints
        if self._labels_itself:
            self.self_label_loss = self_label_loss(
                self.probs, tf.split(both[0], 2)[0], self.params["self_label_threshold"]
            )

    def _view(self, inputs: Tensor) -> Tensor:
        if not self.params["augment"]:
            return tf.identity(inputs)
        return random_view(inputs, self.shape, self.params["elastic_std"])

    def _build_probs(self) -> Tensor:
        self.features, self.outputs = self.encoder.features_and_outputs(self.inputs)
        self.probs = tf.nn.softmax(self.encoder.logits(self.outputs), name="probs")
        return self.probs

    def _build_losses(self) -> None:
        self.information, self.over_information = map(mutual_information, self.batch_sums)
        self.loss = tf.negative(self.information + self.over_information, name="loss")
        if self._labels_itself:
            self.loss += self.params["self_label_weight"] * self.self_label_loss

    @property
    def _labels_itself(self) -> bool:
        return self.params["self_label_weight"] > 0

    # Training.

    @property
    def phases(self) -> dict[str, Tensor]:
        """Dict of phase to the loss that it minimises: of the outputs alone, then of both."""
        return {"over": self._over_loss, "loss": self.loss}

    @functools.cached_property
    def _over_loss(self) -> Tensor:
        return -self.over_information

    @property
    def losses(self) -> dict[str, Tensor]:
        """Dict of name to scalar tensor: what a history records."""
        return {
            "information": self.information,
            "over_information": self.over_information,
            **({"self_label_loss": self.self_label_loss} if self._labels_itself else {}),
            "loss": self.loss,
        }

    @property
    def batch_means(self) -> list[Tensor]:
        """Tensors that are means over the batch, from which the losses follow."""
        return [self.self_label_loss] if self._labels_itself else []

    @property
    def batch_sums(self) -> list[Tensor]:
        """Tensors that are sums over the batch, from which the losses follow."""
        return [self.joint, self.output_joint]

    def rate_schedule(self, phase: str) -> Schedule:
        """Returns how the learning rate changes: one cosine over both phases."""
        before = self.params["pretrain_epochs"]
        n_epochs = before + self.params["epochs"]
        return Schedule("cosine", n_epochs, before if phase == "loss" else 0)

    def feed(self, batch: Batch) -> dict[Tensor, Any]:
        """Returns the feed dict for a batch; its labels and targets are not used."""
        feed = {self.inputs: check_points(batch.images, self.n_features)}
        if batch.partners is not None:
            feed[self.partners] = batch.partners
        return feed

    def pretrain(self, trainer: Any, train_set: DataSet) -> None:
        """Trains the outputs alone for the epochs that are left, then groups them into clusters.

        Args:
          trainer: the `Trainer` of this model.
          train_set: a `DataSet`; its labels are not used.
        """
        if self.params["neighbour_space"] == "features" and train_set.neighbours is None:
            raise ParameterError(
                "parameter 'neighbour_space' is 'features': the encoder must begin with a trained "
                "one (--from), whose features decide"
            )
        left = self.params["pretrain_epochs"] - trainer.epochs_done["over"]
        trainer.fit(train_set, left, sample=False, phase="over")
        # A training that is resumed, or that begins with a trained encoder, keeps its groups.
        is_grouped = trainer.n_epochs > trainer.epochs_done["over"]
        groups_once = self.params["pretrain_epochs"] and not self.params["regroup"]
        if groups_once and not is_grouped and not trainer.stopped:
            joint = trainer.sum_over(train_set, self.output_joint)
            self.encoder.assign(trainer.session, merge_by_information(joint, self.n_clusters))

    def after_epoch(self, phase: str, session: Session, sums: list[np.ndarray]) -> None:
        """Groups the outputs anew, if `regroup` is set.

        `move_by_information` starts once from the present groups and once from those of
        `merge_by_information`. The result with more information is kept.

        Args:
          phase: either phase.
          session: the session that is trained in.
          sums: the joints of clusters and outputs over the training set.
        """
        del phase
        if self.params["regroup"]:
            joint = sums[1]
            starts = self.encoder.assigned(session), merge_by_information(joint, self.n_clusters)
            found = [move_by_information(joint, groups) for groups in starts]
            best = max(found, key=lambda groups: grouped_information(joint, groups))
            self.encoder.assign(session, best)

    # What a trained encoder can do.

    def compute_features(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns the last hidden layer, float array [n, size], for float32 [n, n_features]."""
        return run_in_chunks(
            session, self.features, {self.inputs: check_points(inputs, self.n_features)}
        )

    def predict_proba(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns q(cluster | x), float array [n, n_clusters], for float32 [n, n_features]."""
        return run_in_chunks(
            session, self.probs, {self.inputs: check_points(inputs, self.n_features)}
        )

    def predict(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns each example's likeliest cluster, whole-number array [n]."""
        return np.argmax(self.predict_proba(session, inputs), axis=1)

    def signatures(self) -> dict[str, Signature]:
        """Returns what an export can compute, "route"; see `Model.signatures`."""
        return {"route": Signature({"inputs": self.inputs}, self.encoder.probs(self.outputs))}


@builds_model
def build_information_encoder(
    params: Mapping[str, Any], shape: Shape = IMAGE_SHAPE
) -> InformationEncoder:
    """Builds the placeholder and the model in the current graph.

    Args:
      params: dict as for `InformationEncoder`.
      shape: (height, width) of the images, or (n_features,) of points.

    Returns:
      An `InformationEncoder`.
    """
    inputs = tf.placeholder(tf.float32, [None, Form(shape).n_features], name="inputs")
    return InformationEncoder(params, inputs, shape)
