"""How a value changes over the epochs of a training: the learning rate, a temperature, a weight."""

import math
from collections.abc import Callable
from typing import NamedTuple

from moe_vae.params import ParameterError

__all__ = ["SCHEDULES", "Schedule", "check_schedule", "progress"]


def progress(epoch: int, n_epochs: int) -> float:
    """Returns the share of `n_epochs` that is over before `epoch` (from 0): 0 to 1, then 1."""
    return min(epoch / n_epochs, 1.0) if n_epochs else 1.0


def _constant(epoch: int, n_epochs: int) -> float:
    del epoch, n_epochs
    return 1.0


def _cosine(epoch: int, n_epochs: int) -> float:
    return (1 + math.cos(math.pi * progress(epoch, n_epochs))) / 2


# The factor of the learning rate in an epoch (from 0) of `n_epochs`, by the schedule's name:
# "constant" is 1, "cosine" falls from 1 to 0 along half a cosine, (1 + cos(pi progress)) / 2.
SCHEDULES: dict[str, Callable[[int, int], float]] = {"constant": _constant, "cosine": _cosine}


class Schedule(NamedTuple):
    """How a phase's learning rate changes.

    Attributes:
      name: a key of `SCHEDULES`.
      n_epochs: the epochs over which it changes.
      n_before: how many of them are over before the phase's first epoch, where several phases
        share one schedule.
    """

    name: str = "constant"
    n_epochs: int = 0
    n_before: int = 0

    def factor(self, epoch: int) -> float:
        """Returns the factor of the learning rate in an epoch of the phase, from 0."""
        return SCHEDULES[self.name](self.n_before + epoch, self.n_epochs)


def check_schedule(name: str) -> str:
    """Returns `name` if it is a schedule's.

    Raises:
      ParameterError: it is not.
    """
    if name not in SCHEDULES:
        raise ParameterError(f"schedule is {name!r}: it must be one of {', '.join(SCHEDULES)}")
    return name
