"""`read_data_sets`: MNIST by the directory of its files, and your own data by their path."""

import os
from pathlib import Path

from moe_vae.data.checks import DataError
from moe_vae.data.dataset import DataSets
from moe_vae.data.mnist import MNIST_FILES, MNIST_FOLDER, read_mnist
from moe_vae.data.own import ReadOptions, read_own

__all__ = ["read_data_sets"]


def read_data_sets(
    path: str | Path | None = None, data: str = "auto", options: ReadOptions | None = None
) -> DataSets:
    """Reads MNIST, or your own data.

    Your own data are read if `options` are given, or if `path` is a file, or a folder that holds
    something but none of MNIST's four files. In all other cases MNIST is read, and what is missing
    is downloaded to `path`; a folder that does not exist must then be one of MNIST's own names,
    `MNIST_data` or that in `MOE_VAE_DATA`, or `data` must be given.

    Args:
      path: a file or folder of your own data; or the directory where MNIST's files are or go, as
        for `read_mnist`.
      data: "auto", or "mnist", "sample" or "fashion-mnist", which are never your own; see
        `read_mnist`.
      options: how your own data are read.

    Returns:
      A `DataSets`.

    Raises:
      DataError: the data cannot be read, there is nothing at `path`, or `options` are given without
        a path or with a `data` other than "auto".
    """
    if options is not None and (path is None or data != "auto"):
        raise DataError("options are for your own data: they need their path, and no data")
    if path is not None and data == "auto":
        if options is not None or _is_own(Path(path)):
            return read_own(path, options)
        if not Path(path).exists() and not _is_named_after_mnist(Path(path)):
            raise DataError(
                f"{path}: does not exist; it must be a file or folder of your own data. To "
                "download MNIST to it, set data to 'mnist'"
            )
    return read_mnist(path, data)


def _is_named_after_mnist(path: Path) -> bool:
    """Whether a path is where MNIST goes without being asked for by its name."""
    given = os.environ.get("MOE_VAE_DATA")
    return path.name == MNIST_FOLDER or (bool(given) and path == Path(str(given)))


def _is_own(path: Path) -> bool:
    """Whether there is something at a path, but none of MNIST's files."""
    if not path.is_dir():
        return path.exists()
    names = {each.name.removesuffix(".gz") for each in path.iterdir()}
    visible = {name for name in names if not name.startswith(".")}
    return bool(visible) and not visible & set(MNIST_FILES)
