"""Checkpoints that a killed training goes on from, to the same end, bit for bit."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil

__all__ = ["CheckpointError", "Checkpoints", "locked"]

MODEL = "model.ckpt"
STATE = "state.npz"
MANIFEST = "manifest.json"


class CheckpointError(ValueError):
    """A checkpoint cannot be written, or cannot be gone on from."""


@contextlib.contextmanager
def locked(directory):
    """Keeps a directory to this process while the block runs.

    The operating system holds the lock, so that it ends with the process, however that ends.

    Args:
      directory: a `pathlib.Path`; made where it is missing, and then deleted again if nothing is
        in it in the end.

    Raises:
      CheckpointError: another process has it.
      OSError: the directory cannot be made or written to.
    """
    is_new = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    if not os.access(directory, os.W_OK, effective_ids=True):
        raise PermissionError(f"{directory} cannot be written to")
    handle = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CheckpointError(
                f"{directory} is in use by another process: two runs cannot share a directory"
            ) from error
        yield
    finally:
        os.close(handle)
        if is_new and directory.exists() and not any(directory.iterdir()):
            directory.rmdir()


class Checkpoints:
    """The checkpoints of one run: written after an epoch, found and read when it is taken up again.

    Each is a directory `epoch-000012` with the variables (a `tf.train.Saver` checkpoint, Adam's
    slots included), the rest of the trainer's state, and a manifest with every file's checksum.
    It is made under another name and takes its own when it is whole and on the disk, so that
    no moment of a crash leaves half of one.

    Args:
      directory: a `pathlib.Path`, where the checkpoints are; made with the first of them.
      identity: dict that JSON can hold: the run's model, parameters, seed and data. A run goes
        on only from a checkpoint with the same. Of `params` the entry `epochs` may differ: a
        training may be made longer.
      every: a checkpoint is written every so many epochs, and when the trainer `is_done`.
      keep: so many are kept, the last ones.
    """

    def __init__(self, directory, identity, every=1, keep=3):
        self.directory = directory
        self.identity = identity
        self.every = every
        self.keep = keep
        for partial in directory.glob("*.part"):  # a process was killed while it wrote
            shutil.rmtree(partial)

    def __call__(self, trainer, train_set):
        """Writes a checkpoint if one is due; for `Trainer.listeners`."""
        if trainer.n_epochs % self.every == 0 or trainer.is_done:
            self.save(trainer, train_set)

    def paths(self):
        """Returns the checkpoints' directories, the oldest first."""
        return sorted(path for path in self.directory.glob("epoch-*") if path.suffix == "")

    def save(self, trainer, train_set):
        """Writes a checkpoint, whole or not at all, then deletes those that are too old.

        Args:
          trainer: a `Trainer`, between two epochs.
          train_set: the `DataSet` that it is trained on.

        Raises:
          CheckpointError: it cannot be written; those before it are as they were.
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
                f"checkpoint not written: {error}: the last whole one is {last}"
            ) from error
        for old in self.paths()[: -self.keep]:
            shutil.rmtree(old)

    def _write_manifest(self, directory):
        files = {
            path.name: {"bytes": path.stat().st_size, "sha256": _sha256(path)}
            for path in sorted(directory.iterdir())
        }
        manifest = {**self.identity, "files": files}
        (directory / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")

    def restore(self, trainer, train_set):
        """Brings a new trainer to where the last whole checkpoint left off.

        A damaged checkpoint is put aside, under a name that ends in `.damaged`, and the one
        before it is taken.

        Args:
          trainer: a `Trainer` of the same model, not yet trained.
          train_set: the same training set, no batch of it taken.

        Returns:
          The damage found: list of sentences, empty if all was well.

        Raises:
          CheckpointError: the checkpoint is of another run, or there are some and none is whole.
        """
        damage = []
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
            damage.append(f"{path} is damaged ({fault}) and was put aside")
        if damage:
            raise CheckpointError(f"no checkpoint is whole: {'; '.join(damage)}")
        return damage

    def _check_identity(self, path):
        manifest = json.loads((path / MANIFEST).read_text())
        for name, theirs, ours in _differences(manifest, self.identity):
            raise CheckpointError(
                f"{path} is of another run: its {name} is {theirs!r}, not {ours!r}"
            )


def _differences(theirs, ours):
    """Yields name, their value and ours for every entry of `ours` that is not the same."""
    for name, value in ours.items():
        if isinstance(value, dict):
            yield from _differences(theirs.get(name) or {}, value)
        # As JSON has them: a tuple comes back as a list.
        elif name != "epochs" and theirs.get(name) != json.loads(json.dumps(value)):
            yield name, theirs.get(name), value


def _fault(path):
    """Says what is wrong with a checkpoint's files, or None."""
    try:
        files = json.loads((path / MANIFEST).read_text())["files"]
    except (OSError, ValueError, KeyError):
        return f"{MANIFEST} is missing or cannot be read"
    for name, expected in files.items():
        file = path / name
        if not file.exists():
            return f"{name} is missing"
        if file.stat().st_size != expected["bytes"]:
            return f"{name} has {file.stat().st_size} bytes of {expected['bytes']}"
        if _sha256(file) != expected["sha256"]:
            return f"{name} has another content than was written"
    return None


def _sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _to_disk(directory, files=True):
    """Has the operating system write a directory, and the files in it, to the disk."""
    for path in [*(directory.iterdir() if files else []), directory]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
