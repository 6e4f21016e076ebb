"""Atomic file writes."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

__all__ = ["whole_directory", "write_whole"]


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file atomically: nobody ever finds half of it.

    The bytes go to a temporary file beside `path`, which then replaces `path`.

    Args:
      path: the file; its directory is made if it is missing.
      content: what the file is to hold.

    Raises:
      OSError: the directory or the file cannot be written; `path` is left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        with contextlib.suppress(FileNotFoundError):  # it has replaced `path`
            partial.unlink()


@contextlib.contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """Makes a new directory atomically: it is there once the block has ended without an error.

    Args:
      path: the directory, which does not exist yet; its parents are made if they are missing.

    Yields:
      The path of an empty directory beside it, which the block fills.

    Raises:
      FileExistsError: there is something at `path`.
      OSError: the directory cannot be written.
    """
    if path.exists():
        raise FileExistsError(errno.EEXIST, "exists already: name another", str(path))
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    partial.mkdir(parents=True)
    try:
        yield partial
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)  # it has replaced `path`, if all went well
