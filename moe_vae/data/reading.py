"""`read_data_sets`: MNIST by the directory of its files, and your own data by their path."""

from pathlib import Path

from moe_vae.data.checks import DataError
from moe_vae.data.dataset import DataSets
from moe_vae.data.mnist import MNIST_FILES, read_mnist
from moe_vae.data.own import ReadOptions, read_own

__all__ = ["read_data_sets"]


def read_data_sets(
    path: str | Path | None = None, data: str = "auto", options: ReadOptions | None = None
) -> DataSets:
    """Reads MNIST, or your own data.

    Your own data are read if `options` are given, or if `path` is a file, or a folder that holds
    something but none of MNIST's four files. In all other cases MNIST is read, and what is missing
    is downloaded to `path`.

    Args:
      path: a file or folder of your own data; or the directory where MNIST's files are or go, as
        for `read_mnist`.
      data: "auto", or "mnist", "sample" or "fashion-mnist", which are never your own; see
        `read_mnist`.
      options: how your own data are read.

    Returns:
      A `DataSets`.

    Raises:
      DataError: the data cannot be read, or `options` are given without a path or with a `data`
        other than "auto".
    """
    if options is not None and (path is None or data != "auto"):
        raise DataError("options are for your own data: they need their path, and no data")
    if path is not None and data == "auto" and (options is not None or _is_own(Path(path))):
        return read_own(path, options)
    return read_mnist(path, data)


def _is_own(path: Path) -> bool:
    """Whether there is something at a path, but none of MNIST's files."""
    if not path.is_dir():
        return path.exists()
    names = {each.name.removesuffix(".gz") for each in path.iterdir()}
    visible = {name for name in names if not name.startswith(".")}
    return bool(visible) and not visible & set(MNIST_FILES)
