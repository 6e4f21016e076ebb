"""`pretrained`: makes the files of the trained models that come with the package."""

import argparse
from pathlib import Path

from moe_vae.cli import options
from moe_vae.experiments.pretrained import DIRECTORY, PRETRAINED, make_pretrained
from moe_vae.experiments.sources import DataChoice

__all__ = ["add_command", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(
        commands, "pretrained", run, "make the package's trained models and their cards from runs"
    )
    command.add_argument(
        "--runs",
        type=options.folder,
        default=Path("runs", "pretrained"),
        metavar="DIR",
        help="where their runs on MNIST are, under the models' names; default: runs/pretrained",
    )
    command.add_argument(
        "--models",
        choices=PRETRAINED,
        nargs="+",
        default=list(PRETRAINED),
        help="which models; default: all",
    )
    command.add_argument(
        "--out",
        type=options.folder,
        default=DIRECTORY,
        metavar="DIR",
        help="where the files go; default: the package's own directory",
    )
    options.add_data_dir(command)


def run(arguments: argparse.Namespace) -> None:
    """Writes the files, and says how large they are."""
    data_sets = DataChoice("mnist", arguments.data_dir).read()
    for name in arguments.models:
        print(make_pretrained(name, arguments.runs / name, data_sets, arguments.out))
