"""Sessions: how one is opened, and how many examples go through a graph in bounded memory."""

import os

import numpy as np

from moe_vae.compat import tf

__all__ = ["chunks", "open_session", "run_in_chunks", "session_config"]

# Large enough that a chunk keeps every core busy, small enough that ten experts' activations
# for it (10 x 500 x 784 floats a tensor) stay near 16 MB.
CHUNK_SIZE = 500


def open_session(graph=None, splits_operations=False):
    """Opens a session on the cores this process may use, or on a GPU where there is one."""
    return tf.Session(graph=graph, config=session_config(splits_operations))


def session_config(splits_operations=False, **options):
    """Returns the `tf.ConfigProto` of a session, or of a server, with further `options` of its own.

    The graphs here are many small operations side by side (ten experts), so each operation gets
    one thread and as many run at once as there are cores: on two cores a step of post 3 took
    16 ms so, and 21 ms with TensorFlow's default, which splits each operation. A graph of a few
    large operations, one after the other, is better off with that. A GPU's memory is taken as it
    is needed, not all at once.
    """
    n_cores = len(os.sched_getaffinity(0))
    return tf.ConfigProto(
        intra_op_parallelism_threads=n_cores if splits_operations else 1,
        inter_op_parallelism_threads=n_cores,
        gpu_options=tf.GPUOptions(allow_growth=True),
        **options,
    )


def chunks(n_examples, size=CHUNK_SIZE):
    """Yields slices that cover `n_examples` in order, each of at most `size`."""
    for start in range(0, n_examples, size):
        yield slice(start, min(start + size, n_examples))


def run_in_chunks(session, fetch, feed, fixed=None):
    """Evaluates `fetch` for all examples of `feed`, a chunk at a time.

    Args:
      session: an open session.
      fetch: tensor whose first axis is the batch.
      feed: dict of tensor to array; the arrays have the same first dimension.
      fixed: dict of tensor to the value that every chunk gets, or None.

    Returns:
      NumPy array, the chunks' results joined along the first axis.
    """
    n_examples = len(next(iter(feed.values())))
    parts = [
        session.run(
            fetch, {**{tensor: values[rows] for tensor, values in feed.items()}, **(fixed or {})}
        )
        for rows in chunks(n_examples)
    ]
    return np.concatenate(parts)
