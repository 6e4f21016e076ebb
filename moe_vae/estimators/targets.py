"""What the supervised estimators ask of y."""

from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets

__all__ = ["encoded_classes"]


def encoded_classes(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns the labels as whole numbers from 0, and the classes that they stand for.

    Raises:
      ValueError: y holds no classes, or one.
    """
    check_classification_targets(y)
    classes, labels = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y has {len(classes)} class: there must be at least 2 classes")
    return labels, classes
