"""Opening sessions, and evaluating many examples in bounded memory."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import DataError

__all__ = [
    "chunks",
    "finds_gpu",
    "open_session",
    "run_in_chunks",
    "session_config",
    "usable_cores",
]

# Large enough to keep every core busy; small enough that the activations of ten experts (10 x 500
# x 784 floats a tensor) take about 16 MB.
CHUNK_SIZE = 500


def open_session(graph: Any = None, splits_operations: bool = False) -> Session:
    """Opens a session on the cores that this process may use and on a GPU if there is one.

    Args:
      graph: a `tf.Graph`; None means the current one.
      splits_operations: see `session_config`.
    """
    return tf.Session(graph=graph, config=session_config(splits_operations))


def session_config(splits_operations: bool = False, **options: Any) -> Any:
    """Returns the `tf.ConfigProto` of a session or a server.

    The graphs here are many small operations that can run at the same time (ten experts). So each
    operation gets one thread, and there are as many threads as cores: on two cores a step of post 3
    took 16 ms, and 21 ms with TensorFlow's default, which splits operations among threads. GPU
    memory is allocated when it is needed.

    Args:
      splits_operations: whether to split operations among threads after all, which is faster for
        a few large operations that run one after the other.
      options: further fields of the `tf.ConfigProto`.
    """
    n_cores = usable_cores()
    return tf.ConfigProto(
        intra_op_parallelism_threads=n_cores if splits_operations else 1,
        inter_op_parallelism_threads=n_cores,
        gpu_options=tf.GPUOptions(allow_growth=True),
        **options,
    )


def usable_cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def finds_gpu() -> bool:
    """Returns whether TensorFlow finds a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def chunks(n_examples: int, size: int = CHUNK_SIZE) -> Iterator[slice]:
    """Yields slices of at most `size` that cover `n_examples` in order."""
    for start in range(0, n_examples, size):
        yield slice(start, min(start + size, n_examples))


def run_in_chunks(
    session: Session,
    fetch: Tensor,
    feed: Mapping[Tensor, np.ndarray],
    fixed: Mapping[Tensor, Any] | None = None,
) -> np.ndarray:
    """Evaluates `fetch` for all examples, a chunk at a time.

    Args:
      session: an open session.
      fetch: tensor whose first axis is the batch.
      feed: tensors and their arrays, all with the same first dimension.
      fixed: tensors and the values that every chunk gets, or None.

    Returns:
      Array, the chunks' results joined along the first axis.

    Raises:
      DataError: the arrays have no rows.
    """
    name, n_examples = next((tensor.op.name, len(values)) for tensor, values in feed.items())
    if not n_examples:
        raise DataError(f"{name!r} has 0 rows: it must have at least 1")
    parts = [
        session.run(
            fetch, {**{tensor: values[rows] for tensor, values in feed.items()}, **(fixed or {})}
        )
        for rows in chunks(n_examples)
    ]
    return np.concatenate(parts)
