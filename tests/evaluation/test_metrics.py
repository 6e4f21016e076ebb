from itertools import permutations

import numpy as np
import pytest

from moe_vae.evaluation.metrics import clustering_scores, confusion_table, match_clusters


def test_confusion_counts_classes_by_clusters():
    table = confusion_table([0, 0, 1, 2], [1, 1, 0, 1], 3, 2)
    np.testing.assert_array_equal(table, [[0, 2], [1, 0], [0, 1]])


def test_matching_is_the_best_of_all_permutations():
    table = np.random.default_rng(0).integers(0, 100, [6, 6])
    matched = match_clusters(table)
    best = max(sum(table[c, p[c]] for c in range(6)) for p in permutations(range(6)))
    assert sorted(matched) == sorted(matched.values()) == list(range(6))
    assert sum(table[label, cluster] for cluster, label in matched.items()) == best


def test_renamed_clusters_score_as_perfect():
    labels = np.arange(50) % 5
    scores = clustering_scores(labels, (labels + 2) % 5, 5, 5)
    assert scores == pytest.approx({"accuracy": 1, "nmi": 1, "ari": 1})


def test_one_cluster_for_all_scores_as_knowing_nothing():
    labels = np.arange(50) % 5
    scores = clustering_scores(labels, np.zeros(50, int), 5, 5)
    assert scores == pytest.approx({"accuracy": 0.2, "nmi": 0, "ari": 0})


def test_a_split_class_counts_once():
    # Class 0 lies in clusters 0 and 2: one of them is matched, the other counts as wrong.
    scores = clustering_scores([0] * 6 + [1] * 4, [0] * 4 + [2] * 2 + [1] * 4, 2, 3)
    assert scores["accuracy"] == pytest.approx(0.8)
