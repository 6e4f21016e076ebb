"""`table1`: the paper's regressions, by every gate."""

import argparse

from moe_vae.cli import options
from moe_vae.experiments import studies
from moe_vae.params import TASK_OBJECTIVES

__all__ = ["add_command", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(
        commands, "table1", run, "train the regressions of the paper's Table 1 with every gate"
    )
    command.add_argument(
        "--data",
        choices=("spiral", "mnist"),
        nargs="+",
        default=["spiral", "mnist"],
        help="on which data; default: both",
    )
    command.add_argument(
        "--outputs",
        type=options.positive,
        nargs="+",
        default=[1, 2, 5],
        metavar="D",
        help="dimensions of the targets; default: 1 2 5",
    )
    command.add_argument(
        "--objectives",
        choices=(studies.OWN_OBJECTIVE, *TASK_OBJECTIVES),
        nargs="+",
        default=[studies.OWN_OBJECTIVE],
        help="the loss of the regression; default: own, which means each gate's default",
    )
    command.add_argument(
        "--draws",
        type=options.positive,
        default=10,
        metavar="N",
        help="how often the targets are drawn for each cell, with one run for each; default: 10",
    )
    options.add_table(command, "table1")


def run(arguments: argparse.Namespace) -> None:
    """Trains what is not finished, and writes the cells."""
    study = options.study_of(arguments)
    cells = studies.table1(
        study,
        arguments.gate_runs,
        arguments.data,
        arguments.gates,
        arguments.objectives,
        arguments.outputs,
        arguments.draws,
        missing=arguments.missing,
    )
    print(f"{options.counted(len(cells), 'cell')} in {study.out}.")
