"""What changes as a training goes: how far it is, and the learning rate that follows from it."""

import math

__all__ = ["cosine_decay", "progress"]


def progress(epoch, n_epochs):
    """Returns how much of `n_epochs` is over before `epoch` (from 0): 0 to 1, and 1 from then."""
    return min(epoch / n_epochs, 1.0) if n_epochs else 1.0


def cosine_decay(epoch, n_epochs):
    """Returns (1 + cos(pi * progress)) / 2, which falls from 1 to 0 over `n_epochs`."""
    return (1 + math.cos(math.pi * progress(epoch, n_epochs))) / 2
