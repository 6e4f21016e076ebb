"""`completion`: the completion of commands and options in a shell, by shtab."""

import argparse

from moe_vae.cli import options

__all__ = ["add_command", "run"]

SHELLS = ("bash", "zsh", "tcsh")


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(
        commands, "completion", run, "print a script with which a shell completes moe-vae's words"
    )
    command.add_argument("shell", choices=SHELLS, help="the shell")


def run(arguments: argparse.Namespace) -> None:
    """Prints the script."""
    import shtab

    print(shtab.complete(arguments.parser_of(options.SCRIPT), arguments.shell))
