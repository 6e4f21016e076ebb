"""Checkpoints: a killed training resumes from the last one and ends the same, bit for bit."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from moe_vae.data.dataset import DataSet
from moe_vae.files import check_directory, shown
from moe_vae.training.state import CheckpointError
from moe_vae.training.trainer import Trainer
from moe_vae.version import FORMAT_VERSION

__all__ = ["CheckpointError", "Checkpoints", "last_engine", "locked"]

MODEL = "model.ckpt"
STATE = "state.npz"
MANIFEST = "manifest.json"


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Reserves a directory for this process while the block runs.

    The operating system holds the lock and releases it when the process ends, however it ends.

    Args:
      directory: the directory; created if it is missing, and then deleted if it is still empty in
        the end.

    Raises:
      CheckpointError: another process uses it, or it is no directory.
      OSError: the directory cannot be made or written to.
    """
    check_directory(directory, CheckpointError)
    is_new = not directory.exists()
    handle = _open_locked(directory)
    try:
        if not os.access(directory, os.W_OK, effective_ids=True):
            raise PermissionError(f"{directory} cannot be written to")
        yield
    finally:
        # Deleted before the lock is released: afterwards it may be another process's.
        if is_new and directory.exists() and not any(directory.iterdir()):
            directory.rmdir()
        os.close(handle)


