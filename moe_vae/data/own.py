"""Your own data: files and folders of images, points and labels as `DataSets`."""

import numbers
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moe_vae.data.arrays import read_npy, read_npy_folder, read_npz
from moe_vae.data.checks import DataError
from moe_vae.data.dataset import DataSet, DataSets
from moe_vae.data.folders import is_picture, read_picture_folder
from moe_vae.data.forms import as_classes, as_image_pixels, as_point_values, as_targets
from moe_vae.data.idx import is_idx, read_idx, read_idx_folder
from moe_vae.data.limits import existing
from moe_vae.data.notices import notice
from moe_vae.data.parts import Examples, Parts
from moe_vae.data.pixels import is_dark_on_light
from moe_vae.data.splits import split_rows
from moe_vae.data.stored import StoredImages, as_rows
from moe_vae.data.tables import TABLE_SUFFIXES, read_table
from moe_vae.files import shown

__all__ = ["ReadOptions", "read_own"]

KINDS = ("images", "points")
# Sets that take more as float32 values stay as they are stored: 170,000 images of MNIST's size.
HELD_BYTES = 1 << 29


@dataclass(frozen=True)
class ReadOptions:
    """How your own data are read.

    Attributes:
      kind: "images" or "points"; None takes arrays with two or more dimensions an example for
        images, and others, and tables, for points.
      image_size: (height, width) to which images are scaled, their proportions kept; None leaves
        their size.
      invert: whether black and white of all images are exchanged; None does so if the mean of the
        training images is above two thirds.
      validation, test: the share of all examples, above 0 and below 1, that is split off, at least
        one example of each class; or the path of a file or folder with these examples. What the
        data themselves divide into training, validation and test examples stays divided; a share
        of the training examples then makes up for what is missing.
      skip_bad: whether pictures that cannot be read are left out.

    Raises:
      DataError: a value is not allowed.
    """

    kind: str | None = None
    image_size: tuple[int, int] | None = None
    invert: bool | None = None
    validation: float | str | Path = 0.1
    test: float | str | Path = 0.2
    skip_bad: bool = False

    def __post_init__(self) -> None:
        if self.kind not in (None, *KINDS):
            raise DataError(f"kind is {self.kind!r}: it must be one of {', '.join(KINDS)}")
        if self.image_size is not None and (
            not isinstance(self.image_size, (tuple, list))
            or len(self.image_size) != 2
            or not all(isinstance(side, int) and side > 0 for side in self.image_size)
        ):
            raise DataError(
                f"image_size is {shown(self.image_size)}: it must be (height, width) in whole "
                "pixels"
            )
        for name in ("validation", "test"):
            value = getattr(self, name)
            is_share = isinstance(value, numbers.Real) and 0 < float(value) < 1
            if not isinstance(value, (str, Path)) and not is_share:
                raise DataError(
                    f"{name} is {shown(value)}: it must be above 0 and below 1, or a path"
                )


def read_own(path: str | Path, options: ReadOptions | None = None) -> DataSets:
    """Reads your own images or points.

    `path` is one of

    - a folder of pictures, flat or with one folder for each class: see `read_picture_folder`
    - a folder of IDX files, MNIST's format, or one such file: see `read_idx_folder`
    - a `.npz` file or a folder of `.npy` files with named arrays: see `read_npz`
    - a `.npy` file with images [n, height, width (, channels)] or points [n, n_features]
    - a CSV, TSV or Parquet table of numbers: see `read_table`

    The order of the training examples and the split depend on the data alone, so they are the same
    each time; every class has the same share of each part. A set of more than 0.5 GB as float32
    values stays as it is stored; its parts' `images` are `StoredImages`.

    Args:
      path: a file or a folder.
      options: a `ReadOptions`; None means its defaults.

    Returns:
      A `DataSets`, named after the file or folder. `class_names` are the labels where these are not
      the whole numbers from 0.

    Raises:
      DataError: there is nothing to read, it is damaged or has another form, or it cannot be split.
    """
    options = options or ReadOptions()
    source = existing(path)
    parts = _read_parts(source, options)
    if "train" not in parts:
        raise DataError(
            f"{source}: has {' and '.join(parts)} examples alone: there must be training examples"
        )
    for part in ("validation", "test"):
        if isinstance(given := getattr(options, part), (str, Path)):
            _add_given(parts, part, existing(given), source, options)
    parts = {part: _formed(examples, part, source, options) for part, examples in parts.items()}
    shapes = {part: examples.values.shape[1:] for part, examples in parts.items()}
    for part, shape in shapes.items():
        if shape != shapes["train"]:
            raise DataError(
                f"{source}: {part} examples have shape {list(shape)}, training examples "
                f"{list(shapes['train'])}: they must have one shape"
            )
    labels = {part: one.labels for part, one in parts.items() if one.labels is not None}
    classes, class_names = as_classes(labels, source)
    parts = {part: one._replace(labels=classes.get(part)) for part, one in parts.items()}
    split = _split(parts, class_names, source, options)
    inverted = _are_inverted(parts["train"].values, source, options)
    train, validation, test = _data_sets(parts, split, inverted)
    return DataSets(train, validation, test, source.resolve().name, class_names, inverted)


