"""Ctrl-C and SIGTERM: both end a training, and what it has learned is saved."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["Terminated", "exit_code", "terminating"]


class Terminated(KeyboardInterrupt):
    """SIGTERM has come, as from `docker stop`: the process has seconds to end."""


def exit_code(error: BaseException | None) -> int:
    """Returns the exit code of a process that was ended by a signal: 128 and its number."""
    number = signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT
    return 128 + number


@contextlib.contextmanager
def terminating() -> Iterator[None]:
    """Inside the block SIGTERM raises `Terminated`, as Ctrl-C raises KeyboardInterrupt.

    Python handles signals in the main thread alone; in another one the block changes nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated
