"""Trained models as files: from a run's directory to a file, and from a file to a model."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from moe_vae.compat import Session, reason_of, tf
from moe_vae.experiments.registry import MODELS, builder
from moe_vae.experiments.run_files import CHECKPOINT, Record, RunError, read_record
from moe_vae.export.frozen import (
    Build,
    FrozenGraph,
    build_model,
    compute,
    freeze,
    read_checkpoint,
)
from moe_vae.export.model_file import (
    ModelFile,
    ModelFileError,
    halved,
    read_model_file,
    write_model_file,
)
from moe_vae.export.operations import list_operations
from moe_vae.export.runtimes import write_onnx, write_savedmodel
from moe_vae.model import Model, ModelError
from moe_vae.params import ParameterError

__all__ = [
    "TARGETS",
    "Target",
    "TrainedModel",
    "changed_decisions",
    "export_model",
    "in_half_precision",
    "load_model",
    "read_run",
    "restore_model",
    "write_model",
]

# What a model's file has under names of its own; the rest of a run's record is its metadata.
_OWN = ("model", "params", "seed", "shape", "n_classes", "class_names")
# What it does not keep: they are long, and no trained model needs them.
_LEFT_OUT = ("history", "seconds")


class TrainedModel(NamedTuple):
    """A trained model that is ready to be used.

    Attributes:
      model: a `Model`.
      session: the session of its trained variables, which its methods take.
      record: what `run_record` returns, without the course of the training.
    """

    model: Model
    session: Session
    record: Record


class Target(NamedTuple):
    """What a model can be exported to.

    Attributes:
      write: function of a path, frozen graphs and the model's `ModelFile` that writes it.
      name: the default name of the file or directory in a run's directory.
      help: what it is, a few words for `--help`.
    """

    write: Callable[[Path, Mapping[str, FrozenGraph], ModelFile], None]
    name: str
    help: str


def build_of(content: ModelFile) -> Build:
    """Returns the function of parameters that builds a model for its examples' shape."""
    return builder(content.model, content.shape)


def read_run(directory: Path) -> ModelFile:
    """Returns the trained model in a run's directory, without its signatures.

    Raises:
      RunError: the directory holds no run, or its variables cannot be restored.
    """
    record, path = read_record(directory), directory / CHECKPOINT
    if not path.with_name(f"{CHECKPOINT}.index").exists():  # said before TensorFlow is loaded
        raise RunError(f"{path} cannot be restored: {path}.index does not exist")
    content = _content(record)
    try:
        params, variables = read_checkpoint(build_of(content), content.params, path)
    except (tf.errors.OpError, ValueError) as error:
        raise RunError(f"{path} cannot be restored ({reason_of(error)})") from error
    return dataclasses.replace(content, params=params, variables=variables)


def _content(record: Record) -> ModelFile:
    kept = {name: value for name, value in record.items() if name not in (*_OWN, *_LEFT_OUT)}
    names = record.get("class_names")
    return ModelFile(
        record["model"],
        record["params"],
        tuple(record["shape"]),
        record["seed"],
        {},
        record.get("n_classes"),
        None if names is None else tuple(names),
        kept,
    )


def write_model(path: Path, content: ModelFile, half: bool = False) -> None:
    """Writes a model's file with all its signatures; see `write_model_file`.

    Raises:
      ModelError: the model has no signatures, or one cannot be listed.
      OSError: the file cannot be written.
    """
    graphs = freeze(build_of(content), content.params, content.variables)
    _write_npz(path, graphs, content, half)


def _write_npz(
    path: Path, graphs: Mapping[str, FrozenGraph], content: ModelFile, half: bool = False
) -> None:
    listed = {name: list_operations(graph) for name, graph in graphs.items()}
    signatures = {name: operations for name, (operations, _) in listed.items()}
    constants = {name: value for _, own in listed.values() for name, value in own.items()}
    complete = dataclasses.replace(content, signatures=signatures, constants=constants)
    write_model_file(path, complete, half)


def load_model(path: Path) -> TrainedModel:
    """Returns the trained model in a file that `write_model` wrote.

    Raises:
      ModelFileError: the file is damaged, foreign or of a later version, or its model is unknown.
      OSError: it cannot be read.
    """
    content = read_model_file(path)
    if content.model not in MODELS:
        raise ModelFileError(
            f"{path} has the model {content.model!r}: it must be one of {', '.join(MODELS)}"
        )
    try:
        return restore_model(content)
    except (ModelError, ParameterError) as error:
        raise ModelFileError(f"{path} does not fit its model: {error}") from error


def restore_model(content: ModelFile) -> TrainedModel:
    """Builds a model in a graph of its own, with its trained variables.

    Raises:
      ModelError: a variable is missing, unknown, or of another shape.
      ParameterError: a parameter is unknown or impossible.
    """
    model, session = build_model(build_of(content), content.params, content.variables)
    own = {name: getattr(content, name) for name in _OWN}
    record = {**content.metadata, **json.loads(json.dumps(own))}  # tuples are lists, as in JSON
    return TrainedModel(model, session, record)


def in_half_precision(content: ModelFile) -> ModelFile:
    """Returns the model whose variables are what half precision keeps of them."""
    rounded = {name: halved(value).astype(np.float32) for name, value in content.variables.items()}
    return dataclasses.replace(content, variables=rounded)


def changed_decisions(content: ModelFile, inputs: np.ndarray) -> int | None:
    """Counts the examples whose likeliest answer half precision changes.

    Args:
      content: a `ModelFile`.
      inputs: float32 array [n, n_features].

    Returns:
      The number; None for a plain VAE, which has no answers.
    """
    graphs = freeze(build_of(content), content.params, content.variables)
    name = "predict" if content.params.get("task") == "classification" else "route"
    if name not in graphs:
        return None
    halves = freeze(build_of(content), content.params, in_half_precision(content).variables)
    first, second = (compute(each[name], {"inputs": inputs}) for each in (graphs, halves))
    return int(np.count_nonzero(first.argmax(axis=1) != second.argmax(axis=1)))


def export_model(content: ModelFile, to: str, path: Path) -> list[str]:
    """Exports a model.

    Args:
      content: a `ModelFile`.
      to: a key of `TARGETS`.
      path: the file or directory to write.

    Returns:
      The names of the signatures that it has.

    Raises:
      ModelError: the model has no signatures, or one cannot be exported.
      MissingPackageError: a package is not installed.
      OSError: the path exists as a directory, or cannot be written.
    """
    graphs = freeze(build_of(content), content.params, content.variables)
    TARGETS[to].write(path, graphs, content)
    return list(graphs)


def _description(content: ModelFile) -> Record:
    """Returns what a model is, without its arrays and operations."""
    left_out = ("variables", "constants", "signatures")
    return {
        field.name: getattr(content, field.name)
        for field in dataclasses.fields(content)
        if field.name not in left_out
    }


# What a model can be exported to, by the value of `--to`.
TARGETS = {
    "savedmodel": Target(
        lambda path, graphs, content: write_savedmodel(path, graphs, _description(content)),
        "savedmodel",
        "a directory that TensorFlow loads",
    ),
    "onnx": Target(
        lambda path, graphs, content: write_onnx(path, graphs, _description(content)),
        "onnx",
        "a directory with an ONNX file for each signature",
    ),
    "npz": Target(_write_npz, "model.npz", "one file with the weights, and the operations as JSON"),
}
