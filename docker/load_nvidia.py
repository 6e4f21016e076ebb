"""Loads every shared library of every NVIDIA package that the lock file pins.

usage: python load_nvidia.py LOCK

This finds faults of an image without a GPU: a missing library, or one that was built for another
version of a library that it needs. The driver's libcuda.so.1 comes from the host, so a library that
lacks nothing else passes. The exit code is 1 if any library does not pass.
"""

import ctypes
import importlib.metadata
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

DRIVER = "libcuda.so.1"
PIN = re.compile(r"^(nvidia-[a-z0-9-]+)==([^\s;]+)", re.MULTILINE)
LIBRARY = re.compile(r"\.so(\.\d+)*$")


def pinned(lock_text: str) -> dict[str, str]:
    """Returns the NVIDIA packages in a lock file's text: name to version."""
    return dict(PIN.findall(lock_text))


def libraries(name: str, version: str) -> list[Path]:
    """Returns the shared libraries of an installed package.

    Raises:
      RuntimeError: another version is installed.
    """
    package = importlib.metadata.distribution(name)
    if package.version != version:
        raise RuntimeError(f"{name} {package.version} is installed, {version} is pinned")
    return sorted(Path(f.locate()) for f in package.files or () if LIBRARY.search(f.name))


def load_all(
    paths: Iterable[Path], load: Callable[..., object] = ctypes.CDLL
) -> tuple[list[Path], list[Path], dict[Path, str]]:
    """Loads the libraries, each after those that it needs.

    Returns:
      The loaded libraries; those that lack only the driver; all others, with the reason.
    """
    loaded = []
    left = dict.fromkeys(paths, "")
    progress = True
    while left and progress:
        progress = False
        for path in list(left):
            try:
                load(str(path), mode=ctypes.RTLD_GLOBAL)
            except OSError as error:
                left[path] = str(error)
            else:
                loaded.append(path)
                del left[path]
                progress = True
    driver = [path for path, reason in left.items() if reason.startswith(f"{DRIVER}:")]
    return loaded, driver, {path: left[path] for path in left if path not in driver}


def main(lock: str) -> int:
    """Prints a line for each package and returns the exit code."""
    pins = pinned(Path(lock).read_text())
    if not pins:
        raise RuntimeError(f"{lock} pins no NVIDIA package")
    by_package = {name: libraries(name, version) for name, version in pins.items()}
    every = [path for paths in by_package.values() for path in paths]
    loaded, driver, failed = load_all(every)
    for name, version in pins.items():
        mine = by_package[name]
        counts = f"{len(set(mine) & set(loaded))} of {len(mine)} libraries loaded"
        waiting = [path.name for path in mine if path in driver]
        print(f"{name} {version}: {counts}", *(f"({n} needs the driver)" for n in waiting))
    for path, reason in failed.items():
        print(f"{path} cannot be loaded: {reason}")
    print(f"{len(pins)} packages, {len(loaded)} libraries loaded, {len(failed)} failed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
