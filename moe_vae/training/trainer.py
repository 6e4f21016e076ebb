"""One session loop for all models.

A model, here, is an object with `params`, `loss`, `losses`, `batch_means`, `batch_sums` and
`feed(images, labels)`, and, if it is to draw pictures, with `generate_row(session, z)`. It may
also have

- `phases`: dict of phase name to the scalar loss that a phase of training minimises, where
  training is more than one loss from first to last; without it there is one phase, "loss";
- `schedule(phase, epoch)`: dict of scalar tensor to the value that is fed to it in the steps of
  that epoch (from 0 in each phase), for a temperature or a weight that changes as training goes;
- `learning_rate`: scalar tensor, where the rate is one of those values;
- `after_epoch(phase, session, sums)`: called after every epoch with the values that the tensors
  of `batch_sums` have over the training set, for what is no matter of gradients;
- `batch_size(phase)`, where it is not the parameter `batch_size` in every phase;
- `moves_averages(phase)`: whether a phase moves what batch normalisation keeps of the batches
  that it has seen; without it every phase does;
- `trainer_class`: the kind of `Trainer` that trains it, where that is one of its own;
- `saver()`: what saves and restores the variables as a `tf.train.Saver` does, where their names
  in a checkpoint are not those in the graph.

Of a data set with targets a model's `feed` gets them as a third argument.
"""

import json
import math
import os
import secrets
import sys
import time

import numpy as np
from tqdm import tqdm

from moe_vae.compat import tf
from moe_vae.nn.noise import key_value, noise_key
from moe_vae.nn.sessions import chunks, open_session
from moe_vae.params import ParameterError

__all__ = [
    "Trainer",
    "TrainingError",
    "fit_restarts",
    "gradient_norms",
    "part_name",
    "set_seeds",
    "start_trainer",
    "trained_by",
]


class TrainingError(RuntimeError):
    """A training cannot go on: a loss is no longer a number."""


def set_seeds(seed):
    """Seeds NumPy's global generator and the current graph; call it before building a model.

    Source: post 2, cell 1; post 3, cell 1.
    """
    np.random.seed(seed)
    tf.set_random_seed(seed)


