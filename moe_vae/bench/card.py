"""Every model in every engine on a GPU, against the plain engine on the CPU.

Each engine is measured in each precision by a process of its own, `python -m moe_vae.bench.card
MODEL ENGINE PRECISION DATA DATA_DIR CHECKPOINT`. All begin with the same weights, batches and
noise.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from moe_vae.bench.processes import BenchError
from moe_vae.bench.records import machine
from moe_vae.bench.worker import SEED
from moe_vae.compat import tf
from moe_vae.data.dataset import DataSet
from moe_vae.engines.compiled import BFloat16Trainer, compiled
from moe_vae.engines.looped import LoopedTrainer
from moe_vae.experiments.registry import MODELS, builder, engines_of
from moe_vae.experiments.run_files import write_json
from moe_vae.experiments.runs import run_params
from moe_vae.experiments.sources import DataChoice
from moe_vae.messages import progress_bar, say
from moe_vae.nn.sessions import finds_gpu
from moe_vae.training.trainer import Trainer, start_trainer

__all__ = ["CARD_OUT", "MAX_ERROR", "PRECISIONS", "main", "measure_card", "run_card_bench"]

CARD_OUT = Path("results", "bench_gpu.json")
N_EPOCHS = 3
# Of a loss after a step, in single precision; absolute for losses below 1.
MAX_ERROR = 1e-5
# The matrix products' precision, and the engines that have it. TF32 is for a GPU's plain and
# compiled products alike; bfloat16 is put into the copy of the graph that XLA compiles.
PRECISIONS = {
    "float32": ("plain", "fused", "compiled"),
    "tf32": ("plain", "fused", "compiled"),
    "bfloat16": ("compiled",),
}

Results = dict[str, Any]


def run_card_bench(
    data: DataChoice,
    out: Path = CARD_OUT,
    command: str = "",
    models: Sequence[str] = tuple(MODELS),
    device: str = "GPU",
) -> Results:
    """Measures every engine of every model on a GPU, and writes the results.

    Args:
      data: the `DataChoice` of the images to train on, one of `MNIST_SOURCES`.
      out: the JSON file of the results.
      command: the command line that asked for it, for the record.
      models: keys of `MODELS`.
      device: "GPU", or "CPU" to take the CPU in its place.

    Returns:
      The results, as in the file: `card`, the device's name, and `models`; see `measure_card`.

    Raises:
      BenchError: there is no GPU; or, after the results are written, a loss in single precision
        differs from the CPU's by more than `MAX_ERROR`.
      DataError: the data cannot be had.
    """
    if device == "GPU" and not finds_gpu():
        raise BenchError("--device is gpu: TensorFlow finds no GPU here; `doctor` says why")
    entries = {
        model: measure_card(model, data, device)
        for model in progress_bar(models, unit="model", disable=None)
    }
    results = {
        "command": command,
        "data": data.read().name,
        **machine(),
        "card": _card_name() if device == "GPU" else "the CPU in the place of a card",
        "max_error": MAX_ERROR,
        "models": entries,
    }
    write_json(out, results)
    say(f"The times and errors are in {out}.")
    wrong = [
        f"{model}, {entry['engine']} ({entry['error']:.1e})"
        for model, of_model in entries.items()
        for entry in of_model
        if entry["precision"] == "float32" and not entry["error"] <= MAX_ERROR
    ]
    if wrong:
        raise BenchError(
            f"losses in single precision differ from the CPU's by more than {MAX_ERROR:g}: "
            f"{'; '.join(wrong)}"
        )
    return results


def measure_card(model: str, data: DataChoice, device: str) -> list[Results]:
    """Measures every engine of a model in every precision that the engine has.

    Args:
      model: a key of `MODELS`.
      data: the `DataChoice`.
      device: "GPU" or "CPU".

    Returns:
      List of dicts: `device`, `engine`, `precision`, the `losses` after a step and their `error`,
      the largest difference from the CPU's relative to the CPU's or to 1; `first_epoch` and
      `epoch`, the seconds of the training steps in the first one and in the median of three more;
      and `is_resident`, whether the training set was on the device. The first one is the plain
      engine's on the CPU.
    """
    kinds = [
        (engine, precision)
        for precision, engines in PRECISIONS.items()
        for engine in engines_of(model)
        if engine in engines
    ]
    with TemporaryDirectory() as directory:
        first = _measured("CPU", [model, "plain", "float32"], data, directory)
        entries = [first]
        for engine, precision in kinds:
            entries.append(_measured(device, [model, engine, precision], data, directory))
    for entry in entries:
        entry["error"] = _error(entry["losses"], first["losses"])
    return entries


def _measured(device: str, words: list[str], data: DataChoice, directory: str) -> Results:
    source = [data.name, str(data.directory or ""), str(Path(directory, "first.ckpt"))]
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "CPU" else {}
    answer = subprocess.run(
        [sys.executable, "-m", "moe_vae.bench.card", *words, *source],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **hidden},
        check=False,
    )
    if answer.returncode:
        raise BenchError(f"{', '.join(words)} ended with exit code {answer.returncode}")
    _, engine, precision = words
    found = json.loads(answer.stdout.splitlines()[-1])
    return {"device": device, "engine": engine, "precision": precision, **found}


def _error(losses: Mapping[str, float], of_cpu: Mapping[str, float]) -> float:
    """Returns the largest difference of the losses, relative to the CPU's or to 1."""
    errors = [abs(losses[name] - value) / max(1.0, abs(value)) for name, value in of_cpu.items()]
    return float(np.max(errors))  # NaN if any is, unlike Python's `max`


