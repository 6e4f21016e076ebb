"""The files in a run's directory: their names, and how they are read and written."""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moe_vae.data.checks import square_side
from moe_vae.experiments.registry import MODELS
from moe_vae.files import write_whole
from moe_vae.version import FORMAT_VERSION

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = [
    "CHECKPOINT",
    "CHECKPOINTS",
    "EVALUATION",
    "METRICS",
    "TENSORBOARD",
    "RunError",
    "RunInterrupted",
    "read_json",
    "read_record",
    "save_figures",
    "write_json",
]

# What is in a run's directory.
CHECKPOINT = "model.ckpt"
METRICS = "metrics.json"
EVALUATION = "evaluation.json"
CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"

FIGURE_DPI = 100

# What version 0.1 read as points, and the number of experts that it had there.
OLD_POINT_FEATURES = 2
OLD_POINT_EXPERTS = 5

Record = dict[str, Any]


class RunError(ValueError):
    """A run's directory is not what it must be, or the run did not end."""


class RunInterrupted(RunError):  # noqa: N818, no fault
    """Ctrl-C or SIGTERM ended a run.

    Attributes:
      terminated: whether it was SIGTERM.

    Args:
      message: what was interrupted, and what was written.
      terminated: see the attribute.
    """

    def __init__(self, message: str, terminated: bool = False) -> None:
        super().__init__(message)
        self.terminated = terminated


def read_record(directory: Path) -> Record:
    """Returns the record in a run's directory.

    Raises:
      RunError: there is none, or it is not what `train_run` writes.
    """
    from moe_vae.schemas import RunRecord

    path = directory / METRICS
    if not path.exists():
        raise RunError(f"{path} does not exist: name the directory of a finished training")
    record = read_json(path, RunRecord)
    if record["model"] not in MODELS:
        raise RunError(
            f"{path} has the model {record['model']!r}: it must be one of {', '.join(MODELS)}"
        )
    _check_columns(path, record)
    return record if "shape" in record else _with_shape(record)


def _check_columns(path: Path, record: Record) -> None:
    """Raises RunError if the confusion table or the names of classes do not fit the parameters."""
    confusion = record.get("test", {}).get("confusion")
    counter = MODELS[record["model"]].counter
    number = None if counter is None else record["params"].get(counter)
    if confusion is not None and isinstance(number, int) and len(confusion[0]) != number:
        raise RunError(
            f"{path} has a confusion table of {len(confusion[0])} columns: it must have {number}, "
            f"the parameter {counter!r}"
        )
    names = record.get("class_names")
    if names is not None and confusion is not None and len(confusion) > len(names):
        raise RunError(
            f"{path} has {len(names)} names of classes: there must be at least {len(confusion)}, "
            "as many as the confusion table has rows"
        )


def _with_shape(record: Record) -> Record:
    """Returns a record of version 0.1, which had the number of features, as today's."""
    n_features, params = record["n_features"], record["params"]
    is_point = n_features == OLD_POINT_FEATURES
    shape = [n_features] if is_point else [square_side(n_features)] * 2
    ours = {"n_experts": OLD_POINT_EXPERTS} if is_point else {}
    known = MODELS[record["model"]].counter == "n_experts"
    return {**record, "shape": shape, "params": {**(ours if known else {}), **params}}


def save_figures(figures: dict[str, Any], directory: Path, prefix: str = "") -> None:
    """Writes figures to a directory as whole PNG files, each under its name after `prefix`.

    Args:
      figures: dict of name to `matplotlib.figure.Figure`.
      directory: made where it is missing.
      prefix: what every file's name begins with.
    """
    for name, figure in figures.items():
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=FIGURE_DPI)
        write_whole(directory / f"{prefix}{name}.png", picture.getvalue())


def read_json(path: Path, schema: "type[BaseModel]") -> Any:
    """Returns the content of a JSON file.

    Args:
      path: the file.
      schema: a class of `moe_vae.schemas`.

    Raises:
      RunError: it is missing, not JSON, or not what the schema describes.
    """
    from moe_vae import schemas

    return schemas.read_json(path, schema, RunError)


def write_json(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Writes a JSON file with the version of its schema, whole or not at all.

    Returns:
      What was written: the version, and `content`.
    """
    versioned = {"format_version": FORMAT_VERSION, **content}
    write_whole(path, (json.dumps(versioned, indent=1) + "\n").encode())
    return versioned
