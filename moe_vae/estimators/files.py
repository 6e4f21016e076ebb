"""Fitted estimators as files, without pickles."""

import json
import numbers
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from moe_vae.estimators.base import ModelEstimator
from moe_vae.experiments.exports import TARGETS, export_model, write_model
from moe_vae.export.model_file import ModelFile, ModelFileError, read_model_file
from moe_vae.params import ParameterError

__all__ = ["export", "load", "save"]

# What a file keeps of a fitted estimator beside its parameters and its model. It leaves out
# `labels_`, which belongs to the training examples.
_LEARNED = (
    "n_features_in_",
    "feature_names_in_",
    "shape_",
    "n_iter_",
    "classes_",
    "_params",
    "_seed",
    "_kept_made_with",
    "_mean",
    "_scale",
    "_y_mean",
    "_y_scale",
    "_is_column",
)


def _kept_params(estimator: ModelEstimator) -> dict[str, Any]:
    """Returns the parameters that a file holds: not functions, and no state of a generator."""
    params = {**estimator.get_params(), "callbacks": None}
    if not isinstance(params["random_state"], numbers.Integral):
        params["random_state"] = None
    return {name: _as_json(value) for name, value in params.items()}


def _content(estimator: ModelEstimator) -> ModelFile:
    check_is_fitted(estimator, "trainer_")
    learned = {name: _as_json(value) for name, value in vars(estimator).items() if name in _LEARNED}
    classes = vars(estimator).get("classes_")
    return ModelFile(
        estimator._model,
        estimator.trainer_.model.params,
        estimator.shape_,
        estimator._seed,
        estimator.trainer_.variables(),
        None if classes is None else len(classes),
        None if classes is None else tuple(map(str, classes)),
        {
            "estimator": type(estimator).__name__,
            "estimator_params": _kept_params(estimator),
            "learned": learned,
            "history": estimator.history_,
            "epochs_done": estimator.trainer_.epochs_done,
        },
    )


def _as_json(value: Any) -> Any:
    """Returns a value as JSON holds it; arrays become their type and their values.

    Raises:
      ModelFileError: JSON cannot hold it.
    """
    if isinstance(value, np.ndarray):
        kind = "object" if value.dtype == object else value.dtype.str
        value = {"dtype": kind, "values": value.tolist()}
    try:
        return json.loads(json.dumps(value, default=_plain_number))
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"{value!r} cannot be written to a file: {error}") from error


def _plain_number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"it holds a {type(value).__name__}")


def _from_json(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"dtype", "values"}:
        return np.array(value["values"], np.dtype(value["dtype"]))
    return value


def save(estimator: ModelEstimator, path: Path) -> None:
    """Writes a fitted estimator to one file; see `ModelEstimator.save`."""
    write_model(path, _content(estimator))


def export(estimator: ModelEstimator, path: Path, to: str) -> list[str]:
    """Exports a fitted estimator's model; see `ModelEstimator.export`."""
    if to not in TARGETS:
        raise ValueError(f"to is {to!r}: it must be one of {', '.join(TARGETS)}")
    return export_model(_content(estimator), to, path)


def load(path: str | Path) -> Any:
    """Reads an estimator that `save` wrote.

    Nothing in the file is unpickled or run. It lacks `callbacks`, a `random_state` that is no whole
    number, `labels_`, and the state of the optimiser.

    Args:
      path: the file.

    Returns:
      The fitted estimator.

    Raises:
      ModelFileError: the file is damaged, foreign, of a later version, or holds no estimator.
      OSError: it cannot be read.
    """
    from moe_vae import estimators

    path = Path(path)
    content = read_model_file(path)
    metadata = content.metadata
    name = metadata.get("estimator")
    kind = getattr(estimators, name, None) if isinstance(name, str) else None
    if not (isinstance(kind, type) and issubclass(kind, ModelEstimator)):
        raise ModelFileError(f"{path} holds no estimator: it was written by another command")
    try:
        return _restored(kind, content, metadata)
    except (KeyError, TypeError, ParameterError) as error:
        raise ModelFileError(
            f"{path} does not fit the {name} of this moe_vae: it was written by version "
            f"{content.package_version} ({error})"
        ) from error


def _restored(kind: type, content: ModelFile, metadata: Mapping[str, Any]) -> Any:
    params = {name: _from_json(value) for name, value in metadata["estimator_params"].items()}
    if params["image_shape"] is not None:
        params["image_shape"] = tuple(params["image_shape"])
    estimator = kind(**params)
    for name in _LEARNED:
        if name in metadata["learned"]:
            setattr(estimator, name, _from_json(metadata["learned"][name]))
    estimator.shape_ = content.shape
    estimator._restore(content.variables)
    estimator.trainer_.history = metadata["history"]
    estimator.trainer_.epochs_done = metadata["epochs_done"]
    return estimator