class Trainer:
    """Adam on a model's loss, in a session of its own.

    The graph is finalised: nothing that is done here or afterwards adds an operation to it.

    Each phase has an Adam of its own, so that no phase begins with another's momentum.

    Attributes:
      session: the open session with the model's variables.
      history: dict of loss name to a list, one value an epoch, over the whole training set.
      seconds: list, one value an epoch: the time of the training steps alone.
      samples: list of float32 arrays [columns, 784], one an epoch: the model's pictures from one
        code.
      epochs_done: dict of phase to the number of its epochs that are over.
      gradient_norms: dict of a part of the network (the first word of its variables' names) to
        the Euclidean norm of the loss's gradient there, in the last step of the last epoch.
      listeners: list of functions of the trainer and its training set; each is called after
        every epoch. Whatever one raises ends the training.
      interrupted: whether the last `fit` was ended by Ctrl-C.
      data_note: str, what a checkpoint says of its data beside their name.

    Args:
      model: a model in the current graph.

    Source: post 2, cells 6 and 7; post 3, cells 6 and 7.
    """

    data_note = ""
    _splits_operations = False  # over the cores; see `session_config`

    def __init__(self, model):
        self.model = model
        self._variables = tf.global_variables()  # the model's own: Adam's come below
        self.train_steps, self._norms = {}, {}
        for phase, loss in getattr(model, "phases", {"loss": model.loss}).items():
            self._build_steps(phase, loss)
        self.epochs_done = dict.fromkeys(self.train_steps, 0)
        self._noise_key, self._draws = noise_key(), 0
        graph_seed = model.loss.graph.seed
        self._seed = secrets.randbits(32) if graph_seed is None else graph_seed % 2**32
        self._saver = model.saver() if hasattr(model, "saver") else tf.train.Saver()
        self.session = self._open(model.loss.graph)
        model.loss.graph.finalize()
        self.history = {name: [] for name in model.losses}
        self.seconds = []
        self.samples = []
        self.gradient_norms = {}
        self.listeners = []
        self.interrupted = False

    def _build_steps(self, phase, loss):
        optimizer = self._optimizer()
        gradients = trained_by(optimizer, loss)
        self.train_steps[phase] = self._apply(optimizer, gradients, phase)
        self._norms[phase] = gradient_norms(gradients)

    def _optimizer(self):
        learning_rate = getattr(self.model, "learning_rate", self.model.params["learning_rate"])
        return tf.train.AdamOptimizer(learning_rate)

    def _apply(self, optimizer, gradients, phase):
        """Returns the operation that trains a phase one step."""
        with tf.control_dependencies(self._updates(phase)):
            return optimizer.apply_gradients(gradients)

    def _updates(self, phase):
        """Returns the operations by which a phase moves batch normalisation's averages."""
        moves_averages = getattr(self.model, "moves_averages", None)
        if moves_averages is not None and not moves_averages(phase):
            return []
        return tf.get_collection(tf.GraphKeys.UPDATE_OPS)

    def _batch_size(self, phase):
        batch_size = getattr(self.model, "batch_size", None)
        return self.model.params["batch_size"] if batch_size is None else batch_size(phase)

    def _open(self, graph):
        """Opens a session in which every variable has its first value."""
        session = open_session(graph, self._splits_operations)
        session.run(tf.global_variables_initializer())
        return session

    @property
    def n_epochs(self):
        """The number of epochs that are over, of all phases together."""
        return len(self.seconds)

    @property
    def is_done(self):
        """Whether the model's `epochs` are over."""
        return self.epochs_done["loss"] >= self.model.params["epochs"]

    def fit_to_the_end(self, train_set):
        """Trains what is left of a model's training: its pretraining, if any, then its `epochs`.

        A trainer that was brought back to the state of another goes on where that one stood.

        Args:
          train_set: a `DataSet` with at least `batch_size` examples.

        Returns:
          The trainer itself.

        Raises:
          ParameterError: more epochs are over than the model's `epochs`.
          And what `fit` raises.
        """
        done, epochs = self.epochs_done["loss"], self.model.params["epochs"]
        if done > epochs:
            raise ParameterError(
                f"parameter 'epochs' is {epochs}: it must be at least {done}, which are over"
            )
        self.interrupted = False
        if hasattr(self.model, "pretrain") and not done:
            self.model.pretrain(self, train_set)
        return self if self.interrupted else self.fit(train_set, epochs - done)

    def fit(self, train_set, epochs=None, sample=True, phase="loss"):
        """Trains for `epochs` epochs; Ctrl-C ends it with what was learned so far.

        Args:
          train_set: a `DataSet` with at least `batch_size` examples.
          epochs: number of epochs; None means the model's own.
          sample: whether to draw the model's pictures after each epoch; a model without the
            parameter `z_dim` draws none.
          phase: which of the model's `phases` to train.

        Returns:
          The trainer itself.

        Raises:
          ParameterError: the training set is smaller than a batch, or there is no such phase.
          TrainingError: a loss over the training set is infinite or not a number.
        """
        params = self.model.params
        if phase not in self.train_steps:
            raise ParameterError(
                f"phase is {phase!r}: it must be one of {', '.join(self.train_steps)}"
            )
        epochs = params["epochs"] if epochs is None else epochs
        batch_size = self._batch_size(phase)
        if batch_size > train_set.num_examples:
            raise ParameterError(
                f"parameter 'batch_size' is {batch_size}: "
                f"it must be at most the training set's {train_set.num_examples} examples"
            )
        self.interrupted = False
        done = self.epochs_done[phase]
        bar = tqdm(
            range(epochs),
            initial=done,
            total=done + epochs,
            unit="epoch",
            file=sys.stdout,
            disable=not epochs,
        )
        try:
            for _ in bar:
                losses = self._fit_epoch(train_set, phase, sample and "z_dim" in params)
                bar.set_postfix({name: f"{value:.3f}" for name, value in losses.items()})
                for listener in self.listeners:
                    listener(self, train_set)
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            bar.close()
        return self

    def _fit_epoch(self, train_set, phase, sample):
        """Trains one epoch, and records it whole or, where it is cut off, not at all."""
        start = time.perf_counter()
        norms = self._run_epoch(train_set, phase)
        seconds = time.perf_counter() - start
        means, sums = self._totals(train_set)
        losses = self._losses(means, sums)
        for name, value in losses.items():
            if not math.isfinite(value):
                raise TrainingError(
                    f"{name} is {value} after epoch {self.n_epochs + 1}: training cannot go on; "
                    f"a learning_rate below {self.model.params['learning_rate']} may help"
                )
        if hasattr(self.model, "after_epoch"):
            self.model.after_epoch(phase, self.session, sums)
        drawn = []
        if sample:
            z = np.random.normal(size=[1, self.model.params["z_dim"]])
            drawn = [self.model.generate_row(self.session, z)]
        self.epochs_done[phase] += 1
        self.gradient_norms = norms
        self.samples += drawn
        self.seconds.append(seconds)
        for name, value in losses.items():
            self.history[name].append(value)
        return losses

    def _run_epoch(self, train_set, phase):
        batch_size = self._batch_size(phase)
        scheduled = self._schedule(phase)
        n_steps = train_set.num_examples // batch_size
        for step in range(n_steps):
            feed = {**self.model.feed(*train_set.next_batch(batch_size)), **scheduled}
            # The norms cost a pass over all gradients: once an epoch is enough to see them.
            norms = self._norms[phase] if step == n_steps - 1 else {}
            _, norms = self._run([self.train_steps[phase], norms], feed)
        return {part: float(norm) for part, norm in norms.items()}

    def _run(self, fetches, feed):
        """Runs the graph with noise that follows from the seed and the number of runs before."""
        key = key_value(self._seed, self._draws)
        self._draws += 1
        return self.session.run(fetches, {self._noise_key: key, **feed})

    def _schedule(self, phase):
        schedule = getattr(self.model, "schedule", None)
        return {} if schedule is None else schedule(phase, self.epochs_done[phase])

    def evaluate(self, data_set, noise=None):
        """Computes the model's losses over a whole data set, in bounded memory.

        Means over the batch are averaged and sums over the batch are added, chunk by chunk; both
        are then fed back into the graph, which makes the losses of them. The formulas stand in
        the model alone.

        Args:
          data_set: a `DataSet`.
          noise: dict of a model's noise tensor to an array with one row for each example;
            None draws the noise afresh.

        Returns:
          Dict of loss name to float.
        """
        return self._losses(*self._totals(data_set, noise))

    def _totals(self, data_set, noise=None):
        """Returns the values over a data set of `batch_means` and of `batch_sums`, in double."""
        means, sums = self.model.batch_means, self.model.batch_sums
        totals = [0.0] * len(means + sums)
        for rows in chunks(data_set.num_examples):
            feed = self.model.feed(*data_set.examples(rows))
            feed.update({tensor: values[rows] for tensor, values in (noise or {}).items()})
            for i, value in enumerate(self._run(means + sums, feed)):
                weight = (rows.stop - rows.start) / data_set.num_examples if i < len(means) else 1
                totals[i] = totals[i] + weight * value.astype(np.float64)
        return totals[: len(means)], totals[len(means) :]

    def _losses(self, means, sums):
        tensors = self.model.batch_means + self.model.batch_sums
        feed = dict(zip(tensors, means + sums, strict=True))
        losses = self.session.run(self.model.losses, feed)
        return {name: float(value) for name, value in losses.items()}

    def sum_over(self, data_set, batch_sum):
        """Adds up a tensor that is a sum over the batch, over a whole data set, in double."""
        return sum(
            self._run(batch_sum, self.model.feed(*data_set.examples(rows))).astype(np.float64)
            for rows in chunks(data_set.num_examples)
        )

    def save(self, path):
        """Writes all variables, Adam's included, as a `tf.train.Saver` checkpoint at `path`.

        Raises:
          OSError: it cannot be written.
        """
        try:
            self._saver.save(
                self.session, os.fspath(path), write_state=False, write_meta_graph=False
            )
        except tf.errors.OpError as error:
            raise OSError(f"{path} cannot be written ({str(error).splitlines()[0]})") from error

    def restore(self, path):
        """Reads all variables from a checkpoint, TensorFlow 1's own included."""
        self._saver.restore(self.session, os.fspath(path))

    def begin_with(self, path):
        """Gives the model the values that parts of the same name have in another's checkpoint.

        A variable's name counts without its model's scope, the first word of it: DMVAE's
        `dmvae/encode/dense/kernel` is VaDE's `vade/encode/dense/kernel`. Variables that the
        checkpoint lacks stay as they are.

        Args:
          path: a checkpoint that `save` wrote.

        Returns:
          The names of the variables that were given values.

        Raises:
          ParameterError: none has a counterpart there, or one has another shape.
        """
        reader = tf.train.load_checkpoint(os.fspath(path))
        theirs = {}
        for name in reader.get_variable_to_shape_map():
            theirs.setdefault(_without_scope(name), []).append(name)
        # A name that several have, as layers of several experts, says not whose it is.
        theirs = {part: names[0] for part, names in theirs.items() if len(names) == 1}
        taken = [v for v in self._variables if _without_scope(v.op.name) in theirs]
        if not taken:
            raise ParameterError(f"{path} holds no variable that this model has")
        for variable in taken:
            value = reader.get_tensor(theirs[_without_scope(variable.op.name)])
            if value.shape != tuple(variable.shape.as_list()):
                raise ParameterError(
                    f"{path} has {variable.op.name} with shape {list(value.shape)}: "
                    f"in this model it is {variable.shape.as_list()}"
                )
            variable.load(value, self.session)
        return [variable.op.name for variable in taken]

    def save_state(self, path, train_set):
        """Writes what a training goes on from beside its variables, as an .npz file.

        That is the records, the numbers of epochs and of noise draws, where the batches stand,
        and NumPy's global generator, which shuffles them.

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
        np.savez(
            path,
            values=json.dumps(values),
            samples=np.array(self.samples),
            generator_key=generator_key,
            order=batches["order"],
        )

    def restore_state(self, path, train_set):
        """Reads what `save_state` wrote, into the trainer, `train_set` and NumPy's generator."""
        with np.load(path) as arrays:
            values = json.loads(arrays["values"].item())
            self.samples = list(arrays["samples"])
            kind, *generator = values["generator"]
            np.random.set_state((kind, arrays["generator_key"], *generator))
            train_set.batch_state = {"order": arrays["order"], "position": values["position"]}
        self.epochs_done = values["epochs_done"]
        self._draws = values["draws"]
        self.history = values["history"]
        self.seconds = values["seconds"]


