"""`figures`: every figure of both posts."""

import argparse
from pathlib import Path

from moe_vae.cli import options
from moe_vae.experiments import studies

__all__ = ["add_command", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(commands, "figures", run, "draw every figure of both posts")
    options.add_data(command)
    options.add_epochs_and_seed(command)
    command.add_argument(
        "--out",
        type=options.folder,
        default=Path("figures"),
        metavar="DIR",
        help="where to write; an interrupted training there is resumed; default: figures",
    )


def run(arguments: argparse.Namespace) -> None:
    """Trains both models, and writes the figures."""
    studies.figures(
        arguments.out,
        options.data_of(arguments),
        arguments.epochs,
        arguments.seed,
        arguments.command_line,
    )
    print(f"Figures and numbers are in {arguments.out}/.")
