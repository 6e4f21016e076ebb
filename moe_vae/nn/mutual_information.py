"""The mutual information of two views' clusters, and groups that keep it."""

import numpy as np
from scipy.special import xlogy

from moe_vae.compat import tf

__all__ = ["joint_probs", "merge_by_information", "move_by_information", "mutual_information"]

LEAST_GAIN = 1e-9  # nats: a move that gains less is rounding


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
