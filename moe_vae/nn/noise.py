"""Noise that can be repeated: a graph's key determines the values of all its noise nodes.

`tf.random_normal` keeps its state inside its kernel, where no checkpoint can reach it. Here the
noise of a node depends on a key, which is fed to the graph, and on the node's number. Feeding the
keys of a training again repeats any of its steps. A key that is not fed is drawn at random.
"""

from typing import Any

import numpy as np

from moe_vae.compat import Tensor, tf

__all__ = [
    "gumbel_noise",
    "key_value",
    "noise_key",
    "noise_numbers",
    "noise_seed",
    "normal_noise",
    "numbered_noise",
]

# Graph collections: the key, and the numbers of the nodes that use it.
_KEY = "moe_vae/noise_key"
_NODES = "moe_vae/noise_nodes"


def key_value(seed: int, draw: int) -> np.ndarray:
    """Returns the key for the `draw`-th use of a training's graph, int32 array [2].

    Args:
      seed: whole number in 0 to 2^32 - 1.
      draw: whole number from 0.
    """
    return np.array([seed, draw % 2**32], np.uint32).view(np.int32)


def noise_key() -> Tensor:
    """Returns the key of the current graph, int32 tensor [2], which may be fed.

    The first call makes it.
    """
    keys = tf.get_collection(_KEY)
    if keys:
        return keys[0]
    with tf.control_dependencies(None), tf.name_scope("noise_key/"):
        drawn = tf.random_uniform([2], np.iinfo(np.int32).min, np.iinfo(np.int32).max, tf.int32)
        key = tf.placeholder_with_default(drawn, [2], "key")
    tf.add_to_collection(_KEY, key)
    return key


def normal_noise(shape: Any, name: str) -> Tensor:
    """Adds a node of standard-normal noise and returns it, a float tensor that may be fed.

    Args:
      shape: the noise's shape, a list or an int32 tensor.
      name: the node's name.
    """
    return tf.random.stateless_normal(shape, noise_seed(), name=name)


def gumbel_noise(shape: Any, name: str) -> Tensor:
    """Adds a node of standard Gumbel noise, -log(-log(u)), as `normal_noise` does.

    Its values are those of `tfd.Gumbel`, which keeps every graph that it was used in, because its
    bijector has a cache of the process.
    """
    # Above 0, so that the noise is finite.
    least = np.finfo(np.float32).tiny
    uniform = tf.random.stateless_uniform(shape, noise_seed(), minval=least, maxval=1.0)
    # Not the negation itself: TensorFlow would subtract what is negated, and pass over what is fed.
    return tf.identity(-tf.log(-tf.log(uniform)), name=name)


def noise_seed() -> Tensor:
    """Returns the seed of a new node for stateless generators, int32 tensor [2].

    The nodes of a graph get different seeds from the same key.
    """
    return tf.random.experimental.stateless_fold_in(noise_key(), noise_numbers(1)[0])


def noise_numbers(n_nodes: int) -> list[int]:
    """Reserves the numbers of `n_nodes` new nodes in the current graph and returns them."""
    first = len(tf.get_collection(_NODES))
    numbers = list(range(first, first + n_nodes))
    for number in numbers:
        tf.add_to_collection(_NODES, number)
    return numbers


def numbered_noise(shape: Any, key: Tensor, number: int, name: str) -> Tensor:
    """Returns the noise that `normal_noise` gives the node with this number under this key."""
    seed = tf.random.experimental.stateless_fold_in(key, number)
    return tf.random.stateless_normal(shape, seed, name=name)
