"""The page that runs trained models in a browser: what it holds, and how exactly."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from moe_vae.data.dataset import Batch, DataSet
from moe_vae.experiments.exports import build_of
from moe_vae.export.frozen import compute, freeze
from moe_vae.export.model_file import ModelFile
from moe_vae.export.operations import list_operations
from moe_vae.files import write_whole
from moe_vae.model import Model, Signature
from moe_vae.page.assemble import MAX_BYTES, PageError, assemble_page
from moe_vae.page.sentences import panel_sentences
from moe_vae.page.weights import STEPS, Packed, pack_arrays, pack_bytes
from moe_vae.plots.charts import expert_colour
from moe_vae.plots.common import class_title, matched_classes, principal_axes, some_examples

__all__ = ["N_EXAMPLES", "PageModel", "Rounding", "export_page"]

N_EXAMPLES = 500  # on the map of the codes
N_OFFERED = 20  # examples to click on, at most
_BOX = 20 / 28  # the side of the box of a digit, as a share of a picture's: MNIST's

_DIGITS = 6  # of the largest change
_SCORE_NAMES = {"nmi": "NMI", "ari": "ARI"}


class PageModel(NamedTuple):
    """A trained model for a page.

    Attributes:
      name: what the page calls it.
      summary: what it is, a sentence.
      content: its `ModelFile`.
    """

    name: str
    summary: str
    content: ModelFile


class Rounding(NamedTuple):
    """What rounded weights change in a model's answers to the page's examples.

    Attributes:
      name: the model's name.
      steps: one of `STEPS`: how finely its weights are rounded.
      n_examples: number of the page's examples.
      n_changed: number of them whose likeliest answer changes; None if it gives none.
      most: the largest change of a probability, or of a pixel if the model gives no probabilities.
    """

    name: str
    steps: int | None
    n_examples: int
    n_changed: int | None
    most: float


class _Traced(NamedTuple):
    """A model as the page needs it, and what its own weights answer to the page's examples."""

    model: PageModel
    about: dict[str, Any]  # what the page shows of it
    signatures: dict[str, Any]
    variables: dict[str, np.ndarray]  # that the signatures read
    constants: dict[str, np.ndarray]
    answers: dict[str, np.ndarray]


def export_page(
    path: Path, models: Sequence[PageModel], data_set: DataSet, data_name: str
) -> tuple[int, list[Rounding]]:
    """Writes a page of trained models, whole or not at all.

    The weights are in half precision if the page then has at most `MAX_BYTES`; else they are
    rounded as finely as that allows.

    Args:
      path: the HTML file.
      models: at least one `PageModel`, all for images of one shape.
      data_set: the `DataSet` whose examples the page shows.
      data_name: its name.

    Returns:
      The size of the page in bytes, and a `Rounding` for each model.

    Raises:
      PageError: a model has no images or no signature with which a page can do something, two
        differ in shape, or the page would be too large.
      ModelError: a model has no signatures, or one cannot be listed.
      OSError: the file cannot be written.
    """
    shape = _common_shape(models)
    examples = some_examples(data_set, N_EXAMPLES)
    traced = [_trace(model, examples) for model in models]
    shared = {"shape": list(shape), "box": round(min(shape) * _BOX), "colours": _colours()}
    shared["examples"] = _examples(examples, data_name, models[0].content)
    steps, packed = _finest(path, traced, shared)
    roundings = [
        _rounding(each, own, examples, steps) for each, own in zip(traced, packed, strict=True)
    ]
    page = _page(shared, traced, packed, roundings)
    write_whole(path, page)
    return len(page), roundings


