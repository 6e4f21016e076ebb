"""One session loop for all models.

A model is a `moe_vae.model.Model`; that module says what the loop asks of it.
"""

import contextlib
import math
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from moe_vae.compat import Tensor, reason_of, tf
from moe_vae.data.checks import DataError
from moe_vae.data.dataset import DataSet
from moe_vae.files import existing, shown
from moe_vae.interrupts import Terminated
from moe_vae.model import Model
from moe_vae.nn.layers import average_updates
from moe_vae.nn.modes import training_feed
from moe_vae.nn.networks import has_convolutions
from moe_vae.nn.noise import key_value, noise_key
from moe_vae.nn.sessions import chunks, open_session
from moe_vae.params import ParameterError, check_epochs, check_seed
from moe_vae.schedules import Schedule, check_schedule
from moe_vae.training.averages import WeightAverages
from moe_vae.training.gradients import gradient_norms, trained_by
from moe_vae.training.progress import EpochBar
from moe_vae.training.state import CheckpointError, State, read_state, write_state

__all__ = ["StopTraining", "Trainer", "TrainingError", "set_seeds", "start_trainer"]


BYTES_OF_A_NUMBER = 4


class TrainingError(RuntimeError):
    """A training cannot continue: a loss is infinite or not a number."""


class StopTraining(Exception):  # noqa: N818, no fault
    """Raised by a listener to end the training after this epoch."""


def set_seeds(seed: int) -> None:
    """Seeds NumPy's global generator and the current graph; call it before building a model.

    Raises:
      ParameterError: the seed is no whole number in 0 to 2^32 - 1.

    Source: post 2, cell 1; post 3, cell 1.
    """
    seed = check_seed(seed)
    np.random.seed(seed)
    tf.set_random_seed(seed)


