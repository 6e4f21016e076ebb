"""Clusters without a decoder: an encoder q(c|x) that agrees with itself on two views of an image.

Two views of one example should fall into one cluster, and the clusters should be told apart: both
together are the mutual information between the clusters of the two views.
"""

import numpy as np

from moe_vae.compat import tf
from moe_vae.data.checks import IMAGE_PIXELS, check_points
from moe_vae.nn.cluster_encoder import ClusterEncoder
from moe_vae.nn.mutual_information import (
    grouped_information,
    joint_probs,
    merge_by_information,
    move_by_information,
    mutual_information,
)
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.nn.views import _random_view
from moe_vae.params import ParameterError, check_params
from moe_vae.training.schedules import cosine_decay

__all__ = ["INFORMATION_PARAMS", "InformationEncoder", "build_information_encoder"]

INFORMATION_PARAMS = {
    "n_clusters": 10,
    "n_over_clusters": 50,
    "cluster_encoder_layers": [1200, 1200],
    "activation": "relu",
    "normalise": True,
    "input_std": 1.0,
    "n_neighbours": 10,
    "neighbour_reach": 0.25,
    "deskew": True,
    "augment": True,
    "regroup": True,
    "pretrain_epochs": 8,
    "epochs": 12,
    "batch_size": 500,
    "learning_rate": 0.001,
}


