"""The command line: assembles the parser, runs a command, and turns errors into one line."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from moe_vae import __version__
from moe_vae.bench.processes import BenchError
from moe_vae.cli import (
    bench,
    classify,
    cluster,
    clustering,
    doctor,
    evaluate,
    export,
    figures,
    generate,
    notebooks,
    options,
    posts,
    pretrained,
    recipes,
    scaling,
    table1,
    table2,
    tables,
    times,
    train,
)
from moe_vae.data.checks import DataError
from moe_vae.distributed.servers import ClusterError
from moe_vae.experiments.run_files import RunError
from moe_vae.export.model_file import ModelFileError
from moe_vae.export.runtimes import MissingPackageError
from moe_vae.model import ModelError
from moe_vae.params import ParameterError
from moe_vae.training.checkpoints import CheckpointError
from moe_vae.training.trainer import TrainingError

__all__ = ["main"]

PACKAGE = "moe_vae"
SCRIPT = "moe-vae"

# In the order of the help.
COMMANDS = (
    figures,
    train,
    cluster,
    generate,
    classify,
    evaluate,
    export,
    pretrained,
    posts,
    clustering,
    table1,
    table2,
    recipes,
    times,
    scaling,
    bench,
    notebooks,
    tables,
    doctor,
)
# What a command raises if its input is bad.
ERRORS = (
    BenchError,
    CheckpointError,
    ClusterError,
    DataError,
    MissingPackageError,
    ModelError,
    ModelFileError,
    ParameterError,
    RunError,
    TrainingError,
    options.CommandError,
    OSError,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; a bad input ends in one line on standard error and exit code 2.

    Args:
      argv: the words after the program's name; None means those of the process.

    Returns:
      The exit code, 0; errors leave by SystemExit.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    if not words:
        parser.print_help()
        return 0
    arguments = parser.parse_args(words)
    arguments.command_line = f"{parser.prog} {shlex.join(words)}"
    arguments.words = words[1:]  # after the command
    try:
        arguments.run(arguments)
    except ERRORS as error:
        parser.exit(2, f"{parser.prog}: error: {_line(error)}\n")
    return 0


def _parser() -> options.Parser:
    parser = options.Parser(
        prog=_program(),
        description="Variational autoencoders and mixtures of experts, after two posts of the "
        '"Another Datum" series.',
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"{PACKAGE} {__version__}",
        help="print the version and exit",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_command(commands)
    return parser


def _program() -> str:
    """Returns how the command line was called: by the installed script, or as a module."""
    return SCRIPT if Path(sys.argv[0]).name == SCRIPT else f"python -m {PACKAGE}"


def _line(error: Exception) -> str:
    """Returns what is wrong; of a file that cannot be read or written, its name first."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
