"""The only door to TensorFlow: `tf` in the style of TensorFlow 1, and `tfd`.

Both are imported at the first attribute that is used, so that `import moe_vae`, `--help` and a
mistyped option take no TensorFlow. Take them from here and not from TensorFlow itself: the posts
were written for TensorFlow 1, and TensorFlow 2 still carries that interface as
`tf.compat.v1` on three conditions that this module arranges:

- `tf.layers` exists only with legacy Keras, which `TF_USE_LEGACY_KERAS=1` selects;
- placeholders and sessions need graph mode, so eager execution is switched off;
- deprecation notes and TensorFlow's notes at start-up are silenced; every fault in a graph is still
  raised as a Python exception.

What XLA compiles for the processor is kept on the disk, so that the next process need not compile
it again; see `compilation_cache`.

A GPU multiplies in single precision, as a CPU does. For TF32 products call
`tf.config.experimental.enable_tensor_float_32_execution(True)`.
"""

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import re
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = [
    "CACHE_VARIABLE",
    "Session",
    "Tensor",
    "compilation_cache",
    "reason_of",
    "tf",
    "tfd",
    "with_cache",
]

# What type hints call a `tf.Tensor` and a `tf.Session`, which TensorFlow 2 gives no types for.
Tensor = Any
Session = Any

# The environment variable that names the directory of what XLA compiles, or switches it off.
CACHE_VARIABLE = "MOE_VAE_XLA_CACHE"
_OFF = "off"
_XLA_FLAGS = "TF_XLA_FLAGS"

_WHAT_TO_DO = (
    "import moe_vae before TensorFlow, or start with TF_USE_LEGACY_KERAS=1 in the environment and "
    "call tensorflow.compat.v1.disable_v2_behavior() right after importing TensorFlow"
)

if "tensorflow" in sys.modules and sys.modules["tensorflow"].executing_eagerly():
    raise ImportError(
        "moe_vae needs TensorFlow's graph mode, but TensorFlow was imported earlier and runs "
        f"eagerly: {_WHAT_TO_DO}",
        # With this name, `python -m moe_vae` prints the message alone, without a traceback.
        name="moe_vae",
    )

# For a TensorFlow that is imported between this module and the first use of `tf`, too.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def reason_of(error: Exception) -> str:
    """Returns one line that says why TensorFlow failed, without its traces of the graph."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(_NO_REASONS)]
    first = (told or [type(error).__name__])[0]
    return re.sub(r"\s*\[\[.*", "", first)


# How the lines begin that say where, and not why.
_NO_REASONS = (
    "Graph execution error",
    "Detected at node",
    "File ",
    "Node: ",
    "Restoring from checkpoint failed",
    "Original stack trace",
    "original graph",
    "[[",
)


def compilation_cache() -> Path | None:
    """Returns the directory in which XLA keeps what it compiles, or None if it keeps nothing.

    It is a folder of the directory in the environment variable `MOE_VAE_XLA_CACHE`, by default
    `moe_vae/xla` in the user's cache. "off" switches it off, and so do `TF_XLA_FLAGS` of the user's
    own and a directory that cannot be written. XLA writes each file under another name and renames
    it, so processes may share the directory.
    """
    named, version = os.environ.get(CACHE_VARIABLE, ""), _tensorflow_version()
    if named == _OFF or version is None:
        return None
    of_user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not named and not os.path.isabs(of_user):  # a user without a home
        return None
    directory = Path(named or Path(of_user, "moe_vae", "xla")).absolute() / _kind_of_code(version)
    if os.environ.get(_XLA_FLAGS, _cache_flags(directory)) != _cache_flags(directory):
        return None
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return directory if os.access(directory, os.W_OK) else None


def with_cache(directory: Path) -> dict[str, str]:
    """Returns the environment of a process that keeps what XLA compiles in another directory."""
    others = {name: value for name, value in os.environ.items() if name != _XLA_FLAGS}
    return {**others, CACHE_VARIABLE: str(directory)}


def _tensorflow_version() -> str | None:
    """Returns the version of the installed TensorFlow, which need not be loaded, or None."""
    for package in ("tensorflow", "tensorflow-cpu", "tf-nightly", "tf-nightly-cpu"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(package)
    return None


def _kind_of_code(version: str) -> str:
    """Returns a folder's name: compiled code is for one processor, its cores and one TensorFlow."""
    lines = _read_if_there(Path("/proc/cpuinfo")).splitlines()
    of_processor = {line for line in lines if line.startswith(("model name", "flags", "Features"))}
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    kind = "\n".join([version, platform.machine(), str(n_cores), *sorted(of_processor)])
    return f"{version}-{hashlib.sha256(kind.encode()).hexdigest()[:12]}"


def _read_if_there(path: Path) -> str:
    return path.read_text() if path.exists() else ""  # Linux alone has it


def _cache_flags(directory: Path) -> str:
    return (
        f'--tf_xla_persistent_cache_directory="{directory}" '
        "--tf_xla_persistent_cache_device_types=CPU"
    )


class _LazyModule(types.ModuleType):
    """A stand-in for a module that is imported when its first attribute is used."""

    def __init__(self, name: str, load: Callable[[], Any]) -> None:
        super().__init__(name)
        self.__dict__["_load"] = load

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked by importlib and inspect, which need no TensorFlow
            if name == "__version__":
                return self._load().__version__
            raise AttributeError(name)
        value = getattr(self._load(), name)
        self.__dict__[name] = value
        return value


def _load_tensorflow() -> Any:
    import tensorflow.compat.v1 as loaded

    return loaded


def _set_up_tensorflow() -> Any:
    warnings.filterwarnings("ignore", message=r"`tf\.layers\.\w+` is deprecated")
    if (cache := compilation_cache()) is not None:
        os.environ[_XLA_FLAGS] = _cache_flags(cache)  # read at the first session
    with _stderr_held_back():
        # Before TensorFlow: after it, this import would also load TensorFlow Probability's package
        # `experimental`, which takes a quarter of a second. If it is missing, `tfd` says so, and a
        # missing TensorFlow is named first.
        with contextlib.suppress(ModuleNotFoundError):
            import tensorflow_probability  # noqa: F401

        loaded = _load_tensorflow()
        loaded.logging.set_verbosity(loaded.logging.ERROR)
        loaded.disable_v2_behavior()
        loaded.config.experimental.enable_tensor_float_32_execution(False)
        if not hasattr(loaded.layers, "dense"):
            raise ImportError(
                "moe_vae needs tf.layers, which TensorFlow offers only with legacy Keras (the "
                "package tf-keras, of TensorFlow's own version): install both in one version, then "
                f"{_WHAT_TO_DO}"
            )
    tf.__dict__["_load"] = _load_tensorflow
    return loaded


def _set_up_distributions() -> Any:
    tf.logging  # noqa: B018, TensorFlow Probability reads the mode that `tf` sets
    with _stderr_held_back():
        from tensorflow_probability import distributions
    return distributions


@contextlib.contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Keeps the process's standard error back, and shows it only if the block fails.

    TensorFlow writes its first notes (oneDNN, no CUDA driver) below Python, before it reads any
    log level, so the file descriptor itself is redirected.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


tf: Any = _LazyModule("moe_vae.compat.tf", _set_up_tensorflow)
tfd: Any = _LazyModule("moe_vae.compat.tfd", _set_up_distributions)
