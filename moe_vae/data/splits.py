"""Splits of a data set into training, validation and test examples, the same each time."""

import numpy as np

from moe_vae.data.checks import DataError

__all__ = ["split_rows"]

SEED = 0  # of its own, so that NumPy's global generator is left alone


def split_rows(
    n_examples: int, sizes: list[int], labels: np.ndarray | None = None
) -> list[np.ndarray]:
    """Divides the rows of a data set at random; with labels, every class has the same shares.

    The result depends on the arguments alone.

    Args:
      n_examples: number of rows.
      sizes: the sizes of the parts that are split off, one after the other. A part that would be
        empty, or smaller than the number of classes, gets one example, or one of each class.
      labels: array [n_examples], the classes; None splits without regard to classes.

    Returns:
      Whole-number arrays: the rows that remain, then those of each part. Together they are 0 to
      n_examples - 1, in random order.

    Raises:
      DataError: there are too few examples, or too few of a class.
    """
    from sklearn.model_selection import train_test_split

    if not sizes:
        return [np.random.default_rng(SEED).permutation(n_examples)]
    sizes = _checked_sizes(n_examples, sizes, labels)
    rest = np.arange(n_examples)
    parts = []
    for size in sizes:
        stratify = None if labels is None else labels[rest]
        try:
            rest, part = train_test_split(
                rest, test_size=size, stratify=stratify, random_state=SEED
            )
        except ValueError as error:  # what was split off before has left one example of a class
            raise DataError(
                f"{n_examples} examples cannot be split so that each part has every class: "
                "some class has too few"
            ) from error
        parts.append(part)
    return [rest, *parts]


def _checked_sizes(n_examples: int, sizes: list[int], labels: np.ndarray | None) -> list[int]:
    n_parts = 1 + len(sizes)
    needed = 1
    if labels is not None:
        names, counts = np.unique(labels, return_counts=True)
        if counts.min() < n_parts:
            members = "1 example" if counts.min() == 1 else f"{counts.min()} examples"
            raise DataError(
                f"class {str(names[counts.argmin()])!r} has {members}: it must have at least "
                f"{n_parts}, one for each part of the split"
            )
        needed = len(names)
    sizes = [max(size, needed) for size in sizes]
    if n_examples - sum(sizes) < needed:
        every = "at least 1" if labels is None else f"at least {needed}, one of each class"
        raise DataError(
            f"{n_examples} examples would be split into {', '.join(map(str, sizes))} and "
            f"{max(0, n_examples - sum(sizes))}: each part must have {every}"
        )
    return sizes