def _without_scope(name):
    return name.partition("/")[2]


def trained_by(optimizer, loss):
    """Returns the pairs of gradient and variable, of the variables that a loss trains, a list."""
    return [pair for pair in optimizer.compute_gradients(loss) if pair[0] is not None]


def part_name(variable):
    """Returns the name of the part of the network that a variable belongs to."""
    return variable.op.name.split("/")[0]


def gradient_norms(gradients):
    """Returns dict of a part of the network to its gradients' norm, a scalar tensor.

    Args:
      gradients: list of pairs of gradient and variable.
    """
    parts = {}
    for gradient, variable in gradients:
        parts.setdefault(part_name(variable), []).append(gradient)
    with tf.name_scope("gradient_norms"):
        return {part: tf.global_norm(of_part) for part, of_part in parts.items()}


def start_trainer(build, params, seed):
    """Builds a model in a new graph from a seed, ready to train.

    Args:
      build: function of `params` that builds a model in the current graph.
      params: dict of parameters that differ from the model's defaults.
      seed: whole number for NumPy's generator and for TensorFlow's.

    Returns:
      A `Trainer`.
    """
    with tf.Graph().as_default():
        set_seeds(seed)
        model = build(params)
        return getattr(model, "trainer_class", Trainer)(model)


def fit_restarts(start, train_set, validation_set, seeds, epochs=None):
    """Trains one model from several seeds and keeps the one with the lowest held-out loss.

    The loss needs no labels, so that a choice by it is no choice by the score. Ctrl-C ends the
    restart that is running, and begins no other.

    Args:
      start: function of a seed that returns a `Trainer`, ready to train.
      train_set: a `DataSet`; the order of its batches goes on from one restart to the next.
      validation_set: a `DataSet` that the training does not see.
      seeds: list of whole numbers, one a restart.
      epochs: number of epochs; None means the model's own.

    Returns:
      The kept `Trainer`, and a dict of seed to held-out loss.

    Raises:
      ParameterError: there is no seed.
    """
    if not seeds:
        raise ParameterError("seeds is empty: it must hold at least one whole number")
    kept, losses = None, {}
    for seed in seeds:
        trainer = start(seed)
        if hasattr(trainer.model, "pretrain"):
            trainer.model.pretrain(trainer, train_set)
        if not trainer.interrupted:
            trainer.fit(train_set, epochs, sample=False)
        losses[seed] = trainer.evaluate(validation_set)["loss"]
        dropped = trainer
        if losses[seed] == min(losses.values()):
            kept, dropped = trainer, kept
        if dropped is not None:
            dropped.session.close()
        if trainer.interrupted:
            break
    return kept, losses
