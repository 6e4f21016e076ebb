"""One training shared by the workers of a cluster.

Worker 0, the chief, is a `Trainer`: it counts the epochs, evaluates, draws, and writes what a
plain training writes. The others follow: they read off the parameter servers which epoch of which
phase is on, and give their gradients. So a worker keeps nothing that a new start could lose.
"""

import concurrent.futures
import contextlib
import ctypes
import socket
import struct
import threading
import time
import zlib
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from moe_vae.compat import tf
from moe_vae.data.dataset import DataSet
from moe_vae.distributed.servers import (
    ClusterError,
    own_tcp_sockets,
    place_on_servers,
    unreached,
    wait_for_servers,
)
from moe_vae.nn.sessions import session_config
from moe_vae.params import ParameterError
from moe_vae.training.trainer import Trainer, set_seeds

__all__ = ["ClusterTrainer", "Member", "Shard", "serve", "start_cluster_trainer"]

POLL_SECONDS = 0.02  # between two looks at whether the next epoch has begun
LINGER_SECONDS = 1.0  # in which a server's last answer reaches the worker that left last
GONE_SECONDS = 5.0  # in which the address of a server that was killed stops answering
CHECK_SECONDS = 5.0  # of a step that does not end, between two looks at who can be reached

NOT_BEGUN, TRAINING, ENDED, FAILED = range(4)

# What a session says when a server that it needs is gone, or has been started anew.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.FailedPreconditionError,
    tf.errors.DeadlineExceededError,
)


class Member(NamedTuple):
    """One task's part in a cluster.

    Attributes:
      cluster: a `Cluster`.
      job: "ps" or "worker".
      task: its number; worker 0 is the chief.
      server: its `tf.train.Server`.
      synchronous: whether each step is taken with the mean gradient of all workers; otherwise
        each worker's gradient is a step of its own.
      wait_seconds: how long to wait for a parameter server.
    """

    cluster: tuple
    job: str
    task: int
    server: object
    synchronous: bool = True
    wait_seconds: float = 60.0

    @property
    def is_chief(self):
        """Whether this is the worker that counts the epochs and writes."""
        return (self.job, self.task) == ("worker", 0)

    @property
    def n_workers(self):
        """Number of workers in the cluster."""
        return len(self.cluster.worker)


class _Told(NamedTuple):
    """What the chief tells the others, in one variable.

    `phase` is the phase's number, `epoch` the epoch in it, `end` the step at which that ends,
    `status` one of the four above; `run` stands for the model, its parameters and the data.
    """

    phase: int
    epoch: int
    end: int
    status: int
    run: int


def _told(values):
    step, told = values
    return int(step), _Told(*told.tolist())


class Shard(DataSet):
    """A worker's share of a data set: every `n_shards`-th example from its number on.

    Batches come from the share alone; no example is in two shares.

    Args:
      data_set: the whole `DataSet`.
      number: which share, from 0.
      n_shards: number of shares.
    """

    def __init__(self, data_set, number, n_shards):
        vars(self).update(vars(data_set), _order=None, _position=0)
        self._rows = np.arange(number, data_set.num_examples, n_shards)

    @property
    def num_examples(self):
        """Number of examples in the share."""
        return len(self._rows)

    def examples(self, rows):
        """Returns the share's examples at `rows`; see `DataSet.examples`."""
        return super().examples(self._rows[rows])


class _Session(tf.Session):
    """A session that ends in one clear error when a parameter server is gone, and on Ctrl-C.

    A step may wait for other workers, inside TensorFlow, where Python sees no Ctrl-C. So each
    runs in a thread of its own while this one listens, and looks now and then who can be reached.
    """

    def __init__(self, member, graph):
        tasks = ["/job:ps", f"/job:worker/task:{member.task}"]
        # Without the filter no worker could begin, or go on, before all others are there.
        config = session_config(device_filters=tasks)
        super().__init__(member.server.target, graph, config)
        self._member = member
        self._missing = {}
        # Closing a session waits for servers that may be gone, and the process ends anyway.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))

    def run(self, *args, **kwargs):
        """Runs the graph as `tf.Session.run` does.

        Raises:
          ClusterError: a parameter server is gone.
        """
        outcome = concurrent.futures.Future()
        work = super().run
        threading.Thread(target=_settle, args=[outcome, work, args, kwargs], daemon=True).start()
        while not concurrent.futures.wait([outcome], CHECK_SECONDS).done:
            self._check_servers()
        self._missing = {}
        try:
            return outcome.result()
        except _LOST as error:
            gone = _gone_servers(self._member.cluster)
            who = f"{gone[0]} is gone" if gone else f"the cluster came apart ({_line(error)})"
            raise ClusterError(f"{who}: --resume goes on from the last checkpoint") from error

    def _check_servers(self):
        for job in ("ps", "worker"):
            now = unreached(self._member.cluster, job)
            for title in now:
                if title not in self._missing:
                    tqdm.write(f"Waiting for {title}.")
                    self._missing[title] = time.monotonic()
                waited = time.monotonic() - self._missing[title]
                if job == "ps" and waited > self._member.wait_seconds:
                    raise ClusterError(
                        f"{title} has not been reached for {self._member.wait_seconds:g} s: "
                        "--resume goes on from the last checkpoint"
                    )


