"""`scaling`: what workers cost and gain on this machine."""

import argparse
from pathlib import Path

from moe_vae.cli import options

__all__ = ["add_command", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(
        commands, "scaling", run, "measure what workers cost and gain on this machine, a core each"
    )
    for name, defaults, what in (
        ("--workers", [1, 2, 4], "numbers of worker processes"),
        ("--experts", [2, 5, 10], "numbers of experts, at least two"),
    ):
        command.add_argument(
            name,
            type=options.positive,
            nargs="+",
            default=defaults,
            metavar="N",
            help=f"{what}; default: {' '.join(map(str, defaults))}",
        )
    for name, default, what in (
        ("--ps", 1, "parameter servers"),
        ("--examples", 5500, "random images to train on"),
        ("--batch-size", 100, "of each worker"),
        ("--epochs", 4, "of each run; the first does not count"),
    ):
        command.add_argument(
            name,
            type=options.positive,
            default=default,
            metavar="N",
            help=f"{what}; default: {default}",
        )
    options.add_out(command, Path("results", "cluster.json"))


def run(arguments: argparse.Namespace) -> None:
    """Measures, and writes the runs and the model."""
    raise NotImplementedError
