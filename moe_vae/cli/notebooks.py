"""`notebooks`: executes notebooks in place."""

import argparse
from pathlib import Path

from moe_vae.cli import options
from moe_vae.files import write_whole

__all__ = ["add_command", "execute", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(commands, "notebooks", run, "execute notebooks in place")
    command.add_argument(
        "notebooks", type=Path, nargs="+", metavar="NOTEBOOK", help="files that end in .ipynb"
    )


def run(arguments: argparse.Namespace) -> None:
    """Executes each notebook."""
    for path in arguments.notebooks:
        path.read_bytes()  # says what is missing before the first one is executed
    for path in arguments.notebooks:
        print(f"Executing {path}.")
        execute(path)


def execute(path: Path) -> None:
    """Executes a notebook and writes its output to the file; one that fails is left as it was.

    Raises:
      CommandError: a cell fails, or a package of the extra `notebooks` is not installed.
    """
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError
    except ModuleNotFoundError as error:
        raise options.CommandError(
            f"notebooks need {error.name}, which is not installed: pip install 'moe_vae[notebooks]'"
        ) from error

    notebook = nbformat.read(path, as_version=4)
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
    write_whole(path, (nbformat.writes(notebook) + "\n").encode())
