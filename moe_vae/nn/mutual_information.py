"""The mutual information between the clusters of two views, and groups that preserve it."""

import numpy as np

from moe_vae.compat import Tensor, tf
from moe_vae.nn.losses import x_log_x

__all__ = [
    "grouped_information",
    "joint_probs",
    "merge_by_information",
    "move_by_information",
    "mutual_information",
]

LEAST_GAIN = 1e-9  # nats; a smaller gain may be a rounding error


# In a graph.


def joint_probs(probs: Tensor, other_probs: Tensor) -> Tensor:
    """Computes the sum over the batch of (p p'^T + p' p^T) / 2.

    Entry (a, b) counts how often one view of an example is in cluster a and the other in b.

    Args:
      probs, other_probs: float tensors [batch, n_clusters]; rows sum to 1.

    Returns:
      Symmetric float tensor [n_clusters, n_clusters]; its entries sum to the batch size.
    """
    with tf.name_scope("joint_probs"):
        joint = tf.matmul(probs, other_probs, transpose_a=True)
        return (joint + tf.transpose(joint)) / 2


def mutual_information(joint: Tensor) -> Tensor:
    """Computes I = sum_ab P_ab log(P_ab / (P_a P_b)) in nats, where P is `joint` over its sum.

    Its maximum is the logarithm of the number of clusters. It is reached if each example belongs
    to one cluster with certainty, both of its views belong to the same one, and all clusters have
    the same size.

    Args:
      joint: float tensor [n_clusters, n_clusters], not negative.

    Returns:
      Scalar tensor.
    """
    with tf.name_scope("mutual_information"):
        joint = joint / tf.reduce_sum(joint)
        entropy = -tf.reduce_sum(x_log_x(joint))
        marginals = [tf.reduce_sum(joint, axis=axis) for axis in (0, 1)]
        return -tf.add_n([tf.reduce_sum(x_log_x(p)) for p in marginals]) - entropy


# In NumPy and double precision.


def grouped_information(joint: np.ndarray, groups: np.ndarray) -> float:
    """Computes the `mutual_information` that remains when clusters form groups.

    Args:
      joint: symmetric float array [n_clusters, n_clusters]; see `joint_probs`.
      groups: whole-number array [n_clusters], the group of each cluster, from 0.
    """
    one_hot = np.eye(groups.max() + 1)[groups]
    return _information(one_hot.T @ joint @ one_hot)


def merge_by_information(joint: np.ndarray, n_groups: int) -> np.ndarray:
    """Merges clusters into groups, each time the pair that loses the least mutual information.

    Two parts of one digit share views and neighbours, and merging them loses little; parts of two
    digits share few, and merging them loses much. This is the agglomerative information bottleneck
    of Slonim and Tishby, which preserves the information about the second view.

    Args:
      joint: symmetric float array [n_clusters, n_clusters]; see `joint_probs`.
      n_groups: number of groups, in 1 to n_clusters.

    Returns:
      Whole-number array [n_clusters], the group of each cluster, from 0.
    """
    joint = np.asarray(joint, np.float64) / np.sum(joint)
    members = [[cluster] for cluster in range(len(joint))]
    while len(members) > n_groups:
        left = _information_after_mergers(joint)
        left[np.tril_indices_from(left)] = -np.inf  # each pair once
        kept, dropped = map(int, np.unravel_index(left.argmax(), left.shape))
        joint = _merge(joint, kept, dropped)
        members[kept] += members.pop(dropped)
    groups = np.empty(sum(map(len, members)), int)
    for group, clusters in enumerate(members):
        groups[clusters] = group
    return groups


def move_by_information(joint: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Moves one cluster at a time to another group for as long as the mutual information grows.

    Merging alone cannot correct an early merger; a move can.

    Args:
      joint: symmetric float array [n_clusters, n_clusters]; see `joint_probs`.
      groups: whole-number array [n_clusters], the group of each cluster, from 0.

    Returns:
      Whole-number array [n_clusters], groups that no single move improves.
    """
    n_groups, joint = groups.max() + 1, np.asarray(joint, np.float64)
    kept = grouped_information(joint, groups)
    while True:
        moves = [
            np.where(np.arange(len(groups)) == cluster, group, groups)
            for cluster in range(len(groups))
            for group in range(n_groups)
        ]
        left = [grouped_information(joint, moved) for moved in moves]
        best = int(np.argmax(left))
        if left[best] <= kept + LEAST_GAIN:
            return groups
        groups, kept = moves[best], left[best]


def _information_after_mergers(joint: np.ndarray) -> np.ndarray:
    """Returns in entry (a, b) the information that remains when clusters a and b are merged."""
    # A merger changes the entries of rows a and b and of columns a and b alone.
    parts = _x_log_x(joint)
    own, row_sums = np.diag(joint), joint.sum(axis=1)
    rows_before = parts.sum(axis=1)
    before = 2 * (rows_before[:, None] + rows_before) - np.diag(parts)[:, None] - np.diag(parts)
    before -= 2 * parts
    merged_rows = _x_log_x(joint[:, None, :] + joint).sum(axis=2)
    merged_rows -= _x_log_x(own[:, None] + joint) + _x_log_x(own + joint)
    after = 2 * merged_rows + _x_log_x(own[:, None] + own + 2 * joint)
    marginals = _x_log_x(row_sums[:, None] + row_sums)
    marginals -= _x_log_x(row_sums)[:, None] + _x_log_x(row_sums)
    return _information(joint) + after - before - 2 * marginals


def _merge(joint: np.ndarray, kept: int, dropped: int) -> np.ndarray:
    merged = joint.copy()
    merged[kept] += merged[dropped]
    merged[:, kept] += merged[:, dropped]
    return np.delete(np.delete(merged, dropped, axis=0), dropped, axis=1)


def _information(joint: np.ndarray) -> float:
    joint = joint / joint.sum()
    marginal = joint.sum(axis=0)
    return _x_log_x(joint).sum() - 2 * _x_log_x(marginal).sum()


def _x_log_x(x: np.ndarray) -> np.ndarray:
    from scipy.special import xlogy

    return xlogy(x, x)
