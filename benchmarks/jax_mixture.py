"""Post 3's model in JAX: an epoch is one `jit` of a `lax.scan` over its batches.

Usage: python jax_mixture.py IMAGES.npy, then words on standard input; see `protocol`.
"""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import protocol as p


def loss_of(weights: dict[str, jax.Array], x: jax.Array, key: jax.Array) -> jax.Array:
    """Returns the loss of a batch x [batch, 784]."""
    h = jax.nn.sigmoid(x @ weights["first"] + weights["first_bias"])
    of_experts = h[:, : p.N_EXPERTS * p.N_HIDDEN].reshape(-1, p.N_EXPERTS, p.N_HIDDEN)
    logits = h[:, p.N_EXPERTS * p.N_HIDDEN :] @ weights["manager"] + weights["manager_bias"]
    probs = jax.nn.softmax(logits)
    heads = jnp.swapaxes(of_experts, 0, 1) @ weights["heads"] + weights["heads_bias"]
    mu, var = heads[..., : p.Z_DIM], 1e-5 + jnp.exp(heads[..., p.Z_DIM :])
    z = mu + jnp.sqrt(var) * jax.random.normal(key, mu.shape)
    hidden = jax.nn.sigmoid(z @ weights["hidden"] + weights["hidden_bias"])
    decoded = jax.nn.sigmoid(hidden @ weights["last"] + weights["last_bias"])
    squares = jnp.sum(jnp.square(decoded - x), axis=-1) / (2 * p.STD**2)
    reconstruction = squares + p.N_PIXELS * np.log(p.STD * np.sqrt(2 * np.pi))
    kl = -0.5 * jnp.sum(1 + jnp.log(var) - jnp.square(mu) - var, axis=-1)
    expected = jnp.mean(jnp.sum(probs * (reconstruction + kl).T, axis=1))
    return expected + p.BALANCING_WEIGHT * jnp.var(jnp.sum(probs, axis=0))


def step(images: jax.Array, state: tuple, batch: jax.Array) -> tuple[tuple, jax.Array]:
    """Takes a step of Adam; returns the new state and the loss."""
    weights, means, squares, number, key = state
    key, noise = jax.random.split(key)
    loss, gradients = jax.value_and_grad(loss_of)(weights, images[batch], noise)
    number = number + 1
    rate = p.LEARNING_RATE * jnp.sqrt(1 - p.BETA_2**number) / (1 - p.BETA_1**number)
    means = {k: p.BETA_1 * means[k] + (1 - p.BETA_1) * gradients[k] for k in weights}
    squares = {k: p.BETA_2 * squares[k] + (1 - p.BETA_2) * gradients[k] ** 2 for k in weights}
    weights = {
        k: weights[k] - rate * means[k] / (jnp.sqrt(squares[k]) + p.EPSILON) for k in weights
    }
    return (weights, means, squares, number, key), loss


def main() -> None:
    """Answers with JAX."""
    images = jnp.asarray(np.load(sys.argv[1]))
    weights = {name: jnp.asarray(value) for name, value in p.initial_weights().items()}
    zeros = {name: jnp.zeros_like(value) for name, value in weights.items()}
    state = (weights, zeros, {k: v + 0 for k, v in zeros.items()}, 0.0, jax.random.key(0))

    @jax.jit
    def epoch(images: jax.Array, state: tuple, batches: jax.Array) -> tuple[tuple, jax.Array]:
        return jax.lax.scan(lambda s, b: step(images, s, b), state, batches)

    def train_epoch(batches: Any) -> float:
        nonlocal state
        state, losses = epoch(images, state, batches)
        return float(losses[-1])

    p.answer(train_epoch, len(images))


if __name__ == "__main__":
    main()
