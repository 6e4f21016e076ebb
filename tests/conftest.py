import gc
import json
import platform
from pathlib import Path

import numpy as np
import pytest

from moe_vae.compat import tf

# Building TensorFlow's graphs makes so many objects that collecting them takes 7 % of the time.
gc.set_threshold(200_000, 20, 20)


def pytest_addoption(parser):
    parser.addoption(
        "--faults",
        type=Path,
        metavar="FILE",
        help="write what tests/training/test_faults.py saw, as JSON",
    )


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
