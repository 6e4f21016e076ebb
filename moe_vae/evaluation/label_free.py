"""How good a clustering of images is, without labels: information, stability, agreement."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from moe_vae.compat import tf
from moe_vae.data.dataset import DataSets, Shape
from moe_vae.evaluation.metrics import confusion_table, match_clusters
from moe_vae.nn.sessions import open_session, run_in_chunks
from moe_vae.nn.views import N_DRAWS, affine_view
from moe_vae.training.trainer import Trainer

__all__ = ["N_VIEWS", "agreement", "measure_without_labels"]

N_VIEWS = 5
VIEW_SEED = 0


def measure_without_labels(
    trainer: Trainer, data_sets: DataSets, record: dict[str, Any]
) -> dict[str, Any]:
    """Measures the clusters of the validation images; labels are not used.

    Let c(x) be the likeliest cluster of an image x, and x_1 to x_V affine views of it, the same for
    every model:

        stability = share of all x_v with c(x_v) = c(x)
        certainty = mean over x of max_c q(c|x)

    Args:
      trainer: the `Trainer` of a trained `InformationEncoder`.
      data_sets: the `DataSets` that it was trained on, of images.
      record: its `run_record`.

    Returns:
      Dict with `information` and `over_information` in nats, `stability`, `certainty`, and
      `clusters`, the likeliest cluster of each image as one character, from "0" on.
    """
    del record
    images, shape = data_sets.validation.images, data_sets.validation.shape
    probs = trainer.model.predict_proba(trainer.session, images)
    clusters = probs.argmax(axis=1)
    same = [
        trainer.model.predict(trainer.session, views) == clusters for views in _views(images, shape)
    ]
    losses = trainer.evaluate(data_sets.validation)
    return {
        **{name: float(losses[name]) for name in ("information", "over_information")},
        "stability": float(np.mean(same)),
        "certainty": float(probs.max(axis=1).mean()),
        "clusters": "".join(chr(ord("0") + cluster) for cluster in clusters),
    }


def agreement(first: str, second: str) -> float:
    """Returns how well two clusterings of the same examples agree, under their best matching.

    Args:
      first, second: the `clusters` of two calls of `measure_without_labels`.

    Returns:
      The share of examples whose two clusters are matched with each other.
    """
    ours, theirs = ([ord(each) - ord("0") for each in clusters] for clusters in (first, second))
    n_clusters = max(*ours, *theirs) + 1
    table = confusion_table(ours, theirs, n_clusters, n_clusters)
    return sum(table[one, other] for other, one in match_clusters(table).items()) / len(ours)


def _views(images: np.ndarray, shape: Shape) -> Iterator[np.ndarray]:
    """Yields affine views of all images, `N_VIEWS` times with other draws."""
    random = np.random.default_rng(VIEW_SEED)
    with tf.Graph().as_default() as graph:
        inputs = tf.placeholder(tf.float32, [None, images.shape[1]])
        draws = tf.placeholder(tf.float32, [None, N_DRAWS])
        views = affine_view(inputs, draws, shape)
        with open_session(graph) as session:
            for _ in range(N_VIEWS):
                drawn = random.uniform(-1, 1, [len(images), N_DRAWS]).astype(np.float32)
                yield run_in_chunks(session, views, {inputs: images, draws: drawn})
