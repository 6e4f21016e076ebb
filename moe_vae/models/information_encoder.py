"""Clusters without a decoder: an encoder q(c|x) that agrees with itself on two views of an image.

Two views of one example should fall into one cluster, and the clusters should be told apart: both
together are the mutual information between the clusters of the two views.
"""

import numpy as np
from scipy.special import xlogy

from moe_vae.compat import tf
from moe_vae.data.mnist import IMAGE_PIXELS, check_points, square_side
from moe_vae.nn.cluster_encoder import ClusterEncoder
from moe_vae.nn.noise import noise_seed
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.params import ParameterError, check_params
from moe_vae.training.schedules import cosine_decay

__all__ = [
    "INFORMATION_PARAMS",
    "InformationEncoder",
    "affine_view",
    "build_information_encoder",
    "joint_probs",
    "merge_by_information",
    "move_by_information",
    "mutual_information",
]

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

# How far a view may be from its image, to either side:
ROTATION = 0.2  # radians
SCALE = 0.12
SHEAR = 0.25
SHIFT = 0.075  # of the image's side

LEAST_GAIN = 1e-9  # nats: a move that gains less is rounding


def affine_view(images, draws):
    """Puts every image under a small affine map of its own, about its centre.

    The map takes each place of the view to the place in the image that it shows,

        (1 + s) R(r) [[1, h], [0, 1]],  then a shift by t

    with r, s, h and both t the draws times 0.2 radians, 0.12, 0.25 and 7.5 % of the side. Between
    pixels it is bilinear, beyond the edge 0.

    Args:
      images: float tensor [batch, side * side].
      draws: float tensor [batch, 5] in [-1, 1], for r, s, h, and t along a row and down a column.

    Returns:
      Float tensor [batch, side * side]; no gradient goes through it.

    Raises:
      DataError: the images are not square.
    """
    n_features = int(images.shape[1])
    side = square_side(n_features)
    with tf.name_scope("affine_view"):
        angle, scale, shear = ROTATION * draws[:, 0], 1 + SCALE * draws[:, 1], SHEAR * draws[:, 2]
        cos, sin = scale * tf.cos(angle), scale * tf.sin(angle)
        rows = [[cos, shear * cos - sin], [sin, shear * sin + cos]]
        centre = (side - 1) / 2
        shifts = [
            centre - centre * (row[0] + row[1]) + SHIFT * side * draws[:, 3 + axis]
            for axis, row in enumerate(rows)
        ]
        none = tf.zeros_like(angle)
        views = tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.reshape(images, [-1, side, side, 1]),
            transforms=tf.stack([*rows[0], shifts[0], *rows[1], shifts[1], none, none], axis=1),
            output_shape=[side, side],
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
        )
        return tf.stop_gradient(tf.reshape(views, [-1, n_features]))


def _random_view(images):
    shape = [tf.shape(images)[0], 5]
    return affine_view(images, tf.random.stateless_uniform(shape, noise_seed(), -1.0, 1.0))


def joint_probs(probs, other_probs):
    """Sums over the batch (p p'^T + p' p^T) / 2: how often two views fall into which clusters.

    Args:
      probs, other_probs: float tensors [batch, n_clusters]; rows sum to 1.

    Returns:
      Symmetric float tensor [n_clusters, n_clusters]; its entries sum to the batch's size.
    """
    with tf.name_scope("joint_probs"):
        joint = tf.matmul(probs, other_probs, transpose_a=True)
        return (joint + tf.transpose(joint)) / 2


def mutual_information(joint):
    """Computes I = sum_ab P_ab log(P_ab / (P_a P_b)) with P the `joint` over its sum, in nats.

    It is at most the logarithm of the number of clusters: then each example has one cluster
    for certain, both its views the same, and all clusters are of one size.

    Args:
      joint: float tensor [n_clusters, n_clusters], not negative.

    Returns:
      Scalar tensor.
    """
    with tf.name_scope("mutual_information"):
        joint = joint / tf.reduce_sum(joint)
        # xlogy is 0 at 0, with a gradient that is finite for any P above 0.
        entropy = -tf.reduce_sum(tf.math.xlogy(joint, joint))
        marginals = [tf.reduce_sum(joint, axis=axis) for axis in (0, 1)]
        return -tf.add_n([tf.reduce_sum(tf.math.xlogy(p, p)) for p in marginals]) - entropy


