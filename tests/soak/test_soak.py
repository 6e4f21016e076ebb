"""A short soak: what `make soak` measures over hundreds of rounds and checkpoints."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from soak.soak import BOUNDS, COUNTED, MODELS, faults_of, growth

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
N_ROUNDS = 10
N_CHECKPOINTS = 500


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What the script records in a process of its own, where no other test has left a graph."""
    out = tmp_path_factory.mktemp("soak") / "soak.json"
    counts = ["--rounds", str(N_ROUNDS), "--checkpoints", str(N_CHECKPOINTS), "--seed", "1"]
    subprocess.run(  # ten rounds are too few to judge the memory, so its exit code says nothing
        [sys.executable, str(ROOT / "tests/soak/soak.py"), *counts, "--out", str(out)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return json.loads(out.read_text())


def test_ten_rounds_leave_no_file_open_and_no_graph(results):
    records = results["rounds"]
    assert [record["model"] for record in records[: len(MODELS)]] == list(MODELS)
    assert len(records) == N_ROUNDS
    for name in COUNTED["rounds"]:
        first, *others = [record[name] for record in records[len(MODELS) - 1 :]]
        assert set(others) == {first}, name
    assert records[-1]["graphs"] == 0


def test_hundreds_of_checkpoints_stay_in_one_directory(results):
    assert len(results["checkpoints"]) == N_CHECKPOINTS
    assert faults_of("checkpoints", results["checkpoints"]) == []


def made_up(memory, **counts):
    return [{"memory_mb": each, "open_files": 5, "graphs": 0, **counts} for each in memory]


def test_a_leak_is_found():
    level, leak = np.full(200, 900.0), 900 + 2 * BOUNDS["rounds"] * np.arange(200)
    assert faults_of("rounds", made_up(level)) == []
    assert growth(made_up(leak)) == pytest.approx(2 * BOUNDS["rounds"])
    assert faults_of("rounds", made_up(leak)) == ["rounds: the memory grows by 0.200 MB each time"]
    # What is loaded in the beginning is no leak.
    assert faults_of("rounds", made_up(np.minimum(leak, 910))) == []
    opened = made_up(level[:100]) + made_up(level[100:], open_files=6)
    assert faults_of("rounds", opened) == ["rounds: open_files were at most 5, and then up to 6"]
