"""The command line's part in a cluster: one task of it, or all of them on this machine."""

import argparse
import contextlib
import ctypes
import functools
import json
import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from moe_vae.distributed.servers import JOBS, TITLES, ClusterError, read_cluster, start_server
from moe_vae.distributed.trainer import Member, serve, start_cluster_trainer
from moe_vae.experiments.registry import builder
from moe_vae.files import write_whole

__all__ = [
    "add_cluster_command",
    "add_task_options",
    "chief_of",
    "cluster_record",
    "free_addresses",
    "join_cluster",
    "run_cluster",
    "start_task",
    "stopped_in_the_end",
    "take_part",
    "watch",
]

WAIT_SECONDS = 120
LEAVE_SECONDS = 20.0  # for the others to end by themselves once the chief has
SAVE_SECONDS = 120.0  # for the chief to write what it has, after Ctrl-C
STOP_SECONDS = 5.0  # between asking a process to end and ending it
LOOK_SECONDS = 0.1
CLUSTER_FILE = "cluster.json"
LOOPBACK = "127.0.0.1"
PORTS = range(20_000, 32_000)
PR_SET_PDEATHSIG = 1


# One task.


def add_task_options(command):
    """Adds what makes `train` one task of a cluster to its parser."""
    group = command.add_argument_group(
        "one task of a cluster", "the same command on every host, but for --job and --task"
    )
    group.add_argument(
        "--cluster",
        type=Path,
        metavar="FILE",
        help='the tasks\' addresses, as JSON: {"ps": ["host:port"], "worker": ["host:port", ...]}',
    )
    group.add_argument("--job", choices=JOBS, help="parameter server or worker")
    group.add_argument(
        "--task", type=int, metavar="N", help="its number, from 0; worker 0 writes to DIR"
    )
    _add_way_of_training(group)


def _add_way_of_training(command):
    command.add_argument(
        "--asynchronous",
        action="store_true",
        help="each worker's gradient is a step of its own; default: a step is taken with the mean "
        "of all",
    )
    command.add_argument(
        "--wait",
        type=_seconds,
        metavar="SECONDS",
        help="how long a worker waits for a parameter server, and for worker 0 to begin; "
        f"default: {WAIT_SECONDS}",
    )


def _seconds(text):
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def join_cluster(arguments):
    """Starts this process's server in the cluster that the command line names.

    Args:
      arguments: the parsed words of `train`.

    Returns:
      A `Member`, or None where no cluster is named.

    Raises:
      ClusterError: the file or the task is wrong, the address cannot be had, or options are
        missing or stand alone.
    """
    given = {
        "--job": arguments.job is not None,
        "--task": arguments.task is not None,
        "--asynchronous": arguments.asynchronous,
        "--wait": arguments.wait is not None,
    }
    if arguments.cluster is None:
        alone = [name for name, is_given in given.items() if is_given]
        if alone:
            raise ClusterError(f"{alone[0]} needs --cluster, the file of the tasks' addresses")
        return None
    missing = [name for name in ("--job", "--task") if not given[name]]
    if missing:
        raise ClusterError(f"--cluster needs {missing[0]}: which task this process is")
    cluster = read_cluster(arguments.cluster)
    return Member(
        cluster,
        arguments.job,
        arguments.task,
        start_server(cluster, arguments.job, arguments.task),
        not arguments.asynchronous,
        WAIT_SECONDS if arguments.wait is None else arguments.wait,
    )


def take_part(member, arguments, params, read_data):
    """Is a parameter server, or a worker that follows the chief, until the training ends.

    Args:
      member: a `Member`, not the chief.
      arguments: the parsed words of `train`.
      params: the model's parameters.
      read_data: function that returns the `DataSets`.

    Raises:
      What `serve` and `ClusterTrainer.follow` raise.
    """
    title = member.cluster.title(member.job, member.task)
    print(f"This is {title}, of {member.n_workers} workers.", flush=True)
    try:
        if member.job == "ps":
            serve(member)
        else:
            train_set = read_data().train
            build = builder(arguments.model, train_set.images.shape[1])
            start_cluster_trainer(build, params, arguments.seed, member).follow(train_set)
    except KeyboardInterrupt as error:
        raise ClusterError(f"{title} was interrupted") from error
    print("The training is over.", flush=True)


@contextlib.contextmanager
def chief_of(member):
    """Gives the function that starts the chief's trainer; None outside a cluster.

    When the block is left, the chief tells the other tasks that the training is over.

    Args:
      member: the chief's `Member`, or None for a training outside a cluster.
    """
    if member is None:
        yield None
        return
    trainers = []

    def start(build, params, seed):
        trainers.append(start_cluster_trainer(build, params, seed, member))
        return trainers[0]

    try:
        yield start
    except ClusterError:  # there is nobody left to be told
        raise
    except BaseException:
        for trainer in trainers:
            trainer.end(failed=True)
        raise
    trainers[0].end()


def cluster_record(member, trainer):
    """Returns what a run's metrics say of its cluster: nothing where `member` is None."""
    if member is None:
        return {}
    return {
        "cluster": {
            "workers": member.n_workers,
            "parameter_servers": len(member.cluster.ps),
            "synchronous": member.synchronous,
            "bytes_a_step": trainer.bytes_a_step,
        }
    }


# All tasks on this machine.


