"""scikit-learn's small digits."""

import numpy as np

from moe_vae.data.checks import check_points
from moe_vae.data.dataset import DataSet, DataSets

__all__ = ["read_small_digits"]


def read_small_digits():
    """Reads scikit-learn's 1,797 digits of 8 x 8 pixels, a fifth of them for testing.

    Returns:
      A `DataSets` with float32 images [n, 64] in [0, 1]; every digit is in each part in proportion.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    images = (images / images.max()).astype(np.float32)

    def split(rows, n_left_out):
        return train_test_split(rows, test_size=n_left_out, stratify=labels[rows], random_state=0)

    rest, test = split(np.arange(len(images)), len(images) // 5)
    train, validation = split(rest, len(images) // 10)
    return DataSets(
        *(
            DataSet(images[rows], labels[rows], check=check_points)
            for rows in (train, validation, test)
        ),
        name="8 x 8 digits",
    )
