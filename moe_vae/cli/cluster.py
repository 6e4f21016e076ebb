"""`cluster`: one model trained by several processes on this machine."""

import argparse

from moe_vae.cli import options, train
from moe_vae.distributed.processes import run_cluster
from moe_vae.experiments.run_files import RunInterrupted
from moe_vae.interrupts import Terminated

__all__ = ["add_command", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(
        commands, "cluster", run, "train one model with several processes on this machine"
    )
    train.add_options(command)
    _add_sizes(command)
    train.add_way_of_training(command)


def _add_sizes(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--workers",
        type=options.process_count,
        default=2,
        metavar="N",
        help="number of worker processes; default: 2",
    )
    command.add_argument(
        "--ps",
        type=options.process_count,
        default=1,
        metavar="N",
        help="number of parameter servers; default: 1",
    )


def run(arguments: argparse.Namespace) -> None:
    """Starts the processes, and shows the progress of the first worker."""
    train.check(arguments, options.data_of(arguments))
    words = _train_words(arguments.words)
    ended = run_cluster(words, arguments.workers, arguments.ps, out=arguments.out)
    if ended is not None:
        raise RunInterrupted(ended.said, isinstance(ended.signal, Terminated))


def _train_words(words: list[str]) -> list[str]:
    """Returns the words after `train` of each task: those of `cluster` without its sizes."""
    sizes = options.Parser(add_help=False)  # options by their whole names, as in `train`
    _add_sizes(sizes)
    _, others = sizes.parse_known_args(words)
    return others
