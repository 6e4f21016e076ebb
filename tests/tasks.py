"""The tasks of a cluster as processes, forked from one that has loaded the package."""

import contextlib
import json
import multiprocessing
import os
import time

from forked import LOADS_TENSORFLOW

from moe_vae.cli.main import main
from moe_vae.distributed.processes import free_addresses
from moe_vae.distributed.servers import Cluster

PATIENCE = 1200  # seconds that anything may take, on a machine that has other work too

SPIRAL = [
    *["dmvae", "--data", "spiral", "--seed", "5"],
    *["--set", "encoder_layers=[8]", "--set", "cluster_encoder_layers=[8]"],
    *["--set", "decoder_layers=[8]", "--set", "z_dim=2"],
]


def forked_processes():
    """Returns the context of processes forked from one that has imported the package."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["moe_vae.cli.main", *LOADS_TENSORFLOW])
    return context


@contextlib.contextmanager
def beginning(context):
    """Yields the function that starts a process; whichever still runs in the end is killed."""
    started = []

    def start(work, *arguments):
        started.append(context.Process(target=work, args=arguments))
        started[-1].start()
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.join()


def wait_until(is_so, what):
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, f"{what}: not in {PATIENCE} s"
        time.sleep(0.05)


def ended(process):
    """Waits for a process's end, and returns its exit code."""
    process.join(PATIENCE)
    assert process.exitcode is not None, f"it did not end in {PATIENCE} s"
    return process.exitcode


def two_workers(n_servers=1):
    addresses = free_addresses(n_servers + 2)
    return Cluster(tuple(addresses[:n_servers]), tuple(addresses[n_servers:]))


def command(words, output):
    """A command as a process has it, both its outputs to a file."""
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    main([os.fspath(word) for word in words])


def start_one(begin, directory, job, task, words, wait=PATIENCE):
    """Starts `train` for one task of the cluster in a directory's file."""
    every = ["train", *SPIRAL, "--out", directory / "run", "--cluster", directory / "cluster.json"]
    words = [*every, *words, "--wait", str(wait), "--job", job, "--task", str(task)]
    return begin(command, words, directory / f"{job}{task}")


def start_tasks(begin, directory, words, wait=PATIENCE):
    """Starts `train` for a parameter server and two workers; returns their processes by name."""
    cluster = two_workers()
    (directory / "cluster.json").write_text(json.dumps(cluster._asdict()))
    tasks = [("ps", 0), ("worker", 0), ("worker", 1)]
    return cluster, {
        f"{job}{task}": start_one(begin, directory, job, task, words, wait) for job, task in tasks
    }
