"""`tables`: the tables of the pages, written from the results."""

import argparse
from pathlib import Path

from moe_vae.cli import options
from moe_vae.experiments.runs import read_json
from moe_vae.experiments.tables import RESULTS, fill_tables
from moe_vae.files import write_whole

__all__ = ["add_command", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(commands, "tables", run, "write the README's tables from the results")
    command.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="default: results"
    )
    command.add_argument(
        "--readme", type=Path, default=Path("README.md"), metavar="FILE", help="default: README.md"
    )


def run(arguments: argparse.Namespace) -> None:
    """Fills the tables."""
    text = arguments.readme.read_text()
    results = {name: read_json(arguments.results / f"{name}.json") for name in RESULTS}
    write_whole(arguments.readme, fill_tables(text, results).encode())
    print(f"The tables in {arguments.readme} are those of {arguments.results}/.")
