"""`specialists`: experts that are digits, flat and in a hierarchy."""

import argparse

from moe_vae.cli import options
from moe_vae.experiments import studies
from moe_vae.experiments.recipes import SPECIALIST_EXPERIMENTS, SPECIALIST_STEPS

__all__ = ["add_command", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(
        commands,
        "specialists",
        run,
        "train experts that draw one digit each, flat and in a hierarchy, and the ablations",
    )
    command.add_argument(
        "--steps", choices=SPECIALIST_STEPS, nargs="+", help="which experiments; default: all"
    )
    command.add_argument(
        "--data",
        choices=list(dict.fromkeys(experiment.data for experiment in SPECIALIST_EXPERIMENTS)),
        nargs="+",
        help="on which data; default: all",
    )
    command.add_argument(
        "--n-seeds",
        type=options.positive,
        metavar="N",
        help="use at most N seeds for each experiment; default: as many as in the tables",
    )
    options.add_data_dir(command)
    options.add_study(command, "specialists")


def run(arguments: argparse.Namespace) -> None:
    """Trains what is not finished, and writes the results."""
    study = options.study_of(arguments)
    runs = studies.specialists(study, arguments.steps, arguments.data, arguments.n_seeds)
    print(f"{options.counted(len(runs), 'run')} in {study.out}.")
