"""The part of a checkpoint beside the variables: written to, and read from, `state.npz`."""

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from moe_vae.data.arrays import read_arrays
from moe_vae.data.checks import DataError
from moe_vae.files import shown
from moe_vae.version import FORMAT_VERSION

__all__ = ["CheckpointError", "State", "read_state", "write_state"]

VALUES, SAMPLES, KEY, ORDER = "values", "samples", "generator_key", "order"
FIXED = "fixed_samples"
KEY_WORDS = 624  # of the Mersenne twister's state


class CheckpointError(ValueError):
    """A checkpoint cannot be written or resumed."""


class State(NamedTuple):
    """What a training is beside its variables.

    Attributes:
      values: dict of `epochs_done`, `draws`, `history`, `seconds`, the `generator`'s other values,
        and the `position` in the batches; `moe_vae.schemas.TrainingState` describes it.
      samples: float32 array [epochs, columns, n_features], or an empty one.
      key: uint32 array [624], the state of NumPy's global generator.
      order: whole-number array [n], the order of the examples, or an empty one.
      fixed: as `samples`, all from one code; NaN where an older version drew none; None in its
        checkpoints.
    """

    values: dict[str, Any]
    samples: np.ndarray
    key: np.ndarray
    order: np.ndarray
    fixed: np.ndarray | None = None


def write_state(path: "os.PathLike[str] | str", state: State) -> None:
    """Writes a `State` to an .npz file; its directory exists."""
    values = {"format_version": FORMAT_VERSION, **state.values}
    arrays: dict[str, Any] = {VALUES: np.array(json.dumps(values)), SAMPLES: state.samples}
    arrays |= {KEY: state.key, ORDER: state.order}
    if state.fixed is not None:
        arrays[FIXED] = state.fixed
    np.savez(path, allow_pickle=False, **arrays)


def read_state(path: "os.PathLike[str] | str", phases: Collection[str], n_examples: int) -> State:
    """Reads what `write_state` wrote.

    Args:
      path: the file.
      phases: the model's phases.
      n_examples: number of training examples.

    Raises:
      CheckpointError: the file cannot be read, or does not belong to such a training.
    """
    from moe_vae.schemas import TrainingState, checked, parse_json

    path = Path(path)
    try:
        arrays = read_arrays(path, (VALUES, SAMPLES, KEY, ORDER), optional=(FIXED,))
    except DataError as error:
        raise CheckpointError(str(error)) from error
    text = arrays[VALUES]
    if text.shape or text.dtype.kind != "U":
        raise CheckpointError(f"{path} has {shown(text)} as {VALUES!r}: it must be one text")
    values = checked(
        parse_json(text.item(), path, CheckpointError), TrainingState, path, CheckpointError
    )
    state = State(values, arrays[SAMPLES], arrays[KEY], arrays[ORDER], arrays.get(FIXED))
    _check(path, state, phases, n_examples)
    return state


def _check(path: Path, state: State, phases: Collection[str], n_examples: int) -> None:
    def fail(name: str, found: str, allowed: str) -> NoReturn:
        raise CheckpointError(f"{path} has {found} as {name!r}: it must be {allowed}")

    values, order = state.values, state.order
    if set(values["epochs_done"]) != set(phases):
        fail("epochs_done", shown(values["epochs_done"]), f"of the phases {', '.join(phases)}")
    n_epochs = len(values["seconds"])
    for name, history in values["history"].items():
        if len(history) > n_epochs:
            fail(f"history.{name}", f"{len(history)} values", f"at most {n_epochs}, one an epoch")
    if state.key.shape != (KEY_WORDS,) or state.key.dtype != np.uint32:
        fail(KEY, f"{state.key.dtype} {list(state.key.shape)}", f"uint32 [{KEY_WORDS}]")
    if state.samples.dtype.kind != "f" or not np.isfinite(state.samples).all():
        fail(SAMPLES, str(state.samples.dtype), "an array of finite numbers")
    if state.fixed is not None and state.fixed.dtype.kind != "f":
        fail(FIXED, str(state.fixed.dtype), "an array of numbers")
    rows = np.arange(n_examples)
    if order.ndim != 1 or order.dtype.kind not in "iu":
        fail(ORDER, f"{order.dtype} {list(order.shape)}", "a list of whole numbers")
    if len(order) and not np.array_equal(np.sort(order), rows):
        fail(ORDER, f"{len(order)} rows", f"each of the {n_examples} rows once")
    if values["position"] > len(order):
        fail("position", str(values["position"]), f"at most {len(order)}")
