"""One process's place in a cluster of processes."""

from typing import Any, NamedTuple

from moe_vae.distributed.servers import Cluster

__all__ = ["Member"]


class Member(NamedTuple):
    """One task of a cluster.

    Attributes:
      cluster: a `Cluster`.
      job: "ps" or "worker".
      task: its number; worker 0 is the chief.
      server: its `tf.train.Server`.
      synchronous: whether a step uses the mean gradient of all workers; otherwise each worker's
        gradient is a step of its own.
      wait_seconds: how long to wait for a task that this one needs, in seconds: a parameter
        server, a worker that takes part in the step, or, as a parameter server, any worker.
    """

    cluster: Cluster
    job: str
    task: int
    server: Any
    synchronous: bool = True
    wait_seconds: float = 60.0

    @property
    def is_chief(self) -> bool:
        """Whether this is worker 0, which counts the epochs and writes the results."""
        return (self.job, self.task) == ("worker", 0)

    @property
    def n_workers(self) -> int:
        """Number of workers in the cluster."""
        return len(self.cluster.worker)
