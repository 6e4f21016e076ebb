"""A training whose loop is inside the graph.

`Trainer` calls the session once a step. `LoopedTrainer` calls it once for ten steps and feeds the
ten batches together, or only their rows if the training set is on the device. Batches, noise,
losses and records are those of `Trainer`.
"""

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import DataError
from moe_vae.data.dataset import DataSet
from moe_vae.model import Model
from moe_vae.nn.noise import key_value
from moe_vae.nn.sessions import chunks
from moe_vae.training.gradients import gradient_norms, part_name
from moe_vae.training.trainer import Trainer

__all__ = ["LoopedTrainer"]


class LoopedTrainer(Trainer, abc.ABC):
    """A `Trainer` that takes many steps in one call of its session; see `Trainer`.

    Its `train_steps` are the loops. An engine says in a subclass what a step computes.

    Args:
      model, schedule: as for `Trainer`.
    """

    _can_average = False
    # Steps in one call of the session. Ten batches of 100 MNIST images take 3 MB; the whole
    # training set in the graph would take 172 MB more. And Ctrl-C need not wait for an epoch's end.
    _steps_a_run = 10

    def __init__(self, model: Model, schedule: str | None = None) -> None:
        self._n_steps = tf.placeholder(tf.int32, [], "n_steps")
        self._first_key = tf.placeholder(tf.int32, [2], "first_key")
        self._batches: dict[str, dict[Tensor, Tensor]] = {}
        # The whole training set by placeholder, once `keep_on_device` has put it there.
        self._kept: dict[Tensor, _KeptExamples] = {}
        self._kept_set: DataSet | None = None
        self._fed_rows: dict[str, Tensor] = {}
        super().__init__(model, schedule)

    def _build_steps(self, phase: str, loss: Tensor) -> None:
        batch_size = self.model.batch_size(phase)
        self._batches[phase] = {}
        for tensor in self._inputs(loss):
            if tensor not in self._kept:
                self._kept[tensor] = _KeptExamples(tensor)
            of_all = self._kept[tensor].batches(self._rows(phase, batch_size))
            self._batches[phase][tensor] = tf.placeholder_with_default(
                of_all, [None, *tensor.shape], f"{tensor.op.name}_batches"
            )
        variables = self._trained(loss)
        with tf.name_scope("loop"):
            self.train_steps[phase], self._norms[phase] = self._loop(phase, loss, variables)

    def _rows(self, phase: str, batch_size: int) -> Tensor:
        """Returns the rows of the examples in the batches of one call, to be fed."""
        if phase not in self._fed_rows:
            shape = [self._steps_a_run, batch_size]
            self._fed_rows[phase] = tf.placeholder(tf.int32, shape, f"{phase}_rows")
        return self._fed_rows[phase]

    def keep_on_device(self, train_set: DataSet) -> None:
        """Puts a whole training set where the steps are computed, for `run_epoch` on it.

        Args:
          train_set: a `DataSet` whose batches have no `partners`, which are drawn anew each time.

        Raises:
          DataError: it has `neighbours`.
        """
        if train_set.neighbours is not None:
            raise DataError("a training set with neighbours cannot be kept on the device")
        feed = self.model.feed(train_set.examples(slice(None)))
        for tensor, kept in self._kept.items():
            kept.fill(self.session, _fed(feed, tensor))
        self._kept_set = train_set

    @abc.abstractmethod
    def _inputs(self, loss: Tensor) -> list[Tensor]:
        """Returns the placeholders that a loss depends on."""

    @abc.abstractmethod
    def _trained(self, loss: Tensor) -> list:
        """Returns the variables that a loss trains."""

    @abc.abstractmethod
    def _loss_at(self, number: Tensor, phase: str, loss: Tensor) -> tuple[Tensor, list]:
        """Returns a phase's loss with the batch and the noise of step `number` of a call.

        With it come the operations that update moving averages in this step.
        """

    def _key_at(self, number: Any) -> Tensor:
        return tf.add(self._first_key, [0, number])  # as `key_value` counts, past the sign too

    def _loop(self, phase: str, loss: Tensor, variables: list) -> Any:
        """Returns the number of steps of the loop, and the gradient norms of the last step."""
        optimizer = self._optimizer()

        def step(number: Tensor, norms: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
            of_step, updates = self._loss_at(number, phase, loss)
            gradients = optimizer.compute_gradients(of_step, variables)
            norms = tf.cond(  # a pass over all gradients, so only in the last step
                tf.equal(number, self._n_steps - 1),
                lambda: gradient_norms(gradients),
                lambda: norms,
            )
            # Adam's variables keep the names that `Trainer` gives them.
            with tf.name_scope(None), tf.control_dependencies(updates):
                moved = optimizer.apply_gradients(gradients, name="loop/Adam")
            with tf.control_dependencies([moved]):
                return number + 1, norms

        return tf.while_loop(
            lambda number, _: number < self._n_steps,
            step,
            (0, dict.fromkeys(map(part_name, variables), 0.0)),
            parallel_iterations=1,
            back_prop=False,
        )

    def run_epoch(self, train_set: DataSet, phase: str) -> dict[str, float]:
        batch_size = self.model.batch_size(phase)
        scheduled = self._scheduled(phase, self.epochs_done[phase])
        fetches = self.train_steps[phase], self._norms[phase]
        for steps in chunks(train_set.num_examples // batch_size, self._steps_a_run):
            n_steps = steps.stop - steps.start
            batches = self._next_batches(train_set, phase, batch_size, n_steps)
            first_key = key_value(self._seed, self._draws)
            self._draws += n_steps
            _, norms = self.session.run(
                fetches,
                {**batches, self._n_steps: n_steps, self._first_key: first_key, **scheduled},
            )
        return {part: float(norm) for part, norm in norms.items()}

    def _next_batches(
        self, train_set: DataSet, phase: str, batch_size: int, n_steps: int
    ) -> dict[Tensor, np.ndarray]:
        """Returns what a call of the session is fed with for its batches.

        All calls have one shape; a short last call does not read its surplus batches.
        """
        n_surplus = self._steps_a_run - n_steps
        if train_set is self._kept_set:
            taken = [train_set.take_rows(batch_size) for _ in range(n_steps)]
            return {self._fed_rows[phase]: np.stack(taken + taken[:1] * n_surplus)}
        feeds = [self.model.feed(train_set.take_batch(batch_size)) for _ in range(n_steps)]
        feeds += feeds[:1] * n_surplus
        return {
            of_all: np.stack([_fed(feed, tensor) for feed in feeds])
            for tensor, of_all in self._batches[phase].items()
        }


def _fed(feed: Mapping[Tensor, np.ndarray], tensor: Tensor) -> np.ndarray:
    """Returns what a placeholder is fed with, or what its default is fed with."""
    return feed[tensor] if tensor in feed else _fed(feed, tensor.op.inputs[0])


class _KeptExamples:
    """A variable for what a placeholder would be fed with for a whole training set.

    It is no part of a model or of its checkpoints, and empty until `fill`.

    Args:
      tensor: a placeholder whose first axis is the batch.
    """

    def __init__(self, tensor: Tensor) -> None:
        shape = [None, *tensor.shape[1:]]
        self._dtype = tensor.dtype
        with tf.name_scope("kept"):
            # As floats, which hold every label: a GPU has no variables of whole numbers.
            self._fed = tf.placeholder(tf.float32, shape)
            self._variable = tf.Variable(
                self._fed,
                trainable=False,
                collections=[tf.GraphKeys.LOCAL_VARIABLES],
                validate_shape=False,
                use_resource=True,
                shape=tf.TensorShape(shape),
            )

    def fill(self, session: Session, values: np.ndarray) -> None:
        """Sets the variable."""
        session.run(self._variable.initializer, {self._fed: values})

    def batches(self, rows: Tensor) -> Tensor:
        """Returns the examples at rows [steps, batch]: a tensor [steps, batch, ...]."""
        return tf.cast(tf.gather(self._variable.read_value(), rows), self._dtype)
