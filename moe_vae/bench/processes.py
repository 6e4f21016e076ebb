"""The processes that are measured: one for each engine or peer."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from moe_vae.bench.worker import MODEL_ENGINES, POST_ENGINES
from moe_vae.compat import with_cache
from moe_vae.experiments.sources import DataChoice
from moe_vae.messages import say

__all__ = [
    "PEERS",
    "BenchError",
    "MeasuredProcess",
    "Peer",
    "PeerPythons",
    "check_peers",
    "engine_commands",
    "peer_commands",
    "running",
]

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

Command = list[str]


class BenchError(ValueError):
    """The measurement cannot be made, or a measured process ended too early."""


class PeerPythons(NamedTuple):
    """The Python interpreters that run the peers.

    Attributes:
      modern: for JAX and PyTorch; None means the interpreter that runs this process.
      tensorflow_1: for TensorFlow 1.15; None means the interpreter that runs this process.
    """

    modern: str | None = None
    tensorflow_1: str | None = None


class Peer(NamedTuple):
    """The same model in another framework.

    Attributes:
      script: the name of its script in the folder `benchmarks`.
      package: what its interpreter must be able to import.
      words: the script's words before the file of images.
      needs_tensorflow_1: whether the interpreter for TensorFlow 1.15 runs it.
    """

    script: str
    package: str
    words: tuple[str, ...] = ()
    needs_tensorflow_1: bool = False

    def python(self, pythons: PeerPythons) -> str:
        """Returns the interpreter that runs the peer."""
        chosen = pythons.tensorflow_1 if self.needs_tensorflow_1 else pythons.modern
        return chosen or sys.executable


PEERS = {
    "TensorFlow 1.15": Peer(
        "tensorflow_1_mixture.py", "tensorflow.contrib", needs_tensorflow_1=True
    ),
    "JAX": Peer("jax_mixture.py", "jax"),
    "PyTorch": Peer("torch_mixture.py", "torch", ("eager",)),
    "PyTorch, compiled": Peer("torch_mixture.py", "torch", ("compiled",)),
}


def engine_commands(data: DataChoice, model: str = "") -> dict[str, Command]:
    """Returns dict of engine to the command that measures a model with it.

    Args:
      data: the `DataChoice` of the images.
      model: a key of `BENCH_MODELS`; "" means post 3's model.
    """
    source = [data.name, str(data.directory or "")]
    return {
        engine: [sys.executable, "-m", "moe_vae.bench.worker", model, engine, *source]
        for engine in (MODEL_ENGINES if model else POST_ENGINES)
    }


def check_peers() -> None:
    """Raises BenchError if the peers' scripts are not beside the package."""
    missing = [peer.script for peer in PEERS.values() if not (BENCHMARKS / peer.script).exists()]
    if missing:
        raise BenchError(
            f"benchmarks/{missing[0]} is missing: the peers' scripts are in the repository, not "
            "in the installed package; run `pip install --editable .` in a clone of it"
        )


def peer_commands(images: Path, pythons: PeerPythons) -> dict[str, Command]:
    """Returns dict of peer to its command; a peer that is not installed is named and left out.

    Args:
      images: the file of the training images, a float32 array [n, 784] in NumPy's format.
      pythons: the `PeerPythons`.
    """
    commands = {}
    for name, peer in PEERS.items():
        python = peer.python(pythons)
        if not _can_import(python, peer.package):
            say(f"{name} is left out: the package {peer.package} is not installed for {python}.")
            continue
        commands[name] = [python, str(BENCHMARKS / peer.script), *peer.words, str(images)]
    return commands


def _can_import(python: str, package: str) -> bool:
    probe = [python, "-c", f"import {package}"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except OSError as error:
        raise BenchError(f"{python} cannot be run: {error.strerror}") from error


class MeasuredProcess:
    """A process that answers each word with a line of JSON; see `moe_vae.bench.worker`.

    Args:
      name: what error messages call it.
      command: the words of its command.
      cache: the directory of what XLA compiles; None means the user's.
    """

    def __init__(self, name: str, command: Sequence[str], cache: Path | None = None) -> None:
        self._name = name
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=None if cache is None else with_cache(cache),
        )

    def ask(self, word: str) -> dict[str, Any]:
        """Returns the answer to a word.

        Raises:
          BenchError: the process ended without an answer.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # A process that has ended gives no answer, which is reported below.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise BenchError(f"{self._name} ended with exit code {self._process.wait()}")
        return json.loads(answer)

    def stop(self) -> None:
        """Kills the process if it still runs."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


@contextlib.contextmanager
def running(
    commands: Mapping[str, Sequence[str]], of_model: str = "", cache: Path | None = None
) -> Iterator[dict[str, MeasuredProcess]]:
    """Yields a process for each command, by its name, and stops them at the end of the block.

    Args:
      commands: dict of name to command.
      of_model: what error messages put before the name.
      cache: see `MeasuredProcess`.
    """
    with contextlib.ExitStack() as stack:
        processes = {}
        for name, command in commands.items():
            processes[name] = MeasuredProcess(f"{of_model}{name}", command, cache)
            stack.callback(processes[name].stop)
        yield processes
