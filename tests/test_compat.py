import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parent.parent
# This process has imported moe_vae, which sets some of these for itself.
SET_BY_COMPAT = ("TF_USE_LEGACY_KERAS", "TF_CPP_MIN_LOG_LEVEL", "PYTHONWARNINGS")


def python(code, **environment):
    """Runs code in a new Python: the order of imports can be tried only once a process."""
    inherited = {name: value for name, value in os.environ.items() if name not in SET_BY_COMPAT}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_importing_after_an_eager_tensorflow_says_what_to_do_and_doing_that_helps():
    result = python(
        "import tensorflow\n"
        "try:\n"
        "    import moe_vae\n"
        "except ImportError as error:\n"
        "    print(error)\n"
        "tensorflow.compat.v1.disable_v2_behavior()\n"
        "from moe_vae.compat import tf\n"
        "print(tf.layers.dense(tf.ones([2, 3]), 4).shape)\n",
        TF_USE_LEGACY_KERAS="1",
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "moe_vae needs TensorFlow's graph mode, but TensorFlow was imported earlier and runs "
        "eagerly: import moe_vae before TensorFlow, or start with TF_USE_LEGACY_KERAS=1 in the "
        "environment and call tensorflow.compat.v1.disable_v2_behavior() right after importing "
        "TensorFlow",
        "(2, 4)",
    ]


def test_importing_first_gives_layers_and_a_session_and_says_nothing():
    result = python(
        "import moe_vae\n"
        "from moe_vae.compat import tf, tfd\n"
        "from moe_vae.nn.sessions import open_session\n"
        "h = tf.layers.dense(tf.ones([2, 3]), 4)\n"
        "density = tfd.Normal(0., 1.).log_prob(h)\n"
        "with open_session() as session:\n"
        "    session.run(tf.global_variables_initializer())\n"
        "    print(session.run(density).shape)\n"
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "(2, 4)\n", "")


def test_every_module_is_imported_without_the_heavy_packages():
    result = python(
        "import importlib, pathlib, sys\n"
        "import moe_vae\n"
        # These run as programs or derive from a TensorFlow class.
        "late = ['moe_vae.__main__']\n"
        "late += ['moe_vae.distributed.session', 'moe_vae.distributed.trainer']\n"
        "root = pathlib.Path(moe_vae.__path__[0])\n"
        "for path in sorted(root.rglob('*.py')):\n"
        "    name = '.'.join(path.relative_to(root.parent).with_suffix('').parts)\n"
        # The estimators derive from scikit-learn's classes.
        "    if name not in late and not name.startswith('moe_vae.estimators'):\n"
        "        importlib.import_module(name.removesuffix('.__init__'))\n"
        "heavy = ('tensorflow', 'tensorflow_probability', 'scipy', 'sklearn', 'matplotlib')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "[]\n", "")
