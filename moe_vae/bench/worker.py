"""One model and engine in a process of its own, which `bench` asks for epochs, a line a question.

A worker reads words from standard input, one a line, and answers each with one line of JSON:
`epoch`, `profile`, or `end`, after which it leaves. The peers in `benchmarks/` do the same.
"""

import collections
import functools
import json
import sys
import time
from pathlib import Path

import numpy as np

from moe_vae.compat import tf
from moe_vae.data.mnist import read_data_sets
from moe_vae.engines.compiled import compiled
from moe_vae.engines.fused import build_fused_mixture_of_vaes
from moe_vae.models.dmvae import build_dmvae
from moe_vae.models.mixture_of_experts import build_mixture_of_experts
from moe_vae.models.specialists import build_mixture_of_vaes
from moe_vae.models.vade import build_vade
from moe_vae.posts.conditional_vae import build_conditional_vae
from moe_vae.training.trainer import Trainer, set_seeds, start_trainer

__all__ = ["BENCH_ENGINES", "BENCH_MODELS", "main", "peak_bytes", "profile_step"]

# Of post 3's model.
BENCH_ENGINES = {"plain": build_mixture_of_vaes, "fused": build_fused_mixture_of_vaes}


def _build_classifier(params):
    return build_mixture_of_experts({"task": "classification", "n_outputs": 10, **params})


# Those whose fused engine is their plain graph, compiled.
BENCH_MODELS = {
    "conditional VAE": build_conditional_vae,
    "VaDE": build_vade,
    "DMVAE": build_dmvae,
    "experts behind DMVAE": _build_classifier,
}
SEED = 0
N_PROFILED = 20
N_TIMED = 100


def main(argv):
    """Answers until `end`.

    Args:
      argv: a model of `BENCH_MODELS`, or "" for post 3's; plain or fused; a data source; and where
        its files are, or "".
    """
    name, engine, data, data_dir = argv
    build = BENCH_MODELS[name] if name else BENCH_ENGINES[engine]
    if name and engine == "fused":
        build = compiled(build)
    worker = _Worker(build, read_data_sets(data_dir or None, data).train)
    answers = {"epoch": worker.epoch, "profile": worker.profile, "end": worker.end}
    for line in sys.stdin:
        print(json.dumps(answers[line.strip()]()), flush=True)
        if line.strip() == "end":
            break


class _Worker:
    def __init__(self, build, train_set):
        self._build = build
        self._train_set = train_set

    @functools.cached_property
    def _trainer(self):
        return start_trainer(self._build, {}, SEED)

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
        """Returns where the time of a training's first steps goes; see `profile_step`."""
        with tf.Graph().as_default():
            set_seeds(SEED)
            # Whatever trains the model else: here each step is a call of the session.
            return profile_step(Trainer(self._build({})), self._train_set)

    def end(self):
        """Returns how much memory the process had at most."""
        return {"peak_bytes": peak_bytes()}


def peak_bytes():
    """Returns the most memory that this process has had, in bytes, as Linux counts it."""
    status = Path("/proc/self/status").read_text()
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kibibytes) * 1024


def profile_step(trainer, train_set):
    """Times a training step, and sums its time by kind of operation.

    The step counts with its median over 100, each operation with its median over 20 more that
    TensorFlow's timeline recorded.

    Args:
      trainer: a `Trainer`.
      train_set: the `DataSet` that its batches come from.

    Returns:
      Dict of `step`, in seconds, and `kinds`, a dict of a kind of operation to a dict of
      `seconds` a step and `count`, the longest first.
    """
    walls = []
    for _ in range(N_TIMED):
        start = time.perf_counter()
        _take_step(trainer, train_set)
        walls.append(time.perf_counter() - start)
    seconds, kinds = collections.defaultdict(list), {}
    for _ in range(N_PROFILED):
        options, recorded = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), tf.RunMetadata()
        _take_step(trainer, train_set, options, recorded)
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
    longest = sorted(sums.items(), key=lambda item: -item[1]["seconds"])
    return {"step": float(np.median(walls)), "kinds": dict(longest)}


def _take_step(trainer, train_set, *recorder):
    feed = trainer.model.feed(*train_set.next_batch(trainer.model.params["batch_size"]))
    trainer.session.run(trainer.train_steps["loss"], feed, *recorder)


if __name__ == "__main__":
    main(sys.argv[1:])
