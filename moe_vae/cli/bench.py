"""`bench`: the engines' speed and memory."""

import argparse
from pathlib import Path

from moe_vae.cli import options

__all__ = ["add_command", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(
        commands, "bench", run, "time the engines beside each other, their peers and the machine"
    )
    options.add_data(command)
    command.add_argument(
        "--epochs",
        type=options.positive,
        default=5,
        metavar="N",
        help="epochs of post 3's model, in each engine and at each peer, after a first one that "
        "does not count; default: 5",
    )
    command.add_argument(
        "--peers",
        action="store_true",
        help="time the same model in JAX, PyTorch and TensorFlow 1.15 too, where they are "
        "installed",
    )
    command.add_argument(
        "--peers-python",
        metavar="FILE",
        help="the Python that has JAX and PyTorch; default: the one that runs this",
    )
    command.add_argument(
        "--tensorflow-1-python", metavar="FILE", help="a Python that has TensorFlow 1.15"
    )
    command.add_argument(
        "--scaling",
        action="store_true",
        help="measure instead how prediction and generation grow with experts, batch and image",
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="default: results/bench.json, or results/bench_scaling.json",
    )


def run(arguments: argparse.Namespace) -> None:
    """Measures, and writes the times and their figure."""
    raise NotImplementedError
