import gc
import json
import os
import platform
from pathlib import Path

import numpy as np
import pytest

from moe_vae.compat import CACHE_VARIABLE, tf
from moe_vae.nn.sessions import finds_gpu

# A test compiles what it needs, and leaves nothing in the user's cache.
os.environ[CACHE_VARIABLE] = "off"

# Building TensorFlow's graphs makes so many objects that collecting them takes 7 % of the time.
gc.set_threshold(200_000, 20, 20)


def pytest_addoption(parser):
    parser.addoption(
        "--faults",
        type=Path,
        metavar="FILE",
        help="write what tests/training/test_faults.py saw, as JSON",
    )


def pytest_collection_modifyitems(items):
    """Skips the tests marked `gpu` where there is no GPU."""
    for_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if for_gpu and not finds_gpu():
        for item in for_gpu:
            item.add_marker(pytest.mark.skip(reason="needs a GPU, and TensorFlow finds none"))


@pytest.fixture(scope="session")
def fault_log(request):
    """A list for records of faults, which go to the file of `--faults` when all tests are over."""
    records = []
    yield records
    if path := request.config.getoption("--faults"):
        content = {
            "command": f"python -m pytest tests/training/test_faults.py --faults {path}",
            "versions": {
                "python": platform.python_version(),
                "tensorflow": tf.__version__,
                "numpy": np.__version__,
            },
            "faults": records,
        }
        path.write_text(json.dumps(content, indent=1) + "\n")
