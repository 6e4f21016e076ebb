"""TensorFlow's cluster of processes: its file of addresses, its servers, and who is reachable.

TensorFlow's protocol has no authentication and no encryption: anyone who reaches a server's port
can run any graph there. A server here listens on its own address in the file and on no other. Keep
that address on a private network.
"""

import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from moe_vae.compat import tf
from moe_vae.distributed.sockets import restrict_listener
from moe_vae.messages import say
from moe_vae.nn.sessions import session_config

__all__ = [
    "JOBS",
    "TITLES",
    "Cluster",
    "ClusterError",
    "check_address",
    "place_on_servers",
    "read_cluster",
    "start_server",
    "unreached",
    "wait_for_servers",
]

JOBS = ("ps", "worker")
TITLES = {"ps": "parameter server", "worker": "worker"}
CONNECT_SECONDS = 2.0
RETRY_SECONDS = 0.2

# The scope of an expert's variables, with the expert's number.
EXPERT = re.compile(r"(?:^|/)(?:encode|decode|expert)_(\d+)/")


class ClusterError(RuntimeError):
    """A cluster cannot be formed, or one of its processes failed."""


class Cluster(NamedTuple):
    """The addresses of a cluster's tasks.

    Attributes:
      ps: the parameter servers' addresses, "host:port" each.
      worker: the workers' addresses.
    """

    ps: tuple[str, ...]
    worker: tuple[str, ...]

    def addresses(self, job: str) -> tuple[str, ...]:
        """Returns the addresses of a job's tasks; the job is "ps" or "worker"."""
        return {"ps": self.ps, "worker": self.worker}[job]

    def address(self, job: str, task: int) -> str:
        """Returns a task's address.

        Args:
          job: "ps" or "worker".
          task: the task's number, from 0.

        Raises:
          ClusterError: there is no such task.
        """
        addresses = self.addresses(job)
        if not 0 <= task < len(addresses):
            raise ClusterError(
                f"--task is {task}: it must be in 0 to {len(addresses) - 1}, "
                f"the tasks of job {job!r} in the cluster file"
            )
        return addresses[task]

    def title(self, job: str, task: int) -> str:
        """Returns a task's name for messages, with its address."""
        return f"{TITLES[job]} {task} at {self.address(job, task)}"


def read_cluster(path: Path) -> Cluster:
    """Reads a cluster file: JSON, {"ps": ["host:port", ...], "worker": ["host:port", ...]}.

    Args:
      path: the file.

    Returns:
      A `Cluster`.

    Raises:
      ClusterError: the file cannot be read, does not have that form, or has an address twice.
    """
    from moe_vae.schemas import ClusterFile, read_json

    content = read_json(path, ClusterFile, ClusterError)
    return Cluster(*(tuple(content[job]) for job in JOBS))


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def check_address(title: str, address: str) -> tuple[str, int]:
    """Checks that a server can listen on an address.

    Args:
      title: the task's name, for the message.
      address: "host:port".

    Returns:
      The host's IPv4 address and the port.

    Raises:
      ClusterError: the host is unknown, is not this computer, or the port is taken.
    """
    host, port = _split(address)
    try:
        found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ClusterError(f"{title}: host {host!r} is unknown ({reason})") from error
    ip = str(found[0][4][0])
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Without this the remains of a closed connection would count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, port))
        except OSError as error:
            raise ClusterError(f"{title}: cannot listen there ({error.strerror})") from error
    return ip, port


def start_server(cluster: Cluster, job: str, task: int) -> Any:
    """Starts a task's TensorFlow server, which listens on the task's address alone.

    It runs until the process ends: TensorFlow has no way to stop a server.

    Args:
      cluster: a `Cluster`.
      job: "ps" or "worker".
      task: the task's number, from 0.

    Returns:
      A `tf.train.Server`.

    Raises:
      ClusterError: there is no such task, its address is taken or belongs to another computer, or
        the server cannot be restricted to it.
    """
    title = cluster.title(job, task)
    ip, port = check_address(title, cluster.address(job, task))
    spec = tf.train.ClusterSpec(cluster._asdict())
    try:
        server = tf.train.Server(spec, job_name=job, task_index=task, config=session_config())
    except tf.errors.OpError as error:
        raise ClusterError(f"{title}: cannot listen on port {port} ({error.message})") from error
    try:
        restrict_listener(ip, port)
    except OSError as error:
        raise ClusterError(f"{title}: cannot restrict port {port} to {ip}: {error}") from error
    return server


def is_reachable(address: str) -> bool:
    """Returns whether something listens on an address, "host:port"."""
    try:
        socket.create_connection(_split(address), timeout=CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def unreached(cluster: Cluster, job: str) -> list[str]:
    """Returns the titles of a job's tasks that cannot be reached now."""
    addresses = cluster.addresses(job)
    return [cluster.title(job, n) for n, a in enumerate(addresses) if not is_reachable(a)]


def wait_for_servers(cluster: Cluster, seconds: float) -> None:
    """Waits until every parameter server can be reached, and prints which one it waits for.

    Args:
      cluster: a `Cluster`.
      seconds: how long to wait, at most.

    Raises:
      ClusterError: a parameter server could not be reached in that time.
    """
    deadline = time.monotonic() + seconds
    awaited = None
    while missing := unreached(cluster, "ps"):
        if missing[0] != awaited:
            awaited = missing[0]
            say(f"Waiting for {awaited}, for {seconds:g} s at most.")
        if time.monotonic() > deadline:
            raise ClusterError(f"{awaited} was not reached in {seconds:g} s")
        time.sleep(RETRY_SECONDS)


def place_on_servers(cluster: Cluster, task: int) -> Callable[[Any], str]:
    """Returns the device function of a worker's graph, `tf.train.replica_device_setter`'s.

    Of S parameter servers, number e modulo S holds all variables of expert e. Every other variable
    goes to the server that holds the fewest bytes so far. The worker computes everything else.

    Args:
      cluster: a `Cluster`.
      task: the worker's number.
    """
    return tf.train.replica_device_setter(
        cluster=tf.train.ClusterSpec(cluster._asdict()),
        worker_device=f"/job:worker/task:{task}",
        ps_strategy=_Placement(len(cluster.ps)),
    )


class _Placement:
    """Chooses a parameter server for each variable, the same one in all workers."""

    def __init__(self, n_servers: int) -> None:
        self._bytes = [0] * n_servers
        self._chosen: dict[str, int] = {}

    def __call__(self, op: Any) -> int:
        if op.name not in self._chosen:
            expert = EXPERT.search(op.name)
            if expert:
                server = int(expert[1]) % len(self._bytes)
            else:
                server = self._bytes.index(min(self._bytes))
            output = op.outputs[0]
            self._bytes[server] += output.dtype.size * (output.shape.num_elements() or 0)
            self._chosen[op.name] = server
        return self._chosen[op.name]
