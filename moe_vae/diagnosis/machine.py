"""Checks of the machine: cores, memory, the disk that runs are written to, and XLA's cache."""

import os
import shutil
from pathlib import Path

from moe_vae.compat import CACHE_VARIABLE, compilation_cache
from moe_vae.diagnosis.findings import Finding

__all__ = ["check_machine"]

MIB, GIB = 2**20, 2**30
# A training of post 3 on MNIST takes 1.3 GiB; a run with its checkpoints takes some 100 MB.
MEMORY_NEEDED = 2 * GIB
DISK_NEEDED = 1 * GIB


def check_machine(folder: Path) -> list[Finding]:
    """Returns findings about cores, memory, disk and the cache of what XLA compiles.

    Args:
      folder: where runs are to be written.
    """
    return [_cores(), _memory(), _disk(folder), _cache()]


def _cores() -> Finding:
    usable = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    return Finding("processor cores", str(len(usable(0)) if usable else os.cpu_count()))


def _memory() -> Finding:
    cure = "end other programs, or use a smaller batch_size"
    return _judge("free memory", _available_memory(), MEMORY_NEEDED, cure)


def _available_memory() -> int:
    """Returns the bytes that a new program may take, the kernel's caches of files among them."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except FileNotFoundError:  # not Linux
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    values = dict(line.split(":") for line in lines)
    return int(values["MemAvailable"].split()[0]) * 1024


def _disk(folder: Path) -> Finding:
    if not os.access(folder, os.W_OK):
        fault = f"{folder}: this user cannot write there"
        return Finding("free disk", "none", fault, "go to a folder of your own, or name one: --out")
    return _judge(
        "free disk", shutil.disk_usage(folder).free, DISK_NEEDED, "delete runs that you do not need"
    )


def _cache() -> Finding:
    cache = compilation_cache()
    if cache is None:
        return Finding("XLA's cache", f"off; {CACHE_VARIABLE} can name a directory")
    sizes = [path.stat().st_size for path in cache.iterdir()]
    return Finding("XLA's cache", f"{cache}: {len(sizes)} files, {sum(sizes) / MIB:.1f} MiB")


def _judge(name: str, free: int, needed: int, cure: str) -> Finding:
    value = f"{free / GIB:.1f} GiB"
    if free >= needed:
        return Finding(name, value)
    return Finding(name, value, f"{name} is {value}: {needed / GIB:.0f} GiB are needed", cure)
