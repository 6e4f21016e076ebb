"""What the workers of a cluster of processes cost and gain, measured on this machine.

Each run trains post 3's model on random images, with every task on a core of its own where there
are enough. `moe_vae.bench.step_model` extrapolates the runs.
"""

import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from moe_vae.bench.charts import plot_scaling
from moe_vae.bench.records import save_figure
from moe_vae.bench.step_model import ASSUMPTIONS, extrapolate, fit_model
from moe_vae.compat import tf
from moe_vae.data.checks import IMAGE_PIXELS
from moe_vae.data.dataset import DataSet
from moe_vae.distributed.processes import (
    join_cluster,
    start_task,
    stopping_processes,
    wait_for_tasks,
    write_local_cluster,
)
from moe_vae.experiments.run_files import write_json
from moe_vae.files import write_whole
from moe_vae.messages import say
from moe_vae.model import Model
from moe_vae.models.specialists import build_mixture_of_vaes
from moe_vae.nn.sessions import usable_cores
from moe_vae.params import ParameterError
from moe_vae.training.trainer import start_trainer

__all__ = ["N_EXPERTS", "N_WORKERS", "SCALING_OUT", "ScalingSettings", "main", "run_scaling"]

SCALING_OUT = Path("results", "cluster.json")
N_WORKERS = (1, 2, 4)
N_EXPERTS = (2, 5, 10)
WAIT_SECONDS = 60.0
SEED = 0
SMALL_MESSAGES = 10  # the extrapolation also takes batches and numbers of servers this much larger


class ScalingSettings(NamedTuple):
    """What all runs have in common.

    Attributes:
      examples: number of random images to train on.
      batch_size: examples in each worker's batch.
      epochs: epochs of each run, of which the first does not count.
      n_servers: number of parameter servers.
    """

    examples: int = 5500
    batch_size: int = 100
    epochs: int = 4
    n_servers: int = 1


class _Run(NamedTuple):
    """One run, as its processes are told: without a `cluster` file it has one process."""

    settings: ScalingSettings
    n_experts: int
    out: str
    cluster: str | None = None
    job: str = "worker"
    task: int = 0


def run_scaling(
    n_workers: Sequence[int] = N_WORKERS,
    n_experts: Sequence[int] = N_EXPERTS,
    settings: ScalingSettings | None = None,
    out: Path = SCALING_OUT,
    command: str = "",
) -> dict[str, Any]:
    """Measures every number of workers and experts, fits the model, and extrapolates it.

    Args:
      n_workers: numbers of worker processes, each at least 1; one process alone is measured too.
      n_experts: numbers of experts, at least two different ones.
      settings: the `ScalingSettings`; None means the defaults.
      out: the JSON file of the results; the figure `cluster_scaling.png` goes to `figures` beside
        it.
      command: the command line that asked for it, for the record.

    Returns:
      The results, as in the file.

    Raises:
      ParameterError: there are too few epochs, experts or examples.
      ClusterError: a process failed.
      KeyboardInterrupt: Ctrl-C or SIGTERM came; nothing was written.
    """
    settings = settings or ScalingSettings()
    _check(n_workers, n_experts, settings)
    runs = []
    for experts in n_experts:
        for workers in (0, *n_workers):
            runs.append(_measure(workers, experts, settings))
            print(json.dumps(runs[-1]), flush=True)
    model = fit_model(runs, settings.batch_size, settings.n_servers)
    extrapolated = _extrapolate_all(model, settings)
    results = {
        "command": command,
        "settings": settings._asdict(),
        "machine": {"cores": usable_cores(), "kind": platform.machine()},
        "versions": {"tensorflow": tf.__version__, "numpy": np.__version__},
        "runs": runs,
        "model": model,
        "assumptions": ASSUMPTIONS,
        "drawn_out": extrapolated,
    }
    write_json(out, results)
    save_figure(plot_scaling(runs, model, extrapolated, settings.examples), out, "cluster_scaling")
    say(f"{len(runs)} runs and the model are in {out}.")
    return results


def _check(n_workers: Sequence[int], n_experts: Sequence[int], settings: ScalingSettings) -> None:
    if settings.epochs < 2:
        raise ParameterError(f"--epochs is {settings.epochs}: it must be at least 2")
    if len(set(n_experts)) < 2:
        raise ParameterError(f"--experts is {list(n_experts)}: it must be two numbers or more")
    needed = max(n_workers) * settings.batch_size
    if settings.examples < needed:
        raise ParameterError(
            f"--examples is {settings.examples}: it must be at least {needed}, "
            "a batch for each worker"
        )


