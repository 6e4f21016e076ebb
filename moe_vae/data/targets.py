"""The paper's regression targets: one affine map for each class."""

import numpy as np

from moe_vae.data.checks import NUM_CLASSES, DataError, check_labels, check_points
from moe_vae.data.dataset import DataSet, DataSets

__all__ = ["add_affine_targets", "make_affine_targets"]


def add_affine_targets(data_sets: DataSets, n_outputs: int, seed: int) -> DataSets:
    """Returns `data_sets` with the targets that `make_affine_targets` computes for each part.

    Raises:
      DataError: the data have no labels, or `n_outputs` is below 1.
    """

    n_classes = data_sets.form.n_classes  # of all parts: one may lack the last classes

    def with_targets(part: DataSet) -> DataSet:
        if part.labels is None:
            raise DataError(f"{data_sets.name} has no labels: the targets are made from them")
        return part.with_targets(
            make_affine_targets(part.images, part.labels, n_outputs, seed, n_classes)
        )

    return data_sets.map(with_targets)


def make_affine_targets(
    images: np.ndarray,
    labels: np.ndarray,
    n_outputs: int,
    seed: int,
    n_classes: int | None = None,
) -> np.ndarray:
    """Computes the targets y = W_c x + b_c, with an affine map for each class c and no noise.

    Every entry of W_c and b_c is drawn from N(0, 1). The maps depend on `seed`, the number of
    features, `n_outputs` and, above ten, the number of classes alone, so training and test sets get
    the same maps.

    Args:
      images: float32 array [n, n_features].
      labels: whole-number array [n], the classes.
      n_outputs: number of columns of y, at least 1.
      seed: whole number of at least 0.
      n_classes: number of classes; None means that the largest of `labels` is the last class.

    Returns:
      Float32 array [n, n_outputs].

    Raises:
      DataError: the arrays do not have these forms, or `n_outputs` is below 1.

    Source: the paper, section 8, data.
    """
    images = check_points(images)
    labels = check_labels(labels, len(images), n_classes)
    if n_outputs < 1:
        raise DataError(f"n_outputs is {n_outputs}: it must be at least 1")
    random = np.random.default_rng(seed)
    n_maps = max(NUM_CLASSES, n_classes or int(labels.max()) + 1)
    weights = random.standard_normal([n_maps, images.shape[1], n_outputs])
    biases = random.standard_normal([n_maps, n_outputs])
    targets = np.empty([len(images), n_outputs], np.float32)
    for label in np.unique(labels):
        rows = labels == label
        targets[rows] = images[rows] @ weights[label] + biases[label]
    return targets
