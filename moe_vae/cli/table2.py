"""`table2`: MNIST classified by mixtures of experts with every gate."""

import argparse

from moe_vae.cli import options
from moe_vae.experiments import studies

__all__ = ["add_command", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(
        commands, "table2", run, "train the classifiers of the paper's Table 2 with every gate"
    )
    options.add_seeds(command, (0, 1, 2))
    options.add_table(command, "table2")


def run(arguments: argparse.Namespace) -> None:
    """Trains what is not finished, and writes the cells."""
    study = options.study_of(arguments)
    cells = studies.table2(
        study, arguments.gate_runs, arguments.gates, arguments.seeds, missing=arguments.missing
    )
    print(f"{options.counted(len(cells), 'cell')} in {study.out}.")
