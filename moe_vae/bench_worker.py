"""One engine in a process of its own, which `bench` asks for epochs, one line a question.

A worker reads words from standard input, one a line, and answers each with one line of JSON:
`epoch`, `profile`, or `end`, after which it leaves. The peers in `benchmarks/` do the same.
"""

import collections
import json
import sys
import time
from pathlib import Path

import numpy as np

from moe_vae.compat import tf
from moe_vae.datasets import read_data_sets
from moe_vae.experiments import builder, start_trainer

__all__ = ["main", "peak_bytes", "profile_step", "start_engine"]

MODEL = "mixture-of-vaes"
N_PROFILED = 20


def main(argv):
    """Answers until `end`.

    Args:
      argv: an engine, a data source, where its files are, or "", and a checkpoint to begin with,
        or "".
    """
    engine, data, data_dir, checkpoint = argv
    train_set = read_data_sets(data_dir or None, data).train
    worker = _Worker(engine, train_set, checkpoint)
    answers = {"epoch": worker.epoch, "profile": worker.profile, "end": worker.end}
    for line in sys.stdin:
        print(json.dumps(answers[line.strip()]()), flush=True)
        if line.strip() == "end":
            break


def start_engine(engine, train_set):
    """Returns the `Trainer` of an engine's model, from the seed 0."""
    return start_trainer(builder(MODEL, train_set.images.shape[1], engine), {}, 0)


class _Worker:
    def __init__(self, engine, train_set, checkpoint):
        self._trainer = start_engine(engine, train_set)
        if checkpoint:
            self._trainer.restore(checkpoint)
        self._train_set = train_set

    def epoch(self):
        """Trains, evaluates and draws as `Trainer.fit` does; returns what each took."""
        trainer, seconds = self._trainer, {}
        z = np.random.normal(size=[1, trainer.model.params["z_dim"]])
        work = {
            "train": lambda: trainer._run_epoch(self._train_set, "loss"),
            "evaluate": lambda: trainer.evaluate(self._train_set),
            "samples": lambda: trainer.model.generate_row(trainer.session, z),
        }
        for name, run in work.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            result = run()
            seconds[name] = time.perf_counter() - start
            seconds[f"{name}_cpu"] = time.process_time() - start_cpu
            if name == "evaluate":
                seconds["loss"] = result["loss"]
        return seconds

    def profile(self):
        """Returns where a step's time goes; see `profile_step`."""
        return profile_step(self._trainer, self._train_set)

    def end(self):
        """Returns how much memory the process had at most."""
        return {"peak_bytes": peak_bytes()}


def peak_bytes():
    """Returns the most memory that this process has had, in bytes, as Linux counts it."""
    status = Path("/proc/self/status").read_text()
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kibibytes) * 1024


def profile_step(trainer, train_set):
    """Sums the time of a training step by kind of operation.

    Each operation counts with its median over 20 steps that TensorFlow's timeline recorded.

    Args:
      trainer: a `Trainer`.
      train_set: the `DataSet` that its batches come from.

    Returns:
      Dict of a kind of operation to a dict of `seconds` a step and `count`, the longest first.
    """
    seconds, kinds = collections.defaultdict(list), {}
    for _ in range(N_PROFILED):
        feed = trainer.model.feed(*train_set.next_batch(trainer.model.params["batch_size"]))
        options, recorded = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), tf.RunMetadata()
        trainer.session.run(trainer.train_steps["loss"], feed, options, recorded)
        for device in recorded.step_stats.dev_stats:
            for node in device.node_stats:
                # The label is "name = Kind(inputs)".
                kind = node.timeline_label.partition(" = ")[2].partition("(")[0]
                if kind:
                    kinds[node.node_name] = kind
                    took = node.op_end_rel_micros - node.op_start_rel_micros
                    seconds[node.node_name].append(took / 1e6)
    sums = collections.defaultdict(lambda: {"seconds": 0.0, "count": 0})
    for name, values in seconds.items():
        sums[kinds[name]]["seconds"] += float(np.median(values))
        sums[kinds[name]]["count"] += 1
    return dict(sorted(sums.items(), key=lambda item: -item[1]["seconds"]))


if __name__ == "__main__":
    main(sys.argv[1:])
