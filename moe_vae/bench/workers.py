"""What a cluster costs and what it gains: measured on this machine, drawn out by a model of it.

The model of a synchronous step, with K experts, W workers, a batch of B for each, b(K) bytes over
one worker's connections and S parameter servers:

    seconds = compute K B max(1, W / cores) + receive W b / S + update b / S + wait

A process that trains alone takes compute K B. The four constants are fitted to the measured runs
by least squares of the relative errors, none below 0; b is counted, and linear in K.
"""

import json
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import nnls

from moe_vae.compat import tf
from moe_vae.data.checks import IMAGE_PIXELS
from moe_vae.data.dataset import DataSet
from moe_vae.distributed.processes import free_addresses, start_task, stopped_in_the_end, watch
from moe_vae.distributed.servers import JOBS, ClusterError, read_cluster, start_server
from moe_vae.distributed.trainer import Member, serve, start_cluster_trainer
from moe_vae.files import write_whole
from moe_vae.models.specialists import build_mixture_of_vaes
from moe_vae.params import ParameterError
from moe_vae.training.trainer import start_trainer

__all__ = ["add_scaling_command", "draw_out", "fit_model", "plot_scaling", "step_seconds"]

WAIT_SECONDS = 60.0
SEED = 0
CONSTANTS = ("compute", "receive", "update", "wait")
DRAWN_WORKERS = (1, 2, 4, 8, 16, 32, 64)
DRAWN_EXPERTS = (10, 100)
DRAWN_EXAMPLES = 55_000
ASSUMPTIONS = (
    "every worker has a core of its own, as fast as one of this machine's",
    "a byte takes as long between two hosts as it took over this machine's loopback",
    "the parameter servers divide the experts evenly, and each has a link and a core of its own",
    "the time to compute grows in proportion to the experts and to the batch",
    "each worker's batch stays as it is, so that the whole batch grows with the workers; what that "
    "does to the losses is not in the model",
    "the time to evaluate after each epoch, by worker 0 alone, is not in it",
)


# Measuring


def _task(settings):
    """Is one task of a run that is measured, or its only process."""
    images = np.random.default_rng(SEED).random([settings["examples"], IMAGE_PIXELS], np.float32)
    data = DataSet(images, np.zeros(settings["examples"], int))
    params = {"batch_size": settings["batch_size"], "epochs": settings["epochs"]}

    def build(params):
        return build_mixture_of_vaes(params, settings["n_experts"])

    if settings["cluster"] is None:
        trainer = start_trainer(build, params, SEED)
        bytes_a_step = []
    else:
        job, task = settings["job"], settings["task"]
        cluster = read_cluster(Path(settings["cluster"]))
        member = Member(cluster, job, task, start_server(cluster, job, task), True, WAIT_SECONDS)
        if job == "ps":
            return serve(member)
        trainer = start_cluster_trainer(build, params, SEED, member)
        if not member.is_chief:
            return trainer.follow(data)
        bytes_a_step = trainer.bytes_a_step
    trainer.fit(data, sample=False)
    record = {"seconds": trainer.seconds, "bytes_a_step": bytes_a_step}
    write_whole(Path(settings["out"]), json.dumps(record).encode())
    if settings["cluster"] is not None:
        trainer.end()


def _measure(n_workers, n_experts, settings):
    """Measures one run; 0 workers mean one process without a cluster."""
    cores = sorted(os.sched_getaffinity(0))
    settings = {**settings, "n_experts": n_experts, "cluster": None}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        settings["out"] = f"{name}/record.json"
        tasks = [("worker", 0)]
        if n_workers:
            addresses = free_addresses(settings["n_servers"] + n_workers)
            servers = addresses[: settings["n_servers"]]
            content = {"ps": servers, "worker": addresses[len(servers) :]}
            settings["cluster"] = f"{name}/cluster.json"
            Path(settings["cluster"]).write_text(json.dumps(content))
            tasks = [(job, task) for job in JOBS for task in range(len(content[job]))]
        with stopped_in_the_end() as processes:
            for job, task in tasks:
                words = json.dumps({**settings, "job": job, "task": task})
                command = [sys.executable, "-m", __name__, words]
                core = None if job == "ps" else {cores[task % len(cores)]}
                processes.append(start_task(command, job, task, directory, core))
            if watch(processes):
                raise ClusterError("interrupted: nothing was written")
        record = json.loads(Path(settings["out"]).read_text())
    n_steps = settings["examples"] // max(1, n_workers) // settings["batch_size"]
    warm = record["seconds"][1:]
    return {
        "workers": n_workers,
        "experts": n_experts,
        "cores": len(cores),
        "steps_an_epoch": n_steps,
        "seconds_of_each_epoch": record["seconds"],
        "seconds_an_epoch": statistics.median(warm),
        "seconds_a_step": statistics.median(warm) / n_steps,
        "bytes_a_step_and_worker": int(statistics.median(record["bytes_a_step"] or [0])),
    }


