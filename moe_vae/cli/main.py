"""The command line: assembles the parser, runs a command, and turns errors into one line."""

import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from moe_vae import __version__, messages
from moe_vae.bench.processes import BenchError
from moe_vae.cli import (
    bench,
    classify,
    cluster,
    clustering,
    completion,
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
from moe_vae.experiments.run_files import RunError, RunInterrupted
from moe_vae.export.model_file import ModelFileError
from moe_vae.export.runtimes import MissingPackageError
from moe_vae.files import one_line
from moe_vae.interrupts import Terminated, exit_code, terminating
from moe_vae.model import ModelError
from moe_vae.page.assemble import PageError
from moe_vae.params import ParameterError
from moe_vae.training.checkpoints import CheckpointError
from moe_vae.training.trainer import TrainingError

__all__ = ["main", "parser_of"]

PACKAGE = "moe_vae"

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
    completion,
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
    PageError,
    ParameterError,
    RunError,
    TrainingError,
    options.CommandError,
    MemoryError,
    OSError,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; a bad input ends in one line on standard error and exit code 2.

    Ctrl-C ends it with exit code 130, and SIGTERM with 143, after what was learned is written.

    Args:
      argv: the words after the program's name; None means those of the process.

    Returns:
      The exit code, 0; errors leave by SystemExit.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    parser = parser_of(_program())
    if not words:
        parser.print_help()
        return 0
    arguments = parser.parse_args(words)
    arguments.command_line = f"{parser.prog} {shlex.join(words)}"
    arguments.words = words[1:]  # after the command
    arguments.parser_of = parser_of
    messages.set_level(messages.NORMAL + arguments.verbose - arguments.quiet)
    try:
        with terminating():
            arguments.run(arguments)
    except RunInterrupted as error:
        _end(f"{parser.prog}: {_line(error)}", Terminated() if error.terminated else None)
    except KeyboardInterrupt as error:
        _end(f"{parser.prog}: interrupted", error)
    except ERRORS as error:
        messages.detail(traceback.format_exc())
        parser.exit(2, f"{parser.prog}: error: {_line(error)}\n")
    finally:
        messages.set_level(messages.NORMAL)
    return 0


def parser_of(program: str) -> options.Parser:
    """Returns the parser of the whole command line.

    Args:
      program: how it is called, in messages.
    """
    parser = options.Parser(
        prog=program,
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
    script = options.SCRIPT
    return script if Path(sys.argv[0]).name == script else f"python -m {PACKAGE}"


def _end(line: str, interrupt: KeyboardInterrupt | None) -> NoReturn:
    """Ends a process that Ctrl-C or SIGTERM has interrupted, with the signal's exit code."""
    print(line, file=sys.stderr)
    code = exit_code(interrupt)
    if isinstance(interrupt, Terminated):
        # TensorFlow takes seconds to be torn down, and everything is written.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _line(error: Exception) -> str:
    """Returns what is wrong, in one line; of a file that cannot be used, its name first."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return one_line(f"{error.filename}: {error.strerror}")
    if isinstance(error, MemoryError):
        return one_line(f"there is not enough memory ({error})")
    return one_line(str(error))
