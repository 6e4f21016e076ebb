"""How well clusters agree with classes that the training never saw."""

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["clustering_scores", "confusion_table", "match_clusters"]


def confusion_table(
    labels: ArrayLike, clusters: ArrayLike, n_classes: int, n_clusters: int
) -> np.ndarray:
    """Counts how many examples of each class are in each cluster.

    Args:
      labels: whole numbers [n] in 0 to n_classes - 1.
      clusters: whole numbers [n] in 0 to n_clusters - 1.
      n_classes: number of classes.
      n_clusters: number of clusters.

    Returns:
      Whole-number array [n_classes, n_clusters].
    """
    table = np.zeros([n_classes, n_clusters], int)
    np.add.at(table, (np.asarray(labels), np.asarray(clusters)), 1)
    return table


def match_clusters(table: ArrayLike) -> dict[int, int]:
    """Matches classes and clusters one to one so that the most examples agree (Hungarian method).

    Args:
      table: whole-number array [n_classes, n_clusters], see `confusion_table`.

    Returns:
      Dict of cluster to class. If there are more clusters than classes, some clusters have none.
    """
    from scipy.optimize import linear_sum_assignment

    classes, clusters = linear_sum_assignment(table, maximize=True)
    return dict(zip(clusters.tolist(), classes.tolist(), strict=True))


def clustering_scores(
    labels: ArrayLike, clusters: ArrayLike, n_classes: int, n_clusters: int
) -> dict[str, float]:
    """Scores a clustering by labels that it was made without.

    Args:
      labels, clusters, n_classes, n_clusters: see `confusion_table`.

    Returns:
      Dict with `accuracy` (share of examples whose cluster is matched to their class under the
      best one-to-one matching), `nmi` (normalised mutual information) and `ari` (adjusted Rand
      index). 1 is the best value of each.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    table = confusion_table(labels, clusters, n_classes, n_clusters)
    agreeing = sum(table[label, cluster] for cluster, label in match_clusters(table).items())
    return {
        "accuracy": float(agreeing / table.sum()),
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
        "ari": float(adjusted_rand_score(labels, clusters)),
    }
