"""How the fused model's prediction and generation grow with experts, batch and image size.

Each point is measured by a process of its own, `python -m moe_vae.bench.growth EXPERTS BATCH SIDE`.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from moe_vae.bench.charts import plot_growth
from moe_vae.bench.processes import BenchError
from moe_vae.bench.records import machine, save_figure
from moe_vae.bench.worker import peak_bytes
from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import IMAGE_SIDE
from moe_vae.engines.fused import FusedManager
from moe_vae.experiments.run_files import write_json
from moe_vae.messages import progress_bar, say
from moe_vae.nn.sessions import open_session
from moe_vae.posts.mixture_of_vaes import MIXTURE_OF_VAES_PARAMS

__all__ = [
    "AXES",
    "GROWTH_OUT",
    "POINT",
    "main",
    "measure_growth",
    "measure_point",
    "measured_apart",
    "run_growth",
]

GROWTH_OUT = Path("results", "bench_scaling.json")
N_REPEATS = 5
# Each of these grows through the values of `AXES` while the others stay as in `POINT`.
POINT = {"experts": MIXTURE_OF_VAES_PARAMS["n_experts"], "batch": 1000, "side": IMAGE_SIDE}
AXES = {
    "experts": (1, 2, 5, 10, 20, 50, 100),
    "batch": (100, 300, 1000, 3000, 10000),
    "side": (14, 28, 56, 112),
}

Point = dict[str, Any]


def run_growth(out: Path = GROWTH_OUT, command: str = "") -> dict[str, Any]:
    """Measures all points, and writes the results and a figure.

    Args:
      out: the JSON file of the results; the figure goes to `figures` beside it.
      command: the command line that asked for it, for the record.

    Returns:
      The results, as in the file.
    """
    points = measure_growth()
    results = {"command": command, **machine(), "points": points}
    write_json(out, results)
    figures = save_figure(plot_growth(points, POINT), out)
    say(f"{len(points)} points are in {out}, their figure in {figures}/.")
    return results


def measure_growth(axes: Mapping[str, Sequence[int]] = AXES) -> list[Point]:
    """Measures each point of each axis in a process of its own.

    Args:
      axes: dict of a name in `POINT` to its values.

    Returns:
      List of dicts: the point's `experts`, `batch` and `side`, the name of its `axis`, and what
      `measure_point` returns.
    """
    points: list[Point] = [
        {**POINT, axis: value, "axis": axis} for axis, values in axes.items() for value in values
    ]
    return measured_apart("moe_vae.bench.growth", POINT, points)


def measured_apart(module: str, names: Iterable[str], points: list[Point]) -> list[Point]:
    """Returns points with what a module measures of each, in a process of its own.

    Args:
      module: the name of a module that reads a point's values and prints a dict as JSON.
      names: the point's keys whose values the module reads, in their order.
      points: list of dicts, to which the measurements are added.

    Raises:
      BenchError: a process ended with an error.
    """
    names = list(names)
    for point in progress_bar(points, unit="point", disable=None):
        words = [str(point[name]) for name in names]
        command = [sys.executable, "-m", module, *words]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if answer.returncode:
            values = ", ".join(f"{name} {point[name]}" for name in names)
            raise BenchError(f"{module}: {values} ended with exit code {answer.returncode}")
        point |= json.loads(answer.stdout)
    return points


def measure_point(experts: int, batch: int, side: int) -> Point:
    """Measures the fused model with fresh weights on random images, half of their pixels blank.

    Args:
      experts: number of experts.
      batch: number of images, or of codes, in one run.
      side: height and width of the images, in pixels.

    Returns:
      Dict of `seconds`, by kind of work the median of one run; `images_a_second`, by kind of work;
      and `peak_bytes`, of the whole process.
    """
    generator = np.random.default_rng(0)
    images = generator.random([batch, side**2], np.float32)
    images[:, : side**2 // 2] = 0
    with tf.Graph().as_default() as graph:
        images_in = tf.placeholder(tf.float32, [None, side**2])
        model = FusedManager({"n_experts": experts}, images_in, (side, side))
        codes = generator.standard_normal([batch, model.params["z_dim"]])
        work: dict[str, tuple[Any, dict[Tensor, np.ndarray]]] = {
            "predict": (model.probs, {model.images: images}),
            "score": (model.expert_losses, {model.images: images}),
            "generate": (model.drawn, {model.code: codes}),
        }
        with open_session(graph) as session:
            session.run(tf.global_variables_initializer())
            seconds = {name: _median_seconds(session, *run) for name, run in work.items()}
    done = {"predict": batch, "score": batch, "generate": batch * experts}
    return {
        "seconds": seconds,
        "images_a_second": {name: done[name] / seconds[name] for name in seconds},
        "peak_bytes": peak_bytes(),
    }


def _median_seconds(session: Session, fetches: Any, feed: Mapping[Tensor, np.ndarray]) -> float:
    seconds = []
    for _ in range(1 + N_REPEATS):
        start = time.perf_counter()
        session.run(fetches, feed)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[1:]))


def main(argv: Sequence[str]) -> None:
    """Measures one point, given by its experts, batch and side, and prints it as JSON."""
    print(json.dumps(measure_point(*map(int, argv))))


if __name__ == "__main__":
    main(sys.argv[1:])
