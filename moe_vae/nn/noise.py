"""Noise that can be drawn again: every random node of a graph is a function of the graph's key.

`tf.random_normal` keeps its state inside its kernel, where no checkpoint reaches it. Here the
noise of a node is a function of one key, fed to the graph, and of the node's number. Whoever
feeds the keys of a training can repeat any step of it; a key that is not fed is drawn afresh.
"""

import numpy as np

from moe_vae.compat import tf

__all__ = [
    "key_value",
    "noise_key",
    "noise_numbers",
    "noise_seed",
    "normal_noise",
    "numbered_noise",
]

# Graph collections: the key, and the numbers of the nodes that draw from it.
_KEY = "moe_vae/noise_key"
_NODES = "moe_vae/noise_nodes"


def noise_key():
    """Returns the current graph's key, int32 tensor [2], made at its first use; may be fed."""
    keys = tf.get_collection(_KEY)
    if keys:
        return keys[0]
    with tf.control_dependencies(None), tf.name_scope("noise_key/"):
        afresh = tf.random_uniform([2], np.iinfo(np.int32).min, np.iinfo(np.int32).max, tf.int32)
        key = tf.placeholder_with_default(afresh, [2], "key")
    tf.add_to_collection(_KEY, key)
    return key


def noise_seed():
    """Returns a new node's seed for stateless generators, int32 tensor [2].

    No two nodes of a graph get the same seed from the same key.
    """
    return tf.random.experimental.stateless_fold_in(noise_key(), noise_numbers(1)[0])


def noise_numbers(n_nodes):
    """Returns the numbers of so many new nodes of the current graph, a list of whole numbers."""
    first = len(tf.get_collection(_NODES))
    numbers = list(range(first, first + n_nodes))
    for number in numbers:
        tf.add_to_collection(_NODES, number)
    return numbers


def numbered_noise(shape, key, number, name):
    """Returns the standard-normal noise of the node with a `number`, from a key of one's own."""
    seed = tf.random.experimental.stateless_fold_in(key, number)
    return tf.random.stateless_normal(shape, seed, name=name)


def normal_noise(shape, name):
    """Returns standard-normal noise of a `shape`, a float tensor of its own; may be fed."""
    return tf.random.stateless_normal(shape, noise_seed(), name=name)


def key_value(seed, draw):
    """Returns the key of a training's `draw`-th use of its graph, int32 array [2].

    Args:
      seed: whole number in 0 to 2^32 - 1.
      draw: whole number from 0.
    """
    return np.array([seed, draw % 2**32], np.uint32).view(np.int32)
