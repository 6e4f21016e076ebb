"""Processes of a cluster: this process as one task of it, or all tasks on this machine."""

import contextlib
import ctypes
import functools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from moe_vae.distributed.member import Member
from moe_vae.distributed.servers import JOBS, TITLES, ClusterError, read_cluster, start_server
from moe_vae.files import write_whole
from moe_vae.interrupts import Terminated, terminating
from moe_vae.messages import say
from moe_vae.version import FORMAT_VERSION

if TYPE_CHECKING:
    from moe_vae.data.dataset import DataSet
    from moe_vae.distributed.trainer import ClusterTrainer
    from moe_vae.model import Model

__all__ = [
    "WAIT_SECONDS",
    "Interruption",
    "TaskProcess",
    "chief_of",
    "cluster_record",
    "free_addresses",
    "join_cluster",
    "run_cluster",
    "start_task",
    "stopping_processes",
    "take_part",
    "wait_for_tasks",
    "write_local_cluster",
]

WAIT_SECONDS = 120.0  # for a task that this one needs, and for worker 0 to begin
EXIT_SECONDS = 20.0  # for the other tasks to end by themselves after the chief
SAVE_SECONDS = 120.0  # for the chief to write its results after Ctrl-C
TERMINATE_SECONDS = 5.0  # between SIGTERM and SIGKILL
POLL_SECONDS = 0.1
PROGRAM = "python -m moe_vae"  # begins the last line of a command that failed or was interrupted
ERROR = "error: "  # follows it in the line of a command that failed
TRACEBACK = "Traceback "  # begins what Python says of an exception that nothing caught
SHOWN_SECONDS = 5.0  # for what an ended process has said to be read
SIGNALLED = 128  # an exit code of a process that handled a signal is larger
CLUSTER_FILE = "cluster.json"
LOOPBACK = "127.0.0.1"
# Linux gives outgoing connections ports from 32768 on; one of those could take a task's port.
PORTS = range(20_000, 32_000)
PR_SET_PDEATHSIG = 1  # of Linux's `prctl`

Build = Callable[[Mapping[str, Any]], "Model"]


# One task.


def join_cluster(
    path: Path,
    job: str,
    task: int,
    synchronous: bool = True,
    wait_seconds: float = WAIT_SECONDS,
) -> Member:
    """Starts this process's server as one task of a cluster.

    Args:
      path: the cluster file; see `read_cluster`.
      job: "ps" or "worker".
      task: the task's number, from 0.
      synchronous: whether a step takes the mean of all workers' gradients; otherwise each
        worker's gradient is a step of its own.
      wait_seconds: how long to wait for a task that this one needs, and for worker 0 to begin.

    Returns:
      A `Member`.

    Raises:
      ClusterError: the file is wrong, there is no such task, or its address cannot be used.
      OSError: the file cannot be read.
    """
    cluster = read_cluster(path)
    server = start_server(cluster, job, task)
    return Member(cluster, job, task, server, synchronous, wait_seconds)


def take_part(
    member: Member,
    build: Build,
    params: Mapping[str, Any],
    seed: int,
    read_train_set: Callable[[], "DataSet"],
    schedule: str | None = None,
) -> None:
    """Runs a parameter server, or a worker that follows the chief, until the training ends.

    Args:
      member: a `Member` that is not the chief.
      build: function of the parameters that builds the model in the current graph.
      params: dict of the model's parameters.
      seed: the seed of the run, the same in all tasks.
      read_train_set: function that returns the whole training set; only a worker calls it.
      schedule: the learning rate's schedule; None means the model's own.

    Raises:
      ClusterError: a parameter server is gone, no worker or not the chief is reached for long, or
        the chief failed or trains another run.
      ParameterError: the worker's shard is smaller than a batch.
    """
    from moe_vae.distributed.session import serve
    from moe_vae.distributed.trainer import start_cluster_trainer

    title = member.cluster.title(member.job, member.task)
    say(f"This is {title}, of {member.n_workers} workers.")
    if member.job == "ps":
        serve(member)
    else:
        train_set = read_train_set()
        start_cluster_trainer(build, params, seed, member, schedule).follow(train_set)
    say("The training is over.")


