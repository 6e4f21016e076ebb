"""Files: read whole up to a limit if they are regular files, and written atomically."""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "MAX_TEXT_BYTES",
    "check_directory",
    "existing",
    "one_line",
    "read_text",
    "shown",
    "whole_directory",
    "write_whole",
]

MAX_TEXT_BYTES = 1 << 26
MAX_SHOWN = 80  # characters
MAX_LINE = 2_000


def shown(value: object) -> str:
    """Returns a value as an error shows it: its `repr`, cut where it is long."""
    try:
        text = " ".join(repr(value).split())
    except (RecursionError, ValueError):  # nested too deeply; a number of too many digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def one_line(text: str) -> str:
    """Returns a message as one line: what cannot be printed is escaped, and a long one is cut."""
    line = " ".join(text.split())
    line = "".join(each if each.isprintable() else repr(each)[1:-1] for each in line)
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}..."


def existing(
    path: str | Path, error: type[Exception], files: bool = True, folders: bool = True
) -> Path:
    """Returns the path of a regular file or a folder.

    Args:
      path: the path; links are followed.
      error: the class of the error.
      files, folders: whether a file, and whether a folder, is allowed.

    Raises:
      `error`: there is nothing, or something else, such as a pipe or a device.
    """
    kinds = ("a file" if files else "", "a folder" if folders else "")
    allowed = " or ".join(kind for kind in kinds if kind)
    try:
        mode = os.stat(path).st_mode
    except ValueError as fault:  # it holds a NUL character; each Python has other words for that
        raise error(f"{str(path)!r} is no path; it must be {allowed}") from fault
    except OSError as fault:
        raise error(f"{str(path)!r}: {fault.strerror}; it must be {allowed}") from fault
    if not (files and stat.S_ISREG(mode)) and not (folders and stat.S_ISDIR(mode)):
        found = "no regular file"
        if stat.S_ISDIR(mode):
            found = "a folder"
        elif stat.S_ISREG(mode):
            found = "a file"
        raise error(f"{path}: is {found}; it must be {allowed}")
    return Path(path)


def read_text(path: str | Path, error: type[Exception], max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Returns the text of a regular file.

    Args:
      path: the path; links are followed.
      error: the class of the error.
      max_bytes: the largest size that is read.

    Raises:
      `error`: there is no such file, it is no regular file, too large, or not UTF-8.
    """
    path = existing(path, error, folders=False)
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as fault:
        raise error(f"{path}: cannot be read ({fault.strerror})") from fault
    if len(content) > max_bytes:
        raise error(f"{path}: has more than {max_bytes} bytes, which are the most that are read")
    try:
        return content.decode()
    except UnicodeDecodeError as fault:
        raise error(f"{path}: is not UTF-8 text ({fault.reason} at byte {fault.start})") from fault


def check_directory(path: str | Path, error: type[Exception]) -> None:
    """Checks that a directory exists, or can be made.

    Raises:
      `error`: the path is empty, holds a NUL character, or leads to something that is no directory,
        such as a file or a link to nothing.
      OSError: the system refuses to look, because a name is too long, for example.
    """
    text = os.fspath(path)
    if not text or "\0" in text:
        raise error(f"{text!r} is no path: name a directory")
    for part in (Path(path), *Path(path).parents):
        try:
            mode = part.stat().st_mode  # once: another process may make or delete the directory
        except OSError as missing:
            if missing.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise
            if part.is_symlink():
                link = os.readlink(part)
                raise error(f"{part} is a link to {link}, which does not exist") from missing
            continue
        if stat.S_ISDIR(mode):
            return
        raise error(f"{part} is a file: it must be a directory, or not exist")


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file atomically: nobody ever finds half of it.

    The bytes go to a temporary file beside `path`, which then replaces `path`.

    Args:
      path: the file; its directory is made if it is missing.
      content: what the file is to hold.

    Raises:
      OSError: the directory or the file cannot be written; `path` is left as it was.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
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
