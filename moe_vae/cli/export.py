"""`export`: a trained model as a file for another program."""

import argparse
from pathlib import Path

from moe_vae.cli import options
from moe_vae.experiments.exports import (
    TARGETS,
    changed_decisions,
    export_model,
    read_run,
    write_model,
)
from moe_vae.export.model_file import ModelFile

__all__ = ["add_command", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(
        commands, "export", run, "write a trained model as a file for another program"
    )
    options.add_run(command)
    explained = "; ".join(f"{name}: {target.help}" for name, target in TARGETS.items())
    command.add_argument("--to", choices=TARGETS, required=True, help=f"what to write. {explained}")
    names = ", ".join(target.name for target in TARGETS.values())
    command.add_argument(
        "--out",
        type=Path,
        metavar="PATH",
        help=f"the file or the new directory; default: {names} in the run's directory",
    )
    command.add_argument(
        "--half",
        action="store_true",
        help="store the weights of an npz in half precision, and count the examples of the run's "
        "test set whose likeliest answer this changes",
    )
    options.add_data_dir(command)
    command.set_defaults(data=None)


def run(arguments: argparse.Namespace) -> None:
    """Writes the export, and says where it is."""
    if arguments.half and arguments.to != "npz":
        raise options.CommandError(f"--half does not go with --to {arguments.to}; use --to npz")
    content = read_run(arguments.run_dir)
    path = arguments.out or arguments.run_dir / TARGETS[arguments.to].name
    if not arguments.half:
        signatures = export_model(content, arguments.to, path)
        print(f"{content.model} is in {path}, with the signatures {', '.join(signatures)}.")
        return
    changed = _changed(arguments, content)
    write_model(path, content, half=True)
    print(f"{content.model} is in {path}, in half precision, which changes {changed}.")


def _changed(arguments: argparse.Namespace, content: ModelFile) -> str:
    data_sets = options.data_of(arguments).recorded(content.metadata).read()
    images = data_sets.test.images
    changed = changed_decisions(content, images)
    return f"{changed:,} of {len(images):,} answers on the test set ({data_sets.name})"
