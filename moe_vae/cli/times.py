"""`times`: how long VaDE and DMVAE take with networks of one size."""

import argparse
from pathlib import Path

from moe_vae.bench.clustering_vaes import time_clustering_vaes
from moe_vae.cli import options
from moe_vae.experiments.run_files import write_json

__all__ = ["add_command", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(commands, "times", run, "time VaDE and DMVAE with networks of one size")
    options.add_data(command)
    command.add_argument(
        "--seed",
        type=options.seed,
        default=0,
        metavar="N",
        help="seed of the weights, the noise and the batches; default: 0",
    )
    options.add_out(command, Path("results", "times.json"))


def run(arguments: argparse.Namespace) -> None:
    """Measures, and writes the times."""
    times = time_clustering_vaes(options.data_of(arguments).read(), arguments.seed)
    write_json(arguments.out, {"command": arguments.command_line, **times})
    print(f"The times are in {arguments.out}.")
