"""Seeds of initial values."""

from moe_vae.compat import tf

__all__ = ["reserve_operations"]


def reserve_operations(count: int) -> None:
    """Adds operations to the current graph that compute nothing.

    TensorFlow derives the seed of an initial value from the number of operations before it. When
    these graphs were first recorded, each model made its own learning rate here, two operations.
    The trainer makes it now. The reserved operations keep the first weights of every recorded seed.

    Args:
      count: how many operations.
    """
    with tf.name_scope("reserved"):
        for _ in range(count):
            tf.no_op()
