"""The engines' speed beside each other, beside their peers, and beside what is possible here."""

import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from moe_vae.bench_scaling import measure_scaling, plot_growth
from moe_vae.bench_worker import start_engine
from moe_vae.compat import tf
from moe_vae.datasets import SOURCES, read_data_sets
from moe_vae.experiments import ENGINES
from moe_vae.files import write_whole
from moe_vae.floor import measure_floor
from moe_vae.mixture_of_vaes import MIXTURE_OF_VAES_PARAMS

__all__ = ["BenchError", "add_bench_command", "run_bench"]

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
# Each peer's script there with its words, and the package that it needs.
PEERS = {
    "JAX": ("jax_mixture.py", [], "jax"),
    "PyTorch": ("torch_mixture.py", ["eager"], "torch"),
    "PyTorch, compiled": ("torch_mixture.py", ["compiled"], "torch"),
}


class BenchError(ValueError):
    """A process that was to be measured ended before its time."""


class _Worker:
    """A process that answers words with a line of JSON each; see `bench_worker`."""

    def __init__(self, name, command):
        self._name = name
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, word):
        """Returns the answer to a word."""
        try:
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has left, as the missing answer says below
        answer = self._process.stdout.readline()
        if not answer:
            raise BenchError(f"{self._name} ended with exit code {self._process.wait()}")
        return json.loads(answer)

    def stop(self):
        """Ends the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


def _engine_command(engine, arguments, checkpoint):
    source = [arguments.data, arguments.data_dir or ""]
    return [sys.executable, "-m", "moe_vae.bench_worker", engine, *source, checkpoint]


def _peer_commands(arguments, images):
    """Returns dict of peer to its command, on a file of images; says which cannot be asked."""
    commands = {}
    for name, (script, words, package) in PEERS.items():
        python = arguments.peers_python or sys.executable
        probe = [python, "-c", f"import {package}"]
        if subprocess.run(probe, capture_output=True, check=False).returncode:
            print(f"{name} is left out: the package {package} is not installed for {python}.")
            continue
        commands[name] = [python, str(BENCHMARKS / script), *words, str(images)]
    return commands


def run_bench(arguments):
    """Measures, prints what is to be seen, and writes all of it as JSON.

    Args:
      arguments: the parsed words of `bench`, `command_line` among them.

    Raises:
      BenchError: a process that was to be measured ended before its time.
    """
    data_sets = read_data_sets(arguments.data_dir, arguments.data)
    images = data_sets.train.images
    result = {
        "command": arguments.command_line,
        "data": data_sets.name,
        "steps": len(images) // MIXTURE_OF_VAES_PARAMS["batch_size"],
        **_machine(),
        "floor": measure_floor(images),
        "stages": [],
    }
    with tempfile.TemporaryDirectory() as directory:
        for after in [0, *arguments.after]:
            checkpoint = str(Path(directory, f"after-{after}")) if after else ""
            if after:
                _train(data_sets.train, after, checkpoint)
            commands = {
                engine: _engine_command(engine, arguments, checkpoint) for engine in ENGINES
            }
            if arguments.peers and not result["stages"]:  # what they compute is always the same
                path = Path(directory, "images.npy")
                np.save(path, images)
                commands |= _peer_commands(arguments, path)
            stage = {"after": after, **_measure(commands, arguments.epochs)}
            result["stages"].append({**stage, "summary": _summary(stage, result)})
    write_whole(arguments.out, (json.dumps(result, indent=1) + "\n").encode())
    print(json.dumps([stage["summary"] for stage in result["stages"]], indent=1))
    print(f"The times are in {arguments.out}.")


def _train(train_set, n_epochs, checkpoint):
    """Trains the fused engine's model, and writes what it has become."""
    trainer = start_engine("fused", train_set)
    for _ in tqdm(range(n_epochs), unit="epoch", desc="training", file=sys.stdout):
        trainer._run_epoch(train_set, "loss")
    trainer.save(checkpoint)
    trainer.session.close()


