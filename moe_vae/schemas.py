"""The schemas of the files that the program writes and reads again, by pydantic.

Each file has a version, `format_version`. Files without one were written before there were
versions; they are read as version 1. What a schema does not name may stand in a file besides,
except where its class says otherwise.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from moe_vae.files import read_text, shown
from moe_vae.version import FORMAT_VERSION

__all__ = [
    "CellResults",
    "ClusterFile",
    "EpochResults",
    "Evaluation",
    "Manifest",
    "Measured",
    "ModelText",
    "NotebookFile",
    "PointResults",
    "Results",
    "RunRecord",
    "RunResults",
    "ScalingResults",
    "ShownRuns",
    "SoakResults",
    "StepResults",
    "TrainingState",
    "checked",
    "parse_json",
    "read_json",
]

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Count = Annotated[int, Field(ge=0)]
# Of one example: a point or an image.
Shape = Annotated[list[Annotated[int, Field(ge=1, le=1 << 16)]], Field(min_length=1, max_length=2)]
# A name or an IPv4 address, and a port; of ASCII, as the network has them.
ADDRESS = re.compile(r"\w(?:[\w-]|\.(?=\w))*:\d{1,5}", re.ASCII)
MAX_HOST, MAX_LABEL, MAX_PORT = 253, 63, 65535
MAX_TASKS = 1_000


# For each loss its values, one an epoch, or a list of values, one an expert.
History = dict[str, list[float | list[float]]]


class _Part(BaseModel):
    """A part of a file: numbers are not made of texts, nor texts of numbers."""

    model_config = ConfigDict(strict=True, extra="allow")


class _File(_Part):
    """A file with a version."""

    format_version: Annotated[int, Field(ge=1, le=FORMAT_VERSION)] = FORMAT_VERSION


class Source(_Part):
    """Which data a run was trained on, and how they were read: `DataChoice.record`."""

    model_config = ConfigDict(extra="forbid")

    name: str
    kind: Literal["images", "points"] | None = None
    image_size: Annotated[list[int], Field(min_length=2, max_length=2)] | None = None
    invert: bool | None = None
    validation: float | str = 0.1
    test: float | str = 0.2
    skip_bad: bool = False


class Scores(_Part):
    """The scores on a test set."""

    accuracy: float | None = None
    confusion: list[list[Count]] | None = None

    @field_validator("confusion")
    @classmethod
    def _is_table(cls, rows: list[list[int]] | None) -> list[list[int]] | None:
        if rows is not None and (not rows or not rows[0] or len(set(map(len, rows))) > 1):
            raise ValueError("it must be a table whose rows have one length")
        return rows


class RunRecord(_File):
    """`metrics.json`: what a run is remembered by.

    Version 0.1 had the number of features instead of the shape.
    """

    model: str
    params: dict[str, Any]
    seed: Seed
    shape: Shape | None = None
    n_features: Annotated[int, Field(ge=1, le=1 << 16)] | None = None
    data: str = ""
    class_names: list[str] | None = None
    interrupted: bool = False
    history: History = {}
    seconds: list[float] = []
    test: Scores = Scores()
    loss_quantiles: dict[str, float] = {}
    source: Source | None = None
    command: str = ""
    start: str | None = None
    schedule: str | None = None
    engine: str | None = None

    @model_validator(mode="after")
    def _has_shape(self) -> "RunRecord":
        if self.shape is None and self.n_features is None:
            raise ValueError("lacks 'shape'")
        return self


class Evaluation(_File):
    """`evaluation.json`."""

    test: Scores = Scores()


class Measured(_File):
    """`measure_*.json`: what an experiment of a study measures besides."""


class RecordedRun(_Part):
    """A run in the results of a study."""

    model: str
    data: str
    seed: Seed
    params: dict[str, Any]
    history: History = {}
    seconds: list[float] = []
    test: Scores = Scores()


class RecordedStep(RecordedRun):
    """A run of a recipe's step in the results of a study."""

    step: str


class _CellParams(_Part):
    """What tells the cells of a table apart."""

    gate: str
    n_outputs: int
    targets_seed: int
    task_objective: str


class RecordedCell(_Part):
    """A cell of a table in the results of a study."""

    data: str
    seed: Seed
    params: _CellParams
    test: Scores = Scores()


class Results(_File):
    """Results: `results/*.json`."""

    command: str = ""


class _ShownRun(_Part):
    """A run as far as every table of a study's runs reads it."""

    model: str


class ShownRuns(Results):
    """The results of a study of runs, as its tables read them."""

    runs: list[_ShownRun]


class RunResults(Results):
    """The results of a study of runs."""

    runs: list[RecordedRun]


class StepResults(Results):
    """The results of a recipe."""

    runs: list[RecordedStep]


class CellResults(Results):
    """The results of a table."""

    cells: list[RecordedCell]


class _StoredFile(_Part):
    """A file of a checkpoint."""

    bytes: Count
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _StoredData(_Part):
    """The data of a checkpoint's run."""

    name: str = ""
    checksum: int


class EpochResults(Results):
    """The measurements of `bench`, as far as their figure reads them."""

    epochs: dict[str, list[dict[str, Any]]]


class PointResults(Results):
    """The points of `bench --scaling`, as far as their figures read them."""

    points: list[dict[str, Any]]


class _Held(_Part):
    """What a process holds after a round or a checkpoint of the soak."""

    memory_mb: float
    open_files: Count


