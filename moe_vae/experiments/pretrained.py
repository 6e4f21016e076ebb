"""The trained models that come with the package, each with a card."""

import dataclasses
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from moe_vae.data.dataset import DataSet, DataSets
from moe_vae.data.mnist import read_mnist
from moe_vae.evaluation.familiarity import loss_quantiles
from moe_vae.evaluation.metrics import clustering_scores
from moe_vae.experiments.exports import (
    TrainedModel,
    changed_decisions,
    in_half_precision,
    load_model,
    read_run,
    restore_model,
    write_model,
)
from moe_vae.experiments.run_files import RunError
from moe_vae.export.model_file import ModelFile, read_model_file
from moe_vae.files import write_whole
from moe_vae.params import ParameterError

__all__ = [
    "PRETRAINED",
    "Pretrained",
    "load_pretrained",
    "make_pretrained",
    "read_pretrained",
    "read_sample",
    "score_sample",
]

DIRECTORY = Path(str(resources.files("moe_vae"))) / "pretrained"


class Pretrained(NamedTuple):
    """What a card says that no run's record holds.

    Attributes:
      summary: what the model is, one sentence.
      not_for: what it is not for, one sentence or more.
    """

    summary: str
    not_for: str


_ONLY_DIGITS = (
    "It knows nothing but single handwritten digits of MNIST's kind: 28 x 28 pixels, light on "
    "dark, centred. It gives any other picture to one of ten numbers as well, often with a high "
    "probability. Its pictures are small and blurred."
)

_MATCHED = " Accuracies are those under the best one-to-one matching of experts to digits."

PRETRAINED = {
    "conditional-vae": Pretrained(
        "Post 2's conditional VAE: it recognises digits and draws the digit that it is told to.",
        _ONLY_DIGITS,
    ),
    "mixture-of-vaes": Pretrained(
        "Post 3's mixture of ten VAEs and a manager, trained without labels.",
        f"{_ONLY_DIGITS} Its experts draw more than one digit each; for one digit an expert, take "
        "`specialists`.",
    ),
    "specialists": Pretrained(
        "The mixture of ten VAEs whose manager was first trained by information, without labels: "
        "nearly every expert draws one digit.",
        f"{_ONLY_DIGITS} An expert's number is not its digit: the matching of the two comes from "
        "the labels of the test images.",
    ),
}


def load_pretrained(name: str) -> TrainedModel:
    """Returns one of the trained models that come with the package.

        model, session, record = load_pretrained("specialists")
        experts = model.predict(session, images)

    Args:
      name: "conditional-vae", "mixture-of-vaes" or "specialists".

    Returns:
      A `TrainedModel`.

    Raises:
      ParameterError: there is no model of that name.
    """
    if name not in PRETRAINED:
        raise ParameterError(f"name is {name!r}: it must be one of {', '.join(PRETRAINED)}")
    return load_model(_file_of(name))


def read_pretrained(name: str) -> ModelFile:
    """Returns the content of the file of a pretrained model; `name` is a key of `PRETRAINED`."""
    return read_model_file(_file_of(name))


def _file_of(name: str) -> Path:
    return DIRECTORY / f"{name}.npz"


def read_sample() -> DataSet:
    """Returns the bundled sample's 5,000 digits, all in one `DataSet`."""
    parts = read_mnist(data="sample")
    sets = (parts.train, parts.validation, parts.test)
    return DataSet(
        np.concatenate([np.asarray(each.images) for each in sets]),
        np.concatenate([np.asarray(each.labels) for each in sets]),
    )


def score_sample(trained: TrainedModel) -> float:
    """Returns the accuracy on the bundled sample; of a clustering, under the best matching."""
    sample = read_sample()
    labels = np.asarray(sample.labels)
    predicted = trained.model.predict(trained.session, sample.images)
    if trained.model.answer == "digit":
        return float((predicted == labels).mean())
    n_classes = int(labels.max()) + 1
    scores = clustering_scores(labels, predicted, n_classes, trained.model.n_columns)
    return scores["accuracy"]


