"""Folders of picture files: flat, or one sub-folder a class, in parts or not."""

import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from moe_vae.data.checks import DataError
from moe_vae.data.notices import notice
from moe_vae.data.parts import PART_NAMES, Examples, Parts
from moe_vae.data.pictures import Size, counted, read_pictures
from moe_vae.data.pixels import light_on_dark
from moe_vae.data.stored import scaled

__all__ = ["Images", "is_picture", "pictures_below", "read_images", "read_picture_folder"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


class Images(NamedTuple):
    """Pictures as a model reads them.

    Attributes:
      images: float32 array [n, height * width] in [0, 1].
      shape: (height, width).
      files: the n files that they come from.
    """

    images: np.ndarray
    shape: Size
    files: list[Path]


def is_picture(path: str | Path) -> bool:
    """Whether a file is named like a picture and is not hidden."""
    name = os.path.basename(path)
    return name.lower().endswith(SUFFIXES) and not _is_hidden(name)


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__"))


def read_picture_folder(
    folder: Path, image_size: Size | None = None, skip_bad: bool = False
) -> Parts:
    """Reads the pictures in a folder: PNG, JPEG, BMP, GIF, TIFF and WebP files.

    The folder holds pictures; or one folder of pictures for each class, named after it; or folders
    `train`, `validation` and `test`, each of one of these two forms, of which the last two may be
    missing. Hidden files and folders, and other files, are passed over.

    Args:
      folder: the folder.
      image_size, skip_bad: see `read_pictures`.

    Raises:
      DataError: there are no pictures, a class has none, pictures stand beside folders of them, or
        a picture is refused.
    """
    folders = _subfolders(folder)
    parts = {
        part: inner
        for part, names in PART_NAMES.items()
        for inner in folders
        if inner.name.lower() in names
    }
    if "train" in parts and len(parts) == len(folders):
        return {part: _read_classes(path, image_size, skip_bad) for part, path in parts.items()}
    return {"train": _read_classes(folder, image_size, skip_bad)}


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not _is_hidden(path.name))


def _read_classes(folder: Path, image_size: Size | None, skip_bad: bool) -> Examples:
    flat = sorted(path for path in folder.iterdir() if is_picture(path) and not path.is_dir())
    classes = {path.name: pictures_below(path) for path in _subfolders(folder)}
    if flat and any(classes.values()):
        raise DataError(
            f"{folder}: holds pictures ({flat[0].name}, ...) beside folders of pictures: it must "
            "hold either pictures, or one folder for each class"
        )
    if flat:
        return Examples(read_pictures(flat, image_size, skip_bad).pixels)
    if not any(classes.values()):
        raise DataError(f"{folder}: holds no pictures: there must be {', '.join(SUFFIXES)} files")
    for name, paths in classes.items():
        if not paths:
            raise DataError(f"{folder / name}: holds no pictures: each class must have some")
    pictures = read_pictures(list(chain(*classes.values())), image_size, skip_bad)
    labels = np.repeat(list(classes), [len(paths) for paths in classes.values()])
    return Examples(pictures.pixels, labels[pictures.kept])


def read_images(
    paths: str | Path | Sequence[str | Path],
    image_size: Size | None = None,
    invert: bool | None = None,
    skip_bad: bool = False,
) -> Images:
    """Reads pictures as the rows from which a model or an estimator predicts.

    Notices say what was done to the pictures; see `read_pictures`.

    Args:
      paths: a picture file, a folder, of which all pictures in and below it are read, or a sequence
        of such paths.
      image_size: (height, width) of the training images; see `read_pictures`.
      invert: whether black and white are exchanged, as in the training images; None does so in each
        picture whose mean is above two thirds, which tells dark writing on light paper.
      skip_bad: see `read_pictures`.

    Returns:
      An `Images`.

    Raises:
      DataError: a path is missing, a folder has no pictures, or what `read_pictures` refuses.
    """
    files: list[Path] = []
    for path in map(Path, [paths] if isinstance(paths, (str, Path)) else paths):
        found = pictures_below(path) if path.is_dir() else [path]
        if not found:
            raise DataError(f"{path}: holds no pictures")
        files += found
    pixels, kept = read_pictures(files, image_size, skip_bad)
    images, n_inverted = light_on_dark(scaled(pixels).reshape(len(kept), -1), invert)
    if invert is None and n_inverted:
        said = counted(n_inverted, "picture")
        notice(f"{said} dark on light and inverted; invert=False keeps them as they are.")
    return Images(images, pixels.shape[1:], [files[number] for number in kept])


def pictures_below(folder: Path) -> list[Path]:
    """Returns the pictures in a folder and in those below it that are not hidden, sorted."""
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _is_hidden(name)]  # what is walked into
        found += [Path(parent, name) for name in names if is_picture(name)]
    return sorted(found)
