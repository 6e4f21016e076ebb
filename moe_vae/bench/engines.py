"""The engines' speed, compared with each other, with their peers and with the floor."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from moe_vae.bench.charts import plot_epochs
from moe_vae.bench.floor import measure_floor
from moe_vae.bench.processes import (
    BenchError,
    MeasuredProcess,
    PeerPythons,
    check_peers,
    engine_commands,
    peer_commands,
    running,
)
from moe_vae.bench.records import machine, save_figure
from moe_vae.bench.worker import BENCH_MODELS
from moe_vae.experiments.run_files import write_json
from moe_vae.experiments.sources import DataChoice
from moe_vae.messages import progress_bar, say
from moe_vae.posts.mixture_of_vaes import MIXTURE_OF_VAES_PARAMS

__all__ = ["BENCH_OUT", "N_EPOCHS", "run_bench"]

BENCH_OUT = Path("results", "bench.json")
N_EPOCHS = 5
N_MODEL_EPOCHS = 5
N_AT_AN_END = 3  # epochs that stand for a training's beginning, and for its end
PARTS = ("train", "evaluate", "samples")

Results = dict[str, Any]


def run_bench(
    data: DataChoice,
    n_epochs: int = N_EPOCHS,
    with_peers: bool = False,
    pythons: PeerPythons | None = None,
    out: Path = BENCH_OUT,
    command: str = "",
) -> Results:
    """Measures the engines of post 3's model and of the others; writes the results and a figure.

    Every engine runs in a process of its own, and they take turns epoch by epoch.

    Args:
      data: the `DataChoice` of the images to train on, one of `MNIST_SOURCES`.
      n_epochs: number of epochs of post 3's model, after a first one that does not count.
      with_peers: whether to measure the same model in other frameworks, where they are installed.
      pythons: the peers' interpreters; they need `with_peers`.
      out: the JSON file of the results; the figure goes to `figures` beside it.
      command: the command line that asked for it, for the record.

    Returns:
      The results, as in the file.

    Raises:
      BenchError: interpreters are given without `with_peers`, the peers' scripts are missing, or a
        measured process ended too early.
      DataError: the data cannot be had.
    """
    pythons = pythons or PeerPythons()
    _check_pythons(with_peers, pythons)
    data_sets = data.read()
    images = data_sets.train.images
    commands = engine_commands(data)
    results = {
        "command": command,
        "data": data_sets.name,
        "steps": len(images) // MIXTURE_OF_VAES_PARAMS["batch_size"],
        **machine(),
        "floor": measure_floor(images),
        "profile": {engine: _profile(engine, words) for engine, words in commands.items()},
        "models": {model: _measure_model(model, data) for model in BENCH_MODELS},
    }
    with tempfile.TemporaryDirectory() as directory:
        if with_peers:
            path = Path(directory, "images.npy")
            np.save(path, images)
            commands |= peer_commands(path, pythons)
        results |= _measure(commands, n_epochs)
    results["summary"] = summarise(results)
    write_json(out, results)
    figures = save_figure(plot_epochs(results["epochs"]), out)
    print(json.dumps(results["summary"], indent=1))
    say(f"The times are in {out}, their figure in {figures}/.")
    return results


def _check_pythons(with_peers: bool, pythons: PeerPythons) -> None:
    if with_peers:
        check_peers()
        return
    options = {"--peers-python": pythons.modern, "--tensorflow-1-python": pythons.tensorflow_1}
    for option, python in options.items():
        if python is not None:
            raise BenchError(f"{option} is {python}: it must come with --peers")


def _profile(name: str, command: Sequence[str]) -> Results:
    process = MeasuredProcess(name, command)
    try:
        return process.ask("profile")
    finally:
        process.stop()


def _measure_model(model: str, data: DataChoice) -> Results:
    """Measures the plain and the compiled engine of a model, and profiles a plain step.

    The first epoch compiles into a new cache. A second process then begins with that cache.
    """
    commands = engine_commands(data, model)
    with tempfile.TemporaryDirectory() as directory:
        cache = Path(directory)
        measured = _measure(commands, N_MODEL_EPOCHS, f"{model}, ", cache)
        again = _measure({"compiled": commands["compiled"]}, 0, f"{model}, ", cache)
    seconds = {
        engine: float(np.median([epoch["train"] for epoch in epochs]))
        for engine, epochs in measured["epochs"].items()
    }
    return {
        **measured,
        "medians": seconds,
        "first_epoch_from_cache": again["first_epoch"]["compiled"],
        "times_compiled": seconds["plain"] / seconds["compiled"],
        "profile": _profile(f"{model}, plain", commands["plain"]),
    }


def _measure(
    commands: Mapping[str, Sequence[str]],
    n_epochs: int,
    of_model: str = "",
    cache: Path | None = None,
) -> Results:
    """Has every process train `n_epochs` epochs after a first one, in turns."""
    epochs: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    with running(commands, of_model, cache) as processes:
        for _ in progress_bar(range(1 + n_epochs), unit="round", disable=None):
            for name, process in processes.items():
                epochs[name].append(process.ask("epoch"))
        peaks = {name: process.ask("end")["peak_bytes"] for name, process in processes.items()}
    return {
        "first_epoch": {name: values[0] for name, values in epochs.items()},
        "epochs": {name: values[1:] for name, values in epochs.items()},
        "peak_bytes": peaks,
    }


def summarise(results: Results) -> Results:
    """Returns the medians, in seconds, and the ratios that the tables show.

    Args:
      results: dict with `epochs`, `steps` and `floor`, as `run_bench` returns them.

    Returns:
      Dict with `medians` (over all epochs, and for the training steps also over the first and the
      last three), `times_fused` and `whole_times_fused` (ratios to the fused engine, of the
      training steps and of whole epochs), `floor_epoch` (seconds) and `fraction_of_floor`.
    """
    medians = {name: _medians(epochs) for name, epochs in results["epochs"].items()}
    fused = medians["fused"]
    floors = {name: results["steps"] * value for name, value in results["floor"]["step"].items()}
    return {
        "medians": medians,
        "times_fused": {name: part["train"] / fused["train"] for name, part in medians.items()},
        "whole_times_fused": {
            name: part["whole"] / fused["whole"]
            for name, part in medians.items()
            if "whole" in part
        },
        "floor_epoch": floors,
        "fraction_of_floor": {
            part: floors["without_blanks"] / fused[part] for part in ("first", "train", "last")
        },
    }


def _medians(epochs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Returns the medians of each part of an epoch, and of whole epochs if all parts are timed."""
    seconds = {part: [epoch[part] for epoch in epochs] for part in PARTS if part in epochs[0]}
    if len(seconds) == len(PARTS):
        seconds["whole"] = [sum(values) for values in zip(*seconds.values(), strict=True)]
    seconds["first"] = seconds["train"][:N_AT_AN_END]
    seconds["last"] = seconds["train"][-N_AT_AN_END:]
    return {part: float(np.median(values)) for part, values in seconds.items()}
