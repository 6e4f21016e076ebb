"""Scores of models that cluster, and of the baselines K-means and Gaussian mixtures."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from moe_vae.data.checks import DataError
from moe_vae.data.dataset import DataSet, DataSets
from moe_vae.evaluation.metrics import clustering_scores, confusion_table
from moe_vae.models.clustering_vae import ClusteringVAE
from moe_vae.models.vade import VaDE
from moe_vae.nn.gaussian_mixture import EM_VARIANCE_FLOOR
from moe_vae.threads import threads_for
from moe_vae.training.trainer import Trainer

__all__ = [
    "accuracy_listener",
    "score_baselines",
    "score_clustering",
    "score_clusters",
    "score_code_baselines",
]

# Starts of each baseline, the best of which counts: the least inertia of K-means, the largest
# likelihood of a Gaussian mixture.
N_STARTS = 10

# Fits to points in the plane are fast, so Gaussian mixtures are fitted again with this many starts.
MANY_STARTS = 40
PLANE_FEATURES = 2

# A full covariance of more features takes hours to fit.
MAX_FULL_FEATURES = 100


def score_clustering(trainer: Trainer, data_set: DataSet) -> dict[str, Any]:
    """Scores the likeliest cluster of each example as a clustering of `data_set`.

    Args:
      trainer: a `Trainer` of a model that predicts clusters or experts: a mixture of VAEs, an
        information encoder, a VaDE or a DMVAE.
      data_set: a `DataSet`; its labels are used for scoring only.

    Returns:
      Dict with what `score_clusters` returns, and the `losses`.
    """
    clusters = trainer.model.predict(trainer.session, data_set.images)
    return {
        **score_clusters(data_set.labels, clusters, trainer.model.n_columns),
        "losses": trainer.evaluate(data_set),
    }


def score_clusters(
    labels: np.ndarray | None, clusters: np.ndarray, n_clusters: int
) -> dict[str, Any]:
    """Scores a clustering by labels that it was made without, as far as there are labels.

    Args:
      labels: whole-number array [n], or None.
      clusters: whole-number array [n] in 0 to n_clusters - 1.
      n_clusters: number of clusters.

    Returns:
      Dict with `sizes`, the number of examples in each cluster. With labels also `accuracy`, `nmi`,
      `ari` (see `clustering_scores`) and the `confusion` table [classes, clusters].
    """
    sizes = np.bincount(clusters, minlength=n_clusters).tolist()
    if labels is None:
        return {"sizes": sizes}
    n_classes = _n_classes(labels)
    return {
        **clustering_scores(labels, clusters, n_classes, n_clusters),
        "confusion": confusion_table(labels, clusters, n_classes, n_clusters).tolist(),
        "sizes": sizes,
    }


def accuracy_listener(data_set: DataSet) -> Callable[[Trainer, DataSet], None]:
    """Returns a listener of a trainer that records the clustering accuracy after every epoch.

    The history gets it as `accuracy`. Training does not see it.

    Args:
      data_set: a `DataSet` that is not trained on; its labels are used for scoring only.

    Raises:
      DataError: the data have no labels.
    """
    labels = data_set.labels
    if labels is None:
        raise DataError("the data have no labels: no accuracy can be recorded")

    def record(trainer: Trainer, train_set: DataSet) -> None:
        del train_set
        model, session = trainer.model, trainer.session
        if isinstance(model, VaDE):  # whose noise must be the same in a training that was resumed
            key = trainer.epoch_key()
            clusters = model.predict_proba(session, data_set.images, key=key).argmax(axis=1)
        else:
            clusters = model.predict(session, data_set.images)
        scores = clustering_scores(labels, clusters, _n_classes(labels), model.n_columns)
        trainer.history.setdefault("accuracy", []).append(scores["accuracy"])

    return record


def _n_classes(labels: np.ndarray) -> int:
    return int(labels.max()) + 1


def score_baselines(train: np.ndarray, test: DataSet, seed: int) -> dict[str, dict[str, float]]:
    """Scores K-means and Gaussian mixtures, fitted to `train`, as clusterings of `test`.

    Each has as many clusters as there are classes, and keeps the best of `N_STARTS` starts by its
    own measure: K-means the least inertia, a Gaussian mixture the largest likelihood. On points in
    the plane, a Gaussian mixture also stands there with the likeliest of `MANY_STARTS` starts.

    Args:
      train: float array [n, n_features].
      test: a `DataSet` of such examples; its labels are used for scoring only.
      seed: whole number, the seed of the starts.

    Returns:
      Dict of baseline to its `clustering_scores`, empty without labels. A Gaussian mixture has its
      `loss` besides: minus the mean log likelihood of `train`, in nats an example.
    """
    if test.labels is None:
        return {}
    n_classes, n_features = _n_classes(test.labels), train.shape[1]
    data = train, test.images, test.labels
    scores = _score_baselines(_baselines(n_classes, n_features, N_STARTS, seed), *data)
    if n_features != PLANE_FEATURES:
        return scores
    many = _score_baselines(_mixtures(n_classes, n_features, MANY_STARTS, seed), *data)
    return {**scores, **{f"{name}, {MANY_STARTS} starts": score for name, score in many.items()}}


def score_code_baselines(
    trainer: Trainer, data_sets: DataSets, seed: int
) -> dict[str, dict[str, float]]:
    """Scores the baselines with `N_STARTS` starts on the mean codes of a trained VaDE or DMVAE.

    Args:
      trainer: its `Trainer`.
      data_sets: the `DataSets` that it was trained on.
      seed: see `score_baselines`.

    Returns:
      Dict of baseline to its scores; see `score_baselines`.
    """
    model, session = cast(ClusteringVAE, trainer.model), trainer.session
    test = data_sets.test
    if test.labels is None:
        return {}
    train, codes = (model.mean_codes(session, part.images) for part in (data_sets.train, test))
    baselines = _baselines(_n_classes(test.labels), train.shape[1], N_STARTS, seed)
    return _score_baselines(baselines, train, codes, test.labels)


def _score_baselines(
    baselines: dict[str, Any], train: np.ndarray, test: np.ndarray, labels: np.ndarray
) -> dict[str, dict[str, float]]:
    n_classes, scores = _n_classes(labels), {}
    with threads_for(train):
        for name, baseline in baselines.items():
            clusters = baseline.fit(train).predict(test)
            scores[name] = clustering_scores(labels, clusters, n_classes, n_classes)
            if name.startswith("GMM"):  # the score of K-means is its inertia
                scores[name]["loss"] = -float(baseline.score(train))
    return scores


def _baselines(n_classes: int, n_features: int, n_starts: int, seed: int) -> dict[str, Any]:
    """The baselines by name, objects of scikit-learn that are not fitted yet."""
    from sklearn.cluster import KMeans

    kmeans = KMeans(n_classes, n_init=n_starts, random_state=seed)
    return {"K-means": kmeans, **_mixtures(n_classes, n_features, n_starts, seed)}


def _mixtures(n_classes: int, n_features: int, n_starts: int, seed: int) -> dict[str, Any]:
    """The Gaussian mixtures among the baselines."""
    from sklearn.mixture import GaussianMixture

    covariances = ("diag", "full") if n_features <= MAX_FULL_FEATURES else ("diag",)
    return {
        f"GMM, {covariance}": GaussianMixture(
            n_classes,
            covariance_type=covariance,
            n_init=n_starts,
            reg_covar=EM_VARIANCE_FLOOR,
            random_state=seed,
        )
        for covariance in covariances
    }
