"""What a program says while it works: to standard error, because standard output is for results.

A notebook shows all of it as output.
"""

import sys
from typing import Any, TextIO

__all__ = [
    "NORMAL",
    "QUIET",
    "VERBOSE",
    "detail",
    "is_shown",
    "progress_bar",
    "say",
    "set_level",
    "stream",
]

QUIET, NORMAL, VERBOSE = 0, 1, 2

_level = NORMAL


def set_level(level: int) -> None:
    """Sets how much is said: `QUIET`, `NORMAL` or `VERBOSE`."""
    global _level
    _level = level


def is_shown(level: int = NORMAL) -> bool:
    """Whether what is said at a level is shown."""
    return level <= _level


def stream() -> TextIO:
    """Returns where progress goes: standard error, but a notebook's output."""
    in_notebook = type(sys.stdout).__module__.startswith("ipykernel")
    return sys.stdout if in_notebook else sys.stderr


def say(text: str) -> None:
    """Says one line about the progress, unless it is to be quiet."""
    if is_shown():
        print(text, file=stream(), flush=True)


def detail(text: str) -> None:
    """Says one line that only `--verbose` shows."""
    if is_shown(VERBOSE):
        print(text, file=stream(), flush=True)


def progress_bar(*words: Any, **settings: Any) -> Any:
    """Returns a bar of tqdm where progress goes; it is loaded at the first bar, not for `--help`.

    Args:
      words, settings: tqdm's. With disable=None there is a bar in a terminal and none in a log.
    """
    from tqdm import tqdm

    return tqdm(*words, file=stream(), **settings)
