"""A short soak: what `make soak` measures over hundreds of rounds and checkpoints."""

import numpy as np
import pytest
from soak.soak import BOUNDS, COUNTED, MODELS, faults_of, growth, run_rounds, write_checkpoints

pytestmark = pytest.mark.process

N_ROUNDS = 10
N_CHECKPOINTS = 500


def test_ten_rounds_leave_no_file_open_and_no_graph():
    records = list(run_rounds(N_ROUNDS, seed=1))
    assert [record["model"] for record in records[: len(MODELS)]] == list(MODELS)
    for name in COUNTED["rounds"]:
        first, *others = [record[name] for record in records[len(MODELS) - 1 :]]
        assert set(others) == {first}, name
    assert records[-1]["graphs"] == 0


def test_hundreds_of_checkpoints_stay_in_one_directory():
    records = list(write_checkpoints(N_CHECKPOINTS, seed=1))
    assert len(records) == N_CHECKPOINTS
    assert faults_of("checkpoints", records) == []


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
