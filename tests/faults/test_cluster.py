"""Worker 0 and the parameter server of a cluster, each killed twenty times in one training.

The training of a cluster is not the same bit for bit each time. So what counts is the history: all
epochs up to the last checkpoint before a kill must stand in the end as they were, value by value.
"""

import json
import signal
import time

import numpy as np
import pytest
from kills import LONGEST_LIFE_SECONDS, N_KILLS, moments
from tasks import beginning, ended, forked_processes, start_one, start_tasks, wait_until

pytestmark = [pytest.mark.process, pytest.mark.long]

SHORT = ["--resume", "--set", "batch_size=1000"]  # two steps an epoch
ENDLESS = [*SHORT, "--epochs", "100000"]
N_LAST = 3  # epochs after the last kill


@pytest.fixture
def begin():
    with beginning(forked_processes()) as begin:
        yield begin


def checkpoints(directory):
    return sorted((directory / "run/checkpoints").glob("epoch-??????"))


def kept_history(directory):
    """The history in the last complete checkpoint."""
    with np.load(checkpoints(directory)[-1] / "state.npz") as state:
        return json.loads(state["values"].item())["history"]


def let_train(directory, moment):
    """Waits for a checkpoint that was not there before, and for a moment more."""
    before = checkpoints(directory)[-1:]
    wait_until(lambda: checkpoints(directory)[-1:] != before, "a checkpoint")
    time.sleep(moment)


def kill(process):
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL, "it ended before it was killed"


def n_lost(histories, final):
    """How many values of the histories before the kills are not those of the final one."""
    return sum(
        ours != theirs
        for history in histories
        for name, values in history.items()
        for ours, theirs in zip(values, final[name][: len(values)], strict=True)
    )


def finish(directory, histories, processes, restart, fault_log, what):
    """Trains to the end, and records what was lost."""
    n_epochs = len(histories[-1]["loss"]) + N_LAST
    processes |= restart([*SHORT, "--epochs", str(n_epochs)])
    codes = {name: ended(process) for name, process in processes.items()}
    assert set(codes.values()) == {0}, (codes, (directory / "worker0").read_text())
    final = json.loads((directory / "run/metrics.json").read_text())["history"]
    assert {len(values) for values in final.values()} == {n_epochs}
    assert np.isfinite(final["loss"]).all()
    assert len({len(history["loss"]) for history in histories}) == N_KILLS, "no epoch in between"
    lost = n_lost(histories, final)
    fault_log(
        {
            "fault": f"{what} killed",
            "model": "dmvae",
            "engine": "cluster of processes",
            "made by": f"SIGKILL, within {LONGEST_LIFE_SECONDS} s of its first checkpoint",
            "times": N_KILLS,
            "outcome": "resumes from the last checkpoint",
            "lost": lost,
        }
    )
    assert lost == 0


def test_a_worker_0_killed_twenty_times_goes_on(begin, tmp_path, fault_log):
    _, processes = start_tasks(begin, tmp_path, ENDLESS)

    def restart(words):
        return {"worker0": start_one(begin, tmp_path, "worker", 0, words)}

    histories = []
    for moment in moments("worker 0"):
        if histories:
            processes |= restart(ENDLESS)
        let_train(tmp_path, moment)
        kill(processes["worker0"])
        histories.append(kept_history(tmp_path))
    assert processes["ps0"].is_alive()
    assert processes["worker1"].is_alive()
    finish(tmp_path, histories, processes, restart, fault_log, "worker 0")


def test_a_parameter_server_killed_twenty_times_ends_all_and_all_go_on(begin, tmp_path, fault_log):
    histories = []
    for moment in moments("parameter server"):
        _, processes = start_tasks(begin, tmp_path, ENDLESS)
        let_train(tmp_path, moment)
        kill(processes["ps0"])
        for name in ("worker0", "worker1"):
            assert ended(processes[name]) == 2
            line = (tmp_path / name).read_text().splitlines()[-1]
            assert "error: parameter server 0" in line
            assert "is gone: --resume continues" in line
        histories.append(kept_history(tmp_path))

    def restart(words):
        return start_tasks(begin, tmp_path, words)[1]

    finish(tmp_path, histories, {}, restart, fault_log, "parameter server")