def _open_locked(directory: Path) -> int:
    """Returns the handle of a directory that this process has made, if need be, and locked."""
    while True:
        # Another process that held the lock may delete the directory between any of these steps,
        # also while it is made: then it exists already, and is no directory any more.
        with contextlib.suppress(FileExistsError):
            directory.mkdir(parents=True, exist_ok=True)
        check_directory(directory, CheckpointError)
        with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as opened:
            handle = os.open(directory, os.O_RDONLY)
            opened.callback(os.close, handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise CheckpointError(
                    f"{directory} is in use by another process: two runs cannot share a directory"
                ) from error
            if os.path.samestat(os.fstat(handle), os.stat(directory)):
                opened.pop_all()
                return handle


class Checkpoints:
    """The checkpoints of one run: written after an epoch, read when the run is resumed.

    A checkpoint is a directory such as `epoch-000012`. It holds the variables (a `tf.train.Saver`
    checkpoint, Adam's slots included), the rest of the trainer's state, and a manifest with the
    checksum of every file. It is written under another name and renamed once it is complete and on
    the disk, so that a crash never leaves an incomplete one.

    Args:
      directory: the directory of the checkpoints; created with the first.
      identity: dict that JSON can hold: the run's model, parameters, seed and data. A run resumes
        only from a checkpoint with the same identity. Only `epochs` in `params` may differ, so
        that a training can be made longer.
      every: number of epochs between checkpoints; one more is written when the trainer `is_done`.
      keep: number of checkpoints that are kept, the latest ones.
      engine: what computes the run, for `last_engine`; a run may be resumed by another one.
    """

    def __init__(
        self,
        directory: Path,
        identity: dict[str, Any],
        every: int = 1,
        keep: int = 3,
        engine: str | None = None,
    ) -> None:
        self.directory = directory
        self.identity = identity
        self.engine = engine
        self.every = every
        self.keep = keep
        for partial in directory.glob("*.part"):  # a process was killed while it wrote
            shutil.rmtree(partial)

    def __call__(self, trainer: Trainer, train_set: DataSet) -> None:
        """Writes a checkpoint if one is due; for `Trainer.listeners`."""
        if trainer.n_epochs % self.every == 0 or trainer.is_done:
            self.save(trainer, train_set)

    def paths(self) -> list[Path]:
        """Returns the checkpoints' directories, the oldest first."""
        return _paths(self.directory)

    def save(self, trainer: Trainer, train_set: DataSet) -> None:
        """Writes a complete checkpoint or none, then deletes those that are too old.

        Args:
          trainer: a `Trainer`, between two epochs.
          train_set: the `DataSet` that it is trained on.

        Raises:
          CheckpointError: it cannot be written; earlier checkpoints are unchanged.
        """
        path = self.directory / f"epoch-{trainer.n_epochs:06d}"
        partial = path.with_name(f"{path.name}.part")
        try:
            partial.mkdir(parents=True)
            trainer.save(partial / MODEL)
            trainer.save_state(partial / STATE, train_set)
            self._write_manifest(partial)
            _to_disk(partial)
            os.replace(partial, path)
            _to_disk(self.directory, files=False)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)  # there may be none
            last = self.paths()[-1].name if self.paths() else "none"
            raise CheckpointError(
                f"checkpoint not written: {error}: the last complete one is {last}"
            ) from error
        for old in self.paths()[: -self.keep]:
            shutil.rmtree(old)

    def _write_manifest(self, directory: Path) -> None:
        files = {
            path.name: {"bytes": path.stat().st_size, "sha256": _sha256(path)}
            for path in sorted(directory.iterdir())
        }
        manifest = {
            "format_version": FORMAT_VERSION,
            **self.identity,
            **({} if self.engine is None else {"engine": self.engine}),
            "files": files,
        }
        (directory / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")

    def restore(self, trainer: Trainer, train_set: DataSet) -> list[str]:
        """Restores a new trainer from the last complete checkpoint.

        A damaged checkpoint gets a name that ends in `.damaged`, and the one before it is used.

        Args:
          trainer: a `Trainer` of the same model, not yet trained.
          train_set: the same training set, before its first batch.

        Returns:
          The damage found: list of sentences, empty if there is none.

        Raises:
          CheckpointError: the checkpoint is of another run, or all checkpoints are damaged.
        """
        damage: list[str] = []
        for path in reversed(self.paths()):
            fault = _fault(path)
            if fault is None:
                self._check_identity(path)
                trainer.restore(path / MODEL)
                trainer.restore_state(path / STATE, train_set)
                return damage
            aside = path.with_suffix(".damaged")
            if aside.exists():
                shutil.rmtree(aside)  # an earlier one of the same epoch
            os.replace(path, aside)
            damage.append(f"{path} is damaged ({fault}) and was renamed to {aside.name}")
        if damage:
            raise CheckpointError(f"all checkpoints are damaged: {'; '.join(damage)}")
        return damage

    def _check_identity(self, path: Path) -> None:
        from moe_vae.schemas import Manifest, read_json

        manifest = read_json(path / MANIFEST, Manifest, CheckpointError)
        for name, theirs, ours in _differences(manifest, self.identity):
            raise CheckpointError(
                f"{path} is of another run: its {name} is {shown(theirs)}, not {shown(ours)}"
            )


def last_engine(directory: Path) -> str | None:
    """Returns the engine of the last complete checkpoint in a directory.

    None means that no checkpoint is complete, or that an older version wrote it.
    """
    from moe_vae.schemas import Manifest, read_json

    for path in reversed(_paths(directory)):
        if _fault(path) is None:
            return read_json(path / MANIFEST, Manifest, CheckpointError).get("engine")
    return None


def _paths(directory: Path) -> list[Path]:
    return sorted(path for path in directory.glob("epoch-*") if path.suffix == "")


def _differences(
    theirs: Mapping[str, Any], ours: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Yields name, their value and ours for every entry of `ours` that differs."""
    for name, value in ours.items():
        if isinstance(value, dict):
            yield from _differences(theirs.get(name) or {}, value)
        # Compared as JSON returns them: a tuple as a list.
        elif name != "epochs" and theirs.get(name) != json.loads(json.dumps(value)):
            yield name, theirs.get(name), value


def _fault(path: Path) -> str | None:
    """Returns what is wrong with a checkpoint's files, or None."""
    from moe_vae.schemas import Manifest, read_json

    try:
        files = read_json(path / MANIFEST, Manifest, CheckpointError)["files"]
    except CheckpointError as error:
        return f"{MANIFEST} is missing or cannot be read: {error}"
    for name in (f"{MODEL}.index", STATE):
        if name not in files:
            return f"{MANIFEST} lacks {name}"
    for name, expected in files.items():
        file = path / name
        if not file.is_file():
            return f"{name} is missing"
        if file.stat().st_size != expected["bytes"]:
            return f"{name} has {file.stat().st_size} bytes of {expected['bytes']}"
        if _sha256(file) != expected["sha256"]:
            return f"{name} has changed since it was written"
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _to_disk(directory: Path, files: bool = True) -> None:
    """Makes the operating system write a directory, and the files in it, to the disk."""
    for path in [*(directory.iterdir() if files else []), directory]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
