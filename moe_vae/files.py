"""Atomic file writes."""

import contextlib
import os
from pathlib import Path

__all__ = ["write_whole"]


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
