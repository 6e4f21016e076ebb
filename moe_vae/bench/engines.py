"""The engines' speed beside each other, beside their peers, and beside what is possible here."""

import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from tqdm import tqdm

from moe_vae.bench.floor import measure_floor
from moe_vae.bench.growth import measure_scaling, plot_growth
from moe_vae.bench.worker import BENCH_ENGINES, BENCH_MODELS
from moe_vae.compat import tf
from moe_vae.data.mnist import SOURCES, read_data_sets
from moe_vae.files import write_whole
from moe_vae.posts.mixture_of_vaes import MIXTURE_OF_VAES_PARAMS

__all__ = ["BenchError", "add_bench_command", "plot_epochs", "run_bench"]

PARTS = ("train", "evaluate", "samples")
BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
N_MODEL_EPOCHS = 5
N_AT_AN_END = 3  # epochs that stand for a training's beginning, and for its end


class _Peer(NamedTuple):
    """The same model elsewhere: its script in `BENCHMARKS`, and what its Python must import."""

    script: str
    package: str
    words: tuple = ()
    python: str = "peers_python"  # the option that names it


PEERS = {
    "TensorFlow 1.15": _Peer(
        "tensorflow_1_mixture.py", "tensorflow.contrib", python="tensorflow_1_python"
    ),
    "JAX": _Peer("jax_mixture.py", "jax"),
    "PyTorch": _Peer("torch_mixture.py", "torch", ("eager",)),
    "PyTorch, compiled": _Peer("torch_mixture.py", "torch", ("compiled",)),
}


class BenchError(ValueError):
    """What was asked for cannot be measured, or a process ended before its time."""


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


def _engine_commands(arguments, model=""):
    """Returns dict of engine to the command of a model's worker; without a model post 3's."""
    source = [arguments.data, arguments.data_dir or ""]
    return {
        engine: [sys.executable, "-m", "moe_vae.bench.worker", model, engine, *source]
        for engine in BENCH_ENGINES
    }


def _peer_commands(arguments, images):
    """Returns dict of peer to its command, on a file of images; says which cannot be asked."""
    commands = {}
    for name, peer in PEERS.items():
        python = getattr(arguments, peer.python) or sys.executable
        probe = [python, "-c", f"import {peer.package}"]
        if subprocess.run(probe, capture_output=True, check=False).returncode:
            print(f"{name} is left out: the package {peer.package} is not installed for {python}.")
            continue
        commands[name] = [python, str(BENCHMARKS / peer.script), *peer.words, str(images)]
    return commands


def run_bench(arguments):
    """Measures, prints what is to be seen, draws it, and writes all of it as JSON.

    Args:
      arguments: the parsed words of `bench`, `command_line` among them.

    Raises:
      BenchError: a process that was to be measured ended before its time.
    """
    data_sets = read_data_sets(arguments.data_dir, arguments.data)
    images = data_sets.train.images
    commands = _engine_commands(arguments)
    result = {
        "command": arguments.command_line,
        "data": data_sets.name,
        "steps": len(images) // MIXTURE_OF_VAES_PARAMS["batch_size"],
        **_machine(),
        "floor": measure_floor(images),
        "profile": {engine: _profile(engine, command) for engine, command in commands.items()},
        "models": {model: _measure_model(model, arguments) for model in BENCH_MODELS},
    }
    with tempfile.TemporaryDirectory() as directory:
        if arguments.peers:
            path = Path(directory, "images.npy")
            np.save(path, images)
            commands |= _peer_commands(arguments, path)
        result |= _measure(commands, arguments.epochs)
    result["summary"] = _summary(result)
    write_whole(arguments.out, (json.dumps(result, indent=1) + "\n").encode())
    figures = _save_figure(plot_epochs(result["epochs"]), arguments)
    print(json.dumps(result["summary"], indent=1))
    print(f"The times are in {arguments.out}, their figure in {figures}/.")


def _profile(name, command):
    worker = _Worker(name, command)
    try:
        return worker.ask("profile")
    finally:
        worker.stop()