@contextlib.contextmanager
def chief_of(member: Member) -> Iterator[Callable[..., "ClusterTrainer"]]:
    """Yields the function that starts the chief's trainer; its arguments are `start_trainer`'s.

    At the end of the block the chief tells the other tasks that the training is over.

    Args:
      member: the chief's `Member`.
    """
    from moe_vae.distributed.trainer import start_cluster_trainer

    trainers = []

    def start(
        build: Build, params: Mapping[str, Any], seed: int, schedule: str | None = None
    ) -> "ClusterTrainer":
        trainers.append(start_cluster_trainer(build, params, seed, member, schedule))
        return trainers[0]

    try:
        yield start
    except ClusterError:  # the other tasks cannot be reached
        raise
    except BaseException:
        for trainer in trainers:
            trainer.end(failed=True)
        raise
    trainers[0].end()


def cluster_record(member: Member, trainer: "ClusterTrainer") -> dict[str, Any]:
    """Returns what a run's record says about the cluster that trained it."""
    return {
        "cluster": {
            "workers": member.n_workers,
            "parameter_servers": len(member.cluster.ps),
            "synchronous": member.synchronous,
            "bytes_a_step": trainer.bytes_a_step,
        }
    }


# All tasks on this machine.


class TaskProcess(NamedTuple):
    """The process of a task.

    Attributes:
      title: the task's name in messages, such as "worker 0".
      process: the process.
      errors: the file that its standard error goes to.
      reader: the thread that shows its progress and writes that file, or None.
    """

    title: str
    process: subprocess.Popen
    errors: Path
    reader: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self.process.poll() is None

    def last_words(self) -> str:
        """Returns the last line that the process, which has ended, wrote to standard error.

        The name of the program, and the word "error", are left out.
        """
        if self.reader is not None:
            self.reader.join(SHOWN_SECONDS)
        lines = self.errors.read_text(errors="replace").strip().splitlines()
        last = lines[-1] if lines else ""
        if last.startswith(PROGRAM) and ": " in last:
            last = last.partition(": ")[2].removeprefix(ERROR)
        return last


class Interruption(NamedTuple):
    """What ended a cluster before its time.

    Attributes:
      signal: what Ctrl-C or SIGTERM raised in this process.
      said: what became of the training, in the chief's words.
    """

    signal: KeyboardInterrupt
    said: str


def run_cluster(
    train_words: Sequence[str], n_workers: int = 2, n_servers: int = 1, *, out: Path
) -> Interruption | None:
    """Trains one model with several processes on this machine, and stops all of them at the end.

    Each task is a process of `python -m moe_vae train`. The chief's progress is shown. Ctrl-C
    reaches the chief alone, which writes what was learned.

    Args:
      train_words: the words after `train`: the model and its options, without those of a task.
      n_workers: number of worker processes, at least 1.
      n_servers: number of parameter servers, at least 1.
      out: the run's directory, the one of `--out` in `train_words`; the cluster file goes there.

    Returns:
      What `wait_for_tasks` returns.

    Raises:
      ClusterError: a process failed.
    """
    path = out / CLUSTER_FILE
    tasks = write_local_cluster(path, n_workers, n_servers)
    train = [sys.executable, "-m", "moe_vae", "train", *train_words, "--cluster", str(path)]
    with tempfile.TemporaryDirectory() as logs, stopping_processes() as processes:
        for job, task in tasks:
            command = [*train, "--job", job, "--task", str(task)]
            processes.append(start_task(command, job, task, Path(logs)))
        return wait_for_tasks(processes)


def write_local_cluster(path: Path, n_workers: int, n_servers: int) -> list[tuple[str, int]]:
    """Writes the file of a cluster whose tasks all have free addresses on this machine.

    Args:
      path: the file to write.
      n_workers: number of workers.
      n_servers: number of parameter servers.

    Returns:
      List of job and number of every task, the parameter servers first.
    """
    addresses = free_addresses(n_servers + n_workers)
    content = {
        "format_version": FORMAT_VERSION,
        "ps": addresses[:n_servers],
        "worker": addresses[n_servers:],
    }
    write_whole(path, (json.dumps(content) + "\n").encode())
    return [
        (job, task)
        for job, n in zip(JOBS, (n_servers, n_workers), strict=True)
        for task in range(n)
    ]


def free_addresses(count: int) -> list[str]:
    """Returns `count` different addresses on this machine's loopback whose ports are free."""
    addresses: list[str] = []
    while len(addresses) < count:
        port = random.choice(PORTS)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("", port))
            except OSError:  # the port is taken
                continue
        if f"{LOOPBACK}:{port}" not in addresses:
            addresses.append(f"{LOOPBACK}:{port}")
    return addresses


