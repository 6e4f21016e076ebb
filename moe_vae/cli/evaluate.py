"""`evaluate`: a trained model's scores."""

import argparse
import json

from moe_vae.cli import options
from moe_vae.experiments.runs import evaluate_run
from moe_vae.experiments.sources import SOURCES

__all__ = ["add_command", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(commands, "evaluate", run, "score a trained model on the test set")
    options.add_run(command)
    options.add_data(command, SOURCES)
    options.add_cache(command)


def run(arguments: argparse.Namespace) -> None:
    """Scores the model, and prints what is written beside it."""
    data = options.data_of(arguments)
    evaluation = evaluate_run(arguments.run_dir, data, arguments.command_line)
    print(json.dumps(evaluation, indent=1))
