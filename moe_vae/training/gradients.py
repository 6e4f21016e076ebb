"""Gradients of a loss, and their norms by part of the network."""

from typing import Any

from moe_vae.compat import Tensor, tf

__all__ = ["gradient_norms", "part_name", "trained_by"]


def trained_by(optimizer: Any, loss: Tensor) -> list[tuple[Tensor, Any]]:
    """Returns the pairs of gradient and variable for the variables that a loss depends on."""
    return [pair for pair in optimizer.compute_gradients(loss) if pair[0] is not None]


def part_name(variable: Any) -> str:
    """Returns the part of the network that a variable belongs to: the first word of its name."""
    return variable.op.name.split("/")[0]


def gradient_norms(gradients: list[tuple[Tensor, Any]]) -> dict[str, Tensor]:
    """Returns a dict of each part of the network to its gradients' norm, a scalar tensor.

    Args:
      gradients: list of pairs of gradient and variable.
    """
    parts: dict[str, list[Tensor]] = {}
    for gradient, variable in gradients:
        parts.setdefault(part_name(variable), []).append(gradient)
    with tf.name_scope("gradient_norms"):
        return {part: tf.global_norm(of_part) for part, of_part in parts.items()}
