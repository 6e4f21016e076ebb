"""One training shared by the workers of a cluster of processes.

Worker 0, the chief, is a `Trainer`: it counts the epochs, evaluates, draws, and writes what a
plain training writes. The other workers read the current phase and epoch from the parameter servers
and contribute gradients. They keep no state, so they can be restarted at any time.
"""

import contextlib
import socket
import struct
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from moe_vae.compat import Tensor, tf
from moe_vae.data.dataset import DataSet
from moe_vae.distributed.member import Member
from moe_vae.distributed.servers import (
    ClusterError,
    place_on_servers,
    wait_for_servers,
)
from moe_vae.distributed.session import (
    CHECK_SECONDS,
    POLL_SECONDS,
    Absences,
    ClusterSession,
    left_queue,
    unreached_error,
)
from moe_vae.distributed.shard import Shard
from moe_vae.distributed.sockets import own_tcp_sockets
from moe_vae.messages import say
from moe_vae.model import Model
from moe_vae.params import ParameterError
from moe_vae.training.trainer import Trainer, set_seeds

__all__ = ["ClusterTrainer", "start_cluster_trainer"]

NOT_BEGUN, TRAINING, ENDED, FAILED = range(4)


class _Told(NamedTuple):
    """The state that the chief shares with the other workers, in one variable.

    `phase` is the number of the phase, `epoch` the epoch in it, `end` the step at which the epoch
    ends, `status` one of the four constants above. `run` identifies model, parameters and data.
    `life` counts the processes that were the chief.
    """

    phase: int
    epoch: int
    end: int
    status: int
    run: int
    life: int


def _told(values: tuple[Any, np.ndarray]) -> tuple[int, _Told]:
    step, told = values
    return int(step), _Told(*told.tolist())


