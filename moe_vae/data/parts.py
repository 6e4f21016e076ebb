"""What a reader of files returns: the arrays of each part, as the files hold them."""

import re
from typing import NamedTuple

import numpy as np

__all__ = ["PART_NAMES", "Examples", "Parts", "part_of_name"]

# The words in names of files and folders.
PART_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "t10k"),
}


class Examples(NamedTuple):
    """Examples as a file holds them.

    Attributes:
      values: array [n, ...], one example a row.
      labels: array of whole numbers or strings, one for each example, or None.
      targets: float array [n, n_outputs], or None.
    """

    values: np.ndarray
    labels: np.ndarray | None = None
    targets: np.ndarray | None = None


# The examples by part: "train", and "validation" and "test" where the files tell them apart.
Parts = dict[str, Examples]


def part_of_name(name: str) -> str:
    """Returns the part that a file's name speaks of: "train" if it speaks of none."""
    words = re.split(r"[^a-z0-9]+", name.lower())
    for part in ("validation", "test"):
        if any(word in PART_NAMES[part] for word in words):
            return part
    return "train"
