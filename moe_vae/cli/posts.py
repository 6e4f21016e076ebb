"""`posts`: both posts' models from several seeds."""

import argparse

from moe_vae.cli import options
from moe_vae.experiments import studies
from moe_vae.experiments.recipes import POST_SEEDS
from moe_vae.experiments.registry import POST_MODELS

__all__ = ["add_command", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(commands, "posts", run, "train both posts' models from several seeds")
    command.add_argument(
        "--models", choices=POST_MODELS, nargs="+", default=list(POST_MODELS), help="default: both"
    )
    options.add_data(command)
    options.add_seeds(command, POST_SEEDS)
    options.add_study(command, "posts")


def run(arguments: argparse.Namespace) -> None:
    """Trains what is not finished, and writes the results."""
    study = options.study_of(arguments)
    runs = studies.posts(study, arguments.data, arguments.seeds, arguments.models)
    count = options.counted(len(runs), "run")
    print(f"{count} in {study.out}, the first seed's figures in {study.figures}/.")