def _finest(
    path: Path, traced: Sequence[_Traced], shared: dict[str, Any]
) -> tuple[int | None, list[Packed]]:
    """Returns the finest of `STEPS` with which the page is small enough, and the weights so."""
    for steps in STEPS:
        packed = [pack_arrays(each.variables, each.constants, steps) for each in traced]
        widest = [
            Rounding(each.model.name, steps, 0, N_EXAMPLES, round(1 / 3, _DIGITS))
            for each in traced
        ]
        n_bytes = len(_page(shared, traced, packed, widest))
        if n_bytes <= MAX_BYTES:
            return steps, packed
    raise PageError(
        f"{path} would have {n_bytes:,} bytes: it may have {MAX_BYTES:,}; leave out a model"
    )


def _page(
    shared: dict[str, Any],
    traced: Sequence[_Traced],
    packed: Sequence[Packed],
    roundings: Sequence[Rounding],
) -> bytes:
    entries = [_entry(*each) for each in zip(traced, packed, roundings, strict=True)]
    return assemble_page({**shared, "models": entries})


def _common_shape(models: Sequence[PageModel]) -> tuple[int, ...]:
    first = models[0]
    for name, _, content in models:
        if len(content.shape) != 2:
            raise PageError(
                f"{name} is a model of points: a page draws pictures, and needs a model of images"
            )
        if content.shape != first.content.shape:
            raise PageError(
                f"{name} reads pictures of {_size(content)} pixels and {first.name} of "
                f"{_size(first.content)}: the models of a page must read the same"
            )
    return first.content.shape


def _size(content: ModelFile) -> str:
    return " x ".join(str(side) for side in content.shape)


def _listed(model: Model) -> dict[str, Signature]:
    return {**model.signatures(), **model.comparisons()}


def _trace(model: PageModel, examples: Batch) -> _Traced:
    content = model.content
    kept: list[Model] = []

    def listed(built: Model) -> dict[str, Signature]:
        kept.append(built)
        return _listed(built)

    graphs = freeze(build_of(content), content.params, content.variables, listed)
    operations = {name: list_operations(graph) for name, graph in graphs.items()}
    signatures = {name: each for name, (each, _) in operations.items()}
    constants = {name: value for _, own in operations.values() for name, value in own.items()}
    read = {each for graph in graphs.values() for each in graph.variables}
    variables = {name: value for name, value in content.variables.items() if name in read}
    answers = {
        name: compute(graph, {"inputs": examples.images})
        for name, graph in graphs.items()
        if name in ("route", "encode", "reconstruct")
    }
    if not answers.keys() & {"route", "reconstruct"}:
        raise PageError(f"{model.name} neither routes nor draws: a page has nothing to show of it")
    about = _about(model, kept[0], examples, answers)
    return _Traced(model, about, signatures, variables, constants, answers)