def _measure_model(model, arguments):
    """Measures both engines of a model, and where a plain step's time goes."""
    commands = _engine_commands(arguments, model)
    measured = _measure(commands, N_MODEL_EPOCHS, f"{model}, ")
    seconds = {
        engine: float(np.median([epoch["train"] for epoch in epochs]))
        for engine, epochs in measured["epochs"].items()
    }
    return {
        **measured,
        "medians": seconds,
        "times_fused": seconds["plain"] / seconds["fused"],
        "profile": _profile(f"{model}, plain", commands["plain"]),
    }


def _measure(commands, n_epochs, of_model=""):
    """Has every command train `n_epochs` epochs after a first one, in turns."""
    epochs = {name: [] for name in commands}
    with contextlib.ExitStack() as stack:
        workers = {}
        for name, command in commands.items():
            workers[name] = _Worker(f"{of_model}{name}", command)
            stack.callback(workers[name].stop)
        for _ in tqdm(range(1 + n_epochs), unit="round", file=sys.stdout):
            for name, worker in workers.items():
                epochs[name].append(worker.ask("epoch"))
        return {
            "first_epoch": {name: values[0] for name, values in epochs.items()},
            "epochs": {name: values[1:] for name, values in epochs.items()},
            "peak_bytes": {name: w.ask("end")["peak_bytes"] for name, w in workers.items()},
        }


def _summary(result):
    """Returns medians, in seconds, and the ratios that the tables show.

    They are of all epochs, and for the training steps also of the first and of the last three.
    """
    summary = {"medians": {}, "times_fused": {}, "whole_times_fused": {}}
    for name, epochs in result["epochs"].items():
        seconds = {part: [epoch[part] for epoch in epochs] for part in PARTS if part in epochs[0]}
        if len(seconds) == len(PARTS):
            seconds["whole"] = np.sum([seconds[part] for part in PARTS], axis=0)
        seconds["first"] = seconds["train"][:N_AT_AN_END]
        seconds["last"] = seconds["train"][-N_AT_AN_END:]
        summary["medians"][name] = {
            part: float(np.median(values)) for part, values in seconds.items()
        }
    fused = summary["medians"]["fused"]
    for name, medians in summary["medians"].items():
        summary["times_fused"][name] = medians["train"] / fused["train"]
        if "whole" in medians:
            summary["whole_times_fused"][name] = medians["whole"] / fused["whole"]
    floors = {name: result["steps"] * value for name, value in result["floor"]["step"].items()}
    summary["floor_epoch"] = floors
    summary["fraction_of_floor"] = {
        part: floors["without_blanks"] / fused[part] for part in ("first", "train", "last")
    }
    return summary


def plot_epochs(epochs):
    """Draws the seconds of every epoch's training steps.

    Args:
      epochs: dict of engine or peer to a list of dicts with `train`, in seconds.

    Returns:
      A `matplotlib.figure.Figure`.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    ax = figure.subplots()
    for name, values in epochs.items():
        numbers = np.arange(len(values)) + 2  # the first does not count
        width = 2.5 if name in BENCH_ENGINES else 1.2
        ax.plot(numbers, [epoch["train"] for epoch in values], label=name, linewidth=width)
    ax.set(
        xlabel="epoch",
        ylabel="training steps (seconds an epoch)",
        title="Post 3's model through its training",
    )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylim(bottom=0)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _save_figure(figure, arguments):
    """Saves a figure beside the results under their name; returns the directory."""
    figures = arguments.out.parent / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    figure.savefig(figures / f"{arguments.out.stem}.png", dpi=100)
    return figures


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
        help="epochs of post 3's model, in each engine and at each peer, after a first that does "
        "not count; default: 5",
    )
    command.add_argument(
        "--peers",
        action="store_true",
        help="the same model elsewhere too, where JAX, PyTorch or TensorFlow 1.15 are installed",
    )
    command.add_argument(
        "--peers-python",
        metavar="FILE",
        help="the Python that has them; default: the one that runs this",
    )
    command.add_argument(
        "--tensorflow-1-python",
        metavar="FILE",
        help="a Python with TensorFlow 1.15, which is then a peer, too",
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
    for option, python in (
        ("--peers-python", arguments.peers_python),
        ("--tensorflow-1-python", arguments.tensorflow_1_python),
    ):
        if python is not None and not arguments.peers:
            raise BenchError(f"{option} is {python}: it must come with --peers")
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
    figures = _save_figure(plot_growth(points), arguments)
    print(f"{len(points)} points are in {arguments.out}, their figure in {figures}/.")
