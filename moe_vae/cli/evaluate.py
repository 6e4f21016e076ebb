"""`evaluate`: a trained model's scores."""

import argparse
import json

from moe_vae.cli import options
from moe_vae.experiments.run_files import read_record
from moe_vae.experiments.runs import evaluate_run

__all__ = ["add_command", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(commands, "evaluate", run, "score a trained model on the test set")
    options.add_run(command)
    command.add_argument(
        "--data",
        type=options.data_name,
        metavar="DATA",
        help="the data set, as for `train`; default: what the run was trained on",
    )
    options.add_data_dir(command)
    options.add_reading(command)
    options.add_cache(command)


def run(arguments: argparse.Namespace) -> None:
    """Scores the model, and prints what is written beside it."""
    data = options.data_of(arguments)
    if arguments.data is None:
        data = data.recorded(read_record(arguments.run_dir))
    evaluation = evaluate_run(arguments.run_dir, data, arguments.command_line)
    print(json.dumps(evaluation, indent=1))
