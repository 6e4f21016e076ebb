"""Many processes that start a training in one directory at the same moment."""

import fcntl
import multiprocessing
import os
import threading

import pytest
from forked import LOADS_TENSORFLOW

from moe_vae.cli.main import main
from moe_vae.experiments.runs import load_run
from moe_vae.training.checkpoints import CheckpointError, locked

pytestmark = pytest.mark.process

N_PROCESSES = 10
PATIENCE = 300  # seconds
SMALL = ["encoder_layers=[4]", "decoder_layers=[4]", "digit_classification_layers=[4]"]


def train(out, said, ready):
    """The command as a process has it: both its outputs go to a file, and it ends with its code."""
    handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    words = ["train", "conditional-vae", "--data", "spiral", "--epochs", "3", "--out", str(out)]
    ready.wait(PATIENCE)
    main([*words, *(word for each in SMALL for word in ("--set", each))])


def test_ten_processes_start_in_one_directory_and_one_wins(tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["moe_vae.cli.main", *LOADS_TENSORFLOW])
    ready, out = context.Barrier(N_PROCESSES), tmp_path / "run"
    said = [tmp_path / f"said-{number}" for number in range(N_PROCESSES)]
    processes = [context.Process(target=train, args=[out, path, ready]) for path in said]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE)
    codes = [process.exitcode for process in processes]
    texts = [path.read_text() for path in said]
    assert sorted(codes) == [0] + [2] * (N_PROCESSES - 1), texts
    for code, text in zip(codes, texts, strict=True):
        if code:
            (line,) = text.splitlines()
            # Whoever comes when the winner is already done finds its run.
            assert f"{out} is in use by another process" in line or f"{out} holds a run" in line
    trainer, record = load_run(out)
    trainer.session.close()
    assert len(record["seconds"]) == 3
    assert [path.name for path in sorted((out / "checkpoints").iterdir())] == [
        f"epoch-{number:06d}" for number in (1, 2, 3)
    ]
    assert not list(out.rglob("*.part"))


def test_whoever_is_refused_leaves_the_empty_directory_of_the_one_who_has_it(tmp_path, monkeypatch):
    directory = tmp_path / "run"

    def taken(handle, operation):
        raise BlockingIOError

    monkeypatch.setattr(fcntl, "flock", taken)
    with pytest.raises(CheckpointError, match="is in use"), locked(directory):
        pytest.fail("two runs have the directory")
    assert directory.is_dir()


def test_a_directory_that_was_deleted_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    directory, lock, calls = tmp_path / "run", fcntl.flock, []

    def delete_first(handle, operation):
        calls.append(handle)
        if len(calls) == 1:  # whoever had it ends, and leaves nothing
            directory.rmdir()
        lock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", delete_first)
    with locked(directory):
        assert len(calls) == 2
        with pytest.raises(CheckpointError, match="is in use"), locked(directory):
            pytest.fail("the directory is not locked")
    assert not directory.exists()


def enter(directory, ready, inside, most, refused):
    ready.wait(PATIENCE)
    try:
        with locked(directory):
            inside.append(directory.is_dir())
            most.append(list(inside))
            inside.pop()
    except CheckpointError:
        refused.append(directory)


def test_whoever_is_refused_does_not_delete_the_directory_of_the_one_who_has_it(tmp_path):
    for number in range(100):
        inside, most, refused = [], [], []
        words = [tmp_path / str(number), threading.Barrier(N_PROCESSES), inside, most, refused]
        threads = [threading.Thread(target=enter, args=words) for _ in range(N_PROCESSES)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(alone == [True] for alone in most), most
        assert most
        assert len(most) + len(refused) == N_PROCESSES
