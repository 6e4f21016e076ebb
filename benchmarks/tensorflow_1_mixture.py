"""Post 3's model in TensorFlow 1.15, with the post's own loop: a step is one `session.run`.

After each epoch it evaluates the losses of the whole training set at once, and decodes one code
with every expert, by operations that are in the graph from the start.

Usage: python3.7 tensorflow_1_mixture.py IMAGES.npy, then words on standard input; see `protocol`.
"""

from __future__ import annotations  # for Python 3.7

import os
import sys
from typing import Callable  # noqa: UP035, Python 3.7 has no other

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ.pop("TF2_BEHAVIOR", None)  # TensorFlow 2 sets it, and its child processes inherit it

import numpy as np
import protocol as p
import tensorflow as tf


def dense(x: tf.Tensor, size: int, activation: Callable | None = None) -> tf.Tensor:
    """Returns a dense layer's output."""
    return tf.layers.dense(x, size, activation=activation)


class VAE:
    """One expert; its `loss` is [batch]."""

    def __init__(self, images: tf.Tensor, number: int) -> None:
        with tf.variable_scope(f"encode_{number}"):
            h = dense(images, p.N_HIDDEN, tf.sigmoid)
            mu, var = dense(h, p.Z_DIM), 1e-5 + tf.exp(dense(h, p.Z_DIM))
        self.z = mu + tf.sqrt(var) * tf.random_normal(tf.shape(mu))
        with tf.variable_scope(f"decode_{number}"):
            h = dense(self.z, p.N_HIDDEN, tf.sigmoid)
            self.decoded = dense(h, p.N_PIXELS, tf.sigmoid)
        squares = tf.reduce_sum(tf.square(self.decoded - images), axis=1) / (2 * p.STD**2)
        reconstruction = squares + p.N_PIXELS * np.log(p.STD * np.sqrt(2 * np.pi))
        kl = -0.5 * tf.reduce_sum(1 + tf.log(var) - tf.square(mu) - var, axis=1)
        self.loss = reconstruction + kl


def main() -> None:
    """Answers with TensorFlow 1.15."""
    all_images = np.load(sys.argv[1])
    tf.set_random_seed(0)
    images = tf.placeholder(tf.float32, [None, p.N_PIXELS])
    experts = [VAE(images, number) for number in range(p.N_EXPERTS)]
    with tf.variable_scope("prob"):
        probs = tf.nn.softmax(dense(dense(images, p.N_HIDDEN, tf.sigmoid), p.N_EXPERTS))
    expert_losses = tf.stack([expert.loss for expert in experts], axis=1)
    expected = tf.reduce_mean(tf.reduce_sum(probs * expert_losses, axis=1))
    balancing = tf.nn.moments(tf.reduce_sum(probs, axis=0), [0])[1]
    loss = expected + p.BALANCING_WEIGHT * balancing
    optimizer = tf.train.AdamOptimizer(p.LEARNING_RATE, p.BETA_1, p.BETA_2, p.EPSILON)
    train_step = optimizer.minimize(loss)
    session = tf.Session()
    session.run(tf.global_variables_initializer())

    def train_epoch(batches: np.ndarray) -> float:
        for rows in batches:
            _, value = session.run([train_step, loss], {images: all_images[rows]})
        return float(value)

    def evaluate() -> None:
        session.run([expected, balancing, loss], {images: all_images})

    def draw() -> None:
        code = np.random.normal(size=[1, p.Z_DIM])
        feed = {expert.z: code for expert in experts}
        session.run([expert.decoded for expert in experts], feed)

    p.answer(train_epoch, len(all_images), {"evaluate": evaluate, "samples": draw})


if __name__ == "__main__":
    main()