def _extrapolate_all(model: Mapping[str, Any], settings: ScalingSettings) -> list[dict[str, Any]]:
    """Extrapolates with the settings, and with what makes the messages of a step weigh less."""
    return [
        entry
        for batch_size in (settings.batch_size, SMALL_MESSAGES * settings.batch_size)
        for n_servers in (settings.n_servers, SMALL_MESSAGES * settings.n_servers)
        for entry in extrapolate(model, batch_size, n_servers)
    ]


def _measure(n_workers: int, n_experts: int, settings: ScalingSettings) -> dict[str, Any]:
    """Measures one run; 0 workers mean one process without a cluster."""
    with tempfile.TemporaryDirectory() as directory:
        record = _train(n_workers, n_experts, settings, Path(directory))
    n_steps = settings.examples // max(1, n_workers) // settings.batch_size
    seconds = statistics.median(record["seconds"][1:])
    return {
        "workers": n_workers,
        "experts": n_experts,
        "cores": usable_cores(),
        "steps_an_epoch": n_steps,
        "seconds_of_each_epoch": record["seconds"],
        "seconds_an_epoch": seconds,
        "seconds_a_step": seconds / n_steps,
        "bytes_a_step_and_worker": int(statistics.median(record["bytes_a_step"] or [0])),
    }


def _train(
    n_workers: int, n_experts: int, settings: ScalingSettings, directory: Path
) -> dict[str, Any]:
    """Starts the tasks of a run, each worker on one core, and returns the chief's record."""
    cores = sorted(os.sched_getaffinity(0))
    run = _Run(settings, n_experts, str(directory / "record.json"))
    tasks = [("worker", 0)]
    if n_workers:
        path = directory / "cluster.json"
        tasks = write_local_cluster(path, n_workers, settings.n_servers)
        run = run._replace(cluster=str(path))
    with stopping_processes() as processes:
        for job, task in tasks:
            words = json.dumps(run._replace(job=job, task=task))
            command = [sys.executable, "-m", "moe_vae.bench.workers", words]
            core = None if job == "ps" else {cores[task % len(cores)]}
            processes.append(start_task(command, job, task, directory, core))
        if interruption := wait_for_tasks(processes):
            raise interruption.signal
    return json.loads(Path(run.out).read_text())


def main(argv: Sequence[str]) -> None:
    """Runs one task of a measured run, which is given as JSON."""
    settings, *others = json.loads(argv[0])
    run = _Run(ScalingSettings(*settings), *others)
    if run.cluster is None:
        _train_alone(run)
    else:
        _train_together(run, Path(run.cluster))


def _train_alone(run: _Run) -> None:
    trainer = start_trainer(_builder(run), _params(run), SEED)
    trainer.fit(_data(run), sample=False)
    _write_record(run, trainer.seconds, [])


def _train_together(run: _Run, cluster: Path) -> None:
    from moe_vae.distributed.session import serve
    from moe_vae.distributed.trainer import start_cluster_trainer

    member = join_cluster(cluster, run.job, run.task, wait_seconds=WAIT_SECONDS)
    if member.job == "ps":
        serve(member)
        return
    trainer = start_cluster_trainer(_builder(run), _params(run), SEED, member)
    if not member.is_chief:
        trainer.follow(_data(run))
        return
    trainer.fit(_data(run), sample=False)
    _write_record(run, trainer.seconds, trainer.bytes_a_step)
    trainer.end()


def _builder(run: _Run) -> Any:
    def build(params: Mapping[str, Any]) -> Model:
        return build_mixture_of_vaes({**params, "n_experts": run.n_experts})

    return build


def _params(run: _Run) -> dict[str, Any]:
    return {"batch_size": run.settings.batch_size, "epochs": run.settings.epochs}


def _data(run: _Run) -> DataSet:
    n_examples = run.settings.examples
    images = np.random.default_rng(SEED).random([n_examples, IMAGE_PIXELS], np.float32)
    return DataSet(images, np.zeros(n_examples, int))


def _write_record(run: _Run, seconds: list[float], bytes_a_step: list[int]) -> None:
    record = {"seconds": seconds, "bytes_a_step": bytes_a_step}
    write_whole(Path(run.out), json.dumps(record).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