def _measure(commands, n_epochs):
    """Has every command train `n_epochs` epochs after a first one, in turns."""
    epochs = {name: [] for name in commands}
    with contextlib.ExitStack() as stack:
        workers = {}
        for name, command in commands.items():
            workers[name] = _Worker(name, command)
            stack.callback(workers[name].stop)
        for _ in tqdm(range(1 + n_epochs), unit="round", file=sys.stdout):
            for name, worker in workers.items():
                epochs[name].append(worker.ask("epoch"))
        return {
            "profile": {engine: workers[engine].ask("profile") for engine in ENGINES},
            "epochs": {name: values[1:] for name, values in epochs.items()},
            "peak_bytes": {name: w.ask("end")["peak_bytes"] for name, w in workers.items()},
        }


def _summary(stage, result):
    """Returns a stage's medians, in seconds, and the ratios that the tables show."""
    medians = {
        name: {
            key: float(np.median([epoch[key] for epoch in epochs]))
            for key in epochs[0]
            if key != "loss"
        }
        for name, epochs in stage["epochs"].items()
    }
    for name, epochs in stage["epochs"].items():
        parts = ("train", "evaluate", "samples")
        if all(part in epochs[0] for part in parts):
            whole = [sum(epoch[part] for part in parts) for epoch in epochs]
            medians[name]["whole"] = float(np.median(whole))
    fused, plain = medians["fused"], medians["plain"]
    floors = {name: result["steps"] * value for name, value in result["floor"]["step"].items()}
    return {
        "medians": medians,
        "times_fused": {name: of["train"] / fused["train"] for name, of in medians.items()},
        "plain_to_fused_whole": plain["whole"] / fused["whole"],
        "floor_epoch": floors,
        "fraction_of_floor": floors["without_blanks"] / fused["train"],
    }


def _machine():
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
        },
    }


def _processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def add_bench_command(commands, positive):
    """Adds `bench` to the command line's commands.

    Args:
      commands: what `argparse` returned for the sub-commands.
      positive: the type of a whole number of at least 1.
    """
    help_text = "time the engines beside each other, their peers and what is possible here"
    command = commands.add_parser("bench", help=help_text, description=help_text.capitalize() + ".")
    command.set_defaults(run=_run)
    command.add_argument(
        "--data", choices=SOURCES, default="auto", help="which images, as for `train`"
    )
    command.add_argument(
        "--data-dir", metavar="DIR", help="where MNIST's four files are; as for `train`"
    )
    command.add_argument(
        "--epochs",
        type=positive,
        default=5,
        metavar="N",
        help="epochs of each, after a first that does not count; default: 5",
    )
    command.add_argument(
        "--after",
        type=positive,
        nargs="+",
        default=[],
        metavar="N",
        help="measure again with weights that have been trained so many epochs: the fused engine "
        "leaves out what a manager that has made up its mind makes too small to count",
    )
    command.add_argument(
        "--peers",
        action="store_true",
        help="the same model in JAX and PyTorch too, where they are installed",
    )
    command.add_argument(
        "--peers-python",
        metavar="FILE",
        help="the Python that has them; default: the one that runs this",
    )
    command.add_argument(
        "--scaling",
        action="store_true",
        help="measure instead how prediction and generation grow with experts, batch and image",
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="default: results/bench.json, or results/bench_scaling.json",
    )


def _run(arguments):
    kind = "bench_scaling" if arguments.scaling else "bench"
    arguments.out = arguments.out or Path("results", f"{kind}.json")
    if arguments.scaling:
        _run_scaling(arguments)
    else:
        run_bench(arguments)


def _run_scaling(arguments):
    points = measure_scaling()
    result = {"command": arguments.command_line, **_machine(), "points": points}
    write_whole(arguments.out, (json.dumps(result, indent=1) + "\n").encode())
    figures = arguments.out.parent / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    plot_growth(points).savefig(figures / "bench_scaling.png", dpi=100)
    print(f"{len(points)} points are in {arguments.out}, their figure in {figures}/.")
