"""Whether a graph is being trained: a switch that batch normalisation reads."""

from typing import Any

from moe_vae.compat import Tensor, tf

__all__ = ["is_training", "training_feed"]

_SWITCH = "moe_vae/is_training"  # a graph collection


def is_training() -> Tensor:
    """Returns the switch of the current graph, a boolean scalar: False unless it is fed.

    The first call makes it.
    """
    switches = tf.get_collection(_SWITCH)
    if switches:
        return switches[0]
    with tf.control_dependencies(None), tf.name_scope("is_training/"):
        switch = tf.placeholder_with_default(False, [], "is_training")
    tf.add_to_collection(_SWITCH, switch)
    return switch


def training_feed() -> dict[Tensor, Any]:
    """Returns what a training step of the current graph feeds: the switch, if there is one."""
    return dict.fromkeys(tf.get_collection(_SWITCH), True)