def _about(
    model: PageModel, built: Model, examples: Batch, answers: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    content = model.content
    column = built.column
    record = {**content.metadata, "class_names": content.class_names}
    n_answers = answers["route"].shape[1] if "route" in answers else 0
    test = content.metadata["test"]
    return {
        "name": model.name,
        "summary": model.summary,
        "column": column,
        "columns": [_column(number, column, record) for number in range(n_answers)],
        "n_styles": built.n_styles,
        "sentences": panel_sentences(
            content.model, content.params, round(min(content.shape) * _BOX), column
        ),
        "map": _map(answers),
        "confusion": test.get("confusion"),
        "classes": _class_names(record, test.get("confusion")),
        "scores": dict(_scores(test)),
        "facts": {"data": content.metadata["data"], "seed": content.seed},
    }


def _column(number: int, column: str, record: dict[str, Any]) -> dict[str, Any]:
    matched = matched_classes(record).get(number)
    if column == "digit" and record["class_names"] is not None:
        return {"name": record["class_names"][number], "matched": None}
    name = f"{column} {number}"
    return {"name": name, "matched": None if matched is None else class_title(record, matched)}


def _class_names(record: dict[str, Any], confusion: Any) -> list[str] | None:
    if confusion is None:
        return None
    return [class_title(record, label) for label in range(len(confusion))]


def _scores(test: Mapping[str, Any], part: str = "") -> Iterator[tuple[str, float]]:
    """Yields the name and value of each number among a run's test scores.

    A score of a part, such as a gate's accuracy, has the part's name before its own. Losses have
    theirs alone.
    """
    for name, value in test.items():
        if isinstance(value, dict):
            yield from _scores(value, "" if name == "losses" else f"{name} ")
        elif isinstance(value, float):
            yield part + _SCORE_NAMES.get(name, name.replace("_", " ")), value


def _map(answers: Mapping[str, np.ndarray]) -> dict[str, Any] | None:
    """Returns each example's place in the plane of the codes' two main directions."""
    if not answers.keys() >= {"encode", "reconstruct"}:
        return None
    codes = answers["encode"]
    mean = codes.mean(axis=0)
    axes = principal_axes(codes)
    axes = np.eye(2) if axes is None else axes
    places = (codes - mean) @ axes
    spread = float(np.square(codes - mean).sum())  # 0 where all codes are the same
    return {
        "points": np.round(places.astype(float), 2).tolist(),
        "columns": answers["route"].argmax(axis=1).tolist() if "route" in answers else None,
        "share": float(np.square(places).sum()) / spread if spread else 1.0,
        "mean": mean.tolist(),
        "axes": axes.T.tolist(),
    }


def _examples(examples: Batch, data_name: str, content: ModelFile) -> dict[str, Any]:
    pixels = np.rint(255 * np.asarray(examples.images)).astype(np.uint8)
    record = {**content.metadata, "class_names": content.class_names}
    labels, titles = examples.labels, None
    if labels is not None:
        titles = [class_title(record, int(label)) for label in labels]
    return {
        "name": data_name,
        "pixels": pack_bytes(pixels.tobytes()),
        "labels": titles,
        "offered": _offered(np.asarray(examples.images), labels),
    }


def _offered(images: np.ndarray, labels: np.ndarray | None) -> list[int]:
    """Returns the examples to click on: of each class the one nearest to the class's mean."""
    if labels is None:
        return list(range(min(N_OFFERED, len(images))))
    found = []
    for label in np.unique(labels)[:N_OFFERED]:
        own = np.flatnonzero(labels == label)
        distances = np.square(images[own] - images[own].mean(axis=0)).sum(axis=1)
        found.append(int(own[distances.argmin()]))
    return found


def _colours() -> list[str]:
    """Returns the colours of the first ten experts; as in the figures, they repeat."""
    levels = [np.rint(255 * np.array(expert_colour(number)[:3])) for number in range(10)]
    return ["#" + "".join(f"{int(level):02x}" for level in each) for each in levels]


def _rounding(traced: _Traced, packed: Packed, examples: Batch, steps: int | None) -> Rounding:
    """Measures what the rounded weights change; see `Rounding`."""
    content = traced.model.content
    rounded = {**content.variables, **packed.rounded}
    variables = {name: rounded[name] for name in content.variables}
    graphs = freeze(build_of(content), content.params, variables)
    name = "route" if "route" in traced.answers else "reconstruct"
    found = compute(graphs[name], {"inputs": examples.images})
    expected = traced.answers[name]
    n_changed = None
    if name == "route":
        n_changed = int(np.count_nonzero(found.argmax(axis=1) != expected.argmax(axis=1)))
    most = round(float(np.abs(found - expected).max()), _DIGITS)
    return Rounding(traced.model.name, steps, len(expected), n_changed, most)


def _entry(traced: _Traced, packed: Packed, rounding: Rounding) -> dict[str, Any]:
    return {
        **traced.about,
        "signatures": pack_bytes(json.dumps(traced.signatures, separators=(",", ":")).encode()),
        "arrays": packed.described,
        "weights": packed.text,
        "rounding": {key: getattr(rounding, key) for key in ("steps", "n_changed", "most")},
    }
