"""How the time and the memory of a training grow with the number of experts.

Each point is measured by a process of its own,
`python -m moe_vae.bench.training_growth EXPERTS ENGINE STAGE`.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from moe_vae.bench.charts import plot_training_growth
from moe_vae.bench.growth import AXES, measured_apart
from moe_vae.bench.records import machine, save_figure
from moe_vae.bench.worker import POST_ENGINES, SEED, peak_bytes
from moe_vae.compat import tf
from moe_vae.data.checks import IMAGE_PIXELS
from moe_vae.data.dataset import DataSet
from moe_vae.experiments.run_files import write_json
from moe_vae.messages import say
from moe_vae.posts.mixture_of_vaes import MIXTURE_OF_VAES_PARAMS
from moe_vae.training.trainer import Trainer, start_trainer

__all__ = [
    "STAGES",
    "TRAINING_GROWTH_OUT",
    "decide",
    "main",
    "marked_images",
    "measure_training",
    "measure_training_growth",
    "run_training_growth",
]

TRAINING_GROWTH_OUT = Path("results", "bench_training.json")
N_STEPS, N_REPEATS = 20, 5
# At the beginning every expert sees every image; a manager that has decided gives each to one.
STAGES = ("beginning", "decided")
# The manager's inputs to its hidden units, and theirs to the experts: so large that single
# precision rounds every probability to 0 or 1.
HIDDEN_SCALE, LOGIT_SCALE = 40.0, 200.0

Point = dict[str, Any]


def run_training_growth(out: Path = TRAINING_GROWTH_OUT, command: str = "") -> dict[str, Any]:
    """Measures all points, and writes the results and a figure.

    Args:
      out: the JSON file of the results; the figure goes to `figures` beside it.
      command: the command line that asked for it, for the record.

    Returns:
      The results, as in the file.
    """
    points = measure_training_growth()
    results = {
        "command": command,
        **machine(),
        "batch_size": MIXTURE_OF_VAES_PARAMS["batch_size"],
        "points": points,
    }
    write_json(out, results)
    figures = save_figure(plot_training_growth(points), out)
    say(f"{len(points)} points are in {out}, their figure in {figures}/.")
    return results


def measure_training_growth(numbers: Sequence[int] = AXES["experts"]) -> list[Point]:
    """Measures each engine and stage with each number of experts, in a process of its own.

    Args:
      numbers: the numbers of experts.

    Returns:
      List of dicts: the point's `experts`, `engine` and `stage`, and what `measure_training`
      returns.
    """
    points: list[Point] = [
        {"experts": number, "engine": engine, "stage": stage}
        for number in numbers
        for stage in STAGES
        for engine in POST_ENGINES
    ]
    return measured_apart("moe_vae.bench.training_growth", ("experts", "engine", "stage"), points)


def measure_training(experts: int, engine: str, stage: str) -> Point:
    """Measures the training steps of post 3's model on `marked_images`.

    Args:
      experts: number of experts.
      engine: a key of `POST_ENGINES`.
      stage: one of `STAGES`.

    Returns:
      Dict of `seconds`, the median of a step, and `peak_bytes`, of the whole process.
    """
    trainer = start_trainer(POST_ENGINES[engine], {"n_experts": experts}, SEED)
    batch_size = trainer.model.batch_size("loss")
    train_set = DataSet(marked_images(N_STEPS * batch_size, experts), None)
    if stage == "decided":
        decide(trainer)
    seconds = []
    for _ in range(1 + N_REPEATS):
        start = time.perf_counter()
        trainer.run_epoch(train_set, "loss")
        seconds.append((time.perf_counter() - start) / N_STEPS)
    return {"seconds": float(np.median(seconds[1:])), "peak_bytes": peak_bytes()}


def marked_images(n: int, n_experts: int) -> np.ndarray:
    """Returns random images, half of their pixels blank, each with a mark of its expert.

    Of the first `n_experts` pixels one is 1, by turns, and the others are 0.

    Args:
      n: number of images.
      n_experts: number of experts, at most half of the pixels.

    Returns:
      Float32 array [n, 784].
    """
    images = np.random.default_rng(SEED).random([n, IMAGE_PIXELS], np.float32)
    images[:, IMAGE_PIXELS // 2 :] = 0
    images[:, :n_experts] = np.eye(n_experts, dtype=np.float32)[np.arange(n) % n_experts]
    return images


def decide(trainer: Trainer) -> None:
    """Gives the manager weights that send each of `marked_images` to the expert of its mark.

    The probabilities are 0 and 1, so no gradient changes them.

    Args:
      trainer: a `Trainer` of post 3's model in either engine, with at most as many experts as the
        manager has hidden units.
    """
    (n_hidden,), n_experts = trainer.model.params["manager_layers"], trainer.model.n_columns
    marks = np.arange(n_experts)
    first = np.zeros([IMAGE_PIXELS + 1, n_hidden], np.float32)
    first[marks, marks], first[-1] = HIDDEN_SCALE, -HIDDEN_SCALE / 2
    last = np.zeros([n_hidden + 1, n_experts], np.float32)
    last[marks, marks] = LOGIT_SCALE
    values = {"manager/layer_0": first, "manager/layer_1": last}  # of the fused engine
    for name, value in {"prob/dense": first, "prob/dense_1": last}.items():
        values |= {f"{name}/kernel": value[:-1], f"{name}/bias": value[-1]}
    with trainer.session.graph.as_default():
        for variable in tf.trainable_variables():
            if variable.op.name in values:
                variable.load(values[variable.op.name], trainer.session)


def main(argv: Sequence[str]) -> None:
    """Measures one point, given by its experts, engine and stage, and prints it as JSON."""
    experts, engine, stage = argv
    print(json.dumps(measure_training(int(experts), engine, stage)))


if __name__ == "__main__":
    main(sys.argv[1:])
