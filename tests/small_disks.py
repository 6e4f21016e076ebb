"""Small disks that the tests of faults fill."""

import contextlib
import subprocess

import pytest

NO_SPACE = "No space left on device"


@contextlib.contextmanager
def filled(directory, megabytes=4):
    """Mounts a small disk at a directory while the block runs; skips the test where none can be.

    Args:
      directory: an empty directory.
      megabytes: the disk's size.

    Yields:
      Function that fills the disk except for a number of bytes, 0 by default, and returns the
      function that frees it again.
    """
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs"]
    mounted = subprocess.run(["mount", *options, directory], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")

    def fill(left=0):
        reserve, filler = directory / "reserve", directory / "filler"
        reserve.write_bytes(bytes(left))
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        reserve.unlink()
        return filler.unlink

    try:
        yield fill
    finally:
        subprocess.run(["umount", directory], check=True)
