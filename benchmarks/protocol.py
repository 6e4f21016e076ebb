"""What the peers share: the model's sizes, its initial weights, and the words that they answer.

A peer reads words from standard input, one a line, and answers each with one line of JSON: `epoch`
with the seconds of an epoch, or `end` with its peak memory, after which it ends.
"""

from __future__ import annotations  # for Python 3.7, which runs TensorFlow 1.15

import json
import sys
import time
from pathlib import Path
from typing import Callable  # noqa: UP035, Python 3.7 has no other

import numpy as np

N_EXPERTS, N_PIXELS, N_HIDDEN, Z_DIM = 10, 784, 128, 10
STD, BALANCING_WEIGHT, LEARNING_RATE = 0.5, 0.1, 0.001
BATCH_SIZE = 100
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


def initial_weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Returns dict of name to float32 array, as `tf.layers.dense` draws them.

    The first layers of all experts and of the manager are columns of one matrix; the experts'
    other layers are stacked along a first axis.
    """
    generator = np.random.default_rng(seed)

    def glorot(*shape: int) -> np.ndarray:
        limit = np.sqrt(6 / sum(shape[-2:]))
        return generator.uniform(-limit, limit, shape).astype(np.float32)

    first = [glorot(N_PIXELS, N_HIDDEN) for _ in range(N_EXPERTS + 1)]
    return {
        "first": np.concatenate(first, axis=1),
        "first_bias": np.zeros([(N_EXPERTS + 1) * N_HIDDEN], np.float32),
        "heads": np.concatenate([glorot(N_EXPERTS, N_HIDDEN, Z_DIM) for _ in range(2)], axis=2),
        "heads_bias": np.zeros([N_EXPERTS, 1, 2 * Z_DIM], np.float32),
        "hidden": glorot(N_EXPERTS, Z_DIM, N_HIDDEN),
        "hidden_bias": np.zeros([N_EXPERTS, 1, N_HIDDEN], np.float32),
        "last": glorot(N_EXPERTS, N_HIDDEN, N_PIXELS),
        "last_bias": np.zeros([N_EXPERTS, 1, N_PIXELS], np.float32),
        "manager": glorot(N_HIDDEN, N_EXPERTS),
        "manager_bias": np.zeros([N_EXPERTS], np.float32),
    }


def answer(
    train_epoch: Callable[[np.ndarray], float],
    n_images: int,
    others: dict[str, Callable[[], None]] | None = None,
) -> None:
    """Answers `epoch` and `end` from standard input, one line of JSON each.

    Args:
      train_epoch: function of the epoch's batches, whole-number array [steps, batch], that trains
        and returns the last loss, a number.
      n_images: number of training images.
      others: dict of name to function: what else is timed after each epoch.
    """
    generator = np.random.default_rng(0)
    n_steps = n_images // BATCH_SIZE
    for line in sys.stdin:
        if line.strip() == "end":
            print(json.dumps({"peak_bytes": _peak_bytes()}), flush=True)
            return
        rows = generator.permutation(n_images)[: n_steps * BATCH_SIZE]
        start, start_cpu = time.perf_counter(), time.process_time()
        loss = train_epoch(rows.reshape(n_steps, BATCH_SIZE).astype(np.int32))
        seconds = {"train": time.perf_counter() - start}
        seconds["train_cpu"] = time.process_time() - start_cpu
        for name, run in (others or {}).items():
            start = time.perf_counter()
            run()
            seconds[name] = time.perf_counter() - start
        print(json.dumps({**seconds, "loss": loss}), flush=True)


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kibibytes) * 1024
