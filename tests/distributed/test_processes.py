"""How a cluster on one machine ends: by itself, by Ctrl-C, by SIGTERM, by a task that fails.

The tasks here are small programs in the place of `train`.
"""

import os
import signal
import sys
import threading
import time

import pytest

from moe_vae.distributed.processes import start_task, stopping_processes, wait_for_tasks
from moe_vae.distributed.servers import ClusterError
from moe_vae.interrupts import Terminated

pytestmark = pytest.mark.process

READY = "print('Ready.', file=sys.stderr, flush=True)"
# A chief that handles the signals as `train` does, and one that has not got so far.
SAVES = f"""
import signal, sys, time
def end(number, frame):
    print("python -m moe_vae: interrupted after 3 epochs: it is in run/", file=sys.stderr)
    sys.exit(128 + number)
signal.signal(signal.SIGINT, end)
signal.signal(signal.SIGTERM, end)
{READY}
time.sleep(60)
"""
LOADS = f"import sys, time\n{READY}\ntime.sleep(60)"
ENDS = f"""
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
{READY}
time.sleep(60)
"""
FAILS = """
import sys
print("python -m moe_vae train: error: the disk is full", file=sys.stderr)
sys.exit(2)
"""


@pytest.fixture
def interrupted(tmp_path):
    """Function that starts a chief, sends this process a signal when it is ready, and waits."""
    # Where pytest runs in the background, a shell has had it ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def send(number, chief):
        while not chief.errors.exists() or "Ready." not in chief.errors.read_text():
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    def run(program, number=None):
        with stopping_processes() as tasks:
            tasks.append(start_task([sys.executable, "-c", program], "worker", 0, tmp_path))
            if number is not None:
                threading.Thread(target=send, args=[number, tasks[0]]).start()
            return wait_for_tasks(tasks)

    yield run
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_the_chief_says_of_its_interruption_is_passed_on(interrupted, capfd, number):
    ended = interrupted(SAVES, number)
    assert ended.said == "interrupted after 3 epochs: it is in run/"
    assert isinstance(ended.signal, Terminated) == (number == signal.SIGTERM)
    assert capfd.readouterr().err == "Ready.\n", "it would be said twice"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_chief_that_has_not_begun_is_no_failure_of_it(interrupted, capfd, number):
    ended = interrupted(LOADS, number)
    assert ended.said == "interrupted before the training began: nothing to write"
    assert isinstance(ended.signal, Terminated) == (number == signal.SIGTERM)
    assert capfd.readouterr().err == "Ready.\n", "a traceback is no progress"


def test_ctrl_c_after_the_end(interrupted):
    assert interrupted(ENDS, signal.SIGINT).said == "the training had ended"


def test_a_chief_that_fails_is_named_with_its_last_line(interrupted, capfd):
    with pytest.raises(ClusterError, match=r"worker 0 ended with exit code 2: the disk is full$"):
        interrupted(FAILS)
    assert capfd.readouterr().err == ""


def test_a_signal_that_another_sent_to_the_chief_is_a_failure(interrupted):
    killed = "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)"
    with pytest.raises(ClusterError, match=r"worker 0 was ended by SIGTERM$"):
        interrupted(killed)