# Making the files.


def make_pretrained(name: str, run: Path, data_sets: DataSets, directory: Path) -> str:
    """Writes the file and the card of a pretrained model.

    The file is in half precision if that changes no answer on the test set.

    Args:
      name: a key of `PRETRAINED`.
      run: directory of the finished run.
      data_sets: the `DataSets` that it was trained on.
      directory: where both files go.

    Returns:
      What was written, one line.

    Raises:
      RunError: the run was trained on other data or interrupted.
      OSError: a file cannot be written.
    """
    content = read_run(run)
    if content.metadata.get("data") != data_sets.name or content.metadata.get("interrupted"):
        raise RunError(f"{run} is no whole training on {data_sets.name}")
    # None of these models is a plain VAE, which has no answers.
    n_changed = cast(int, changed_decisions(content, data_sets.test.images))
    stored = content if n_changed else in_half_precision(content)
    path = directory / f"{name}.npz"
    trained = restore_model(stored)
    quantiles = loss_quantiles(trained.model, trained.session, data_sets.train)
    content = dataclasses.replace(content, metadata={**content.metadata, **quantiles})
    write_model(path, content, half=not n_changed)
    facts = _Facts(
        n_changed,
        len(data_sets.test.images),
        path.stat().st_size,
        score_sample(trained),
        _n_shared(read_sample().images, data_sets.train.images),
    )
    write_whole(path.with_suffix(".md"), _card(name, content, facts).encode())
    return f"{path}: {facts.n_bytes:,} bytes in {facts.precision}"


def _n_shared(images: np.ndarray, others: np.ndarray) -> int:
    """Counts the images that are among others, by their pixels from 0 to 255."""

    def pixels(each: np.ndarray) -> list[bytes]:
        return [row.tobytes() for row in np.rint(255 * each).astype(np.uint8)]

    known = set(pixels(others))
    return sum(row in known for row in pixels(images))


class _Facts(NamedTuple):
    n_changed: int
    n_test: int
    n_bytes: int
    sample_accuracy: float
    n_trained: int  # examples of the sample that are training images

    @property
    def precision(self) -> str:
        changes = f"changes {self.n_changed:,} of {self.n_test:,} answers on the test set"
        if self.n_changed:
            return f"single precision; half precision {changes}"
        return f"half precision, which {changes}"


def _card(name: str, content: ModelFile, facts: _Facts) -> str:
    """Returns a model's card, a Markdown page."""
    entry, record = PRETRAINED[name], content.metadata
    versions = ", ".join(f"{key} {value}" for key, value in record["versions"].items())
    rows = {
        "data": f"{record['data']}: the training images; the scores are of the test images",
        "seed": str(content.seed),
        "command": f"`{record['command']}`",
        "versions": versions,
        "file": f"{facts.n_bytes:,} bytes, {facts.precision}",
        "licence": "Apache License 2.0, as the code; MNIST is under CC BY-SA 3.0",
        "not for": entry.not_for,
    }
    scores = {f"{key}, test images": value for key, value in _numbers(record["test"])}
    scores["accuracy, bundled sample of 5,000 digits"] = facts.sample_accuracy
    return "\n".join(
        [
            f"# {name}",
            "",
            entry.summary,
            "",
            *_table(("", ""), rows, str),
            "",
            *_table(("score", "value"), scores, "{:.4f}".format),
            "",
            f"Of the sample's digits, {facts.n_trained:,} are training images."
            + ("" if name == "conditional-vae" else _MATCHED),
            "",
        ]
    )


def _numbers(scores: dict[str, Any]) -> list[tuple[str, float]]:
    return [(key, value) for key, value in scores.items() if isinstance(value, float)]


def _table(heads: tuple[str, str], rows: dict[str, Any], shown: Callable[[Any], str]) -> list[str]:
    body = [f"| {key} | {shown(value)} |" for key, value in rows.items()]
    return [f"| {heads[0]} | {heads[1]} |", "| --- | --- |", *body]
