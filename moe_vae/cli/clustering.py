"""`clustering`: VaDE and DMVAE from several seeds, beside the baselines."""

import argparse
import dataclasses
from pathlib import Path

from moe_vae.cli import options
from moe_vae.experiments import studies
from moe_vae.experiments.sources import MNIST_SOURCES

__all__ = ["add_command", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(
        commands, "clustering", run, "train VaDE and DMVAE from several seeds, and baselines"
    )
    options.add_data(command, (*MNIST_SOURCES, "spiral"))
    options.add_seeds(command, None)
    options.add_study(command, "clustering", "clustering_{data}")
    command.add_argument(
        "--only-baselines",
        action="store_true",
        help="train nothing: score the baselines on the data anew, and keep the runs that the file "
        "of the results has",
    )


def run(arguments: argparse.Namespace) -> None:
    """Trains what is not finished, and writes the results."""
    out = Path(str(arguments.out).replace("{data}", arguments.data))
    study = dataclasses.replace(options.study_of(arguments), out=out)
    if arguments.only_baselines:
        studies.clustering_baselines(study, arguments.data, arguments.seeds)
        print(f"The baselines in {study.out} are new.")
        return
    runs = studies.clustering(study, arguments.data, arguments.seeds)
    count = options.counted(len(runs), "run")
    print(f"{count} in {study.out}, the last seed's figures in {study.figures}/.")
