"""One model and engine in a process of its own, which `bench` asks for epochs.

The process reads words from standard input, one a line, and answers each with one line of JSON:
`epoch`, `profile`, or `end`, after which it ends. The peers in `benchmarks/` do the same, without
`profile`.
"""

import collections
import functools
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from moe_vae.compat import tf
from moe_vae.data.dataset import DataSet
from moe_vae.data.mnist import read_mnist
from moe_vae.engines.compiled import compiled
from moe_vae.engines.fused import build_fused_mixture_of_vaes
from moe_vae.model import Model
from moe_vae.models.dmvae import build_dmvae
from moe_vae.models.mixture_of_experts import build_mixture_of_experts
from moe_vae.models.specialists import build_mixture_of_vaes
from moe_vae.models.vade import build_vade
from moe_vae.posts.conditional_vae import build_conditional_vae
from moe_vae.training.trainer import Trainer, set_seeds, start_trainer

__all__ = ["BENCH_MODELS", "MODEL_ENGINES", "POST_ENGINES", "main", "peak_bytes", "profile_step"]

Build = Callable[[Mapping[str, Any]], Model]

# The engines of post 3's model.
POST_ENGINES: dict[str, Build] = {
    "plain": build_mixture_of_vaes,
    "fused": build_fused_mixture_of_vaes,
}


def _build_classifier(params: Mapping[str, Any]) -> Model:
    return build_mixture_of_experts({"task": "classification", "n_outputs": 10, **params})


# The models with a compiled engine, by their names in the tables.
BENCH_MODELS: dict[str, Build] = {
    "conditional VAE": build_conditional_vae,
    "VaDE": build_vade,
    "DMVAE": build_dmvae,
    "experts behind DMVAE": _build_classifier,
}
MODEL_ENGINES = ("plain", "compiled")
SEED = 0
N_PROFILED = 20
N_TIMED = 100


def main(argv: Sequence[str]) -> None:
    """Answers until `end`.

    Args:
      argv: a key of `BENCH_MODELS`, or "" for post 3's model; its engine; a data source; and the
        directory of its files, or "".
    """
    model, engine, data, data_dir = argv
    measured = _Measured(_builder(model, engine), read_mnist(data_dir or None, data).train)
    answers = {"epoch": measured.epoch, "profile": measured.profile, "end": measured.end}
    for line in sys.stdin:
        print(json.dumps(answers[line.strip()]()), flush=True)
        if line.strip() == "end":
            break


def _builder(model: str, engine: str) -> Build:
    if not model:
        return POST_ENGINES[engine]
    build = BENCH_MODELS[model]
    return compiled(build) if engine == "compiled" else build


class _Measured:
    """A model whose training is measured."""

    def __init__(self, build: Build, train_set: DataSet) -> None:
        self._build = build
        self._train_set = train_set

    @functools.cached_property
    def _trainer(self) -> Trainer:
        return start_trainer(self._build, {}, SEED)

    def epoch(self) -> dict[str, float]:
        """Trains, evaluates and draws as `Trainer.fit` does; returns the seconds of each.

        The first time it builds the graph, too.
        """
        train_set = self._train_set
        trainer, build = _timed("build", lambda: self._trainer)
        z = np.random.normal(size=[1, trainer.model.params["z_dim"]])
        _, train = _timed("train", lambda: trainer.run_epoch(train_set, "loss"))
        losses, evaluate = _timed("evaluate", lambda: trainer.evaluate(train_set))
        _, samples = _timed("samples", lambda: trainer.model.generate_row(trainer.session, z))
        return {**build, **train, **evaluate, "loss": losses["loss"], **samples}

    def profile(self) -> dict[str, Any]:
        """Returns where the time of a training's first steps goes; see `profile_step`."""
        with tf.Graph().as_default():
            set_seeds(SEED)
            # Not the engine's trainer: a step that is profiled is one call of the session.
            return profile_step(Trainer(self._build({})), self._train_set)

    def end(self) -> dict[str, int]:
        """Returns the process's peak memory."""
        return {"peak_bytes": peak_bytes()}


def _timed(name: str, run: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Returns what `run` returns, and its seconds and processor seconds by their names."""
    start, start_cpu = time.perf_counter(), time.process_time()
    result = run()
    seconds = {name: time.perf_counter() - start}
    return result, {**seconds, f"{name}_cpu": time.process_time() - start_cpu}


def peak_bytes() -> int:
    """Returns the peak memory of this process, in bytes, as Linux counts it."""
    status = Path("/proc/self/status").read_text()
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kibibytes) * 1024


def profile_step(trainer: Trainer, train_set: DataSet) -> dict[str, Any]:
    """Times a training step, and sums its time by kind of operation.

    The step's time is the median over 100 steps, each operation's the median over 20 further
    steps that TensorFlow's timeline recorded.

    Args:
      trainer: a `Trainer`.
      train_set: the `DataSet` that its batches come from.

    Returns:
      Dict of `step`, in seconds, and `kinds`, a dict of a kind of operation to a dict of
      `seconds` a step and `count`, the longest first.
    """
    walls = [_timed("step", lambda: _take_step(trainer, train_set))[1] for _ in range(N_TIMED)]
    seconds, kinds = _profile_operations(trainer, train_set)
    sums: dict[str, Any] = {}
    for name, values in seconds.items():
        of_kind = sums.setdefault(kinds[name], {"seconds": 0.0, "count": 0})
        of_kind["seconds"] += float(np.median(values))
        of_kind["count"] += 1
    longest = sorted(sums.items(), key=lambda item: -item[1]["seconds"])
    return {"step": float(np.median([wall["step"] for wall in walls])), "kinds": dict(longest)}


def _profile_operations(
    trainer: Trainer, train_set: DataSet
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Returns dict of operation to its seconds in each step, and dict of operation to its kind."""
    seconds: dict[str, list[float]] = collections.defaultdict(list)
    kinds: dict[str, str] = {}
    for _ in range(N_PROFILED):
        options, recorded = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), tf.RunMetadata()
        _take_step(trainer, train_set, options, recorded)
        for device in recorded.step_stats.dev_stats:
            for node in device.node_stats:
                if kind := _kind(node.timeline_label):
                    kinds[node.node_name] = kind
                    micros = node.op_end_rel_micros - node.op_start_rel_micros
                    seconds[node.node_name].append(micros / 1e6)
    return seconds, kinds


def _kind(label: str) -> str:
    """Returns the kind of an operation from its label in the timeline, "name = Kind(inputs)".

    On some processors TensorFlow uses oneDNN's kernels, and puts `_Mkl` or `_MklNative` before the
    kind. They count as TensorFlow's own, so that one table shows any machine.
    """
    kind = label.partition(" = ")[2].partition("(")[0]
    if not kind.startswith("_Mkl"):
        return kind
    kind = kind.removeprefix("_Mkl").removeprefix("Native")
    return f"_{kind}" if kind.startswith("Fused") else kind


def _take_step(trainer: Trainer, train_set: DataSet, *recorder: Any) -> None:
    feed = trainer.model.feed(train_set.take_batch(trainer.model.params["batch_size"]))
    trainer.session.run(trainer.train_steps["loss"], feed, *recorder)


if __name__ == "__main__":
    main(sys.argv[1:])
