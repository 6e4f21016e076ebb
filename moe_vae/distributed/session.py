"""Sessions that depend on parameter servers, and the loop of a parameter server."""

import concurrent.futures
import ctypes
import threading
import time
from collections.abc import Callable
from typing import Any

from moe_vae.compat import tf
from moe_vae.distributed.member import Member
from moe_vae.distributed.servers import JOBS, Cluster, ClusterError, unreached
from moe_vae.messages import say
from moe_vae.nn.sessions import session_config

__all__ = [
    "CHECK_SECONDS",
    "POLL_SECONDS",
    "Absences",
    "ClusterSession",
    "left_queue",
    "serve",
    "unreached_error",
]

POLL_SECONDS = 0.02  # between two checks whether the next epoch has begun
LINGER_SECONDS = 1.0  # for a server's last answer to reach the last worker
GONE_SECONDS = 5.0  # until the address of a killed server stops answering
CHECK_SECONDS = 5.0  # between two checks of the other tasks while a step does not end

# TensorFlow numbers the requests of a step at random and from only 2**32 numbers. A server refuses
# a number that is among the last 100,000 of its requests.
_REFUSED = "request was received twice"

# The errors of a session whose server is gone or was started again.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.FailedPreconditionError,
    tf.errors.DeadlineExceededError,
)


class Absences:
    """For how long a cluster's tasks have not been reached.

    Args:
      cluster: a `Cluster`.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._since: dict[str, float] = {}

    def seconds(self, job: str) -> dict[str, float]:
        """Tries to reach all tasks of a job, and says which one is newly awaited.

        Args:
          job: "ps" or "worker".

        Returns:
          Dict of the titles of the tasks that were not reached, with the seconds since when.
        """
        missing = unreached(self._cluster, job)
        now = time.monotonic()
        for title in self._titles(job):
            if title not in missing:
                self._since.pop(title, None)
            elif title not in self._since:
                say(f"Waiting for {title}.")
                self._since[title] = now
        return {title: now - self._since[title] for title in missing}

    def _titles(self, job: str) -> list[str]:
        return [self._cluster.title(job, n) for n in range(len(self._cluster.addresses(job)))]

    def clear(self) -> None:
        """Forgets all tasks that were not reached."""
        self._since.clear()


class ClusterSession(tf.Session):
    """A session that reports a missing task in one line, and that Ctrl-C can end.

    A step may wait for other workers inside TensorFlow, where Python cannot handle Ctrl-C. So each
    step runs in a thread of its own, and the calling thread handles Ctrl-C and checks the tasks.

    Args:
      member: the worker's `Member`.
      graph: its graph.
    """

    def __init__(self, member: Member, graph: Any) -> None:
        tasks = ["/job:ps", f"/job:worker/task:{member.task}"]
        # Without the filter a worker could not start or continue until all others are there.
        config = session_config(device_filters=tasks)
        super().__init__(member.server.target, graph, config)
        self._member = member
        self._absences = Absences(member.cluster)
        # Closing a session waits for servers that may be gone, so the session is never freed.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the graph as `tf.Session.run` does.

        A step that the one parameter server refuses for its request's number has changed nothing,
        and is run again. Of several servers the others may have done their parts of it.

        Raises:
          ClusterError: a parameter server is gone, one of several refused a step, or a task that
            the step waits for has not been reached for the time that the member waits.
        """
        outcome = _in_thread(super().run, *args, **kwargs)
        while not concurrent.futures.wait([outcome], CHECK_SECONDS).done:
            self._check_tasks()
        self._absences.clear()
        try:
            return outcome.result()
        except _LOST as error:
            if _REFUSED in str(error) and len(self._member.cluster.ps) == 1:
                return self.run(*args, **kwargs)
            gone = _gone_servers(self._member.cluster)
            who = f"{gone[0]} is gone" if gone else f"the cluster failed ({_line(error)})"
            raise ClusterError(f"{who}: --resume continues from the last checkpoint") from error

    def _check_tasks(self) -> None:
        for job in JOBS:
            for title, seconds in self._absences.seconds(job).items():
                if seconds > self._member.wait_seconds:
                    raise unreached_error(title, self._member)


def unreached_error(title: str, member: Member) -> ClusterError:
    """Returns the error of a task that was not reached for the time that a member waits."""
    return ClusterError(
        f"{title} has not been reached for {member.wait_seconds:g} s: "
        "--resume continues from the last checkpoint"
    )


def _in_thread(work: Callable[..., Any], *args: Any, **kwargs: Any) -> concurrent.futures.Future:
    """Calls a function in a thread of its own; returns the future of its result."""
    outcome: concurrent.futures.Future = concurrent.futures.Future()

    def settle() -> None:
        try:
            outcome.set_result(work(*args, **kwargs))
        except BaseException as error:  # raised again where the result is read
            outcome.set_exception(error)

    threading.Thread(target=settle, daemon=True).start()
    return outcome


def _gone_servers(cluster: Cluster) -> list[str]:
    """Returns the titles of parameter servers that are gone; waits a moment for one to be."""
    deadline = time.monotonic() + GONE_SECONDS
    while not (gone := unreached(cluster, "ps")) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return gone


def _line(error: BaseException) -> str:
    """Returns an error's first line with text, without TensorFlow's headings and rules."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line.strip("=") not in ("", "Graph execution error:")]
    return said[0] if said else type(error).__name__


def left_queue(task: int) -> Any:
    """Returns the queue on a parameter server in which workers say that they have left."""
    with tf.device(f"/job:ps/task:{task}/cpu:0"):
        return tf.FIFOQueue(-1, [tf.int32], [[]], shared_name=f"cluster/left_{task}")


def serve(member: Member) -> None:
    """Runs a parameter server until every worker disconnects.

    Args:
      member: the parameter server's `Member`.

    Raises:
      ClusterError: no worker has been reached for the time that the member waits.
    """
    with tf.Graph().as_default() as graph:
        left = left_queue(member.task).dequeue()
    session = tf.Session(
        member.server.target,
        graph,
        session_config(device_filters=[f"/job:ps/task:{member.task}"]),
    )
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))
    absences = Absences(member.cluster)
    for _ in range(member.n_workers):
        outcome = _in_thread(session.run, left)
        while not concurrent.futures.wait([outcome], CHECK_SECONDS).done:
            _check_workers(member, absences)
        outcome.result()
    time.sleep(LINGER_SECONDS)


def _check_workers(member: Member, absences: Absences) -> None:
    """Raises ClusterError if no worker has been reached for long; one of them is enough."""
    missing = absences.seconds("worker")
    waited = min(missing.values(), default=0.0)
    if len(missing) == member.n_workers and waited > member.wait_seconds:
        raise ClusterError(
            f"none of the {member.n_workers} workers has been reached for "
            f"{member.wait_seconds:g} s: they must be started, too"
        )