def start_task(
    command: Sequence[str],
    job: str,
    task: int,
    directory: Path,
    cores: set[int] | None = None,
) -> TaskProcess:
    """Starts a task as a process that ends when this process ends.

    Args:
      command: the words of the command.
      job: "ps" or "worker".
      task: the task's number, from 0.
      directory: where the file of its standard error goes. Only the chief's output and progress
        are shown.
      cores: numbers of the cores that the task may use; None means those of this process.

    Returns:
      The `TaskProcess`.
    """
    is_chief = (job, task) == ("worker", 0)
    errors = directory / f"{job}{task}"
    with errors.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=None if is_chief else subprocess.DEVNULL,
            stderr=subprocess.PIPE if is_chief else file,
            process_group=0,  # so that Ctrl-C reaches only this process, which passes it on
            preexec_fn=functools.partial(_prepare_task, cores),
        )
    reader = None
    if is_chief:
        reader = threading.Thread(target=_show, args=(process, errors), daemon=True)
        reader.start()
    return TaskProcess(f"{TITLES[job]} {task}", process, errors, reader)


def _show(process: subprocess.Popen, errors: Path) -> None:
    """Shows the progress of a process, and keeps its standard error in a file.

    How the process ended is not shown: `last_words` has it.
    """
    assert process.stderr is not None  # it is a pipe
    is_progress = True
    with process.stderr, errors.open("wb") as file:
        for line in process.stderr:
            file.write(line)
            file.flush()
            text = line.decode(errors="replace").rstrip()
            is_progress = is_progress and not text.startswith((PROGRAM, TRACEBACK))
            if is_progress:
                say(text)


def _prepare_task(cores: set[int] | None) -> None:
    """Sets up a task's process before its program starts."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a background shell may have it ignored
    if cores is not None:
        os.sched_setaffinity(0, cores)


@contextlib.contextmanager
def stopping_processes() -> Iterator[list[TaskProcess]]:
    """Yields a list for processes; those that still run at the end of the block are stopped.

    Inside the block SIGTERM raises `Terminated`.
    """
    processes: list[TaskProcess] = []
    with terminating():
        try:
            yield processes
        finally:
            _stop([task.process for task in processes if task.is_running])


def _stop(running: Sequence[subprocess.Popen]) -> None:
    for process in running:
        process.terminate()
    deadline = time.monotonic() + TERMINATE_SECONDS
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_tasks(processes: Sequence[TaskProcess]) -> Interruption | None:
    """Waits for the chief and then for the other tasks, as long as no task fails.

    Args:
      processes: the `TaskProcess` of every task.

    Returns:
      None, or the `Interruption` by Ctrl-C or SIGTERM, after which the chief has ended.

    Raises:
      ClusterError: a process failed, or the chief did not end in time after Ctrl-C.
    """
    signalled: KeyboardInterrupt | None = None
    (chief,) = [task for task in processes if task.title == f"{TITLES['worker']} 0"]
    try:
        while chief.is_running:
            _check(processes)
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt as error:
        signalled = error
        _interrupt_chief(chief, _number_of(error))
    code = chief.process.returncode
    # A chief that loads its packages handles no signal yet: the one that was passed on ends it.
    is_unprepared = signalled is not None and code == -_number_of(signalled)
    if code and not is_unprepared and (signalled is None or code < SIGNALLED):
        _check(processes)
    deadline = time.monotonic() + EXIT_SECONDS
    while time.monotonic() < deadline and any(task.is_running for task in processes):
        time.sleep(POLL_SECONDS)
    if signalled is None:
        return None
    if is_unprepared:
        return Interruption(signalled, "interrupted before the training began: nothing to write")
    return Interruption(signalled, chief.last_words() if code else "the training had ended")


def _number_of(signalled: KeyboardInterrupt) -> int:
    """Returns the number of the signal that raised an exception in this process."""
    return signal.SIGTERM if isinstance(signalled, Terminated) else signal.SIGINT


def _interrupt_chief(chief: TaskProcess, number: int) -> None:
    """Passes a signal on to the chief, and waits until it has written its results."""
    chief.process.send_signal(number)
    try:
        chief.process.wait(SAVE_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ClusterError(
            f"interrupted, but {chief.title} did not end within {SAVE_SECONDS:g} s"
        ) from error


def _check(processes: Sequence[TaskProcess]) -> None:
    """Raises ClusterError with the last error line of the first process that failed."""
    for task in processes:
        code = task.process.poll()
        if not code:
            continue
        if code < 0:
            how = f"was ended by {signal.Signals(-code).name}"
        else:
            how = f"ended with exit code {code}"
        last = task.last_words()
        raise ClusterError(f"{task.title} {how}{': ' if last else ''}{last}")