# The model


def _terms(n_workers, n_experts, batch_size, n_bytes, n_servers, cores):
    """Returns what each of the `CONSTANTS` is multiplied by; 0 workers mean no cluster."""
    if not n_workers:
        return [n_experts * batch_size, 0.0, 0.0, 0.0]
    turns = max(1.0, n_workers / cores)
    over_servers = n_bytes / n_servers
    return [n_experts * batch_size * turns, n_workers * over_servers, over_servers, 1.0]


def fit_model(runs, batch_size, n_servers):
    """Fits the model of this module to measured runs.

    Args:
      runs: list of dicts with `workers` (0: no cluster), `experts`, `cores`, `seconds_a_step` and
        `bytes_a_step_and_worker`.
      batch_size: examples in a worker's batch.
      n_servers: number of parameter servers.

    Returns:
      Dict with the `constants`, `bytes` of a step and worker (`fixed` and for `each_expert`) and
      the `relative_errors`, one a run.
    """
    terms = np.array(
        [
            _terms(
                run["workers"],
                run["experts"],
                batch_size,
                run["bytes_a_step_and_worker"],
                n_servers,
                run["cores"],
            )
            for run in runs
        ]
    )
    seconds = np.array([run["seconds_a_step"] for run in runs])
    relative = terms / seconds[:, None]
    scale = np.where(relative.any(axis=0), np.abs(relative).max(axis=0), 1.0)
    constants = nnls(relative / scale, np.ones(len(runs)))[0] / scale
    counted = [run for run in runs if run["workers"]]
    each_expert, fixed = np.polyfit(
        [run["experts"] for run in counted], [run["bytes_a_step_and_worker"] for run in counted], 1
    )
    return {
        "constants": dict(zip(CONSTANTS, constants.tolist(), strict=True)),
        "bytes": {"fixed": float(fixed), "each_expert": float(each_expert)},
        "relative_errors": (terms @ constants / seconds - 1).tolist(),
    }


def step_seconds(model, n_workers, n_experts, batch_size, n_servers):
    """Returns the seconds of a step where every worker has a core of its own; see the module.

    Args:
      model: what `fit_model` returns.
      n_workers: number of workers; 0 means one process without a cluster.
      n_experts: number of experts.
      batch_size: examples in a worker's batch.
      n_servers: number of parameter servers.
    """
    n_bytes = model["bytes"]["fixed"] + model["bytes"]["each_expert"] * n_experts
    terms = _terms(n_workers, n_experts, batch_size, n_bytes, n_servers, max(1, n_workers))
    return float(np.dot(terms, [model["constants"][name] for name in CONSTANTS]))


def draw_out(model, batch_size, n_servers):
    """Draws the model out to 64 workers and 100 experts, on as many examples as MNIST has.

    Returns:
      List of dicts, one for each number of experts: `experts`, `parameter_servers`, seconds an
      epoch `alone` and of each number of `workers`, and the number of workers from which on it
      `pays` (None: up to 64 it does not).
    """
    drawn = []
    for n_experts in DRAWN_EXPERTS:
        alone = DRAWN_EXAMPLES / batch_size * step_seconds(model, 0, n_experts, batch_size, 1)
        together = {
            n: DRAWN_EXAMPLES
            / (n * batch_size)
            * step_seconds(model, n, n_experts, batch_size, n_servers)
            for n in DRAWN_WORKERS
        }
        drawn.append(
            {
                "experts": n_experts,
                "batch_size": batch_size,
                "parameter_servers": n_servers,
                "alone": alone,
                "workers": {str(n): seconds for n, seconds in together.items()},
                "pays": next((n for n in DRAWN_WORKERS if together[n] < alone), None),
            }
        )
    return drawn


def plot_scaling(runs, model, drawn, n_examples):
    """Draws the seconds an epoch over the number of workers: as measured, and drawn out.

    Args:
      runs: the measured runs.
      model: what `fit_model` returns for them.
      drawn: what `draw_out` returns.
      n_examples: number of images of the measured runs.

    Returns:
      A `matplotlib.figure.Figure`: dots are measured, lines are the model.
    """
    numbers = sorted({entry["experts"] for entry in drawn})
    figure = Figure(figsize=(4.2 * (1 + len(numbers)), 4.2), layout="constrained")
    axes = figure.subplots(1, 1 + len(numbers))
    _plot_measured(axes[0], runs, model, n_examples)
    fewest = min(entry["parameter_servers"] for entry in drawn)
    for ax, n_experts in zip(axes[1:], numbers, strict=True):
        for entry in (entry for entry in drawn if entry["experts"] == n_experts):
            label = f"batches of {entry['batch_size']}, servers: {entry['parameter_servers']}"
            style = "-" if entry["parameter_servers"] == fewest else "--"
            ax.plot(list(map(int, entry["workers"])), entry["workers"].values(), style, label=label)
        ax.axhline(entry["alone"], color="black", linestyle=":", label="one process alone")
        ax.set_title(f"Model: {n_experts} experts, {DRAWN_EXAMPLES:,} images, a core each")
        ax.set_yscale("log")
    for ax in axes:
        ax.set_xscale("log", base=2)
        ticks = sorted({run["workers"] for run in runs} - {0}) if ax is axes[0] else DRAWN_WORKERS
        ax.set_xticks(ticks, ticks)
        ax.title.set_fontsize(10)
        ax.set_xlabel("worker processes")
        ax.set_ylabel("seconds an epoch")
        ax.grid(alpha=0.3)
        ax.legend(fontsize=8)
    return figure


