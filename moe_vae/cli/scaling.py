"""`scaling`: what workers cost and gain on this machine."""

import argparse

from moe_vae.bench.workers import N_EXPERTS, N_WORKERS, SCALING_OUT, ScalingSettings, run_scaling
from moe_vae.cli import options

__all__ = ["add_command", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(
        commands,
        "scaling",
        run,
        "measure what several workers gain and cost on this machine, each on one core",
    )
    for name, defaults, what in (
        ("--workers", N_WORKERS, "numbers of worker processes"),
        ("--experts", N_EXPERTS, "numbers of experts, at least two"),
    ):
        command.add_argument(
            name,
            type=options.positive,
            nargs="+",
            default=list(defaults),
            metavar="N",
            help=f"{what}; default: {' '.join(map(str, defaults))}",
        )
    settings = ScalingSettings()
    for name, default, what in (
        ("--ps", settings.n_servers, "number of parameter servers"),
        ("--examples", settings.examples, "number of random images to train on"),
        ("--batch-size", settings.batch_size, "batch size of each worker"),
        ("--epochs", settings.epochs, "epochs of each run; the first is not counted"),
    ):
        command.add_argument(
            name,
            type=options.positive,
            default=default,
            metavar="N",
            help=f"{what}; default: {default}",
        )
    options.add_out(command, SCALING_OUT)


def run(arguments: argparse.Namespace) -> None:
    """Measures, and writes the runs and the model."""
    settings = ScalingSettings(
        examples=arguments.examples,
        batch_size=arguments.batch_size,
        epochs=arguments.epochs,
        n_servers=arguments.ps,
    )
    run_scaling(
        arguments.workers, arguments.experts, settings, arguments.out, arguments.command_line
    )
