"""How many threads the libraries below scikit-learn use."""

from typing import Any

import numpy as np

__all__ = ["threads_for"]

# Threads that share fewer numbers than these mostly wait for each other.
THREADED_VALUES = 100_000


def threads_for(values: Any) -> Any:
    """Returns a context in which BLAS and OpenMP use one thread if there are few numbers.

    Only libraries that are loaded can be limited, so import what is used before.

    Args:
      values: the array that is worked on.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1 if np.prod(values.shape) < THREADED_VALUES else None)
