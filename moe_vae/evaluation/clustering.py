"""Scores of models that cluster, and of the baselines K-means and Gaussian mixtures."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from moe_vae.data.checks import POINT_FEATURES
from moe_vae.data.dataset import DataSet, DataSets
from moe_vae.evaluation.metrics import clustering_scores, confusion_table
from moe_vae.models.clustering_vae import ClusteringVAE
from moe_vae.nn.gaussian_mixture import EM_VARIANCE_FLOOR
from moe_vae.training.trainer import Trainer

__all__ = ["accuracy_listener", "score_baselines", "score_clustering", "score_code_baselines"]

# Starts of each baseline, the best of which counts. On images one start takes minutes.
BASELINE_STARTS = {"points": 10, "images": 1}

# A full covariance of more features takes hours to fit.
MAX_FULL_FEATURES = 100


def score_clustering(trainer: Trainer, data_set: DataSet) -> dict[str, Any]:
    """Scores the likeliest cluster of each example as a clustering of `data_set`.

    Args:
      trainer: a `Trainer` of a model that predicts clusters or experts: a mixture of VAEs, an
        information encoder, a VaDE or a DMVAE.
      data_set: a `DataSet`; its labels are used for scoring only.

    Returns:
      Dict with `accuracy`, `nmi`, `ari` (see `clustering_scores`), the `confusion` table
      [classes, clusters] and the `losses`.
    """
    model = trainer.model
    clusters = model.predict(trainer.session, data_set.images)
    sizes = (_n_classes(data_set.labels), model.n_columns)
    return {
        **clustering_scores(data_set.labels, clusters, *sizes),
        "confusion": confusion_table(data_set.labels, clusters, *sizes).tolist(),
        "losses": trainer.evaluate(data_set),
    }


def accuracy_listener(data_set: DataSet) -> Callable[[Trainer, DataSet], None]:
    """Returns a listener of a trainer that records the clustering accuracy after every epoch.

    The history gets it as `accuracy`. Training does not see it.

    Args:
      data_set: a `DataSet` that is not trained on; its labels are used for scoring only.
    """

    def record(trainer: Trainer, train_set: DataSet) -> None:
        del train_set
        clusters = trainer.model.predict(trainer.session, data_set.images)
        sizes = (_n_classes(data_set.labels), trainer.model.n_columns)
        scores = clustering_scores(data_set.labels, clusters, *sizes)
        trainer.history.setdefault("accuracy", []).append(scores["accuracy"])

    return record


def _n_classes(labels: np.ndarray) -> int:
    return int(labels.max()) + 1


def score_baselines(train: np.ndarray, test: DataSet, seed: int) -> dict[str, dict[str, float]]:
    """Scores K-means and Gaussian mixtures, fitted to `train`, as clusterings of `test`.

    Each has as many clusters as there are classes. On points each keeps the best of several starts
    (`BASELINE_STARTS`).

    Args:
      train: float array [n, n_features].
      test: a `DataSet` of such examples; its labels are used for scoring only.
      seed: whole number, the seed of the starts.

    Returns:
      Dict of baseline to its `clustering_scores`.
    """
    kind = "points" if test.images.shape[1] == POINT_FEATURES else "images"
    return _score_baselines(train, test.images, test.labels, BASELINE_STARTS[kind], seed)


def score_code_baselines(
    trainer: Trainer, data_sets: DataSets, seed: int
) -> dict[str, dict[str, float]]:
    """Scores the same baselines on the mean codes of a trained VaDE or DMVAE.

    Args:
      trainer: its `Trainer`.
      data_sets: the `DataSets` that it was trained on.
      seed: see `score_baselines`.

    Returns:
      Dict of baseline to its `clustering_scores`.
    """
    model, session = cast(ClusteringVAE, trainer.model), trainer.session
    test = data_sets.test
    kind = "points" if model.n_features == POINT_FEATURES else "images"
    return _score_baselines(
        model.mean_codes(session, data_sets.train.images),
        model.mean_codes(session, test.images),
        test.labels,
        BASELINE_STARTS[kind],
        seed,
    )


def _score_baselines(
    train: np.ndarray, test: np.ndarray, labels: np.ndarray, n_starts: int, seed: int
) -> dict[str, dict[str, float]]:
    n_classes = _n_classes(labels)
    return {
        name: clustering_scores(labels, baseline.fit(train).predict(test), n_classes, n_classes)
        for name, baseline in _baselines(n_classes, train.shape[1], n_starts, seed).items()
    }


def _baselines(n_classes: int, n_features: int, n_starts: int, seed: int) -> dict[str, Any]:
    """The baselines by name, objects of scikit-learn that are not fitted yet."""
    from sklearn.cluster import KMeans
    from sklearn.mixture import GaussianMixture

    covariances = ("diag", "full") if n_features <= MAX_FULL_FEATURES else ("diag",)
    return {
        "K-means": KMeans(n_classes, n_init=n_starts, random_state=seed),
        **{
            f"GMM, {covariance}": GaussianMixture(
                n_classes,
                covariance_type=covariance,
                n_init=n_starts,
                reg_covar=EM_VARIANCE_FLOOR,
                random_state=seed,
            )
            for covariance in covariances
        },
    }
