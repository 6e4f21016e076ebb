"""The files in a run's directory: their names, and how they are read and written."""

import json
from pathlib import Path
from typing import Any

from moe_vae.data.checks import square_side
from moe_vae.experiments.registry import MODELS
from moe_vae.files import write_whole

__all__ = [
    "CHECKPOINT",
    "CHECKPOINTS",
    "EVALUATION",
    "MEASURED",
    "METRICS",
    "TENSORBOARD",
    "RunError",
    "read_json",
    "read_record",
    "save_figures",
    "write_json",
]

# What is in a run's directory.
CHECKPOINT = "model.ckpt"
METRICS = "metrics.json"
EVALUATION = "evaluation.json"
MEASURED = "measured.json"
CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"

FIGURE_DPI = 100

# What version 0.1 read as points, and the number of experts that it had there.
OLD_POINT_FEATURES = 2
OLD_POINT_EXPERTS = 5

Record = dict[str, Any]


class RunError(ValueError):
    """A run's directory is not what it must be, or the run did not end."""


def read_record(directory: Path) -> Record:
    """Returns the record in a run's directory.

    Raises:
      RunError: there is none, or it is not what `train_run` writes.
    """
    path = directory / METRICS
    if not path.exists():
        raise RunError(f"{path} does not exist: name the directory of a finished training")
    record = read_json(path)
    needed = {"model", "params", "seed"}
    has_shape = isinstance(record, dict) and ("shape" in record or "n_features" in record)
    if not has_shape or not needed <= record.keys():
        raise RunError(f"{path} is not what `train` wrote")
    if record["model"] not in MODELS:
        raise RunError(
            f"{path} has the model {record['model']!r}: it must be one of {', '.join(MODELS)}"
        )
    return record if "shape" in record else _with_shape(record)


def _with_shape(record: Record) -> Record:
    """Returns a record of version 0.1, which had the number of features, as today's."""
    n_features, params = record["n_features"], record["params"]
    is_point = n_features == OLD_POINT_FEATURES
    shape = [n_features] if is_point else [square_side(n_features)] * 2
    ours = {"n_experts": OLD_POINT_EXPERTS} if is_point else {}
    known = MODELS[record["model"]].counter == "n_experts"
    return {**record, "shape": shape, "params": {**(ours if known else {}), **params}}


def save_figures(figures: dict[str, Any], directory: Path, prefix: str = "") -> None:
    """Writes figures to a directory as PNG files, each under its name after `prefix`.

    Args:
      figures: dict of name to `matplotlib.figure.Figure`.
      directory: made where it is missing.
      prefix: what every file's name begins with.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(directory / f"{prefix}{name}.png", dpi=FIGURE_DPI)


def read_json(path: Path) -> Any:
    """Returns the content of a JSON file.

    Raises:
      RunError: it is not JSON.
      OSError: it cannot be read.
    """
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise RunError(f"{path} is not JSON ({error})") from error


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file, whole or not at all."""
    write_whole(path, (json.dumps(content, indent=1) + "\n").encode())
