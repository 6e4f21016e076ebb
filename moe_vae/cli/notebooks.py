"""`notebooks`: executes notebooks in place."""

import argparse
from pathlib import Path
from typing import Any

from moe_vae.cli import options
from moe_vae.files import read_text, write_whole
from moe_vae.messages import say

__all__ = ["add_command", "execute", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(commands, "notebooks", run, "execute notebooks in place")
    command.add_argument(
        "notebooks",
        type=options.path,
        nargs="+",
        metavar="NOTEBOOK",
        help="files that end in .ipynb",
    )


def run(arguments: argparse.Namespace) -> None:
    """Executes each notebook."""
    for path in arguments.notebooks:  # says what is missing before the first one is executed
        read_text(path, options.CommandError)
    for path in arguments.notebooks:
        say(f"Executing {path}.")
        execute(path)


def execute(path: Path) -> None:
    """Executes a notebook and writes its output to the file; one that fails is left as it was.

    Raises:
      CommandError: the file is no notebook, a cell fails, its kernel is missing or dies, or a
        package of the extra `notebooks` is not installed.
    """
    try:
        import nbformat
        from jupyter_client.kernelspec import NoSuchKernel
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError, DeadKernelError
    except ModuleNotFoundError as error:
        raise options.CommandError(
            f"notebooks need {error.name}, which is not installed: pip install 'moe_vae[notebooks]'"
        ) from error

    notebook = _read(path)
    client = NotebookClient(
        notebook,
        timeout=None,
        coalesce_streams=True,  # a progress bar is kept as it ended
        record_timing=False,
        # Silences the kernel's note that its connection, on this machine, is not encrypted.
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": path.parent}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise options.CommandError(f"a cell failed: {error.ename}: {error.evalue}") from error
    except NoSuchKernel as error:
        raise options.CommandError(
            f"{path} asks for the kernel {error.name!r}, which is not installed"
        ) from error
    except DeadKernelError as error:
        raise options.CommandError(f"{path}: its kernel died while a cell was executed") from error
    write_whole(path, (nbformat.writes(notebook) + "\n").encode())


def _read(path: Path) -> Any:
    """Returns a notebook, checked by the schema of its version, which is Jupyter's own.

    Raises:
      CommandError: the file is no notebook.
    """
    import nbformat

    from moe_vae.schemas import NotebookFile, checked, parse_json

    text = read_text(path, options.CommandError)
    checked(parse_json(text, path, options.CommandError), NotebookFile, path, options.CommandError)
    try:
        notebook = nbformat.reads(text, as_version=4)
        nbformat.validate(notebook)
    except (nbformat.ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise options.CommandError(f"{path} is no notebook that can be read ({reason})") from error
    return notebook
