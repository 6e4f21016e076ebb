"""`tables`: the tables of the pages, and figures, from the results alone."""

import argparse
from pathlib import Path

from moe_vae.bench.redraw import draw_measurements
from moe_vae.cli import options
from moe_vae.experiments.redraw import draw_results
from moe_vae.experiments.run_files import save_figures
from moe_vae.experiments.tables import fill_pages, find_pages, read_results

__all__ = ["add_command", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(
        commands, "tables", run, "fill the tables of the README and the pages from the results"
    )
    command.add_argument(
        "--results",
        type=options.path,
        default=Path("results"),
        metavar="DIR",
        help="where the results are; default: results",
    )
    command.add_argument(
        "--pages",
        type=options.path,
        nargs="+",
        metavar="FILE",
        help="Markdown files; default: README.md and those under docs",
    )
    command.add_argument(
        "--figures",
        action="store_true",
        help="also redraw the figures that need no training: those in the results' figures",
    )


def run(arguments: argparse.Namespace) -> None:
    """Fills the tables, and redraws the figures if asked to."""
    pages = arguments.pages or find_pages(Path())
    for page in fill_pages(pages, read_results(arguments.results)):
        print(f"Wrote the tables of {page}.")
    if arguments.figures:
        redraw(arguments.results)
    print(f"All tables in {', '.join(map(str, pages))} are those of {arguments.results}/.")


def redraw(results: Path) -> None:
    """Redraws the figures in the results' directory that the results alone determine.

    Figures that are not there are not added: a study's directory has those that its pages show.

    Args:
      results: the directory of the results' files.
    """
    directory = results / "figures"
    drawn = {**draw_results(results), **draw_measurements(results)}
    kept = {name: drawn[name] for name in sorted(drawn) if (directory / f"{name}.png").exists()}
    save_figures(kept, directory)
    print(f"Redrew {', '.join(kept)}.")