def _card_name() -> str:
    (gpu, *_) = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)


def main(argv: Sequence[str]) -> None:
    """Measures one engine in one precision on whatever device there is, and prints JSON.

    Args:
      argv: a key of `MODELS`, an engine, a key of `PRECISIONS`, a data source, the directory of its
        files or "", and the checkpoint of the first weights, which is written if it is missing.
    """
    model, engine, precision, data, data_dir, checkpoint = argv
    choice = DataChoice(data, data_dir or None)
    given = {"task": "classification"} if model == "moe" else {}
    params = run_params(model, choice.form, given)
    train_set = choice.prepared(params).train
    if precision == "tf32":
        tf.config.experimental.enable_tensor_float_32_execution(True)
    build = builder(model, choice.form.shape, engine)
    if precision == "bfloat16":
        build = compiled(builder(model, choice.form.shape), BFloat16Trainer)
    trainer = start_trainer(build, params, SEED)
    if Path(f"{checkpoint}.index").exists():
        trainer.restore(checkpoint)
    else:
        trainer.save(checkpoint)
    print(
        json.dumps(
            {"losses": _losses_after_a_step(trainer, train_set), **_timed(trainer, train_set)}
        )
    )


def _losses_after_a_step(trainer: Trainer, train_set: DataSet) -> dict[str, float]:
    """Takes one step on the first examples, and evaluates them."""
    rows = slice(trainer.model.batch_size("loss"))
    examples = train_set.examples(rows)
    batch = DataSet(examples.images, examples.labels, examples.targets, train_set.shape)
    if train_set.neighbours is not None:  # an example is its own neighbour here
        batch.neighbours = np.arange(batch.num_examples)[:, None]
    trainer.run_epoch(batch, "loss")
    return trainer.evaluate(batch)


def _timed(trainer: Trainer, train_set: DataSet) -> Results:
    """Times epochs of training steps, with the training set on the device where it can be."""
    is_resident = False
    if isinstance(trainer, LoopedTrainer) and train_set.neighbours is None:
        trainer.keep_on_device(train_set)
        is_resident = True
    seconds = []
    for _ in range(1 + N_EPOCHS):
        start = time.perf_counter()
        trainer.run_epoch(train_set, "loss")
        seconds.append(time.perf_counter() - start)
    return {
        "first_epoch": seconds[0],
        "epoch": median(seconds[1:]),
        "is_resident": is_resident,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
