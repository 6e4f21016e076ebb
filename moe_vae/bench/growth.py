"""How the fused model's prediction and generation grow with experts, batch and image size."""

import json
import subprocess
import sys
import time

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from moe_vae.bench.worker import peak_bytes
from moe_vae.compat import tf
from moe_vae.data.checks import IMAGE_SIDE
from moe_vae.engines.fused import FusedManager
from moe_vae.nn.sessions import open_session
from moe_vae.posts.mixture_of_vaes import N_EXPERTS

__all__ = ["AXES", "main", "measure_point", "measure_scaling", "plot_growth"]

N_REPEATS = 5
BATCH = 1000
# What grows, and through which values; the rest is as here.
POINT = {"experts": N_EXPERTS, "batch": BATCH, "side": IMAGE_SIDE}
AXES = {
    "experts": (1, 2, 5, 10, 20, 50, 100),
    "batch": (100, 300, 1000, 3000, 10000),
    "side": (14, 28, 56, 112),
}
# What is timed, and what one unit of its work is.
WORK = {
    "predict": "images told apart",
    "score": "images scored by every expert",
    "generate": "images drawn",
}


def measure_scaling(axes=None):
    """Measures each point of each axis in a process of its own.

    Args:
      axes: dict of a name in `POINT` to its values; None means `AXES`.

    Returns:
      List of dicts: the point's `experts`, `batch` and `side`, the `axis` that it is of, and what
      `measure_point` returns.
    """
    points = [
        {**POINT, axis: value, "axis": axis}
        for axis, values in (axes or AXES).items()
        for value in values
    ]
    for point in tqdm(points, unit="point", file=sys.stdout):
        words = [str(point[name]) for name in POINT]
        command = [sys.executable, "-m", "moe_vae.bench.growth", *words]
        said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        point |= json.loads(said)
    return points


def measure_point(experts, batch, side):
    """Measures the fused model with fresh weights on random images, half of their pixels blank.

    Args:
      experts: number of experts.
      batch: number of images, or of codes, that one run takes.
      side: height and width of the images, in pixels.

    Returns:
      Dict of `seconds`, by kind of work the median of one run; `images_a_second`, by kind of work;
      and `peak_bytes`, of the whole process.
    """
    generator = np.random.default_rng(0)
    images = generator.random([batch, side**2], np.float32)
    images[:, : side**2 // 2] = 0
    with tf.Graph().as_default() as graph:
        model = FusedManager({}, experts, tf.placeholder(tf.float32, [None, side**2]))
        codes = generator.standard_normal([batch, model.params["z_dim"]])
        work = {
            "predict": (model.probs, {model.images: images}),
            "score": (model.expert_losses, {model.images: images}),
            "generate": (model.drawn, {model.code: codes}),
        }
        with open_session(graph) as session:
            session.run(tf.global_variables_initializer())
            seconds = {name: _time(session, *of_work) for name, of_work in work.items()}
    done = {"predict": batch, "score": batch, "generate": batch * experts}
    return {
        "seconds": seconds,
        "images_a_second": {name: done[name] / seconds[name] for name in seconds},
        "peak_bytes": peak_bytes(),
    }


def _time(session, fetches, feed):
    seconds = []
    for _ in range(1 + N_REPEATS):
        start = time.perf_counter()
        session.run(fetches, feed)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[1:]))


def plot_growth(points):
    """Draws time and memory against what grows.

    Args:
      points: what `measure_scaling` returned.

    Returns:
      A `matplotlib.figure.Figure`.
    """
    names = {"experts": "experts", "batch": "images a batch", "side": "pixels an image"}
    axes_names = [axis for axis in names if any(point["axis"] == axis for point in points)]
    figure = Figure(figsize=(4.2 * len(axes_names), 6.4), layout="constrained")
    rows = figure.subplots(2, len(axes_names), squeeze=False)
    for column, axis in enumerate(axes_names):
        of_axis = [point for point in points if point["axis"] == axis]
        x = [point[axis] ** (2 if axis == "side" else 1) for point in of_axis]
        for work, unit in WORK.items():
            y = [point["images_a_second"][work] for point in of_axis]
            rows[0, column].loglog(x, y, "o-", label=unit)
        rows[1, column].plot(x, [point["peak_bytes"] / 2**20 for point in of_axis], "o-")
        rows[1, column].set_xscale("log")
        rows[1, column].set_ylim(bottom=0)
        for ax in rows[:, column]:
            ax.set_xlabel(names[axis])
            ax.grid(alpha=0.3)
    rows[0, 0].set_ylabel("images a second")
    lines, labels = rows[0, 0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=len(labels))
    rows[1, 0].set_ylabel("peak memory of the process (MiB)")
    fixed = f"{POINT['experts']} experts, batches of {POINT['batch']}, {POINT['side']} x "
    figure.suptitle(f"Prediction and generation, fused ({fixed}{POINT['side']} where not said)")
    return figure


def main(argv):
    """Measures one point, whose numbers are the words, and prints it as JSON."""
    print(json.dumps(measure_point(*map(int, argv))))


if __name__ == "__main__":
    main(sys.argv[1:])