class Trainer:
    """Adam on a model's loss, in a session of its own.

    The trainer owns the learning rate: in each epoch it feeds the parameter `learning_rate` times
    the factor of the phase's schedule. Each phase has an Adam of its own, so that no phase begins
    with the momentum of another. If the model has a parameter `weight_averaging` above 0, the last
    of its `epochs` ends with averages of the variables (`WeightAverages`); a training that ends
    before keeps the variables themselves. The graph is finalised: no operation can be added
    afterwards.

    Attributes:
      model: the model.
      session: the open session with the model's variables.
      learning_rate: scalar tensor, Adam's; may be fed.
      rate: the learning rate that the last epoch was trained with, or None before the first.
      history: dict of loss name to a list, one value an epoch, over the whole training set.
      seconds: list, one value an epoch: the time of the training steps alone.
      samples: list of float32 arrays [columns, n_features], one an epoch: the model's pictures from
        a code that is new in each epoch, as in the posts.
      fixed_samples: the same from one code for all epochs, so that they show what is learned. The
        code follows from the seed alone; no other random number depends on it.
      epochs_done: dict of phase to the number of its epochs that are over.
      gradient_norms: dict of a part of the network (the first word of its variables' names) to
        the Euclidean norm of the loss's gradient there, in the last step of the last epoch.
      listeners: list of functions of the trainer and its training set; each is called after
        every epoch. `StopTraining` in one of them ends the training, as any exception does, but
        is no fault.
      shows_progress: whether a training shows its epochs on standard error.
      stopped: whether `StopTraining`, Ctrl-C or SIGTERM ended the last `fit`, and with it the
        training.
      interrupted: whether it was Ctrl-C or SIGTERM.
      terminated: whether it was SIGTERM.
      data_note: what checkpoints add to the name of the data.

    Args:
      model: a `Model` in the current graph.
      schedule: a key of `moe_vae.schedules.SCHEDULES`: how the learning rate changes over the
        `epochs` of the phase "loss"; None means the model's own schedule.

    Raises:
      ParameterError: there is no such schedule.

    Source: post 2, cells 6 and 7; post 3, cells 6 and 7.
    """

    data_note = ""
    _can_average = True  # whether the parameter `weight_averaging` may be above 0
    _splits_operations = False  # over the cores; see `session_config`

    def __init__(self, model: Model, schedule: str | None = None) -> None:
        self.model = model
        self.schedule = None if schedule is None else check_schedule(schedule)
        self._variables = tf.global_variables()  # the model's own: Adam's come below
        # With a default, so that a step can be run by hand with the model's feed alone.
        self.learning_rate = tf.placeholder_with_default(
            float(model.params["learning_rate"]), [], "learning_rate"
        )
        self._averages = self._build_averages()
        self.train_steps: dict[str, Any] = {}
        self._norms: dict[str, Any] = {}
        for phase, loss in model.phases.items():
            self._build_steps(phase, loss)
        self.epochs_done = dict.fromkeys(self.train_steps, 0)
        self._noise_key, self._draws = noise_key(), 0
        self._training = training_feed()
        graph_seed = model.loss.graph.seed
        self._seed = secrets.randbits(32) if graph_seed is None else graph_seed % 2**32
        self._saver = model.saver()
        _check_memory(model.loss.graph)
        self.session = self._open(model.loss.graph)
        model.loss.graph.finalize()
        self.history: dict[str, list[float]] = {name: [] for name in model.losses}
        self.seconds: list[float] = []
        self.samples: list[np.ndarray] = []
        self.fixed_samples: list[np.ndarray] = []
        self.rate: float | None = None
        self.gradient_norms: dict[str, float] = {}
        self.listeners: list[Callable[[Trainer, DataSet], None]] = []
        self.stopped = self.interrupted = self.terminated = False
        self.shows_progress = True

    def _build_averages(self) -> WeightAverages | None:
        decay = self.model.params.get("weight_averaging", 0.0)
        if decay and not self._can_average:
            raise ParameterError(
                f"parameter 'weight_averaging' is {decay}: in a cluster and with an engine other "
                "than plain it must be 0"
            )
        return WeightAverages(decay) if decay else None

    def _build_steps(self, phase: str, loss: Tensor) -> None:
        optimizer = self._optimizer()
        gradients = trained_by(optimizer, loss)
        self.train_steps[phase] = self._apply(optimizer, gradients, phase)
        self._norms[phase] = gradient_norms(gradients)

    def _optimizer(self) -> Any:
        return tf.train.AdamOptimizer(self.learning_rate)

    def _apply(self, optimizer: Any, gradients: list, phase: str) -> Any:
        """Returns the operation that trains a phase one step."""
        with tf.control_dependencies(self._updates(gradients)):
            step = optimizer.apply_gradients(gradients)
        return step if self._averages is None else self._averages.update_after(step)

    @staticmethod
    def _updates(gradients: list) -> list:
        """Returns the updates of the moving averages of the layers that a phase trains."""
        return average_updates([variable for _, variable in gradients])

    def _open(self, graph: Any) -> Any:
        """Opens a session in which every variable has its first value."""
        session = open_session(graph, self._splits_operations or has_convolutions(graph))
        session.run(tf.global_variables_initializer())
        return session

    @property
    def n_epochs(self) -> int:
        """The number of finished epochs, of all phases together."""
        return len(self.seconds)

    @property
    def is_done(self) -> bool:
        """Whether the model's `epochs` are over."""
        return self.epochs_done["loss"] >= self.model.params["epochs"]

    def fit_to_the_end(self, train_set: DataSet) -> "Trainer":
        """Trains what is left of a model's training: its pretraining, then its `epochs`.

        A trainer that restored a checkpoint continues from there.

        Args:
          train_set: a `DataSet` with at least `batch_size` examples.

        Returns:
          The trainer itself.

        Raises:
          ParameterError: more epochs are done than the model's `epochs`.
          And what `fit` raises.
        """
        done, epochs = self.epochs_done["loss"], self.model.params["epochs"]
        if done > epochs:
            raise ParameterError(
                f"parameter 'epochs' is {epochs}: it must be at least {done}, which are done"
            )
        self.stopped = self.interrupted = self.terminated = False
        if not done:
            self.model.pretrain(self, train_set)
        return self if self.stopped else self.fit(train_set, epochs - done)

    def fit(
        self,
        train_set: DataSet,
        epochs: int | None = None,
        sample: bool = True,
        phase: str = "loss",
    ) -> "Trainer":
        """Trains for `epochs` epochs; Ctrl-C ends the training and keeps its results.

        Args:
          train_set: a `DataSet` with at least `batch_size` examples.
          epochs: number of epochs; None means the model's own.
          sample: whether to draw the model's pictures after each epoch; a model without a decoder
            draws none.
          phase: which of the model's `phases` to train.

        Returns:
          The trainer itself.

        Raises:
          DataError: `train_set` is no `DataSet`, or the model cannot be trained on its values.
          ParameterError: the training set is smaller than a batch, there is no such phase,
            `epochs` is no whole number of at least 0, or the learning rate's schedule is over
            before the last epoch.
          TrainingError: a loss over the training set is infinite or not a number.
        """
        if phase not in self.train_steps:
            raise ParameterError(
                f"phase is {phase!r}: it must be one of {', '.join(self.train_steps)}"
            )
        if not isinstance(train_set, DataSet):
            raise DataError(f"the training set is {shown(train_set)}: it must be a DataSet")
        epochs = self.model.params["epochs"] if epochs is None else check_epochs(epochs)
        batch_size = self.model.batch_size(phase)
        if batch_size > train_set.num_examples:
            raise ParameterError(
                f"parameter 'batch_size' is {batch_size}: "
                f"it must be at most the training set's {train_set.num_examples} examples"
            )
        self._check_rate(phase, epochs)
        self.model.check_training_set(train_set)
        self.stopped = self.interrupted = self.terminated = False
        try:
            with EpochBar(self.epochs_done[phase], epochs, self.shows_progress) as bar:
                for _ in range(epochs):
                    bar.update(self._fit_epoch(train_set, phase, sample and self.model.draws))
                    for listener in self.listeners:
                        listener(self, train_set)
        except StopTraining:
            self.stopped = True
        except KeyboardInterrupt as interrupt:
            self.stopped = self.interrupted = True
            self.terminated = isinstance(interrupt, Terminated)
        return self

    def _fit_epoch(self, train_set: DataSet, phase: str, sample: bool) -> dict[str, float]:
        """Trains one epoch and records it; an epoch that is cut off leaves no record."""
        rate = self._rate(phase, self.epochs_done[phase])
        start = time.perf_counter()
        norms = self.run_epoch(train_set, phase)
        seconds = time.perf_counter() - start
        is_last = phase == "loss" and self.epochs_done[phase] + 1 == self.model.params["epochs"]
        if is_last and self._averages is not None:
            self.session.run(self._averages.take)
        means, sums = self._totals(train_set)
        losses = self._losses(means, sums)
        for name, value in losses.items():
            if not math.isfinite(value):
                raise TrainingError(
                    f"{name} is {value} after epoch {self.n_epochs + 1}: training cannot continue; "
                    f"lower the learning_rate, which is {self.model.params['learning_rate']:g}"
                )
        self.model.after_epoch(phase, self.session, sums)
        drawn = []
        if sample:
            shape = [1, self.model.params["z_dim"]]
            codes = (
                np.random.normal(size=shape),
                np.random.default_rng(self._seed).normal(size=shape),
            )
            drawn = [self.model.generate_row(self.session, z) for z in codes]
        self.epochs_done[phase] += 1
        self.rate = rate
        self.gradient_norms = norms
        self.samples += drawn[:1]
        self.fixed_samples += drawn[1:]
        self.seconds.append(seconds)
        for name, value in losses.items():
            self.history[name].append(value)
        return losses

    def run_epoch(self, train_set: DataSet, phase: str) -> dict[str, float]:
        """Takes the training steps of an epoch, and nothing else.

        Args:
          train_set: the `DataSet` that the batches come from.
          phase: a key of the model's `phases`.

        Returns:
          Dict of a part of the network to the norm of its gradient in the last step.
        """
        batch_size = self.model.batch_size(phase)
        scheduled = self._scheduled(phase, self.epochs_done[phase])
        n_steps = train_set.num_examples // batch_size
        for step in range(n_steps):
            feed = {**self.model.feed(train_set.take_batch(batch_size)), **scheduled}
            # The norms cost a pass over all gradients, so they are computed once an epoch.
            norms = self._norms[phase] if step == n_steps - 1 else {}
            _, norms = self._run([self.train_steps[phase], norms], feed)
        return {part: float(norm) for part, norm in norms.items()}

    def _run(self, fetches: Any, feed: Mapping[Tensor, Any]) -> Any:
        """Runs the graph with noise that follows from the seed and the number of earlier calls."""
        key = key_value(self._seed, self._draws)
        self._draws += 1
        return self.session.run(fetches, {self._noise_key: key, **feed})

    def epoch_key(self) -> np.ndarray:
        """Returns a key of the noise that follows from the seed and the number of epochs."""
        return key_value(self._seed, self.n_epochs)

    def _rate(self, phase: str, epoch: int) -> float:
        """Returns the learning rate of an epoch (from 0) of a phase."""
        schedule = self.model.rate_schedule(phase)
        if phase == "loss" and self.schedule is not None:
            schedule = Schedule(self.schedule, self.model.params["epochs"])
        return schedule.factor(epoch) * self.model.params["learning_rate"]

    def _check_rate(self, phase: str, epochs: int) -> None:
        """Raises ParameterError if the last of the next epochs has a rate of 0 and teaches nothing.

        A cosine reaches 0 after its last epoch.
        """
        done = self.epochs_done[phase]
        if epochs and self._rate(phase, done + epochs - 1) == 0:
            raise ParameterError(
                f"epochs is {epochs}, and {done} are done: the learning rate of phase {phase!r} "
                "falls to 0 before the last of them; it must be fewer epochs, or the schedule "
                "'constant'"
            )

    def _scheduled(self, phase: str, epoch: int) -> dict[Tensor, Any]:
        """Returns what is fed in the steps of an epoch beside the batch."""
        rate = {self.learning_rate: self._rate(phase, epoch)}
        return {**self.model.schedule(phase, epoch), **rate, **self._training}

    def evaluate(
        self, data_set: DataSet, noise: Mapping[Tensor, np.ndarray] | None = None
    ) -> dict[str, float]:
        """Computes the model's losses over a whole data set, in bounded memory.

        Chunk by chunk it averages the means over the batch and adds the sums over the batch. It
        feeds the results back into the graph, which computes the losses from them, so that each
        formula stands in the model alone.

        Args:
          data_set: a `DataSet`.
          noise: dict of a model's noise tensor to an array with one row for each example;
            None draws new noise.

        Returns:
          Dict of loss name to float.

        Raises:
          DataError: `data_set` is no `DataSet`.
        """
        if not isinstance(data_set, DataSet):
            raise DataError(f"the data set is {shown(data_set)}: it must be a DataSet")
        order = None
        if self.model.mixes_examples:  # and a test set may be sorted by class
            order = np.random.default_rng(0).permutation(data_set.num_examples)
        return self._losses(*self._totals(data_set, noise, order))

    def _totals(
        self,
        data_set: DataSet,
        noise: Mapping[Tensor, np.ndarray] | None = None,
        order: np.ndarray | None = None,
    ) -> tuple[list, list]:
        """Returns the values over a data set of `batch_means` and of `batch_sums`, in double.

        The chunks follow `order`, a permutation of the rows; None leaves the rows as they are.
        """
        means, sums = self.model.batch_means, self.model.batch_sums
        totals: list[Any] = [0.0] * len(means + sums)
        for chunk in chunks(data_set.num_examples):
            rows = chunk if order is None else order[chunk]
            feed = self.model.feed(data_set.examples(rows))
            feed.update({tensor: values[rows] for tensor, values in (noise or {}).items()})
            for i, value in enumerate(self._run(means + sums, feed)):
                weight = (chunk.stop - chunk.start) / data_set.num_examples if i < len(means) else 1
                totals[i] = totals[i] + weight * value.astype(np.float64)
        return totals[: len(means)], totals[len(means) :]

    def _losses(self, means: list, sums: list) -> dict[str, float]:
        tensors = self.model.batch_means + self.model.batch_sums
        feed = dict(zip(tensors, means + sums, strict=True))
        losses = self.session.run(self.model.losses, feed)
        return {name: float(value) for name, value in losses.items()}

    def sum_over(self, data_set: DataSet, batch_sum: Tensor) -> Any:
        """Returns the sum over a whole data set of a tensor that is a sum over the batch.

        Args:
          data_set: a `DataSet`.
          batch_sum: the tensor.

        Returns:
          Float64 array of the tensor's shape.
        """
        return sum(
            self._run(batch_sum, self.model.feed(data_set.examples(rows))).astype(np.float64)
            for rows in chunks(data_set.num_examples)
        )

    def save(self, path: "os.PathLike[str] | str") -> None:
        """Writes all variables, Adam's included, as a `tf.train.Saver` checkpoint at `path`.

        Raises:
          DataError: the directory does not exist.
          OSError: it cannot be written.
        """
        existing(Path(os.fspath(path) or "/").absolute().parent, DataError, files=False)
        try:
            self._saver.save(
                self.session, os.fspath(path), write_state=False, write_meta_graph=False
            )
        except tf.errors.OpError as error:
            raise OSError(f"{path} cannot be written ({reason_of(error)})") from error

    def restore(self, path: "os.PathLike[str] | str") -> None:
        """Reads all variables from a checkpoint, TensorFlow 1's own included.

        Raises:
          DataError: there is none.
          CheckpointError: it cannot be read, or a variable is missing or has another shape.
        """
        existing(f"{os.fspath(path)}.index", DataError, folders=False)
        with _reading(path):
            self._saver.restore(self.session, os.fspath(path))

    def variables(self) -> dict[str, np.ndarray]:
        """Returns the values of the model's own variables, without Adam's, by name."""
        values = self.session.run(self._variables)
        return {v.op.name: value for v, value in zip(self._variables, values, strict=True)}

    def load_variables(self, values: Mapping[str, np.ndarray]) -> None:
        """Sets the model's own variables, from what `variables` returned.

        Raises:
          ParameterError: the names are not those of this model.
        """
        names = {variable.op.name for variable in self._variables}
        for name in sorted(names ^ values.keys()):
            raise ParameterError(f"variable {name!r} is not in both, the model and the values")
        for variable in self._variables:
            variable.load(values[variable.op.name], self.session)

    def begin_with(self, path: "os.PathLike[str] | str") -> list[str]:
        """Copies the variables that another model's checkpoint has under the same name.

        A name that the checkpoint does not have is compared without the model's scope, its first
        word: DMVAE's `dmvae/encode/dense/kernel` is VaDE's `vade/encode/dense/kernel`. Variables
        that the checkpoint lacks keep their values.

        Args:
          path: a checkpoint that `save` wrote.

        Returns:
          The names of the variables that were copied.

        Raises:
          DataError: there is no checkpoint.
          ParameterError: the checkpoint has none of them, or one in another shape.
          CheckpointError: it cannot be read.
        """
        existing(f"{os.fspath(path)}.index", DataError, folders=False)
        with _reading(path):
            reader = tf.train.load_checkpoint(os.fspath(path))
        names = reader.get_variable_to_shape_map()
        found: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(_without_scope(name), []).append(name)
        # A name that several variables share, as layers of several experts do, is ambiguous
        # without its scope.
        theirs = {part: names[0] for part, names in found.items() if len(names) == 1}
        theirs.update({name: name for name in names})
        taken = {}
        for variable in self._variables:
            own = variable.op.name
            source = theirs.get(own) or theirs.get(_without_scope(own))
            if source is not None:
                taken[variable] = source
        if not taken:
            raise ParameterError(
                f"{path} holds no variable of the same name as one of this model: it holds "
                f"{shown(sorted(names))}"
            )
        for variable, source in taken.items():
            if names[source] != variable.shape.as_list():
                raise ParameterError(
                    f"{path} has {source} with shape {names[source]}: "
                    f"in this model {variable.op.name} has {variable.shape.as_list()}"
                )
        # All values are read before the first is loaded, so that a damaged file changes nothing.
        with _reading(path):
            values = {variable: reader.get_tensor(source) for variable, source in taken.items()}
        for variable, value in values.items():
            variable.load(value, self.session)
        return [variable.op.name for variable in taken]

    def save_state(self, path: "os.PathLike[str] | str", train_set: DataSet) -> None:
        """Writes the state of the training other than its variables, as an .npz file.

        It holds the records, the numbers of epochs and of noise draws, the position in the batches,
        and the state of NumPy's global generator, which shuffles them.

        Args:
          path: where to write; its directory exists.
          train_set: the `DataSet` that is trained on.
        """
        kind, generator_key, *generator = np.random.get_state()
        batches = train_set.batch_state
        values = {
            "epochs_done": self.epochs_done,
            "draws": self._draws,
            "history": self.history,
            "seconds": self.seconds,
            "generator": [kind, *generator],
            "position": batches["position"],
        }
        samples, fixed = np.array(self.samples), np.array(self.fixed_samples)
        key = np.asarray(generator_key)
        write_state(path, State(values, samples, key, batches["order"], fixed))

    def restore_state(self, path: "os.PathLike[str] | str", train_set: DataSet) -> None:
        """Restores what `save_state` wrote: trainer, `train_set` and NumPy's global generator.

        Raises:
          CheckpointError: the file cannot be read, or does not belong to this training.
        """
        state = read_state(path, self.train_steps, train_set.num_examples)
        values, samples, key, order, fixed = state
        kind, *generator = values["generator"]
        np.random.set_state((kind, key, *generator))
        train_set.batch_state = {"order": order, "position": values["position"]}
        self.samples = list(samples)
        # Checkpoints of older versions lack them; nobody can draw them any more.
        self.fixed_samples = list(np.full_like(samples, np.nan) if fixed is None else fixed)
        self.epochs_done = values["epochs_done"]
        self._draws = values["draws"]
        self.history = values["history"]
        self.seconds = values["seconds"]


