"""Removes from shared libraries what only a debugger reads: symbols, and the table of sections.

usage: python strip_symbols.py FOLDER

A program is loaded by a library's segments; all that follows the last of them in the file is cut
off. In TensorFlow's libraries that is a fifth of the file.
"""

import struct
import sys
from pathlib import Path

MAGIC = b"\x7fELF\x02\x01"  # 64 bits, little-endian
SEGMENTS = struct.Struct("<Q")  # at 32: where the table of segments begins
SECTIONS = struct.Struct("<Q")  # at 40: where the table of sections begins
COUNTS = struct.Struct("<HHHHH")  # at 54: size and number of segments, of sections, of their names
SEGMENT = struct.Struct("<II6Q")  # type, flags, position, two addresses, size in the file, ...
MINIMUM = 1_000_000  # bytes; what is smaller is left alone


def strip(path: Path) -> int:
    """Cuts off what follows a library's last segment; returns the number of bytes.

    Args:
      path: a file; one that is no library for this kind of processor is left as it is.
    """
    size = path.stat().st_size
    with path.open("r+b") as file:
        header = file.read(64)
        if not header.startswith(MAGIC):
            return 0
        (start,) = SEGMENTS.unpack_from(header, 32)
        entry, count, *_ = COUNTS.unpack_from(header, 54)
        file.seek(start)
        table = file.read(entry * count)
        end = start + entry * count
        for number in range(count):
            _, _, position, _, _, length, *_ = SEGMENT.unpack_from(table, number * entry)
            end = max(end, position + length)
        if end >= size:
            return 0
        file.seek(40)
        file.write(SECTIONS.pack(0))
        file.seek(54)
        file.write(COUNTS.pack(entry, count, 0, 0, 0))
        file.truncate(end)
    return size - end


def main(folder: str) -> None:
    """Strips every large shared library of a folder, and prints how much that was."""
    paths = [p for p in Path(folder).rglob("*.so*") if p.is_file() and not p.is_symlink()]
    large = [path for path in paths if path.stat().st_size >= MINIMUM]
    print(f"{sum(map(strip, large)):,} bytes of symbols removed from {len(large)} libraries.")


if __name__ == "__main__":
    main(*sys.argv[1:])