def merge_by_information(joint, n_groups):
    """Merges clusters, two at a time, so that each merger loses the least mutual information.

    Two parts of one digit share views and neighbours, parts of two digits do not: what a merger
    of the first kind loses is little, and of the second kind much. (This is the agglomerative
    information bottleneck of Slonim and Tishby, with the second view as what is to be kept.)

    Args:
      joint: symmetric float array [n_clusters, n_clusters]; see `joint_probs`.
      n_groups: how many are to be left, from 1 to n_clusters.

    Returns:
      Whole-number array [n_clusters]: the group of each cluster, from 0.
    """
    joint = np.asarray(joint, np.float64) / np.sum(joint)
    members = [[cluster] for cluster in range(len(joint))]
    while len(members) > n_groups:
        left = _information_after_mergers(joint)
        left[np.tril_indices_from(left)] = -np.inf  # each pair once
        kept, dropped = np.unravel_index(left.argmax(), left.shape)
        joint = _merge(joint, kept, dropped)
        members[kept] += members.pop(dropped)
    groups = np.empty(sum(map(len, members)), int)
    for group, clusters in enumerate(members):
        groups[clusters] = group
    return groups


def move_by_information(joint, groups):
    """Moves clusters from group to group, one at a time, while the mutual information grows.

    A merger cannot be undone by later ones; a move can correct it.

    Args:
      joint: symmetric float array [n_clusters, n_clusters]; see `joint_probs`.
      groups: whole-number array [n_clusters]: the group of each cluster, from 0.

    Returns:
      Whole-number array [n_clusters]: groups from which no single move gains information.
    """
    n_groups, joint = groups.max() + 1, np.asarray(joint, np.float64)
    kept = grouped_information(joint, groups)
    while True:
        moves = [
            (np.where(np.arange(len(groups)) == cluster, group, groups))
            for cluster in range(len(groups))
            for group in range(n_groups)
        ]
        left = [grouped_information(joint, moved) for moved in moves]
        best = int(np.argmax(left))
        if left[best] <= kept + LEAST_GAIN:
            return groups
        groups, kept = moves[best], left[best]


def grouped_information(joint, groups):
    """Computes `mutual_information` of a joint's groups, in NumPy and double precision."""
    one_hot = np.eye(groups.max() + 1)[groups]
    return _information(one_hot.T @ joint @ one_hot)


def _information_after_mergers(joint):
    """The information that is left when row and column a are merged with b, for every a and b."""

    def entropy_part(x):
        return xlogy(x, x)

    # What is in row a or b, or in column a or b, is all that changes.
    parts = entropy_part(joint)
    own, row_sums = np.diag(joint), joint.sum(axis=1)
    rows_before = parts.sum(axis=1)
    before = 2 * (rows_before[:, None] + rows_before) - np.diag(parts)[:, None] - np.diag(parts)
    before -= 2 * parts
    merged_rows = entropy_part(joint[:, None, :] + joint).sum(axis=2)
    merged_rows -= entropy_part(own[:, None] + joint) + entropy_part(own + joint)
    after = 2 * merged_rows + entropy_part(own[:, None] + own + 2 * joint)
    marginals = entropy_part(row_sums[:, None] + row_sums)
    marginals -= entropy_part(row_sums)[:, None] + entropy_part(row_sums)
    return _information(joint) + after - before - 2 * marginals


def _merge(joint, kept, dropped):
    merged = joint.copy()
    merged[kept] += merged[dropped]
    merged[:, kept] += merged[:, dropped]
    return np.delete(np.delete(merged, dropped, axis=0), dropped, axis=1)


def _information(joint):
    """`mutual_information` in NumPy and double precision."""
    joint = joint / joint.sum()
    marginal = joint.sum(axis=0)
    return xlogy(joint, joint).sum() - 2 * xlogy(marginal, marginal).sum()


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