class ClusterTrainer(Trainer):
    """A worker's `Trainer`; use the chief's like any other `Trainer`.

    A synchronous step is Adam's on the mean of the workers' gradients, each over a batch of its own
    shard. For a loss that is a mean over the batch, this equals a step of one process with a batch
    `n_workers` times as large. (The balancing loss of a mixture of VAEs is not such a mean: each
    worker computes its own.) Variables, Adam's slots and the accumulated gradients are on the
    parameter servers. A checkpoint has the names and shapes of a plain one.

    Each worker draws its noise from its own range of keys.

    Attributes:
      bytes_a_step: list of int, one value an epoch: the bytes that this process sent and received
        in one of its steps, as the system counts them (without headers).
      And those of `Trainer`.

    Args:
      model: a model in the current graph, placed as `place_on_servers` says.
      member: the `Member`.
      schedule: as for `Trainer`.

    Raises:
      ClusterError: a parameter server was not reached, or worker 0 did not begin in time.
    """

    _can_average = False

    def __init__(self, model: Model, member: Member, schedule: str | None = None) -> None:
        self._member = member
        self._cached_shard: Shard | None = None
        self._run_number = 0
        self._align: dict[str, Any] = {}
        # What waits on the servers in synchronous training: how many, and how to take all of them.
        self._waiting: list[tuple[Any, Any]] = []
        self._life = 0
        self._is_roll_called = True
        self._now: dict[str, Any] = {}
        self._absences = Absences(member.cluster)
        self._next_check = 0.0
        self.bytes_a_step: list[int] = []
        self._build_agreement()
        super().__init__(model, schedule)
        self._check_batch_sizes()
        self.data_note = f", in {member.n_workers} shards"
        self._draws = member.task * (2**32 // member.n_workers)

    def _check_batch_sizes(self) -> None:
        # A restarted worker finds its position in the shard by counting batches, not phases.
        batch_size = self.model.params["batch_size"]
        for phase in self.train_steps:
            if self.model.batch_size(phase) != batch_size:
                raise ParameterError(
                    f"a batch of phase {phase!r} has {self.model.batch_size(phase)} examples: in a "
                    f"cluster it must be 'batch_size', {batch_size}, as in every phase"
                )

    # The graph beside the model.

    def _build_agreement(self) -> None:
        # Not among the graph's global variables, so that no checkpoint contains them.
        own = {"trainable": False, "collections": [], "dtype": tf.int64}
        self._step = tf.Variable(0, name="cluster/step", **own)
        self._state = tf.Variable([0] * len(_Told._fields), name="cluster/state", **own)
        self._present = tf.Variable([0] * self._member.n_workers, name="cluster/present", **own)
        self._given = tf.placeholder(tf.int64, [len(_Told._fields)], "cluster/given")
        self._given_step = tf.placeholder(tf.int64, [], "cluster/given_step")
        self._set_state = tf.assign(self._state, self._given)
        self._set_step = tf.assign(self._step, self._given_step)
        self._given_life = tf.placeholder(tf.int64, [], "cluster/given_life")
        self._answer = tf.scatter_update(self._present, self._member.task, self._given_life)
        self._is_begun = tf.is_variable_initialized(self._state)
        own_variables = (self._step, self._state, self._present)
        self._initial = tf.group([variable.initializer for variable in own_variables])
        servers = range(len(self._member.cluster.ps))
        self._leaves = [left_queue(number).enqueue([1]) for number in servers]

    def _apply(self, optimizer: Any, gradients: list, phase: str) -> Any:
        """Returns a worker's part of a step; the chief's contains the update.

        By default a thread of the chief updates the variables whenever enough gradients are there.
        Here the chief's own step does it, so no update happens during an evaluation, and each phase
        has an update of its own.
        """
        if self._member.synchronous:
            n_workers = self._member.n_workers
            optimizer = tf.train.SyncReplicasOptimizer(optimizer, n_workers, n_workers)
        # The operations that prepare a step must not depend on those that the step waits for.
        with tf.control_dependencies(None):
            train = optimizer.apply_gradients(gradients, self._step)
        if self._member.synchronous:
            optimizer.ready_for_local_init_op.mark_used()  # otherwise TensorFlow warns
        if self._member.synchronous and self._member.is_chief:
            train = [train, *optimizer.get_chief_queue_runner().enqueue_ops]
            self._align[phase] = optimizer.chief_init_op
            self._build_waiting(gradients)
        elif self._member.synchronous:
            self._align[phase] = optimizer.local_step_init_op
        # The moving averages of batch normalisation over this worker's batches.
        train = tf.group(train, *self._updates(gradients))
        with tf.control_dependencies([train]):
            self._now[phase] = self._read()
        return train

    def _build_waiting(self, gradients: list) -> None:
        """Gives access to the optimiser's tokens and gradients, by the names that it shares."""
        with tf.device(self._step.device):
            tokens = tf.FIFOQueue(-1, [tf.int64], [[]], shared_name="sync_token_q")
            self._wake = tokens.enqueue_many([[0] * (self._member.n_workers - 1)])
            self._waiting.append((tokens.size(), tokens.dequeue_many(tokens.size())))
        for gradient, variable in gradients:
            is_sparse = isinstance(gradient, tf.IndexedSlices)
            kind = tf.SparseConditionalAccumulator if is_sparse else tf.ConditionalAccumulator
            shape, name = () if is_sparse else variable.shape, f"{variable.name}/grad_accum"
            with tf.device(variable.device):
                gathered = kind(gradient.dtype, shape, name)
                take = gathered.take_indexed_slices_grad if is_sparse else gathered.take_grad
                self._waiting.append((gathered.num_accumulated(), take(1)))

    def _read(self) -> list:
        """Reads step and state on their server, so that both have the same age."""
        values = []
        for variable in (self._step, self._state):
            with tf.device(variable.device):
                values.append(tf.identity(variable))
        return values

    def _open(self, graph: Any) -> Any:
        self._look = self._read()
        initial = tf.group(tf.global_variables_initializer(), self._initial)
        wait_for_servers(self._member.cluster, self._member.wait_seconds)
        session = ClusterSession(self._member, graph)
        if not self._member.is_chief:
            self._wait_for_chief(session)
            return session
        is_first = not session.run(self._is_begun)
        self._life = 1 if is_first else 1 + _told(session.run(self._look))[1].life
        self._is_roll_called = is_first
        session.run(initial)
        begin = _Told(0, 0, 0, NOT_BEGUN, 0, self._life)
        session.run(self._set_state, {self._given: begin})
        return session

    def _wait_for_chief(self, session: Any) -> None:
        deadline = time.monotonic() + self._member.wait_seconds
        chief = self._member.cluster.title("worker", 0)
        said = False
        while not session.run(self._is_begun):
            if not said:
                say(f"Waiting for {chief}, for {self._member.wait_seconds:g} s at most.")
                said = True
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"{chief} did not begin in {self._member.wait_seconds:g} s: "
                    "it must be started, too"
                )
            time.sleep(POLL_SECONDS)

    # The chief.

    def _steps_an_epoch(self, train_set: DataSet) -> int:
        """Returns the number of steps in an epoch, of all workers together; makes the shard."""
        n_workers, batch_size = self._member.n_workers, self.model.params["batch_size"]
        smallest = train_set.num_examples // n_workers
        if smallest < batch_size:
            raise ParameterError(
                f"parameter 'batch_size' is {batch_size}: it must be at most {smallest}, "
                f"the examples in the smallest of {n_workers} shards"
            )
        if self._cached_shard is None:
            self._cached_shard = Shard(train_set, self._member.task, n_workers)
            self._run_number = self._number_of_run(train_set)
        return smallest // batch_size * (1 if self._member.synchronous else n_workers)

    @property
    def _shard(self) -> Shard:
        assert self._cached_shard is not None  # `_steps_an_epoch` has made it
        return self._cached_shard

    def _number_of_run(self, train_set: DataSet) -> int:
        """Returns a number that all workers of one run share."""
        params = {name: value for name, value in self.model.params.items() if name != "epochs"}
        run = [params, self._seed, train_set.checksum(), self._member.synchronous]
        return zlib.crc32(repr(run).encode())

    def _tell(self, phase: str, end: int, status: int) -> None:
        number = list(self.train_steps).index(phase)
        told = _Told(number, self.epochs_done[phase], end, status, self._run_number, self._life)
        self.session.run(self._set_state, {self._given: told})

    def run_epoch(self, train_set: DataSet, phase: str) -> dict[str, float]:
        n_steps = self._steps_an_epoch(train_set)
        start = self.n_epochs * n_steps
        end = start + n_steps
        if not self._is_roll_called and self._member.synchronous:
            self._call_roll()
        self._is_roll_called = True
        self.session.run(self._set_step, {self._given_step: start})
        self.session.run(self._align.get(phase, []))
        self._tell(phase, end, TRAINING)
        # In asynchronous training the chief learns only afterwards which step was its last.
        with_norms = end - 1 if self._member.synchronous else start
        step = start
        norms: dict[str, Any] = {}
        n_own, before = 0, _bytes_over_connections()
        while step < end:
            n_own += 1
            fetches = [self._norms[phase] if step == with_norms else {}, self._now[phase]]
            fetched, (step, _) = self._run(fetches, self._batch(phase, self.epochs_done[phase]))
            norms = fetched or norms
        self.bytes_a_step.append((_bytes_over_connections() - before) // n_own)
        return {part: float(norm) for part, norm in norms.items()}

    def _call_roll(self) -> None:
        """Waits for every worker after a chief that was killed, and clears what it left behind.

        It may have taken gradients without letting their workers go on. So all are woken, and none
        begins a step before the tokens and gradients of the old steps are gone.

        Raises:
          ClusterError: a worker has not been reached for the time that the member waits.
        """
        next_wake = 0.0
        while not (self.session.run(self._present)[1:] == self._life).all():
            if time.monotonic() > next_wake:
                next_wake = time.monotonic() + CHECK_SECONDS
                self.session.run(self._wake)
                for title, seconds in self._absences.seconds("worker").items():
                    if seconds > self._member.wait_seconds:
                        raise unreached_error(title, self._member)
            time.sleep(POLL_SECONDS)
        for number, take_all in self._waiting:
            if self.session.run(number):
                self.session.run(take_all)

    def _batch(self, phase: str, epoch: int) -> dict[Tensor, Any]:
        batch = self._shard.take_batch(self.model.params["batch_size"])
        return {**self.model.feed(batch), **self._scheduled(phase, epoch)}

    def save_state(self, path: Any, train_set: DataSet) -> None:
        """Writes the chief's state; see `Trainer.save_state`."""
        self._steps_an_epoch(train_set)
        super().save_state(path, self._shard)

    def restore_state(self, path: Any, train_set: DataSet) -> None:
        """Restores the chief's state; see `Trainer.restore_state`."""
        self._steps_an_epoch(train_set)
        super().restore_state(path, self._shard)

    def end(self, failed: bool = False) -> None:
        """Ends the training for the other workers, and disconnects from the servers.

        Args:
          failed: whether an error ended the training, so that the others report one, too.
        """
        self._tell("loss", 0, FAILED if failed else ENDED)
        self._leave()

    def _leave(self) -> None:
        """Disconnects from the servers.

        A server ends when all workers have left, and its last answer may be lost. So an error of a
        server that is gone by now is not an error of the training.
        """
        for leave in self._leaves:
            with contextlib.suppress(ClusterError):
                self.session.run(leave)

    # The other workers.

    def follow(self, train_set: DataSet) -> None:
        """Contributes gradients to every step until the chief ends the training.

        Args:
          train_set: the whole training set; the worker uses its shard.

        Raises:
          ClusterError: a parameter server is gone, the chief trains another run, has not been
            reached for long, or ended with an error.
          ParameterError: the shard is smaller than a batch.
        """
        self._steps_an_epoch(train_set)
        phases = list(self.train_steps)
        n_taken = answered = 0
        aligned: tuple[int, int, int] | None = None
        step, told = _told(self.session.run(self._look))
        while told.status in (NOT_BEGUN, TRAINING):
            if told.status == NOT_BEGUN or step >= told.end:
                if told.life != answered:
                    self.session.run(self._answer, {self._given_life: told.life})
                    answered = told.life
                self._wait_between_epochs()
                step, told = _told(self.session.run(self._look))
                continue
            self._check_run(told)
            phase = phases[told.phase]
            if aligned != (told.life, told.phase, told.epoch):
                self.session.run(self._align.get(phase, []))
                aligned = (told.life, told.phase, told.epoch)
            # A restarted worker skips the batches of the steps that are over.
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

    def _wait_between_epochs(self) -> None:
        """Waits a moment for the chief, which evaluates, draws and saves between two epochs.

        Raises:
          ClusterError: the chief has not been reached for the time that the member waits.
        """
        time.sleep(POLL_SECONDS)
        if time.monotonic() < self._next_check:
            return
        self._next_check = time.monotonic() + CHECK_SECONDS
        chief = self._member.cluster.title("worker", 0)
        if self._absences.seconds("worker").get(chief, 0.0) > self._member.wait_seconds:
            raise unreached_error(chief, self._member)

    def _check_run(self, told: _Told) -> None:
        if told.run != self._run_number:
            chief = self._member.cluster.title("worker", 0)
            raise ClusterError(
                f"{chief} trains another model or other data: all tasks need the same model, "
                "parameters, seed, data and way of training"
            )


# The positions of the acknowledged and the received bytes in Linux's `struct tcp_info`.
_TCP_INFO_BYTES = struct.Struct("=120xQQ")


def _bytes_over_connections() -> int:
    """Returns the bytes that this process has sent and received over its TCP connections."""
    total = 0
    for _, opened in own_tcp_sockets():
        info = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES.size)
        total += sum(_TCP_INFO_BYTES.unpack(info))
    return total


def start_cluster_trainer(
    build: Callable[[Mapping[str, Any]], Model],
    params: Mapping[str, Any],
    seed: int,
    member: Member,
    schedule: str | None = None,
) -> ClusterTrainer:
    """Builds a model in a new graph, as `start_trainer` does, for a worker of a cluster.

    Args:
      build: function of `params` that builds a model in the current graph.
      params: dict of parameters that differ from the model's defaults.
      seed: whole number for NumPy's generator and for TensorFlow's, the same in all workers.
      member: the `Member`.
      schedule: as for `Trainer`.

    Returns:
      A `ClusterTrainer`.
    """
    with tf.Graph().as_default(), tf.device(place_on_servers(member.cluster, member.task)):
        set_seeds(seed)
        return ClusterTrainer(build(params), member, schedule)
