"""Which engine a run gets if none is asked for: the fastest one that was measured.

An engine that compiles loses time at the beginning and gains it back with every step. `BREAK_EVENS`
says how many examples that takes, from results/bench.json; a test computes its numbers again. What
was not measured gets the plain engine.
"""

import math
from statistics import median
from typing import Any, NamedTuple

from moe_vae.data.checks import IMAGE_SHAPE, NUM_CLASSES
from moe_vae.data.dataset import Form
from moe_vae.experiments.registry import TRAINING_BEFORE, default_params
from moe_vae.posts.mixture_of_vaes import MIXTURE_OF_VAES_PARAMS

__all__ = [
    "AUTO",
    "BREAK_EVENS",
    "BreakEven",
    "Machine",
    "choose_engine",
    "measured_examples",
]

# What asks for this choice in the place of an engine's name.
AUTO = "auto"

Params = dict[str, Any]


class BreakEven(NamedTuple):
    """From how many examples on an engine was faster than the plain one.

    Attributes:
      model: a key of `MODELS`.
      engine: the engine that was measured.
      cores: on how many cores, without a GPU.
      examples: how many examples a training must read, in all its epochs together, until the engine
        has made up for compiling.
      name: what the measurement calls the model; "" means post 3's.
      params: dict of the parameters that differed from the model's defaults.
    """

    model: str
    engine: str
    cores: int
    examples: int
    name: str = ""
    params: Params = {}  # noqa: RUF012, never changed


# Measured on MNIST, with every model's default parameters.
BREAK_EVENS = (
    BreakEven("mixture-of-vaes", "fused", 2, 26_551),
    BreakEven("conditional-vae", "compiled", 2, 293_974, "conditional VAE"),
    BreakEven("vade", "compiled", 2, 33_456, "VaDE"),
    BreakEven("dmvae", "compiled", 2, 82_024, "DMVAE"),
    BreakEven("moe", "compiled", 2, 105_108, "experts behind DMVAE", {"task": "classification"}),
)
# The benchmark counts an epoch by the steps of post 3's model.
N_A_STEP = MIXTURE_OF_VAES_PARAMS["batch_size"]
MEASURED_FORM = Form(IMAGE_SHAPE, NUM_CLASSES)


class Machine(NamedTuple):
    """What computes a run.

    Attributes:
      cores: the number of cores that the process may use.
      has_gpu: whether TensorFlow finds a GPU.
    """

    cores: int
    has_gpu: bool


def measured_examples(entry: BreakEven, bench: dict[str, Any]) -> int:
    """Returns the examples of a `BreakEven` by the results of a benchmark.

    An epoch's seconds are those of its steps and its evaluation, and in the first one of building
    the graph, where that was timed. What an engine's first epoch takes beyond its later ones, more
    than the plain engine's does, is lost; how much faster the later ones are is gained in each.

    Args:
      entry: the `BreakEven`, whose own `examples` are not read.
      bench: what `bench` wrote.
    """
    measured = bench["models"][entry.name] if entry.name else bench
    first, usual = {}, {}
    for engine in ("plain", entry.engine):
        seconds = [
            sum(epoch.get(part, 0.0) for part in ("build", "train", "evaluate"))
            for epoch in (measured["first_epoch"][engine], *measured["epochs"][engine])
        ]
        first[engine], usual[engine] = seconds[0], median(seconds[1:])
    gained = usual["plain"] - usual[entry.engine]
    lost = first[entry.engine] - first["plain"] + gained
    return math.ceil(lost / gained * bench["steps"] * N_A_STEP)


def choose_engine(
    model: str,
    form: Form,
    params: Params,
    n_examples: int,
    machine: Machine,
    is_cluster: bool = False,
    is_begun: bool = False,
) -> tuple[str, str]:
    """Returns the engine that a run gets if none is asked for, and the reason why.

    Args:
      model: a key of `MODELS`.
      form: the `Form` of the data.
      params: all parameters of the run.
      n_examples: number of training examples.
      machine: the `Machine`.
      is_cluster: whether the run is trained by a cluster of processes.
      is_begun: whether it begins with another run's variables.
    """
    if is_cluster:
        return "plain", "a cluster needs it"
    if machine.has_gpu:
        return "plain", "no engine was measured on a GPU"
    entries = [entry for entry in BREAK_EVENS if entry.model == model]
    if not entries:
        return "plain", f"no other engine was measured for {model}"
    for entry in entries:
        measured = f"{entry.engine} was measured"
        if machine.cores != entry.cores:
            reason = f"{measured} on {entry.cores} cores, and these are {machine.cores}"
        elif is_begun:
            reason = f"{measured} only on models that begin with no other"
        elif form.shape != MEASURED_FORM.shape:
            reason = f"{measured} only on images of 28 x 28 pixels"
        elif differing := _differing(entry, params):
            reason = f"{measured} only with another {differing[0]!r}"
        else:
            return _by_length(entry, params, n_examples)
    return "plain", reason


def _by_length(entry: BreakEven, params: Params, n_examples: int) -> tuple[str, str]:
    """Returns the faster engine of a measured model, which the length of the training decides."""
    # Every phase is compiled. What the last one gains must pay for all, because only that one's
    # gain was measured.
    phases = 1 + sum(bool(params.get(name)) for name in TRAINING_BEFORE)
    read, needed = params["epochs"] * n_examples, phases * entry.examples
    if read < needed:
        return "plain", (
            f"{entry.engine} pays from {needed:,} examples on, and {params['epochs']} epochs have "
            f"{read:,}"
        )
    return entry.engine, (
        f"{params['epochs']} epochs have {read:,} examples, and it pays from {needed:,} on"
    )


def _differing(entry: BreakEven, params: Params) -> list[str]:
    """Returns the names of the parameters that may change a step's time and are not as measured.

    Rates, weights and deviations do not change it, nor do numbers of epochs.
    """
    measured = default_params(entry.model, MEASURED_FORM, entry.params) | entry.params
    differing = [
        name
        for name, value in params.items()
        if not (isinstance(value, float) or name.endswith("epochs"))
        and (name not in measured or value != measured[name])
    ]
    # Those that the measured model has, too, come first: they bring the others with them.
    return sorted(differing, key=lambda name: name not in measured)
