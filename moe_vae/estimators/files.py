"""Fitted estimators as files, without pickles."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from moe_vae.estimators.base import ModelEstimator
from moe_vae.experiments.exports import export_model, write_model
from moe_vae.export.model_file import ModelFile, ModelFileError, read_model_file

__all__ = ["export", "load", "save"]

# What a fitted estimator keeps beside its parameters and its model.
_LEARNED = (
    "n_features_in_",
    "feature_names_in_",
    "shape_",
    "n_iter_",
    "classes_",
    "labels_",
    "_params",
    "_seed",
    "_mean",
    "_scale",
    "_y_mean",
    "_y_scale",
    "_is_column",
)
# Parameters that no file can hold.
_NOT_KEPT = ("callbacks", "random_state")


def _content(estimator: ModelEstimator) -> ModelFile:
    check_is_fitted(estimator, "trainer_")
    learned = {name: _as_json(value) for name, value in vars(estimator).items() if name in _LEARNED}
    kept = {k: _as_json(v) for k, v in estimator.get_params().items() if k not in _NOT_KEPT}
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
            "estimator_params": kept,
            "learned": learned,
            "history": estimator.history_,
            "epochs_done": estimator.trainer_.epochs_done,
        },
    )


def _as_json(value: Any) -> Any:
    """Returns a value as JSON holds it; arrays become their type and their values."""
    if isinstance(value, np.ndarray):
        return {
            "dtype": "str" if value.dtype == object else value.dtype.str,
            "values": value.tolist(),
        }
    if isinstance(value, np.generic):
        return value.item()
    try:
        json.dumps(value)
    except TypeError as error:
        raise ModelFileError(f"{value!r} cannot be written to a file: {error}") from error
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"dtype", "values"}:
        kind = object if value["dtype"] == "str" else np.dtype(value["dtype"])
        return np.array(value["values"], kind)
    return value


def save(estimator: ModelEstimator, path: Path) -> None:
    """Writes a fitted estimator to one file; see `ModelEstimator.save`."""
    write_model(path, _content(estimator))


def export(estimator: ModelEstimator, path: Path, to: str) -> list[str]:
    """Exports a fitted estimator's model; see `ModelEstimator.export`."""
    return export_model(_content(estimator), to, path)


def load(path: str | Path) -> Any:
    """Reads an estimator that `save` wrote.

    Nothing in the file is unpickled or run. `callbacks` and `random_state` are not kept.

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
    estimator = kind(**{k: _tuples(k, v) for k, v in metadata["estimator_params"].items()})
    for name, value in metadata["learned"].items():
        setattr(estimator, name, _from_json(value))
    estimator.shape_ = tuple(estimator.shape_)
    estimator._restore(content.variables)
    estimator.trainer_.history = metadata["history"]
    estimator.trainer_.epochs_done = metadata["epochs_done"]
    return estimator


def _tuples(name: str, value: Any) -> Any:
    value = _from_json(value)
    return tuple(value) if name == "image_shape" and value is not None else value
