"""`make soak`: hundreds of trainings in one process, and of checkpoints in one directory.

A round trains a model, draws from it and evaluates it, by the command line's own function. After
each round, and after each checkpoint, the process's memory and its open files are counted, and
after each round TensorFlow's graphs. The bounds were decided before the recorded run; see
`faults_of`.
"""

import argparse
import contextlib
import gc
import io
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from moe_vae.bench.records import machine, save_figure
from moe_vae.cli.main import main as run_command
from moe_vae.compat import tf
from moe_vae.data.dataset import DataSet
from moe_vae.experiments.registry import builder
from moe_vae.experiments.run_files import write_json
from moe_vae.plots.soak import plot_soak
from moe_vae.training.checkpoints import Checkpoints
from moe_vae.training.trainer import start_trainer

ROOT = Path(__file__).parents[2]
N_EXAMPLES = 300
LAYERS = ("encoder_layers=[4]", "decoder_layers=[4]", "z_dim=2", "batch_size=50", "epochs=1")
# The models of the rounds, in turn, and what each sets besides.
MODELS = {
    "mixture-of-vaes": ("manager_layers=[4]", "n_experts=2"),
    "conditional-vae": ("digit_classification_layers=[4]",),
    "dmvae": ("cluster_encoder_layers=[4]",),
    "vae": (),
}
# What may be added to the memory by a round and by a checkpoint, in the second half. A graph that
# stays in memory takes several megabytes, a figure about one.
BOUNDS = {"rounds": 0.1, "checkpoints": 0.02}  # MB
COUNTED = {"rounds": ("open_files", "graphs"), "checkpoints": ("open_files",)}


def held():
    """Returns what this process holds: its memory and its open files."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "memory_mb": round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 2),
        "open_files": len(os.listdir("/proc/self/fd")) - 1,  # without that of the list itself
    }


def held_after_collection():
    """Returns what this process holds after its garbage is collected, with TensorFlow's graphs."""
    gc.collect()
    return {**held(), "graphs": sum(isinstance(each, tf.Graph) for each in gc.get_objects())}


def points(seed):
    """Returns N_EXAMPLES points in the plane, of five classes."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 5, N_EXAMPLES)
    centres = generator.normal(0, 3, [5, 2])
    examples = centres[labels] + generator.normal(0, 0.5, [N_EXAMPLES, 2])
    return examples.astype(np.float32), labels


def run_rounds(n_rounds, seed):
    """Yields what the process holds after each round of a training, a generation, an evaluation."""
    examples, labels = points(seed)
    with tempfile.TemporaryDirectory() as name:
        data, run = Path(name, "points.npz"), Path(name, "run")
        np.savez(data, images=examples, labels=labels)
        for number in range(n_rounds):
            model = list(MODELS)[number % len(MODELS)]
            settings = [word for each in (*LAYERS, *MODELS[model]) for word in ("--set", each)]
            of_data = ["--data", str(data), "--seed", str(seed + number)]
            with contextlib.redirect_stdout(io.StringIO()):
                run_command(["train", model, *of_data, "--out", str(run), "-q", *settings])
                run_command(["generate", "--run", str(run), "--out", str(run / "drawn.png")])
                run_command(["evaluate", "--run", str(run), "-q"])
            shutil.rmtree(run)
            yield {"model": model, **held_after_collection()}


def write_checkpoints(n_checkpoints, seed):
    """Yields what the process holds after each checkpoint of one training; all are kept."""
    examples, labels = points(seed)
    data = DataSet(examples, labels, None, (2,))
    params = {"encoder_layers": [4], "decoder_layers": [4], "z_dim": 2, "likelihood": "gaussian"}
    params |= {"batch_size": 50, "epochs": n_checkpoints, "pretrain_epochs": 0}
    trainer = start_trainer(builder("vae", (2,)), params, seed)
    trainer.shows_progress = False
    identity = {"model": "vae", "params": trainer.model.params, "seed": seed}
    identity |= {"data": {"checksum": data.checksum()}}
    with tempfile.TemporaryDirectory() as name:
        checkpoints = Checkpoints(Path(name), identity, keep=n_checkpoints)
        for _ in range(n_checkpoints):
            trainer.fit(data, 1)
            checkpoints.save(trainer, data)
            yield held()
        _check_whole(checkpoints, n_checkpoints, trainer, data, params, seed)
    trainer.session.close()


def _check_whole(checkpoints, n_checkpoints, trainer, data, params, seed):
    """Checks that all checkpoints are there, and that the last one restores."""
    assert len(checkpoints.paths()) == n_checkpoints
    again = start_trainer(builder("vae", (2,)), params, seed)
    assert checkpoints.restore(again, DataSet(data.images, data.labels, None, (2,))) == []
    assert again.n_epochs == n_checkpoints
    assert again.history == trainer.history
    again.session.close()


def growth(records):
    """Returns the slope of the memory over the second half of the records, in MB a record."""
    half = [each["memory_mb"] for each in records[len(records) // 2 :]]
    return float(np.polyfit(range(len(half)), half, 1)[0])


def faults_of(kind, records):
    """Returns what does not stay level: list of sentences, empty if all does.

    The memory may grow by `BOUNDS` in the second half, by the slope of a line that least squares
    fit. Open files and graphs may not be more in the second half than they were in the first.
    """
    middle, faults = len(records) // 2, []
    if growth(records) > BOUNDS[kind]:
        faults.append(f"{kind}: the memory grows by {growth(records):.3f} MB each time")
    for name in COUNTED[kind]:
        halves = records[:middle], records[middle:]
        before, after = (max(each[name] for each in half) for half in halves)
        if after > before:
            faults.append(f"{kind}: {name} were at most {before}, and then up to {after}")
    return faults


def soak(n_rounds, n_checkpoints, seed):
    """Yields the results after every record, the last time with what did not stay level."""
    start = time.monotonic()
    results = {
        "command": " ".join(["python tests/soak/soak.py", *sys.argv[1:]]),
        "seed": seed,
        "settings": {
            "rounds": n_rounds,
            "checkpoints": n_checkpoints,
            "examples": N_EXAMPLES,
            "models": list(MODELS),
            "bounds_mb": BOUNDS,
        },
        **machine(),
        "rounds": [],
        "checkpoints": [],
    }
    for kind, records in (
        ("rounds", run_rounds(n_rounds, seed)),
        ("checkpoints", write_checkpoints(n_checkpoints, seed)),
    ):
        for record in records:
            results[kind].append(record)
            results["seconds"] = round(time.monotonic() - start, 1)
            yield results
    results["growth_mb"] = {kind: round(growth(results[kind]), 4) for kind in BOUNDS}
    results["faults"] = [fault for kind in BOUNDS for fault in faults_of(kind, results[kind])]
    yield results


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--checkpoints", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "results/soak.json")
    arguments = parser.parse_args()
    for results in soak(arguments.rounds, arguments.checkpoints, arguments.seed):
        records = results["checkpoints"] or results["rounds"]
        print(len(records), json.dumps(records[-1]), file=sys.stderr, flush=True)
    write_json(arguments.out, results)
    save_figure(plot_soak(results), arguments.out)
    print("\n".join(results["faults"]) or "All stays level.")
    return 1 if results["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
