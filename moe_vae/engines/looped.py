"""A training whose loop stands inside the graph.

`Trainer` calls the session once a step; here one call takes ten steps, on batches that it is
given together. Batches, noise, losses and records are those of `Trainer`.
"""

import numpy as np

from moe_vae.compat import tf
from moe_vae.model import Model
from moe_vae.nn.noise import key_value
from moe_vae.nn.sessions import chunks
from moe_vae.training.gradients import gradient_norms, part_name
from moe_vae.training.trainer import Trainer

__all__ = ["LoopedTrainer"]


class LoopedTrainer(Trainer):
    """A `Trainer` that takes many steps in one call of its session; see `Trainer`.

    Its `train_steps` are the loops.

    Args:
      model: a model in the current graph that has one phase, and `on(images, key)`, which gives the
        same model on other images and another noise key.
    """

    # In one call of the session: of MNIST in batches of 100 that is 3 MB, where the whole training
    # set in the graph would be 172 more; and Ctrl-C need not wait for the end of an epoch.
    _steps_a_run = 10

    def __init__(self, model: Model, schedule: str | None = None) -> None:
        self._n_steps = tf.placeholder(tf.int32, [], "n_steps")
        self._first_key = tf.placeholder(tf.int32, [2], "first_key")
        self._batches = {}
        super().__init__(model, schedule)

    def _build_steps(self, phase, loss):
        self._batches[phase] = {
            tensor: tf.placeholder(tensor.dtype, [None, *tensor.shape], f"{tensor.op.name}_batches")
            for tensor in self._inputs(loss)
        }
        variables = self._trained(loss)
        with tf.name_scope("loop"):
            self.train_steps[phase], self._norms[phase] = self._loop(phase, loss, variables)

    def _inputs(self, loss):
        """Returns the placeholders of what a loss is computed on."""
        del loss
        return [self.model.images]

    def _trained(self, loss):
        """Returns the variables that a loss trains."""
        del loss
        return tf.trainable_variables()

    def _loss_at(self, number, phase, loss):
        """Returns a phase's loss on the batch, and with the noise, of a run's step."""
        del loss
        images = self._batches[phase][self.model.images][number]
        return self.model.on(images, self._key_at(number)).loss

    def _key_at(self, number):
        return tf.add(self._first_key, [0, number])  # as `key_value` counts, past the sign too

    def _loop(self, phase, loss, variables):
        """Returns the loop's number of steps, and the last one's gradients' norms."""
        optimizer = self._optimizer()

        def step(number, norms):
            gradients = optimizer.compute_gradients(self._loss_at(number, phase, loss), variables)
            norms = tf.cond(  # a pass over all gradients, of which the last one's are wanted
                tf.equal(number, self._n_steps - 1),
                lambda: gradient_norms(gradients),
                lambda: norms,
            )
            with tf.name_scope(None):  # Adam's variables are no part of the loop
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

    def _run_epoch(self, train_set, phase):
        batch_size = self.model.batch_size(phase)
        scheduled = self._scheduled(phase, self.epochs_done[phase])
        fetches = self.train_steps[phase], self._norms[phase]
        for steps in chunks(train_set.num_examples // batch_size, self._steps_a_run):
            n_steps = steps.stop - steps.start
            feeds = [self.model.feed(train_set.take_batch(batch_size)) for _ in range(n_steps)]
            # One shape for all runs; what a last, short one has too many is not read.
            feeds += feeds[:1] * (self._steps_a_run - n_steps)
            batches = {
                of_all: np.stack([feed[tensor] for feed in feeds])
                for tensor, of_all in self._batches[phase].items()
            }
            first_key = key_value(self._seed, self._draws)
            self._draws += n_steps
            _, norms = self.session.run(
                fetches,
                {**batches, self._n_steps: n_steps, self._first_key: first_key, **scheduled},
            )
        return {part: float(norm) for part, norm in norms.items()}
