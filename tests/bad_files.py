"""A corpus of bad files, made by a script and kept small, and the readers that it is given to.

Each reader takes a file and either returns or raises its own error. `python tests/bad_files.py
DIRECTORY` writes the corpus, one folder for each reader.
"""

import gzip
import io
import json
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from moe_vae.data.arrays import read_npy, read_npz
from moe_vae.data.checks import DataError
from moe_vae.data.idx import read_idx
from moe_vae.distributed.servers import ClusterError, read_cluster
from moe_vae.experiments.run_files import RunError, read_json
from moe_vae.export.model_file import ModelFileError, read_model_file
from moe_vae.schemas import Manifest, RunRecord
from moe_vae.training.state import CheckpointError, read_state


class Reader(NamedTuple):
    """A door for files.

    Attributes:
      name: the name of the file that it reads.
      read: the function of a path.
      error: what it may raise.
      good: the bytes of a file that it reads without an error.
    """

    name: str
    read: Callable[[Path], object]
    error: type[Exception]
    good: bytes


def idx(shape=(3, 2, 2), kind=8):
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, len(shape), *shape)
    return header + bytes(range(int(np.prod(shape))))


def npy(values):
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def as_json(content):
    return json.dumps(content).encode()


CLUSTER = {"format_version": 1, "ps": ["10.0.0.1:2222"], "worker": ["host-1.example:2222"]}
STORED = {"bytes": 3, "sha256": "0" * 64}
MANIFEST = {
    "format_version": 1,
    "model": "vae",
    "params": {"z_dim": 2},
    "seed": 1,
    "schedule": None,
    "data": {"name": "spiral", "checksum": 5},
    "files": {"model.ckpt.index": STORED, "state.npz": STORED},
}
RECORD = {
    "format_version": 1,
    "model": "vae",
    "params": {"z_dim": 2},
    "seed": 1,
    "shape": [2],
    "history": {"loss": [1.0, 0.5], "shares": [[0.5, 0.5], [0.4, 0.6]]},
    "seconds": [0.1, 0.1],
    "test": {"accuracy": 0.5, "confusion": [[1, 2], [3, 4]]},
    "source": {"name": "spiral", "validation": 0.1, "test": 0.2, "skip_bad": False},
}
VALUES = {
    "format_version": 1,
    "epochs_done": {"loss": 1},
    "draws": 2,
    "history": {"loss": [1.0]},
    "seconds": [0.1],
    "generator": ["MT19937", 624, 0, 0.0],
    "position": 2,
}


def state(**changes):
    arrays = {
        "values": json.dumps(VALUES),
        "samples": np.zeros([1, 2, 4], np.float32),
        "generator_key": np.zeros(624, np.uint32),
        "order": np.arange(5),
    }
    return npz(**{**arrays, **changes})


READERS = {
    "idx": Reader("images.idx3", read_idx, DataError, idx()),
    "gzip": Reader("images.idx3.gz", read_idx, DataError, gzip.compress(idx(), mtime=0)),
    "npy": Reader("a.npy", read_npy, DataError, npy(np.zeros([3, 2]))),
    "npz": Reader(
        "a.npz", read_npz, DataError, npz(x_train=np.zeros([3, 2]), y_train=np.zeros(3, int))
    ),
    "manifest": Reader(
        "manifest.json", lambda path: read_json(path, Manifest), RunError, as_json(MANIFEST)
    ),
    "record": Reader(
        "metrics.json", lambda path: read_json(path, RunRecord), RunError, as_json(RECORD)
    ),
    "cluster": Reader("cluster.json", read_cluster, ClusterError, as_json(CLUSTER)),
    "state": Reader(
        "state.npz", lambda path: read_state(path, ["loss"], 5), CheckpointError, state()
    ),
    "model": Reader("model.npz", read_model_file, ModelFileError, b""),
}


def _zip(name, content, **settings):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **settings) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


_HEADER = b"\x93NUMPY\x01\x00"


def _npy_header(text):
    return _HEADER + struct.pack("<H", len(text)) + text


BAD = {
    "idx": [
        idx((2**32 - 1,) * 4),
        struct.pack(">BBBB", 0, 0, 8, 255),
        struct.pack(">BBBBI", 0, 0, 13, 1, 2**31),
        idx(kind=10),
        struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 0),
    ],
    "gzip": [
        gzip.compress(struct.pack(">BBBBI", 0, 0, 8, 1, 3) + bytes(1 << 20), mtime=0),
        gzip.compress(idx(), mtime=0)[:-5],
        gzip.compress(struct.pack(">BBBBI", 0, 0, 8, 1, 2**32 - 1), mtime=0),
        b"\x1f\x8b\x08\x04\xff\xff",
        gzip.compress(struct.pack(">BBBB", 0, 0, 8, 255) + b"\xff" * 1020, mtime=0),
        gzip.compress(struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 0), mtime=0),
    ],
    "npy": [
        npy(np.array([None], object)),
        _npy_header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"),
        _npy_header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999999,)}"),
        _npy_header(b"[" * 5000),
        _npy_header(b"{'descr': [('a', 'O')], 'fortran_order': False, 'shape': ()}"),
    ],
    "npz": [
        npz(x_train=np.array([None], object)),
        npz(other=np.zeros(3)),
        _zip("x_train.npy", npy(np.zeros(4)) + bytes(1 << 20), compression=zipfile.ZIP_DEFLATED),
        _zip("x_train.npy", b"no array"),
    ],
    "cluster": [
        as_json({**CLUSTER, "ps": ["a..b:1"]}),
        as_json({**CLUSTER, "ps": ["\u0662:\u0662"]}),
        as_json({**CLUSTER, "worker": "x"}),
    ],
    "manifest": [
        as_json({**MANIFEST, "files": {"../x": STORED}}),
        as_json({**MANIFEST, "seed": -1}),
    ],
    "record": [
        as_json({**RECORD, "test": {"confusion": [[1], [1, 2]]}}),
        as_json({**RECORD, "shape": []}),
        as_json({**RECORD, "source": {"name": "spiral", "x": 1}}),
    ],
    "state": [
        state(order=np.full(5, 9)),
        state(samples=np.array([None], object)),
        state(values=json.dumps({**VALUES, "generator": ["MT19937", 9999, 0, 0.0]})),
        state(generator_key=np.zeros(3, np.uint32)),
    ],
    "model": [
        _zip("\u00e4", b"").replace("\u00e4".encode(), b"\x80\xff"),  # no UTF-8
        npz(architecture=np.zeros(3, np.uint8)),
        npz(x=np.zeros(3)),
    ],
}
# For every reader of texts.
TEXTS = [b"[" * 100_000, b'{"a":' * 50_000, b"\xff", b"", b"null", b"1" * 5_000, b'{"seed": NaN}']


def bad_files(kind: str) -> Iterator[bytes]:
    """Yields the bad files of a reader: its own, and every beginning of a good one."""
    yield from BAD.get(kind, [])
    yield from TEXTS
    good = READERS[kind].good
    yield from (good[:length] for length in range(0, len(good), max(1, len(good) // 20)))


if __name__ == "__main__":
    for kind in READERS:
        folder = Path(sys.argv[1], kind)
        folder.mkdir(parents=True, exist_ok=True)
        for number, content in enumerate([READERS[kind].good, *bad_files(kind)]):
            (folder / f"{number:03d}").write_bytes(content)
