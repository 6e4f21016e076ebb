"""`tables`: the tables of the pages, written from the results."""

import argparse
from pathlib import Path

from moe_vae.cli import options
from moe_vae.experiments.tables import fill_pages, find_pages, read_results

__all__ = ["add_command", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(
        commands, "tables", run, "fill the tables of the README and the pages from the results"
    )
    command.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="where the results are; default: results",
    )
    command.add_argument(
        "--pages",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="Markdown files; default: README.md and those under docs",
    )


def run(arguments: argparse.Namespace) -> None:
    """Fills the tables."""
    pages = arguments.pages or find_pages(Path())
    for page in fill_pages(pages, read_results(arguments.results)):
        print(f"Wrote the tables of {page}.")
    print(f"All tables in {', '.join(map(str, pages))} are those of {arguments.results}/.")
