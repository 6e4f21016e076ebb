import gc
import json
import os
import platform
import shlex
from pathlib import Path

import numpy as np
import pytest
from kills import LONGEST_LIFE_SECONDS, N_KILLS, SEED

from moe_vae.compat import CACHE_VARIABLE, tf
from moe_vae.nn.sessions import finds_gpu

# A test compiles what it needs, and leaves nothing in the user's cache.
os.environ[CACHE_VARIABLE] = "off"

FAULT = "fault"

# Building TensorFlow's graphs makes so many objects that collecting them takes 7 % of the time.
gc.set_threshold(200_000, 20, 20)


def pytest_addoption(parser):
    parser.addoption(
        "--faults",
        type=Path,
        metavar="FILE",
        help="write what the tests in tests/faults saw, as JSON",
    )


def pytest_collection_modifyitems(items):
    """Skips the tests marked `gpu` where there is no GPU."""
    for_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if for_gpu and not finds_gpu():
        for item in for_gpu:
            item.add_marker(pytest.mark.skip(reason="needs a GPU, and TensorFlow finds none"))


@pytest.fixture
def fault_log(record_property):
    """Function that records a fault, which goes to the file of `--faults`.

    Its argument is a dict that JSON can hold.
    """
    return lambda fault: record_property(FAULT, fault)


def pytest_configure(config):
    path = config.getoption("--faults")
    if path and not hasattr(config, "workerinput"):  # a worker of pytest-xdist sends its reports
        command = shlex.join(["python", "-m", "pytest", *config.invocation_params.args])
        config.pluginmanager.register(FaultsWriter(path, command))


class FaultsWriter:
    """Writes the records of faults, in the order of their tests, when all tests are over."""

    def __init__(self, path, command):
        self.path = path
        self.command = command
        self.records = []

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and report.passed:
            file, line, name = report.location
            faults = [value for key, value in report.user_properties if key == FAULT]
            self.records += [(file, line, name, fault) for fault in faults]

    def pytest_sessionfinish(self):
        content = {
            "format_version": 1,
            "command": self.command,
            "seed": SEED,
            "settings": {"kills": N_KILLS, "longest_life_seconds": LONGEST_LIFE_SECONDS},
            "versions": {
                "python": platform.python_version(),
                "tensorflow": tf.__version__,
                "numpy": np.__version__,
            },
            "faults": [fault for *_, fault in sorted(self.records, key=lambda each: each[:3])],
        }
        self.path.write_text(json.dumps(content, indent=1) + "\n")