def _read_parts(source: Path, options: ReadOptions) -> Parts:
    """Reads what is at a path, by its kind."""
    if source.is_dir():
        files = [path for path in source.iterdir() if path.is_file()]
        if any(map(is_idx, files)):
            return read_idx_folder(source)
        if any(path.suffix == ".npy" for path in files):
            return read_npy_folder(source)
        return read_picture_folder(source, options.image_size, options.skip_bad)
    suffix = source.suffix.lower()
    if is_idx(source):
        return {"train": Examples(read_idx(source))}
    if suffix == ".npy":
        return {"train": Examples(read_npy(source))}
    if suffix == ".npz":
        return read_npz(source)
    if suffix in TABLE_SUFFIXES:
        return {"train": read_table(source)}
    hint = "; a single picture is no data set" if is_picture(source) else ""
    raise DataError(
        f"{source}: must be a .npy, .npz, IDX, .csv, .tsv or .parquet file, or a folder of "
        f"pictures, IDX or .npy files{hint}"
    )


def _add_given(parts: Parts, part: str, path: Path, source: Path, options: ReadOptions) -> None:
    """Adds the examples that an option names as a part."""
    if part in parts:
        raise DataError(f"{source}: has {part} examples of its own: {part} must not be a path")
    given = _read_parts(path, options)
    if len(given) > 1:
        raise DataError(f"{path}: has the parts {', '.join(given)}: {part} must be one set")
    parts[part] = given["train"] if "train" in given else next(iter(given.values()))


def _formed(examples: Examples, part: str, source: Path, options: ReadOptions) -> Examples:
    """Returns examples with values as images or points, and targets as float32."""
    where = source if part == "train" else f"{source} ({part})"
    kind = options.kind or ("images" if examples.values.ndim >= 3 else "points")
    if kind == "images":
        values = as_image_pixels(examples.values, where, options.image_size)
    else:
        values = as_point_values(examples.values, where)
        values = values.reshape(len(values), -1)
    labels, targets = examples.labels, examples.targets
    if labels is not None and len(labels) != len(values):
        raise DataError(
            f"{where}: has {len(labels)} labels for {len(values)} examples: there must be one for "
            "each"
        )
    if targets is not None:
        targets = as_targets(targets, len(values), where)
    return Examples(values, labels, targets)


Split = dict[str, tuple[Examples, np.ndarray | None]]


def _split(
    parts: Parts, class_names: tuple[str, ...] | None, source: Path, options: ReadOptions
) -> Split:
    """Returns for each part the examples that it is taken from, and its rows; None means all."""
    train = parts["train"]
    shares = {
        part: share
        for part in ("test", "validation")
        if part not in parts and not isinstance(share := getattr(options, part), (str, Path))
    }
    if sum(shares.values()) >= 1:
        raise DataError(
            f"validation and test are {options.validation} and {options.test}: together they must "
            "be below 1"
        )
    n_examples = len(train.values)
    sizes = [round(share * n_examples) for share in shares.values()]
    try:
        # Errors speak of classes by their names.
        named = class_names is not None and train.labels is not None
        labels = np.array(class_names)[train.labels] if named else train.labels
        rows, *others = split_rows(n_examples, sizes, labels)
    except DataError as error:
        raise DataError(f"{source}: {error}") from error
    split: Split = {"train": (train, rows)}
    split.update((part, (train, rows)) for part, rows in zip(shares, others, strict=True))
    split.update((part, (parts[part], None)) for part in parts if part != "train")
    return split


def _are_inverted(values: np.ndarray, source: Path, options: ReadOptions) -> bool | None:
    """Whether black and white of all images are exchanged; None for points."""
    if values.ndim != 3:
        return None
    if options.invert is not None:
        return options.invert
    if is_dark_on_light(StoredImages(values)):
        notice(f"{source}: dark on light, so all images were inverted; invert=False keeps them.")
        return True
    return False


def _data_sets(
    parts: Parts, split: Split, inverted: bool | None
) -> tuple[DataSet, DataSet, DataSet]:
    shape = parts["train"].values.shape[1:]
    largest = None if len(shape) == 2 else 1
    n_examples = sum(len(examples.values) for examples in parts.values())
    is_large = 4 * n_examples * int(np.prod(shape)) > HELD_BYTES

    def data_set(part: str) -> DataSet:
        examples, rows = split[part]
        images = StoredImages(examples.values, rows, bool(inverted), largest)
        places = slice(None) if rows is None else rows
        labels, targets = (
            None if array is None else array[places]
            for array in (examples.labels, examples.targets)
        )
        return DataSet(as_rows(images if is_large else np.asarray(images)), labels, targets, shape)

    return data_set("train"), data_set("validation"), data_set("test")