class _Process(NamedTuple):
    """A task's process, and the file that its errors go to."""

    title: str
    process: subprocess.Popen
    said: Path


def add_cluster_command(commands, train):
    """Adds `cluster` to the commands: `train`'s words, and how many tasks of each kind.

    Args:
      commands: the parser's commands.
      train: the parser of `train`, before it has the options of one task.

    Returns:
      The new command's parser.
    """
    help_text = "train one model with several processes on this machine"
    command = commands.add_parser(
        "cluster",
        help=help_text,
        description=help_text.capitalize() + ".",
        parents=[train],
        conflict_handler="resolve",
        allow_abbrev=False,
    )
    _add_sizes(command)
    _add_way_of_training(command)
    return command


def _add_sizes(command):
    command.add_argument(
        "--workers", type=_count, default=2, metavar="N", help="worker processes; default: 2"
    )
    command.add_argument(
        "--ps", type=_count, default=1, metavar="N", help="parameter servers; default: 1"
    )


def _count(text):
    if not text.isdigit() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 64")
    return int(text)


def free_addresses(count):
    """Returns `count` addresses on this computer's loopback whose ports nobody has.

    They are below those that Linux gives to outgoing connections, which might take one before the
    task that it is for has started.
    """
    addresses = []
    while len(addresses) < count:
        port = random.choice(PORTS)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("", port))
            except OSError:  # somebody has it
                continue
        if f"{LOOPBACK}:{port}" not in addresses:
            addresses.append(f"{LOOPBACK}:{port}")
    return addresses


def run_cluster(arguments):
    """Starts a cluster's tasks as processes of this machine, and stops every one in the end.

    The chief's progress is shown. Ctrl-C reaches the chief alone, which writes what was learned.

    Args:
      arguments: the parsed words of `cluster`, `command_line` among them.

    Raises:
      ClusterError: a process ended before its time.
    """
    sizes = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    _add_sizes(sizes)
    _, words = sizes.parse_known_args(shlex.split(arguments.command_line)[3:])
    words.remove("cluster")
    addresses = free_addresses(arguments.ps + arguments.workers)
    content = {"ps": addresses[: arguments.ps], "worker": addresses[arguments.ps :]}
    path = arguments.out / CLUSTER_FILE
    write_whole(path, (json.dumps(content) + "\n").encode())
    tasks = [(job, task) for job in JOBS for task in range(len(content[job]))]
    with tempfile.TemporaryDirectory() as said, stopped_in_the_end() as processes:
        for job, task in tasks:
            command = [sys.executable, "-m", "moe_vae", "train", *words, "--cluster", str(path)]
            command += ["--job", job, "--task", str(task)]
            processes.append(start_task(command, job, task, Path(said)))
        watch(processes)


def start_task(command, job, task, directory, cores=None):
    """Starts a task as a process that ends with this one.

    Args:
      command: list of words.
      job: "ps" or "worker".
      task: its number.
      directory: a `pathlib.Path`, where a file gets its errors; of all tasks' output the chief's,
        its progress, is shown.
      cores: set of the cores that it may use; None means those that this process may.
    """
    is_chief = (job, task) == ("worker", 0)
    said = directory / f"{job}{task}"
    with said.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=None if is_chief else subprocess.DEVNULL,
            stderr=file,
            process_group=0,  # Ctrl-C is for this process to hand on
            preexec_fn=functools.partial(_before, cores),
        )
    return _Process(f"{TITLES[job]} {task}", process, said)


def _before(cores):
    """Has the system end the process that is about to begin when this one is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell may have it ignored in the background
    if cores is not None:
        os.sched_setaffinity(0, cores)


@contextlib.contextmanager
def stopped_in_the_end():
    """Gives a list for processes; whichever of them runs when the block is left is ended."""
    processes = []
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield processes
    finally:
        running = [each.process for each in processes if each.process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        signal.signal(signal.SIGTERM, before)


def _interrupt(number, frame):
    raise KeyboardInterrupt


def watch(processes):
    """Waits for the chief, as long as no other process fails, then for the others.

    Args:
      processes: list of what `start_task` returns.

    Returns:
      Whether it was interrupted by Ctrl-C; the chief has then written what it had.

    Raises:
      ClusterError: a process failed.
    """
    interrupted = False
    (chief,) = [each for each in processes if each.title == f"{TITLES['worker']} 0"]
    try:
        while chief.process.poll() is None:
            _check(processes)
            time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        interrupted = True
        chief.process.send_signal(signal.SIGINT)
        try:
            chief.process.wait(SAVE_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise ClusterError(f"interrupted; {chief.title} did not end in time") from error
    if chief.process.returncode:
        _check(processes)
    deadline = time.monotonic() + LEAVE_SECONDS
    while time.monotonic() < deadline and any(p.process.poll() is None for p in processes):
        time.sleep(LOOK_SECONDS)
    return interrupted


def _check(processes):
    """Raises what the first process that failed said last."""
    for each in processes:
        code = each.process.poll()
        if code:
            lines = each.said.read_text(errors="replace").strip().splitlines()
            if code < 0:
                how = f"was ended by {signal.Signals(-code).name}"
            else:
                how = f"ended with exit code {code}"
            last = lines[-1].partition(": error: ")[2] or lines[-1] if lines else ""
            raise ClusterError(f"{each.title} {how}{': ' if last else ''}{last}")
