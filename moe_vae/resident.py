"""A training whose data and whose loop stand inside the graph.

`Trainer` feeds every batch from Python; here the training set is in a variable, and hundreds of
steps are one call of the session. Batches, noise, losses and records are those of `Trainer`.
"""

import numpy as np

from moe_vae.compat import tf
from moe_vae.noise import key_value
from moe_vae.sessions import CHUNK_SIZE, chunks
from moe_vae.training import Trainer

__all__ = ["ResidentTrainer"]

# In one call of the session, so that Ctrl-C need not wait for the end of an epoch.
STEPS_A_RUN = 100
EXAMPLES_A_COPY = 5000  # when the data go into the graph, so that there is no second copy of them


class ResidentTrainer(Trainer):
    """A `Trainer` that holds its training set in the graph, and loops there; see `Trainer`.

    The last step of an epoch is a `Trainer`'s own, with the gradients' norms; so is what is
    evaluated on other data than those trained on, or with noise of one's own.

    Args:
      model: a model in the current graph that has one phase and no schedule, and
        `on(images, key)`, which gives the same model on other images and another noise key.
    """

    def __init__(self, model):
        self._held = None
        super().__init__(model)

    def _apply(self, optimizer, gradients, phase):
        step = super()._apply(optimizer, gradients, phase)
        with tf.name_scope("resident"):
            self._build_data()
            self._key = tf.placeholder(tf.int32, [2], "key")
            self._build_epoch(optimizer, [variable for _, variable in gradients])
            self._build_evaluation()
        return step

    def _build_data(self):
        n_features = self.model.images.shape[1]
        self._size = tf.placeholder(tf.int32, [], "size")
        self._data = tf.Variable(
            lambda: tf.zeros([0, n_features]),
            trainable=False,
            collections=[tf.GraphKeys.LOCAL_VARIABLES],  # no part of what is learned or saved
            shape=[None, n_features],
            use_resource=True,
            name="data",
        )
        self._make_room = self._data.assign(tf.zeros([self._size, n_features]))
        self._places = tf.placeholder(tf.int32, [None], "places")
        self._examples = tf.placeholder(tf.float32, [None, n_features], "examples")
        self._copy = tf.raw_ops.ResourceScatterUpdate(
            resource=self._data.handle, indices=self._places, updates=self._examples
        )

    def _build_epoch(self, optimizer, variables):
        self._batches = tf.placeholder(tf.int32, [None, None], "batches")

        def step(number):
            images = tf.gather(self._data, self._batches[number])
            model = self.model.on(images, tf.add(self._key, [0, number]))
            gradients = optimizer.compute_gradients(model.loss, variables)
            with tf.control_dependencies([optimizer.apply_gradients(gradients)]):
                return number + 1

        self._steps = _loop(tf.shape(self._batches)[0], step, [0])

    def _build_evaluation(self):
        n_examples = self._size

        def add_chunk(number, *totals):
            first = number * CHUNK_SIZE
            last = tf.minimum(first + CHUNK_SIZE, n_examples)
            images = tf.gather(self._data, tf.range(first, last))
            model = self.model.on(images, tf.add(self._key, [0, number]))
            share = (last - first) / n_examples  # float64, like the totals
            means = [share * tf.cast(mean, tf.float64) for mean in model.batch_means]
            sums = [tf.cast(batch_sum, tf.float64) for batch_sum in model.batch_sums]
            added = zip(totals, means + sums, strict=True)
            return number + 1, *(total + value for total, value in added)

        n_chunks = (n_examples + CHUNK_SIZE - 1) // CHUNK_SIZE
        totals = [
            tf.zeros(tensor.shape, tf.float64)
            for tensor in self.model.batch_means + self.model.batch_sums
        ]
        self._totals = _loop(n_chunks, add_chunk, [0, *totals])[1:]

    def _hold(self, data_set):
        """Copies a data set's images into the graph, if they are not there yet."""
        if self._held is data_set.images:
            return
        self.session.run(self._make_room, {self._size: data_set.num_examples})
        for rows in chunks(data_set.num_examples, EXAMPLES_A_COPY):
            places = np.arange(rows.start, rows.stop)
            feed = {self._places: places, self._examples: data_set.images[rows]}
            self.session.run(self._copy, feed)
        self._held = data_set.images

    def _run_loop(self, fetches, n_draws, feed=None):
        """Runs a loop each of whose rounds draws noise with the next key."""
        key = key_value(self._seed, self._draws)
        self._draws += n_draws
        return self.session.run(fetches, {self._key: key, **(feed or {})})

    def _run_epoch(self, train_set, phase):
        self._hold(train_set)
        batch_size = self.model.params["batch_size"]
        n_steps = train_set.num_examples // batch_size
        for steps in chunks(n_steps - 1, STEPS_A_RUN):
            n_rounds = steps.stop - steps.start
            batches = np.stack([train_set.next_rows(batch_size) for _ in range(n_rounds)])
            self._run_loop(self._steps, n_rounds, {self._batches: batches})
        return self._run_step(train_set, phase)

    def _run_step(self, train_set, phase):
        feed = self.model.feed(*train_set.next_batch(self.model.params["batch_size"]))
        _, norms = self._run([self.train_steps[phase], self._norms[phase]], feed)
        return {part: float(norm) for part, norm in norms.items()}

    def evaluate(self, data_set, noise=None):
        """Computes the model's losses over a whole data set; see `Trainer.evaluate`."""
        if noise is not None or self._held is not data_set.images:
            return super().evaluate(data_set, noise)
        n_examples = data_set.num_examples
        n_chunks = len(list(chunks(n_examples)))
        totals = self._run_loop(self._totals, n_chunks, {self._size: n_examples})
        tensors = self.model.batch_means + self.model.batch_sums
        losses = self.session.run(self.model.losses, dict(zip(tensors, totals, strict=True)))
        return {name: float(value) for name, value in losses.items()}


def _loop(n_rounds, body, start):
    """Runs `body` so many rounds, one after the other; its first value counts them."""
    return tf.while_loop(
        lambda number, *_: number < n_rounds,
        body,
        start,
        parallel_iterations=1,
        back_prop=False,
        return_same_structure=True,
    )
