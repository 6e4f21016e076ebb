"""One command for each recipe: `specialists` and the other studies of single runs."""

import argparse

from moe_vae.cli import options
from moe_vae.experiments import studies
from moe_vae.experiments.recipes import RECIPES

__all__ = ["add_command", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the commands to the parser's commands."""
    for name, recipe in RECIPES.items():
        command = options.add(commands, name, run, recipe.summary)
        command.set_defaults(recipe=name)
        command.add_argument(
            "--steps",
            choices=list(dict.fromkeys(each.step for each in recipe.experiments)),
            nargs="+",
            help="which experiments; default: all",
        )
        command.add_argument(
            "--data",
            choices=list(dict.fromkeys(each.data for each in recipe.experiments)),
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
        options.add_study(command, name)


def run(arguments: argparse.Namespace) -> None:
    """Trains what is not finished, and writes the results."""
    study = options.study_of(arguments)
    runs = studies.by_recipe(
        study, arguments.recipe, arguments.steps, arguments.data, arguments.n_seeds
    )
    print(f"{options.counted(len(runs), 'run')} in {study.out}.")
