"""A trained model in one `.npz` file without pickles: its variables, and what it computes, as JSON.

`docs/export.md` describes the format.
"""

import hashlib
import io
import json
import math
import tokenize
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from moe_vae.data.arrays import ARRAY_FAULTS
from moe_vae.files import existing, write_whole
from moe_vae.version import __version__

__all__ = [
    "FORMAT_VERSION",
    "ModelFile",
    "ModelFileError",
    "halved",
    "read_model_file",
    "write_model_file",
]

FORMAT = "moe_vae model"
FORMAT_VERSION = 1

_TEXT = "architecture"  # the array that holds the JSON text, as bytes
_MAX_TEXT = 16 * 2**20  # bytes
_HEADER = 4096  # bytes, more than a `.npy` header of ours takes

# For each earlier version, a function that makes the text of the next version of its text.
_UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


class ModelFileError(ValueError):
    """A file is not a model's, is damaged, or comes from a later version."""


@dataclass(frozen=True)
class ModelFile:
    """What the file of a trained model holds.

    Attributes:
      model: the model's name, a key of `moe_vae.experiments.registry.MODELS`.
      params: dict of all its parameters.
      shape: shape of one example: (height, width) of images, (n_features,) of points.
      seed: seed of the training.
      variables: dict of a variable's name to its value, a float32 array.
      n_classes: number of classes of the labels, or None.
      class_names: their names, or None for plain numbers.
      metadata: anything else that JSON holds.
      signatures: dict of a signature's name to what `list_operations` returns.
      constants: dict of the other arrays that the signatures read.
      package_version: the version of this package that wrote the file.
    """

    model: str
    params: dict[str, Any]
    shape: tuple[int, ...]
    seed: int
    variables: dict[str, np.ndarray]
    n_classes: int | None = None
    class_names: tuple[str, ...] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    signatures: dict[str, Any] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    package_version: str = __version__


def halved(values: np.ndarray) -> np.ndarray:
    """Returns float16 values, or the same array where half precision cannot hold its size."""
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    return half if np.isfinite(half).all() else values


def write_model_file(path: Path, content: ModelFile, half: bool = False) -> None:
    """Writes a model's file, whole or not at all.

    Args:
      path: the file; its directory is made if it is missing.
      content: what the file is to hold.
      half: whether to store the variables in half precision.

    Raises:
      ModelFileError: what goes into the text is too long.
      OSError: the file cannot be written.
    """
    convert = halved if half else np.asarray
    variables = {name: convert(value) for name, value in content.variables.items()}
    arrays = {**variables, **content.constants}
    text = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "package_version": __version__,
        "model": content.model,
        "params": content.params,
        "shape": list(content.shape),
        "seed": content.seed,
        "n_classes": content.n_classes,
        "class_names": None if content.class_names is None else list(content.class_names),
        "metadata": content.metadata,
        "signatures": content.signatures,
        "variables": _described(variables),
        "constants": _described(content.constants),
    }
    text = json.loads(json.dumps(text))  # tuples become lists, as when the file is read
    text["checksum"] = _checksum(text)
    stored = np.frombuffer(json.dumps(text).encode(), np.uint8)
    if stored.size > _MAX_TEXT:
        raise ModelFileError(
            f"{path}: the text {_TEXT!r} would have {stored.size} bytes: it may have {_MAX_TEXT}"
        )
    buffer = io.BytesIO()
    members: dict[str, Any] = {_TEXT: stored, **arrays}
    np.savez_compressed(buffer, **members)
    write_whole(path, buffer.getvalue())


def _described(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {
        name: {
            "shape": list(value.shape),
            "dtype": value.dtype.name,
            "sha256": hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest(),
        }
        for name, value in arrays.items()
    }


def _checksum(text: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of the text without its checksum; it holds those of the arrays."""
    covered = {name: value for name, value in text.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(covered, sort_keys=True).encode()).hexdigest()


def read_model_file(path: Path) -> ModelFile:
    """Reads a model's file; nothing in it is unpickled or run.

    Returns:
      A `ModelFile`; variables in half precision are returned in single precision.

    Raises:
      ModelFileError: the file is of another kind, has been changed, or is of a later version.
      OSError: it cannot be read.
    """
    if path.exists():  # a pipe would wait for ever
        existing(path, ModelFileError, folders=False)
    try:
        with zipfile.ZipFile(path) as archive:
            text = _read_text(path, archive)
            arrays = _read_arrays(path, archive, {**text["variables"], **text["constants"]})
    except ModelFileError:
        raise
    except ARRAY_FAULTS as error:
        if isinstance(error, OSError) and error.filename:  # it cannot be opened
            raise
        raise ModelFileError(f"{path} is damaged, or not a file of moe_vae ({error})") from error
    names = text["class_names"]
    return ModelFile(
        text["model"],
        text["params"],
        tuple(text["shape"]),
        text["seed"],
        {name: arrays[name] for name in text["variables"]},
        text["n_classes"],
        None if names is None else tuple(names),
        text["metadata"],
        text["signatures"],
        {name: arrays[name] for name in text["constants"]},
        text["package_version"],
    )


def _read_text(path: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    """Returns the text, upgraded to the present version and checked."""
    from moe_vae.schemas import ModelText, checked

    foreign = f"{path} is not a file of moe_vae"
    if f"{_TEXT}.npy" not in archive.namelist():
        raise ModelFileError(foreign)
    stored = _read_array(path, archive, _TEXT, _MAX_TEXT)
    try:
        text = json.loads(stored.tobytes())
    except (ValueError, RecursionError) as error:
        raise ModelFileError(foreign) from error
    if not isinstance(text, dict) or text.get("format") != FORMAT:
        raise ModelFileError(foreign)
    version = text.get("format_version")
    if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format version {version!r}: this moe_vae reads 1 to {FORMAT_VERSION}"
        )
    if text.get("checksum") != _checksum(text):
        raise ModelFileError(f"{path} has been changed since it was written: {_TEXT!r} differs")
    for earlier in range(version, FORMAT_VERSION):
        text = _UPGRADES[earlier](text)
    return checked(text, ModelText, path, ModelFileError)


def _read_arrays(
    path: Path, archive: zipfile.ZipFile, described: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Reads the arrays that the text describes, in single precision."""
    found = {name.removesuffix(".npy") for name in archive.namelist()} - {_TEXT}
    for name in sorted(found ^ described.keys()):
        fault = "lacks" if name in described else "has besides"
        raise ModelFileError(f"{path} {fault} the array {name!r}")
    arrays = {}
    for name, form in described.items():
        array = _read_array(path, archive, name, 4 * math.prod(form["shape"]))
        differing = [
            part for part, value in _described({name: array})[name].items() if value != form[part]
        ]
        if differing:
            raise ModelFileError(
                f"{path} has been changed since it was written: array {name!r} has another "
                f"{differing[0]}"
            )
        arrays[name] = array.astype(np.float32)
    return arrays


def _read_array(path: Path, archive: zipfile.ZipFile, name: str, max_bytes: int) -> np.ndarray:
    """Reads one array, if it is not larger than it may be."""
    member = archive.getinfo(f"{name}.npy")
    if member.file_size > max_bytes + _HEADER:
        raise ModelFileError(
            f"{path}: array {name!r} has {member.file_size} bytes: it may have {max_bytes}"
        )
    try:
        with archive.open(member) as file:
            content = io.BytesIO(file.read())
        return np.lib.format.read_array(content, allow_pickle=False)
    except (ValueError, tokenize.TokenError) as error:  # objects, or no array
        raise ModelFileError(f"{path}: array {name!r} cannot be read ({error})") from error
