"""Clustering by VaDE and DMVAE: scores, drawings, and the baselines beside them."""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from moe_vae.data.checks import NUM_CLASSES
from moe_vae.evaluation.metrics import clustering_scores, confusion_table
from moe_vae.nn.gaussian_mixture import EM_VARIANCE_FLOOR

__all__ = ["score_baselines", "score_clustering", "score_code_baselines"]

# On images a start takes minutes, not seconds.
BASELINE_STARTS = {"points": 10, "images": 1}


# A full covariance of every pixel with every other takes hours to fit.
MAX_FULL_FEATURES = 100


def score_clustering(trainer, data_set):
    """Scores the likeliest cluster of each example as a clustering of `data_set`.

    Args:
      trainer: a `Trainer` of a model that predicts clusters: a mixture of VAEs, an information
        encoder, a VaDE or a DMVAE.
      data_set: a `DataSet`; its labels are used for scoring only.

    Returns:
      Dict with `accuracy`, `nmi`, `ari` (see `clustering_scores`), the `confusion` table
      [classes, clusters] and the `losses`.
    """
    model = trainer.model
    clusters = model.predict(trainer.session, data_set.images)
    sizes = (_n_classes(data_set), model.n_columns)
    return {
        **clustering_scores(data_set.labels, clusters, *sizes),
        "confusion": confusion_table(data_set.labels, clusters, *sizes).tolist(),
        "losses": trainer.evaluate(data_set),
    }


def _n_classes(data_set):
    return int(data_set.labels.max()) + 1


def score_baselines(train, test, seed):
    """Scores K-means and Gaussian mixtures, fitted to `train`, as clusterings of `test`.

    Each has as many clusters as there are classes and keeps the best of `BASELINE_STARTS`.

    Args:
      train: float array [n, n_features].
      test: a `DataSet` of such examples; its labels are used for scoring only.
      seed: whole number, from which the starts follow.

    Returns:
      Dict of baseline to its `clustering_scores`.
    """
    return _score_baselines(train, test.images, test.labels, seed)


def score_code_baselines(trainer, data_sets, seed):
    """Scores the same baselines on the mean codes of a trained VaDE or DMVAE.

    Args:
      trainer: its `Trainer`.
      data_sets: the `DataSets` that it was trained on.
      seed: see `score_baselines`.

    Returns:
      Dict of baseline to its `clustering_scores`.
    """
    train, test = (
        trainer.model.mean_codes(trainer.session, part.images)
        for part in (data_sets.train, data_sets.test)
    )
    return _score_baselines(train, test, data_sets.test.labels, seed)


def _score_baselines(train, test, labels, seed):
    n_classes = int(np.max(labels)) + 1
    n_starts = BASELINE_STARTS["images" if n_classes == NUM_CLASSES else "points"]
    covariances = ("diag", "full") if train.shape[1] <= MAX_FULL_FEATURES else ("diag",)
    fitted = {
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
    return {
        name: clustering_scores(labels, baseline.fit(train).predict(test), n_classes, n_classes)
        for name, baseline in fitted.items()
    }