def _plot_measured(ax, runs, model, n_examples):
    cores = max(run["cores"] for run in runs)
    fitted = [
        run["seconds_an_epoch"] * (1 + error)
        for run, error in zip(runs, model["relative_errors"], strict=True)
    ]
    for n_experts in sorted({run["experts"] for run in runs}):
        rows = [
            (run["workers"], run["seconds_an_epoch"], seconds)
            for run, seconds in zip(runs, fitted, strict=True)
            if run["experts"] == n_experts
        ]
        (_, alone, _), *together = sorted(rows)
        workers, measured, of_model = zip(*together, strict=True)
        (line,) = ax.plot(workers, of_model, label=f"{n_experts} experts")
        ax.plot(workers, measured, "o", color=line.get_color())
        ax.axhline(alone, color=line.get_color(), linestyle=":")
    ax.set_title(f"Measured (dots), {n_examples:,} images, {cores} cores; dotted: alone")
    ax.set_ylim(bottom=0)


# The command


def _scaling(arguments):
    if arguments.epochs < 2:
        raise ParameterError(f"--epochs is {arguments.epochs}: it must be at least 2")
    if len(set(arguments.experts)) < 2:
        raise ParameterError(f"--experts is {arguments.experts}: it must be two numbers or more")
    smallest = arguments.examples // max(arguments.workers)
    if smallest < arguments.batch_size:
        raise ParameterError(
            f"--examples is {arguments.examples}: it must be at least "
            f"{max(arguments.workers) * arguments.batch_size}, a batch for each worker"
        )
    settings = {
        "examples": arguments.examples,
        "batch_size": arguments.batch_size,
        "epochs": arguments.epochs,
        "n_servers": arguments.ps,
    }
    runs = []
    for n_experts in arguments.experts:
        for n_workers in (0, *arguments.workers):
            runs.append(_measure(n_workers, n_experts, settings))
            print(json.dumps(runs[-1]), flush=True)
    model = fit_model(runs, arguments.batch_size, arguments.ps)
    # More servers, and larger batches: what makes the bytes of a step weigh less.
    drawn = [
        entry
        for batch_size in (arguments.batch_size, 10 * arguments.batch_size)
        for n_servers in (arguments.ps, 10 * arguments.ps)
        for entry in draw_out(model, batch_size, n_servers)
    ]
    result = {
        "command": arguments.command_line,
        "settings": settings,
        "machine": {"cores": len(os.sched_getaffinity(0)), "kind": platform.machine()},
        "versions": {"tensorflow": tf.__version__, "numpy": np.__version__},
        "runs": runs,
        "model": model,
        "assumptions": ASSUMPTIONS,
        "drawn_out": drawn,
    }
    write_whole(arguments.out, (json.dumps(result, indent=1) + "\n").encode())
    figures = arguments.out.parent / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    plot_scaling(runs, model, drawn, arguments.examples).savefig(
        figures / "cluster_scaling.png", dpi=100
    )
    print(f"{len(runs)} runs and the model are in {arguments.out}.")


def add_scaling_command(commands, count):
    """Adds `scaling` to the commands.

    Args:
      commands: the parser's commands.
      count: function of a word that returns a whole number of at least 1.
    """
    help_text = "measure what workers cost and gain on this machine, each on a core"
    command = commands.add_parser(
        "scaling", help=help_text, description=help_text.capitalize() + "."
    )
    command.set_defaults(run=_scaling)
    for name, default, what in (
        ("--workers", [1, 2, 4], "numbers of worker processes"),
        ("--experts", [2, 5, 10], "numbers of experts, at least two"),
    ):
        command.add_argument(
            name,
            type=count,
            nargs="+",
            default=default,
            metavar="N",
            help=f"{what}; default: {' '.join(map(str, default))}",
        )
    for name, default, what in (
        ("--ps", 1, "parameter servers"),
        ("--examples", 5500, "random images to train on"),
        ("--batch-size", 100, "of each worker"),
        ("--epochs", 4, "of each run; the first does not count"),
    ):
        command.add_argument(
            name, type=count, default=default, metavar="N", help=f"{what}; default: {default}"
        )
    command.add_argument(
        "--out",
        type=Path,
        default=Path("results", "cluster.json"),
        metavar="FILE",
        help="default: results/cluster.json",
    )


if __name__ == "__main__":
    _task(json.loads(sys.argv[1]))
