"""Averages of a model's variables over the steps of a training."""

from typing import Any

from moe_vae.compat import tf
from moe_vae.nn.layers import moving_averages

__all__ = ["WeightAverages"]


class WeightAverages:
    """Exponential moving averages of trained variables, and of batch normalisation's averages.

    After step n, counted from 0, an average is

        a <- d a + (1 - d) v  with d = min(decay, (1 + n) / (10 + n))

    so that the first values are soon forgotten.

    Args:
      decay: above 0 and below 1.
    """

    def __init__(self, decay: float) -> None:
        self._variables = [*tf.trainable_variables(), *moving_averages()]
        with tf.variable_scope("weight_averages"):
            self._n_steps = tf.get_variable("n_steps", initializer=0.0, trainable=False)
            self._averages = tf.train.ExponentialMovingAverage(decay, self._n_steps)
            # Made once, so that all phases share the averages.
            self._averages.apply(self._variables)
            self.take = tf.group(
                *(tf.assign(each, self._averages.average(each)) for each in self._variables)
            )

    def update_after(self, step: Any) -> Any:
        """Returns an operation that takes a training step and then updates the averages."""
        with tf.control_dependencies([step]):
            updated = self._averages.apply(self._variables)
        with tf.control_dependencies([updated]):
            return tf.assign_add(self._n_steps, 1).op
