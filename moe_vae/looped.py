"""A training whose loop stands inside the graph.

`Trainer` calls the session once a step; here one call takes twenty steps, on batches that it is
given together. Batches, noise, losses and records are those of `Trainer`.
"""

import numpy as np

from moe_vae.compat import tf
from moe_vae.noise import key_value
from moe_vae.sessions import chunks
from moe_vae.training import Trainer

__all__ = ["LoopedTrainer"]

# In one call of the session: of MNIST in batches of 100 that is 6 MB, where the whole training
# set in the graph would be 172 more; and Ctrl-C need not wait for the end of an epoch.
STEPS_A_RUN = 20


class LoopedTrainer(Trainer):
    """A `Trainer` that takes many steps in one call of its session; see `Trainer`.

    The last step of an epoch is a call of its own, with the gradients' norms.

    Args:
      model: a model in the current graph that has one phase and no schedule, and
        `on(images, key)`, which gives the same model on other images and another noise key.
    """

    def _apply(self, optimizer, gradients, phase):
        step = super()._apply(optimizer, gradients, phase)
        with tf.name_scope("loop"):
            self._build_loop(optimizer, [variable for _, variable in gradients])
        return step

    def _build_loop(self, optimizer, variables):
        n_features = self.model.images.shape[1]
        self._batches = tf.placeholder(tf.float32, [None, None, n_features], "batches")
        self._first_key = tf.placeholder(tf.int32, [2], "first_key")

        def step(number):
            key = tf.add(self._first_key, [0, number])  # as `key_value` counts, past the sign too
            model = self.model.on(self._batches[number], key)
            gradients = optimizer.compute_gradients(model.loss, variables)
            with tf.control_dependencies([optimizer.apply_gradients(gradients)]):
                return number + 1

        n_steps = tf.shape(self._batches)[0]
        self._loop = tf.while_loop(
            lambda number: number < n_steps, step, [0], parallel_iterations=1, back_prop=False
        )

    def _run_epoch(self, train_set, phase):
        batch_size = self.model.params["batch_size"]
        n_steps = train_set.num_examples // batch_size
        for steps in chunks(n_steps - 1, STEPS_A_RUN):
            rows = [train_set.next_rows(batch_size) for _ in range(steps.start, steps.stop)]
            batches = train_set.images[np.stack(rows)]
            feed = {self._batches: batches, self._first_key: key_value(self._seed, self._draws)}
            self._draws += len(rows)
            self.session.run(self._loop, feed)
        feed = self.model.feed(*train_set.next_batch(batch_size))
        _, norms = self._run([self.train_steps[phase], self._norms[phase]], feed)
        return {part: float(norm) for part, norm in norms.items()}
