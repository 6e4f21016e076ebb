"""A training whose loop stands inside the graph.

`Trainer` calls the session once a step; here one call takes ten steps, on batches that it is
given together. Batches, noise, losses and records are those of `Trainer`.
"""

import numpy as np

from moe_vae.compat import tf
from moe_vae.noise import key_value
from moe_vae.sessions import chunks
from moe_vae.training import Trainer, gradient_norms, part_name

__all__ = ["LoopedTrainer"]

# In one call of the session: of MNIST in batches of 100 that is 3 MB, where the whole training
# set in the graph would be 172 more; and Ctrl-C need not wait for the end of an epoch.
STEPS_A_RUN = 10


class LoopedTrainer(Trainer):
    """A `Trainer` that takes many steps in one call of its session; see `Trainer`.

    Its `train_steps` are the loops.

    Args:
      model: a model in the current graph that has one phase and no schedule, and
        `on(images, key)`, which gives the same model on other images and another noise key.
    """

    def _build_steps(self, phase, loss):
        del loss  # that is of other images
        n_features = self.model.images.shape[1]
        self._batches = tf.placeholder(tf.float32, [None, None, n_features], "batches")
        self._first_key = tf.placeholder(tf.int32, [2], "first_key")
        n_steps, optimizer = tf.shape(self._batches)[0], self._optimizer()

        def step(number, norms):
            key = tf.add(self._first_key, [0, number])  # as `key_value` counts, past the sign too
            model = self.model.on(self._batches[number], key)
            gradients = optimizer.compute_gradients(model.loss)
            norms = tf.cond(  # a pass over all gradients, of which the last one's are wanted
                tf.equal(number, n_steps - 1), lambda: gradient_norms(gradients), lambda: norms
            )
            with tf.name_scope(None):  # Adam's variables are no part of the loop
                moved = optimizer.apply_gradients(gradients, name="loop/Adam")
            with tf.control_dependencies([moved]):
                return number + 1, norms

        with tf.name_scope("loop"):
            parts = map(part_name, tf.trainable_variables())
            self.train_steps[phase], self._norms[phase] = tf.while_loop(
                lambda number, _: number < n_steps,
                step,
                (0, dict.fromkeys(parts, 0.0)),
                parallel_iterations=1,
                back_prop=False,
            )

    def _run_epoch(self, train_set, phase):
        batch_size = self.model.params["batch_size"]
        fetches = self.train_steps[phase], self._norms[phase]
        for steps in chunks(train_set.num_examples // batch_size, STEPS_A_RUN):
            rows = [train_set.next_rows(batch_size) for _ in range(steps.start, steps.stop)]
            batches = train_set.images[np.stack(rows)]
            feed = {self._batches: batches, self._first_key: key_value(self._seed, self._draws)}
            self._draws += len(rows)
            _, norms = self.session.run(fetches, feed)
        return {part: float(norm) for part, norm in norms.items()}