class InformationEncoder:
    """A perceptron q(c|x) that is trained by the mutual information of two views' clusters.

    The first view shows an example, the second one of its nearest neighbours (or, where they are
    too near to tell anything new, the end of a walk among neighbours; see `walk_steps`, which
    `neighbour_reach` is for), both under `affine_view`s with draws of their own. The joints are of
    batches that batch normalisation has normalised by themselves, so that a data set is to be in
    random order. The encoder has more outputs than there are clusters. In the first phase, "over",
    they are trained for themselves; in the second both they and the clusters are:

        loss = -(information + over_information)

    After each epoch `merge_by_information` and `move_by_information` put the outputs together into
    clusters; without `regroup` the former does it once, after the first phase. Trained with one
    output a cluster from the start, the encoder ends as a rule with two digits in one cluster and
    a third in two. The finer outputs part the digits; they go on being trained because they keep
    the layers from forgetting what they part. The learning rate falls to 0 along half a cosine,
    over both phases.

    Attributes:
      encoder: the `ClusterEncoder`.
      inputs: float tensor [batch, n_features].
      partners: float tensor [batch, n_features], what the second view shows; where it is not fed,
        `inputs`.
      views: pair of float tensors [batch, n_features].
      outputs: float tensor [batch, n_over_clusters], the logits of the inputs as they are.
      probs: float tensor [batch, n_clusters], q(c|x) of the inputs as they are.
      joint, output_joint: float tensors [n_clusters, n_clusters] and [n_over_clusters,
        n_over_clusters], the `joint_probs` of the two views' clusters and of their outputs.
      information, over_information: scalars, in nats: of the clusters and of the outputs. In
        training they are those of a batch, in a history those of the whole data set.
      loss: scalar, in nats.
      learning_rate: scalar; may be fed.
      n_columns: number of clusters.

    Args:
      params: dict; see `INFORMATION_PARAMS` for names and defaults.
      inputs: float tensor [batch, n_features].
      probs_first: whether `probs` are computed before a training step moves the averages that they
        are normalised with. Whoever trains by them needs that: it is one or the other else, as the
        threads happen to run.

    Raises:
      ParameterError: a parameter is unknown or impossible.
      DataError: `augment` is set and the inputs are no square images.
    """

    def __init__(self, params, inputs, probs_first=False):
        self.params = check_params(params, INFORMATION_PARAMS)
        if self.params["n_over_clusters"] < self.params["n_clusters"]:
            raise ParameterError(
                f"parameter 'n_over_clusters' is {self.params['n_over_clusters']}: "
                f"it must be at least 'n_clusters', {self.params['n_clusters']}"
            )
        self.inputs = inputs
        self.n_features = int(inputs.shape[1])
        self.n_clusters = self.n_columns = self.params["n_clusters"]
        self.learning_rate = tf.placeholder_with_default(
            float(self.params["learning_rate"]), [], "learning_rate"
        )
        self.partners = tf.placeholder_with_default(inputs, [None, self.n_features], "partners")
        with tf.variable_scope("information"):
            self.encoder = ClusterEncoder(self.params, self.n_clusters)
            with tf.control_dependencies([self._build_probs()] if probs_first else []):
                self._build_joints()
            if not probs_first:
                self._build_probs()
        self._build_losses()

    def _build_joints(self):
        view = _random_view if self.params["augment"] else tf.identity
        with tf.name_scope("views"):
            self.views = view(self.inputs), view(self.partners)
        with tf.name_scope("joints"):
            outputs = self.encoder.outputs(tf.concat(self.views, axis=0), training=True)
            both = self.encoder.logits(outputs), outputs
            joints = [joint_probs(*tf.split(tf.nn.softmax(logits), 2)) for logits in both]
            self.joint, self.output_joint = joints

    def _build_probs(self):
        self.outputs = self.encoder.outputs(self.inputs)
        self.probs = tf.nn.softmax(self.encoder.logits(self.outputs), name="probs")
        return self.probs

    def _build_losses(self):
        self.information, self.over_information = map(mutual_information, self.batch_sums)
        self.loss = tf.negative(self.information + self.over_information, name="loss")

    # What the training loop needs of a model.

    @property
    def phases(self):
        """Dict of phase to the loss that it minimises: of the outputs alone, then of both."""
        return {"over": -self.over_information, "loss": self.loss}

    @property
    def losses(self):
        """Dict of name to scalar tensor: what a history records."""
        return {
            "information": self.information,
            "over_information": self.over_information,
            "loss": self.loss,
        }

    @property
    def batch_means(self):
        """Tensors that are means over the batch, from which the losses follow: none."""
        return []

    @property
    def batch_sums(self):
        """Tensors that are sums over the batch, from which the losses follow."""
        return [self.joint, self.output_joint]

    def schedule(self, phase, epoch):
        """Returns the learning rate in the steps of an epoch."""
        before = self.params["pretrain_epochs"]
        done = epoch + (before if phase == "loss" else 0)
        share = cosine_decay(done, before + self.params["epochs"])
        return {self.learning_rate: share * self.params["learning_rate"]}

    def feed(self, inputs, labels=None, targets=None, partners=None):
        """Returns the feed dict for a batch; labels and targets are not used."""
        del labels, targets
        feed = {self.inputs: check_points(inputs, self.n_features)}
        if partners is not None:
            feed[self.partners] = partners
        return feed

    def pretrain(self, trainer, train_set):
        """Trains the outputs for themselves, then puts them together into clusters.

        Of the phase's epochs only those are trained that are not over.

        Args:
          trainer: the `Trainer` of this model.
          train_set: a `DataSet`; its labels are not used.
        """
        left = self.params["pretrain_epochs"] - trainer.epochs_done["over"]
        trainer.fit(train_set, left, sample=False, phase="over")
        if not self.params["regroup"] and not trainer.interrupted:
            joint = trainer.sum_over(train_set, self.output_joint)
            self.encoder.assign(trainer.session, merge_by_information(joint, self.n_clusters))

    def after_epoch(self, phase, session, sums):
        """Puts the outputs together anew, if `regroup` is set.

        Of what `move_by_information` makes of the groups as they are and of
        `merge_by_information`'s, that is taken which keeps more information.

        Args:
          phase: either.
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

    # What can be done with a trained model.

    def predict_proba(self, session, inputs):
        """Returns q(cluster | x), float array [n, n_clusters], for float32 [n, n_features]."""
        return run_in_chunks(
            session, self.probs, {self.inputs: check_points(inputs, self.n_features)}
        )

    def predict(self, session, inputs):
        """Returns each example's likeliest cluster, whole-number array [n]."""
        return np.argmax(self.predict_proba(session, inputs), axis=1)


def build_information_encoder(params, n_features=IMAGE_PIXELS):
    """Builds the placeholder and the model in the current graph.

    Args:
      params: dict as for `InformationEncoder`.
      n_features: number of columns of the data.

    Returns:
      An `InformationEncoder`.
    """
    inputs = tf.placeholder(tf.float32, [None, n_features], name="inputs")
    return InformationEncoder(params, inputs)