def _check_memory(graph: Any) -> None:
    """Raises ParameterError if a graph's variables, and their gradients, exceed the memory."""
    with graph.as_default():
        held, trained = (
            sum(variable.shape.num_elements() or 0 for variable in variables)
            for variables in (tf.global_variables(), tf.trainable_variables())
        )
    needed = BYTES_OF_A_NUMBER * (held + trained)  # a gradient for each trained number
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise ParameterError(
            f"the model's {held:,} numbers, Adam's included, would take "
            f"{needed / 2**30:.1f} GiB with their gradients: this computer has "
            f"{memory / 2**30:.1f} GiB; make the layers smaller"
        )


@contextlib.contextmanager
def _reading(path: "os.PathLike[str] | str") -> Iterator[None]:
    """A context that turns TensorFlow's errors about a checkpoint into `CheckpointError`."""
    # An IndexError says that a file is too short.
    try:
        yield
    except (tf.errors.OpError, ValueError, IndexError) as error:
        raise CheckpointError(f"{path} cannot be restored ({reason_of(error)})") from error


def _without_scope(name: str) -> str:
    return name.partition("/")[2]


def start_trainer(
    build: Callable[[Mapping[str, Any]], Model],
    params: Mapping[str, Any],
    seed: int,
    schedule: str | None = None,
) -> Trainer:
    """Builds a model in a new graph from a seed, ready to train.

    Args:
      build: function of `params` that builds a model in the current graph.
      params: dict of parameters that differ from the model's defaults.
      seed: whole number for NumPy's generator and for TensorFlow's.
      schedule: as for `Trainer`.

    Returns:
      A `Trainer`, of the class that the model's engine needs.
    """
    with tf.Graph().as_default():
        set_seeds(seed)
        model = build(params)
        return (model.trainer_class or Trainer)(model, schedule)
