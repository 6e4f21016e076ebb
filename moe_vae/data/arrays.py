"""Arrays in `.npy` and `.npz` files, never with pickled objects."""

import contextlib
import math
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from moe_vae.data.checks import DataError
from moe_vae.data.limits import check_unpacked, existing
from moe_vae.data.parts import Examples, Parts

__all__ = ["ARRAY_FAULTS", "read_arrays", "read_npy", "read_npy_folder", "read_npz"]

# The names of the arrays of each part: images, labels and targets. Keras writes x_train, ...
NAMES = {
    "train": (
        ("x_train", "train_images", "images"),
        ("y_train", "train_labels", "labels"),
        ("targets_train", "targets"),
    ),
    "validation": (
        ("x_validation", "x_val", "val_images"),
        ("y_validation", "y_val", "val_labels"),
        ("targets_validation",),
    ),
    "test": (("x_test", "test_images"), ("y_test", "test_labels"), ("targets_test",)),
}
ALL_NAMES = {name for roles in NAMES.values() for names in roles for name in names}
# What NumPy, `zipfile` and `zlib` raise for damaged files; RuntimeError for encrypted ones.
ARRAY_FAULTS = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    SyntaxError,
    OverflowError,
    MemoryError,
    RuntimeError,
    tokenize.TokenError,  # of a header
    zipfile.BadZipFile,
    zlib.error,
)


def read_npy(path: Path) -> np.ndarray:
    """Returns the array of a `.npy` file, mapped into memory.

    Raises:
      DataError: the file is damaged, no `.npy` file, or holds Python objects.
    """
    existing(path, folders=False)  # a pipe would wait for ever
    try:
        with path.open("rb") as stream:
            _check_numbers(_read_header(stream)[1], path)
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except DataError:
        raise
    except ARRAY_FAULTS as error:
        raise DataError(f"{path}: is no .npy file that can be read ({error})") from error


def read_npy_folder(folder: Path) -> Parts:
    """Reads a folder of `.npy` files that are named like the arrays of a `.npz` file.

    Raises:
      DataError: a file cannot be read, or none has the name of images.
    """
    names = {path.stem for path in folder.glob("*.npy")}
    return _gather(names, lambda name: read_npy(folder / f"{name}.npy"), folder)


def read_npz(path: Path) -> Parts:
    """Reads the arrays of a `.npz` file.

    They are named `x_train`, `y_train`, `x_test` and `y_test`, as in Keras' files, or `images` and
    `labels`; with `targets`, `targets_train` and `targets_test` for a regression. Labels, targets
    and test examples may be missing; others are ignored.

    Raises:
      DataError: the file is damaged, no `.npz` file, needs too much memory, holds Python objects,
        or has no images.
    """
    with _opened(path, ALL_NAMES) as arrays:
        return _gather(arrays.files, arrays.__getitem__, path)


def read_arrays(
    path: Path, names: Collection[str], optional: Collection[str] = ()
) -> dict[str, np.ndarray]:
    """Reads arrays of numbers or texts of a `.npz` file.

    Args:
      path: the file.
      names: the arrays that it must have.
      optional: arrays that it may have; all others are ignored.

    Raises:
      DataError: the file is damaged, no `.npz` file, needs too much memory, holds Python objects,
        or lacks an array.
    """
    with _opened(path, {*names, *optional}) as arrays:
        for name in sorted(set(names) - set(arrays.files)):
            raise DataError(f"{path}: lacks the array {name!r}")
        return {name: arrays[name] for name in (*names, *optional) if name in arrays.files}


@contextlib.contextmanager
def _opened(path: Path, names: Collection[str]) -> Iterator[Any]:
    """Opens a `.npz` file whose arrays of these names have been checked; a fault is a DataError."""
    existing(path, folders=False)
    try:
        with zipfile.ZipFile(path) as archive:
            wanted = [entry for entry in archive.infolist() if _array_name(entry) in names]
            check_unpacked(sum(entry.file_size for entry in wanted), path)
            for entry in wanted:
                _check_entry(archive, entry, path)
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except DataError:
        raise
    except ARRAY_FAULTS as error:
        raise DataError(f"{path}: is no .npz file that can be read ({error})") from error


def _array_name(entry: zipfile.ZipInfo) -> str:
    return entry.filename.removesuffix(".npy")


def _check_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    """Checks that an array's header promises as many bytes as the archive's directory."""
    with archive.open(entry) as stream:
        shape, dtype = _read_header(stream)
        name = f"{path}: array {_array_name(entry)!r}"
        _check_numbers(dtype, name)
        promised = stream.tell() + math.prod(shape) * dtype.itemsize
    if promised != entry.file_size:
        raise DataError(
            f"{name} holds {entry.file_size} bytes, but its header promises shape {list(shape)}, "
            f"{promised} bytes"
        )


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    return shape, dtype


def _check_numbers(dtype: np.dtype, name: str | Path) -> None:
    if dtype.hasobject:
        raise DataError(
            f"{name} holds Python objects, which are never unpickled: it must hold numbers"
        )


def _gather(names: Collection[str], read: Callable[[str], Any], source: Path) -> Parts:
    def first(candidates: tuple[str, ...]) -> np.ndarray | None:
        found = [name for name in candidates if name in names]
        return read(found[0]) if found else None

    parts: Parts = {}
    for part, (images, *others) in NAMES.items():
        values = first(images)
        labels, targets = map(first, others)
        if values is not None:
            parts[part] = Examples(values, labels, targets)
        elif labels is not None or targets is not None:
            raise DataError(f"{source}: has labels or targets for {part}, but no images for them")
    if "train" not in parts:
        found = ", ".join(sorted(names)) or "none"
        raise DataError(
            f"{source}: has the arrays {found}: it must have x_train (and y_train, x_test, "
            "y_test), or images (and labels)"
        )
    return parts