class SoakResults(Results):
    """The results of `make soak`, as far as their figure reads them."""

    growth_mb: dict[str, float]
    rounds: Annotated[list[_Held], Field(min_length=2)]
    checkpoints: Annotated[list[_Held], Field(min_length=2)]


class _Examples(_Part):
    """The settings of a measurement."""

    examples: Annotated[int, Field(ge=1)]


class ScalingResults(Results):
    """The measurements of `scaling`, as far as their figure reads them."""

    settings: _Examples
    runs: list[dict[str, Any]]
    model: dict[str, Any]
    drawn_out: list[dict[str, Any]]


class Manifest(_File):
    """`manifest.json` of a checkpoint: whose it is, and its files."""

    model: str
    params: dict[str, Any]
    seed: Seed
    schedule: str | None = None
    engine: str | None = None
    data: _StoredData
    files: dict[Annotated[str, Field(pattern=r"^[\w.-]+$")], _StoredFile]


class TrainingState(_File):
    """The values in a checkpoint's `state.npz`, beside its arrays."""

    epochs_done: dict[str, Count]
    draws: Count
    history: History
    seconds: list[float]
    generator: tuple[
        Literal["MT19937"],
        Annotated[int, Field(ge=0, le=624)],
        Annotated[int, Field(ge=0, le=1)],
        float,
    ]
    position: Count

    @field_validator("generator", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


def _check_address(address: str) -> str:
    host, _, port = address.rpartition(":")
    labels = host.split(".")
    if not ADDRESS.fullmatch(address) or max(map(len, labels)) > MAX_LABEL or len(host) > MAX_HOST:
        raise ValueError("it must be host:port, port in 1 to 65535")
    if not 1 <= int(port) <= MAX_PORT:
        raise ValueError("it must be host:port, port in 1 to 65535")
    return address


Addresses = Annotated[
    list[Annotated[str, AfterValidator(_check_address)]],
    Field(min_length=1, max_length=MAX_TASKS),
]


class ClusterFile(_File):
    """The addresses of the tasks of a cluster of processes, and nothing else."""

    model_config = ConfigDict(extra="forbid")

    ps: Addresses
    worker: Addresses

    @model_validator(mode="after")
    def _has_each_once(self) -> "ClusterFile":
        addresses = [*self.ps, *self.worker]
        for address in addresses:
            if addresses.count(address) > 1:
                raise ValueError(f"has the address {address!r} twice: each task needs its own")
        return self


class NotebookFile(_Part):
    """A notebook, as far as Jupyter's own check relies on it."""

    nbformat: Annotated[int, Field(ge=4, le=4)]
    nbformat_minor: Count
    metadata: dict[str, Any]
    cells: list[dict[str, Any]]


class _StoredArray(_Part):
    """The description of an array of a model's file."""

    shape: list[Count]
    dtype: str
    sha256: str


class ModelText(_Part):
    """The text of a model's file, which has a version of its own."""

    format: Literal["moe_vae model"]
    format_version: int
    package_version: str
    model: str
    params: dict[str, Any]
    shape: Shape
    seed: Seed
    n_classes: Annotated[int, Field(ge=1)] | None
    class_names: list[str] | None
    metadata: dict[str, Any]
    signatures: dict[str, Any]
    variables: dict[str, _StoredArray]
    constants: dict[str, _StoredArray]
    checksum: str


def parse_json(text: str, source: str | Path, error: type[Exception]) -> Any:
    """Returns the content of a JSON text.

    Raises:
      `error`: it is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except ValueError as fault:
        raise error(f"{source} is not JSON ({fault})") from fault
    except RecursionError as fault:
        raise error(f"{source} is not JSON that can be read: it is nested too deeply") from fault


def checked(
    content: Any, schema: type[BaseModel], source: str | Path, error: type[Exception]
) -> Any:
    """Returns a content of JSON, unchanged, after checking it.

    Raises:
      `error`: it is not what the schema describes; the line names the first fault.
    """
    try:
        schema.model_validate(content)
    except ValidationError as fault:
        raise error(f"{source} {_said(fault, schema)}") from fault
    return content


def read_json(path: str | Path, schema: type[BaseModel], error: type[Exception]) -> Any:
    """Returns the content of a JSON file as `json` reads it, checked by a schema.

    Args:
      path: a regular file.
      schema: a class of this module.
      error: the class of the error.

    Raises:
      `error`: the file cannot be read, or is not what the schema describes.
    """
    return checked(parse_json(read_text(path, error), path, error), schema, path, error)


def _said(fault: ValidationError, schema: type[BaseModel]) -> str:
    """Returns the first fault as the end of a sentence that begins with the file."""
    first = fault.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"lacks {place!r}"
    if first["type"] == "extra_forbidden":
        return f"has {place!r}: it may have {', '.join(schema.model_fields)}"
    wanted = _WANTED.get(first["type"])
    if wanted is None:
        said = re.sub(r"^(Value error, |[Ii]nput )", "", first["msg"])
        wanted = re.sub(r"^(\w+ )?should", "it must", said)
    if not place:  # of the whole file, which is too long to be shown
        whole = "" if first["type"] == "value_error" else f"holds {_kind(first['input'])}: "
        return f"{whole}{wanted}"
    return f"has {shown(first['input'])} as {place!r}: {wanted}"


# In the words of JSON, by pydantic's type of error.
_WANTED = {
    "model_type": "it must be an object",
    "dict_type": "it must be an object",
    "list_type": "it must be a list",
    "string_type": "it must be a text",
    "int_type": "it must be a whole number",
    "bool_type": "it must be true or false",
    "float_type": "it must be a number",
}


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else shown(value)
