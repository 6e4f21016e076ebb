"""Files that are there whole or not at all."""

import contextlib
import os

__all__ = ["write_whole"]


def write_whole(path, content):
    """Writes bytes to a file of its own beside `path`, which then takes the place of `path`.

    Args:
      path: a `pathlib.Path`; its directory is made where it is missing.
      content: bytes.

    Raises:
      OSError: the directory or the file cannot be written; `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()  # gone already where all went well
