"""The only door to TensorFlow: `tf` in the style of TensorFlow 1, and `tfd`.

The posts were written for TensorFlow 1. Today's TensorFlow 2 still carries that interface as
`tf.compat.v1`, on three conditions that this module arranges before anything else is imported:

- `tf.layers` exists only with legacy Keras, which `TF_USE_LEGACY_KERAS=1` selects;
- placeholders and sessions need TensorFlow 2's behaviour (eager execution) off;
- the deprecation notes that follow from both, and TensorFlow's notes at start-up, are silenced;
  whatever goes wrong in a graph still comes as a Python exception.

A GPU multiplies in single precision, as a CPU does: who wants TF32's ten bits says so by
`tf.config.experimental.enable_tensor_float_32_execution(True)`.
"""

import contextlib
import os
import sys
import tempfile
import warnings

__all__ = ["tf", "tfd"]

_WHAT_TO_DO = (
    "import moe_vae before TensorFlow, or start with TF_USE_LEGACY_KERAS=1 in the environment and "
    "call tensorflow.compat.v1.disable_v2_behavior() right after importing TensorFlow"
)

_imported_before = "tensorflow" in sys.modules
if _imported_before and sys.modules["tensorflow"].executing_eagerly():
    raise ImportError(
        "moe_vae needs TensorFlow's graph mode, but TensorFlow was imported earlier and runs "
        f"eagerly: {_WHAT_TO_DO}"
    )

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.filterwarnings("ignore", message=r"`tf\.layers\.\w+` is deprecated")


@contextlib.contextmanager
def _stderr_held_back():
    """Keeps the process's standard error back, and shows it only if the block fails.

    TensorFlow's first notes (oneDNN, no CUDA driver) are written below Python before any log
    level is read, so the file descriptor itself has to be turned away.
    """
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


with _stderr_held_back():
    import tensorflow.compat.v1 as tf

    tf.logging.set_verbosity(tf.logging.ERROR)
    tf.disable_v2_behavior()
    tf.config.experimental.enable_tensor_float_32_execution(False)

    if not hasattr(tf.layers, "dense"):
        raise ImportError(
            "moe_vae needs tf.layers, which TensorFlow offers only with legacy Keras (the package "
            f"tf-keras, of TensorFlow's own version): install requirements.txt, then {_WHAT_TO_DO}"
        )

    from tensorflow_probability import distributions as tfd