def _settle(outcome, work, args, kwargs):
    try:
        outcome.set_result(work(*args, **kwargs))
    except BaseException as error:  # whatever it is, it is raised where the result is asked for
        outcome.set_exception(error)


def _gone_servers(cluster):
    """Returns the titles of parameter servers that are gone, none if all answer for a while yet."""
    deadline = time.monotonic() + GONE_SECONDS
    while not (gone := unreached(cluster, "ps")) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return gone


def _line(error):
    """Returns an error's first line that says something, without TensorFlow's heading."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line not in ("", "Graph execution error:")]
    return said[0] if said else type(error).__name__


class ClusterTrainer(Trainer):
    """A worker's `Trainer`; see there. The chief's is used like any other.

    Synchronous, a step is Adam's on the mean of the workers' gradients, each over a batch of its
    own shard: for a loss that is a mean over the batch that is the step of one process with a
    batch `n_workers` times as large. (The mixture of VAEs' balancing loss is no such mean: it
    stays each worker's own.) Variables, Adam's slots and the accumulated gradients stand on the
    parameter servers; a checkpoint has the names and shapes of a plain one.

    The noise of a worker's steps comes from a part of the keys that is its own.

    Attributes:
      bytes_a_step: list of int, one value an epoch: what went over this process's connections in
        a step of its own, both ways, as the system counts it (without the headers).
      And those of `Trainer`.

    Args:
      model: a model in the current graph, placed as `place_on_servers` says.
      member: the `Member`.

    Raises:
      ClusterError: a parameter server was not reached, or worker 0 did not begin in time.
    """

    def __init__(self, model, member, schedule=None):
        self._member = member
        self._shard, self._run_number = None, 0
        self._align, self._now = {}, {}
        self.bytes_a_step = []
        self._build_agreement()
        super().__init__(model, schedule)
        self._check_batch_sizes()
        self.data_note = f", in {member.n_workers} shards"
        self._draws = member.task * (2**32 // member.n_workers)

    def _check_batch_sizes(self):
        # Who comes back counts batches, not phases, to know where its shard stands.
        batch_size = self.model.params["batch_size"]
        for phase in self.train_steps:
            if self.model.batch_size(phase) != batch_size:
                raise ParameterError(
                    f"a batch of phase {phase!r} has {self.model.batch_size(phase)} examples: in a "
                    f"cluster it must be 'batch_size', {batch_size}, as in every phase"
                )

    # What the graph has beside the model.

    def _build_agreement(self):
        # Not among the graph's variables: they belong to no checkpoint.
        own = {"trainable": False, "collections": [], "dtype": tf.int64}
        self._step = tf.Variable(0, name="cluster/step", **own)
        self._state = tf.Variable([0] * len(_Told._fields), name="cluster/state", **own)
        self._given = tf.placeholder(tf.int64, [len(_Told._fields)], "cluster/given")
        self._given_step = tf.placeholder(tf.int64, [], "cluster/given_step")
        self._set_state = tf.assign(self._state, self._given)
        self._set_step = tf.assign(self._step, self._given_step)
        if not self._member.is_chief:
            self._is_begun = tf.is_variable_initialized(self._state)
        self._initial = tf.group(self._step.initializer, self._state.initializer)
        servers = range(len(self._member.cluster.ps))
        self._leaves = [_left_queue(number).enqueue([1]) for number in servers]

    def _apply(self, optimizer, gradients, phase):
        """Returns a worker's part in a step; the chief's has the update in it.

        TensorFlow would have a thread of the chief's make the updates whenever there are
        gradients enough. In the chief's own step they come when it wants them, never while it
        evaluates, and each phase has its own.
        """
        if self._member.synchronous:
            n_workers = self._member.n_workers
            optimizer = tf.train.SyncReplicasOptimizer(optimizer, n_workers, n_workers)
        # What prepares a step must not wait for what the step itself may have to wait for.
        with tf.control_dependencies(None):
            train = optimizer.apply_gradients(gradients, self._step)
        if self._member.synchronous:
            optimizer.ready_for_local_init_op.mark_used()  # or TensorFlow complains
        if self._member.synchronous and self._member.is_chief:
            train = [train, *optimizer.get_chief_queue_runner().enqueue_ops]
            self._align[phase] = optimizer.chief_init_op
        elif self._member.synchronous:
            self._align[phase] = optimizer.local_step_init_op
        # What a batch normalisation keeps of the batches that this worker has seen.
        train = tf.group(train, *self._updates(phase))
        with tf.control_dependencies([train]):
            self._now[phase] = self._read()
        return train

    def _read(self):
        """Reads step and state where they stand, so that both are of this moment."""
        values = []
        for variable in (self._step, self._state):
            with tf.device(variable.device):
                values.append(tf.identity(variable))
        return values

    def _open(self, graph):
        self._look = self._read()
        initial = tf.group(tf.global_variables_initializer(), self._initial)
        wait_for_servers(self._member.cluster, self._member.wait_seconds)
        session = _Session(self._member, graph)
        if self._member.is_chief:
            session.run(initial)
        else:
            self._wait_for_chief(session)
        return session

    def _wait_for_chief(self, session):
        deadline = time.monotonic() + self._member.wait_seconds
        chief = self._member.cluster.title("worker", 0)
        said = False
        while not session.run(self._is_begun):
            if not said:
                print(f"Waiting for {chief}, for {self._member.wait_seconds:g} s at most.")
                said = True
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"{chief} did not begin in {self._member.wait_seconds:g} s: it has to be "
                    "started too"
                )
            time.sleep(POLL_SECONDS)

    # What the chief does.

    def _steps_an_epoch(self, train_set):
        """Returns the number of all workers' steps in an epoch, and makes the shard."""
        n_workers, batch_size = self._member.n_workers, self.model.params["batch_size"]
        smallest = train_set.num_examples // n_workers
        if smallest < batch_size:
            raise ParameterError(
                f"parameter 'batch_size' is {batch_size}: it must be at most {smallest}, "
                f"the examples in the smallest of {n_workers} shards"
            )
        if self._shard is None:
            self._shard = Shard(train_set, self._member.task, n_workers)
            self._run_number = self._number_of_run(train_set)
        return smallest // batch_size * (1 if self._member.synchronous else n_workers)

    def _number_of_run(self, train_set):
        """Returns a number that is the same in all workers that were started for one run."""
        params = {name: value for name, value in self.model.params.items() if name != "epochs"}
        run = [params, self._seed, train_set.checksum(), self._member.synchronous]
        return zlib.crc32(repr(run).encode())

    def _tell(self, phase, end, status):
        number = list(self.train_steps).index(phase)
        told = _Told(number, self.epochs_done[phase], end, status, self._run_number)
        self.session.run(self._set_state, {self._given: told})

    def _run_epoch(self, train_set, phase):
        n_steps = self._steps_an_epoch(train_set)
        start = self.n_epochs * n_steps
        end = start + n_steps
        self.session.run(self._set_step, {self._given_step: start})
        self.session.run(self._align.get(phase, []))
        self._tell(phase, end, TRAINING)
        # Asynchronous, the chief's last step of an epoch shows only when it is over.
        with_norms = end - 1 if self._member.synchronous else start
        step, norms = start, {}
        n_own, before = 0, _bytes_over_connections()
        while step < end:
            n_own += 1
            fetches = [self._norms[phase] if step == with_norms else {}, self._now[phase]]
            fetched, (step, _) = self._run(fetches, self._batch(phase, self.epochs_done[phase]))
            norms = fetched or norms
        self.bytes_a_step.append((_bytes_over_connections() - before) // n_own)
        return {part: float(norm) for part, norm in norms.items()}

    def _batch(self, phase, epoch):
        batch = self._shard.take_batch(self.model.params["batch_size"])
        return {**self.model.feed(batch), **self._scheduled(phase, epoch)}

    def save_state(self, path, train_set):
        """Writes what the chief goes on from; see `Trainer.save_state`."""
        self._steps_an_epoch(train_set)
        super().save_state(path, self._shard)

    def restore_state(self, path, train_set):
        """Reads what `save_state` wrote; see `Trainer.restore_state`."""
        self._steps_an_epoch(train_set)
        super().restore_state(path, self._shard)

    def end(self, failed=False):
        """Tells the other workers that the training is over, and the servers that this one left.

        Args:
          failed: whether it ended by an error, so that the others end with one too.
        """
        self._tell("loss", 0, FAILED if failed else ENDED)
        self._leave()

    def _leave(self):
        """Tells the servers that this worker needs them no longer.

        A server ends when all workers have left it, and its last answer may be lost with it: one
        that is gone by now has nothing left to be told.
        """
        for leave in self._leaves:
            with contextlib.suppress(ClusterError):
                self.session.run(leave)

    # What the others do.

    def follow(self, train_set):
        """Gives gradients for every step that is taken, until the chief ends the training.

        Args:
          train_set: the whole training set, of which the worker's shard is used.

        Raises:
          ClusterError: a parameter server is gone, the chief was started for another run, or the
            training ended by its error.
          ParameterError: the shard is smaller than a batch.
        """
        self._steps_an_epoch(train_set)
        phases = list(self.train_steps)
        n_taken, aligned = 0, None
        step, told = _told(self.session.run(self._look))
        while told.status in (NOT_BEGUN, TRAINING):
            if told.status == NOT_BEGUN or step >= told.end:
                time.sleep(POLL_SECONDS)
                step, told = _told(self.session.run(self._look))
                continue
            self._check_run(told)
            phase = phases[told.phase]
            if aligned != (told.phase, told.epoch):
                self.session.run(self._align.get(phase, []))
                aligned = (told.phase, told.epoch)
            # A worker that was started anew goes on where it would be now.
            while self._member.synchronous and n_taken < step:
                self._shard.take_batch(self.model.params["batch_size"])
                n_taken += 1
                self._draws += 1
            feed = self._batch(phase, told.epoch)
            n_taken += 1
            step, told = _told(self._run(self._now[phase], feed))
        self._leave()
        if told.status == FAILED:
            chief = self._member.cluster.title("worker", 0)
            raise ClusterError(f"{chief} ended the training with an error")

    def _check_run(self, told):
        if told.run != self._run_number:
            chief = self._member.cluster.title("worker", 0)
            raise ClusterError(
                f"{chief} trains another model, or on other data: all tasks need the same model, "
                "parameters, seed, data and way of training"
            )


# Where Linux's `struct tcp_info` has the bytes that were acknowledged and those received.
_TCP_INFO_BYTES = struct.Struct("=120xQQ")


def _bytes_over_connections():
    """Returns how many bytes this process has sent and received over its TCP connections."""
    total = 0
    for _, opened in own_tcp_sockets():
        info = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES.size)
        total += sum(_TCP_INFO_BYTES.unpack(info))
    return total


def start_cluster_trainer(build, params, seed, member, schedule=None):
    """Builds a model in a new graph, as `start_trainer` does, for a worker of a cluster.

    Args:
      build: function of `params` that builds a model in the current graph.
      params: dict of parameters that differ from the model's defaults.
      seed: whole number for NumPy's generator and for TensorFlow's, the same in all workers.
      member: the `Member`.

    Returns:
      A `ClusterTrainer`.
    """
    with tf.Graph().as_default(), tf.device(place_on_servers(member.cluster, member.task)):
        set_seeds(seed)
        return ClusterTrainer(build(params), member, schedule)


def _left_queue(task):
    """Returns the queue, on a parameter server, of the workers that need it no longer."""
    with tf.device(f"/job:ps/task:{task}/cpu:0"):
        return tf.FIFOQueue(-1, [tf.int32], [[]], shared_name=f"cluster/left_{task}")


def serve(member):
    """Is a parameter server until all workers have left.

    Args:
      member: the parameter server's `Member`.
    """
    with tf.Graph().as_default() as graph:
        left = _left_queue(member.task).dequeue()
    session = tf.Session(
        member.server.target,
        graph,
        session_config(device_filters=[f"/job:ps/task:{member.task}"]),
    )
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))
    for _ in range(member.n_workers):
        outcome = concurrent.futures.Future()
        threading.Thread(
            target=_settle, args=[outcome, session.run, [left], {}], daemon=True
        ).start()
        concurrent.futures.wait([outcome])
        outcome.result()
    time.sleep(LINGER_SECONDS)
