"""What a program waits for before its first step, against TensorFlow's own import."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# The bound that the package keeps. On the day it was set, the time was 1.03 and the memory 0.94
# times TensorFlow's: `import tensorflow` loads Keras 3, the package only legacy Keras.
BOUND = 1.3
N_RUNS = 3

BUILD_POST_3 = "import moe_vae\nmoe_vae.build_mixture_of_vaes({})\n"
# Every process reports on itself, because what a parent took also counts as its child's peak.
REPORT = (
    "\nimport json, re, resource, pathlib, sys\n"
    "used = resource.getrusage(resource.RUSAGE_SELF)\n"
    "peak = re.search(r'VmHWM:\\s+(\\d+) kB', pathlib.Path('/proc/self/status').read_text())[1]\n"
    "loaded = [name for name in sys.modules if name.startswith('tensorflow_probability')]\n"
    "print(json.dumps([used.ru_utime + used.ru_stime, int(peak), loaded]))\n"
)


def start(code):
    """Runs code in a process; returns its seconds of the processor, its peak in KiB, and modules.

    Not the time of the clock, because other tests run beside this one.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("TF_USE_LEGACY_KERAS", None)  # set by the package, in this process too
    answer = subprocess.run(
        [sys.executable, "-c", code + REPORT],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(answer.stdout.splitlines()[-1])


@pytest.mark.process
def test_import_and_graph_of_post_3_cost_little_more_than_tensorflow():
    # In turns, so that whatever slows the machine slows both.
    runs = [(start("import tensorflow"), start(BUILD_POST_3)) for _ in range(N_RUNS)]
    for measured, name in enumerate(("seconds", "KiB")):
        theirs, ours = (statistics.median(run[i][measured] for run in runs) for i in (0, 1))
        print(f"{name}: TensorFlow {theirs}, the package {ours}")
        assert ours < BOUND * theirs, name
    loaded = set(runs[0][1][2])
    assert "tensorflow_probability.python.distributions.normal" in loaded
    assert "tensorflow_probability.python.experimental" not in loaded
