"""What is refused before it is read: other things than files, too many features, data bombs."""

from pathlib import Path

from moe_vae import files
from moe_vae.data.checks import DataError

__all__ = ["MAX_FEATURES", "MAX_UNPACKED_BYTES", "check_features", "check_unpacked", "existing"]

MAX_FEATURES = 1 << 16  # an image of 256 x 256 pixels
MAX_UNPACKED_BYTES = 1 << 33


def existing(path: str | Path, folders: bool = True) -> Path:
    """Returns the path of a regular file or a folder.

    Args:
      path: the path; links are followed.
      folders: whether a folder is allowed.

    Raises:
      DataError: there is nothing, or something else, such as a pipe or a device.
    """
    return files.existing(path, DataError, folders=folders)


def check_features(n_features: int, source: str | Path) -> None:
    """Checks the number of values of an example.

    Raises:
      DataError: there are none or more than 65,536, for which the networks' first and last layers
        would not fit into memory.
    """
    if not 1 <= n_features <= MAX_FEATURES:
        raise DataError(
            f"{source}: an example has {n_features} features, but each takes a weight for every "
            f"unit of the first and the last layer: there must be 1 to {MAX_FEATURES} "
            "(256 x 256 pixels; image_size makes images smaller)"
        )


def check_unpacked(n_bytes: int, source: str | Path) -> None:
    """Checks how much memory a compressed file says that it needs.

    Raises:
      DataError: it is more than 8 GiB.
    """
    if n_bytes > MAX_UNPACKED_BYTES:
        raise DataError(
            f"{source}: would take {files.shown(n_bytes >> 30)} GiB of memory: it must be at most "
            f"{MAX_UNPACKED_BYTES / 2**30:g} GiB; larger sets are read from a .npy or an "
            "uncompressed IDX file, without loading them"
        )
