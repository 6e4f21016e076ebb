"""Faults that a training meets, each really made, and what they cost: nothing.

One small training is the measure. However it is interrupted, a resumed run must come to
the same history, pictures and weights, bit for bit, as the run that nothing happened to.
"""

import contextlib
import multiprocessing
import os
import resource
import signal
import subprocess
import time

import numpy as np
import pytest
from forked import LOADS_TENSORFLOW

from moe_vae import DataSet, build_mixture_of_vaes, build_vade, make_spiral
from moe_vae.training.checkpoints import CheckpointError, Checkpoints, locked
from moe_vae.training.trainer import TrainingError, start_trainer

pytestmark = pytest.mark.process

PARAMS = {
    "encoder_layers": [8],
    "decoder_layers": [8],
    "manager_layers": [8],
    "z_dim": 2,
    "batch_size": 50,
    "epochs": 6,
}
N_KILLS = 20
KILLED_EPOCHS = 200
LONGEST_LIFE_SECONDS = 0.5


def random_data(seed=0):
    generator = np.random.default_rng(seed)
    return DataSet(generator.random([1230, 784], np.float32), generator.integers(0, 10, 1230))


def build_two_experts(params):
    return build_mixture_of_vaes({**params, "n_experts": 2})


class Run:
    """A run in a directory as the command line has it, from its start or its last checkpoint."""

    def __init__(self, directory, keep=3, seed=3, data_seed=0, **params):
        self.trainer = start_trainer(build_two_experts, {**PARAMS, **params}, seed)
        self.data = random_data(data_seed)
        identity = {
            "model": "two experts",
            "params": self.trainer.model.params,
            "seed": seed,
            "data": {"checksum": self.data.checksum()},
        }
        self.checkpoints = Checkpoints(directory, identity, keep=keep)
        self.damage = self.checkpoints.restore(self.trainer, self.data)
        self.trainer.listeners.append(self.checkpoints)

    def fit_to_the_end(self):
        self.trainer.fit_to_the_end(self.data)
        return self

    def fit_until(self, epoch):
        self.trainer.fit(self.data, epoch - self.trainer.n_epochs)
        return self

    def end(self):
        """Everything that a run ends with, as one list of arrays."""
        trainer = self.trainer
        variables = trainer.session.graph.get_collection("variables")
        return [
            *map(np.array, trainer.history.values()),
            np.array(trainer.samples),
            np.array(trainer.fixed_samples),
            *trainer.session.run(variables),
        ]


def n_differences(end, expected):
    """How many values of a run's end are not exactly those expected."""
    assert [part.shape for part in end] == [part.shape for part in expected]
    return int(sum((ours != theirs).sum() for ours, theirs in zip(end, expected, strict=True)))


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The end of the run that nothing happened to."""
    run = Run(tmp_path_factory.mktemp("calm")).fit_to_the_end()
    assert np.isfinite(run.trainer.history["loss"]).all()
    return run.end()


@pytest.fixture
def went_on(tmp_path, expected, fault_log):
    """Function that resumes after a fault, compares the end, and records what was lost."""

    def check(fault, made_by, outcome, times=1):
        lost = n_differences(Run(tmp_path).fit_to_the_end().end(), expected)
        fault_log.append(
            {"fault": fault, "made by": made_by, "times": times, "outcome": outcome, "lost": lost}
        )
        assert lost == 0

    return check


# Killed


def live(directory, trains):
    """What a process that will be killed does."""
    with locked(directory):
        run = Run(directory, epochs=KILLED_EPOCHS)
        run.trainer.listeners.append(lambda trainer, train_set: trains.set())
        run.fit_to_the_end()


@pytest.fixture(scope="module")
def processes():
    """Processes forked from one that has imported the package, which takes seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADS_TENSORFLOW)
    return context


def test_a_run_killed_twenty_times_ends_as_one_never_killed(tmp_path, processes, fault_log):
    moments = np.random.default_rng().uniform(0, LONGEST_LIFE_SECONDS, N_KILLS)
    cut_off = []
    for number, moment in enumerate(moments):
        trains = processes.Event()
        process = processes.Process(target=live, args=[tmp_path, trains])
        process.start()
        if number % 4:  # every fourth may be killed before its first epoch is over
            assert trains.wait(60)
        time.sleep(moment)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "the training ended before it was killed"
        cut_off.append(max((path.name for path in tmp_path.glob("epoch-??????")), default="none"))
    assert len(set(cut_off)) > N_KILLS / 2, cut_off
    killed = Run(tmp_path, epochs=KILLED_EPOCHS).fit_to_the_end()
    calm = Run(tmp_path / "calm", epochs=KILLED_EPOCHS).fit_to_the_end()
    lost = n_differences(killed.end(), calm.end())
    fault_log.append(
        {
            "fault": "killed",
            "made by": "SIGKILL at random moments of one training",
            "times": N_KILLS,
            "outcome": "resumes to the same end",
            "lost": lost,
        }
    )
    assert lost == 0


class Killed(BaseException):
    """Stands for a kill right after a checkpoint: nothing that comes later is run."""


@pytest.mark.parametrize("last", range(1, 6))
def test_a_run_with_pretraining_goes_on_from_any_epoch(tmp_path, last):
    params = {
        "n_clusters": 5,
        "likelihood": "gaussian",
        "input_std": 5.0,
        "encoder_layers": [8],
        "decoder_layers": [8],
        "z_dim": 2,
        "gmm_restarts": 2,
        "pretrain_epochs": 2,
        "epochs": 3,
        "batch_size": 50,
    }

    def run(directory, kill_after=None):
        trainer = start_trainer(lambda params: build_vade(params, shape=(2,)), params, seed=1)
        data = make_spiral(0, n_train=500).train
        identity = {
            "model": "vade",
            "params": trainer.model.params,
            "seed": 1,
            "data": {"checksum": data.checksum()},
        }
        checkpoints = Checkpoints(directory, identity)
        checkpoints.restore(trainer, data)

        def kill(trainer, train_set):
            if trainer.n_epochs == kill_after:
                raise Killed

        trainer.listeners += [checkpoints, kill]
        with contextlib.suppress(Killed):
            trainer.fit_to_the_end(data)
        variables = trainer.session.graph.get_collection("variables")
        return [*map(np.array, trainer.history.values()), *trainer.session.run(variables)]

    calm = run(tmp_path / "calm")
    run(tmp_path / "killed", kill_after=last)
    assert len(list((tmp_path / "killed").glob("epoch-*"))) == min(last, 3)
    assert n_differences(run(tmp_path / "killed"), calm) == 0


# A disk that is full, a directory that cannot be written


def assert_refused_and_whole(run, directory, epoch):
    with pytest.raises(
        CheckpointError, match=rf"not written: .* last complete one is epoch-{epoch}"
    ):
        run.fit_to_the_end()
    assert not list(directory.glob("*.part"))


def test_a_file_that_may_not_grow(tmp_path, went_on):
    run = Run(tmp_path).fit_until(2)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        assert_refused_and_whole(run, tmp_path, "000002")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    went_on(
        "file size limit",
        "`RLIMIT_FSIZE` below a checkpoint's size",
        "ends with an error; resumes when there is space",
    )


def test_a_full_disk(tmp_path, went_on):
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", tmp_path]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        run = Run(tmp_path).fit_until(2)
        filler = tmp_path / "filler"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(bytes(4 << 20))
        assert_refused_and_whole(run, tmp_path, "000002")
        filler.unlink()
        went_on(
            "full disk",
            "a tmpfs filled to the last byte",
            "ends with an error; resumes when there is space",
        )
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_directory_that_cannot_be_written(tmp_path, fault_log):
    directory = tmp_path / "closed"
    directory.mkdir(mode=0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may write anywhere
    try:
        with pytest.raises(PermissionError, match="closed"), locked(directory):
            pytest.fail("the directory was locked")
    finally:
        os.seteuid(user)
    fault_log.append(
        {
            "fault": "unwritable directory",
            "made by": "mode 555, not root",
            "times": 1,
            "outcome": "refused before the training begins",
            "lost": len(list(directory.iterdir())),
        }
    )


# Checkpoints that are damaged or of another run


def cut_short(file):
    os.truncate(file, file.stat().st_size // 2)


def change_one_bit(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        (cut_short, "model.ckpt.data-00000-of-00001"),
        (cut_short, "state.npz"),
        (cut_short, "manifest.json"),
        (change_one_bit, "model.ckpt.data-00000-of-00001"),
        (change_one_bit, "state.npz"),
        (os.remove, "model.ckpt.index"),
        (os.remove, "manifest.json"),
    ],
)
def test_a_damaged_checkpoint(tmp_path, went_on, damage, name):
    Run(tmp_path).fit_until(3)
    damage(tmp_path / "epoch-000003" / name)
    run = Run(tmp_path)
    assert run.trainer.n_epochs == 2
    assert len(run.damage) == 1
    assert "epoch-000003 is damaged" in run.damage[0]
    assert (tmp_path / "epoch-000003.damaged").is_dir()
    went_on(
        {
            cut_short: "checkpoint cut short",
            change_one_bit: "checkpoint with a wrong bit",
            os.remove: "checkpoint without a file",
        }[damage],
        f"`{name}`",
        "is renamed; the run resumes from the checkpoint before",
    )


def test_nothing_but_damaged_checkpoints(tmp_path):
    Run(tmp_path).fit_until(2)
    for path in tmp_path.glob("epoch-*"):
        cut_short(path / "state.npz")
    with pytest.raises(
        CheckpointError, match=r"all checkpoints are damaged: .*epoch-000002.* bytes of"
    ):
        Run(tmp_path)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"z_dim": 3}, "its z_dim is 2, not 3"),
        ({"encoder_layers": [9]}, r"its encoder_layers is \[8\], not \[9\]"),
        ({"seed": 4}, "its seed is 3, not 4"),
        ({"data_seed": 1}, r"its checksum is \d+, not \d+"),
    ],
)
def test_a_checkpoint_of_another_run(tmp_path, fault_log, went_on, other, message):
    Run(tmp_path).fit_until(2)
    with pytest.raises(CheckpointError, match=rf"epoch-000002 is of another run: {message}"):
        Run(tmp_path, **other)
    went_on(
        "checkpoint of another run",
        f"other `{next(iter(other)).replace('data_seed', 'data')}`",
        "is refused; the run itself continues",
    )


def test_a_training_may_be_made_longer_but_not_shorter_than_it_is(tmp_path, expected):
    Run(tmp_path, epochs=3).fit_to_the_end()
    assert n_differences(Run(tmp_path).fit_to_the_end().end(), expected) == 0
    with pytest.raises(ValueError, match="'epochs' is 4: it must be at least 6, which are done"):
        Run(tmp_path, epochs=4).fit_to_the_end()


# Two runs in one directory


def hold(directory, held):
    with locked(directory):
        held.set()
        time.sleep(60)


def test_two_runs_in_one_directory(tmp_path, processes, went_on):
    Run(tmp_path).fit_until(2)
    held = processes.Event()
    process = processes.Process(target=hold, args=[tmp_path, held])
    process.start()
    try:
        assert held.wait(60)
        message = f"{tmp_path} is in use by another process"
        with pytest.raises(CheckpointError, match=message), locked(tmp_path):
            pytest.fail("two runs have the directory")
    finally:
        process.kill()
        process.join()
    with locked(tmp_path):  # a killed process holds nothing
        went_on("two runs in one directory", "a second process", "the second is refused")


# A loss that is no number


def test_a_loss_that_is_not_a_number(tmp_path, went_on):
    run = Run(tmp_path).fit_until(2)
    weights = run.trainer.session.graph.get_collection("trainable_variables")[0]
    weights.load(np.full(weights.shape, np.nan, np.float32), run.trainer.session)
    with pytest.raises(TrainingError, match="expected_expert_loss is nan after epoch 3"):
        run.fit_to_the_end()
    assert run.trainer.n_epochs == 2
    assert [path.name for path in run.checkpoints.paths()] == ["epoch-000001", "epoch-000002"]
    went_on(
        "NaN in the loss",
        "a weight set to NaN in memory",
        "ends with an error; resumes from the last checkpoint",
    )


def test_a_learning_rate_that_is_too_high(tmp_path):
    with pytest.raises(TrainingError, match=r"loss is (nan|inf) after epoch \d: .*which is 1e\+30"):
        Run(tmp_path, learning_rate=1e30).fit_to_the_end()


# Writing them


def test_checkpoints_are_written_every_n_epochs_and_at_the_end_and_the_last_are_kept(tmp_path):
    trainer, data = start_trainer(build_two_experts, {**PARAMS, "epochs": 7}, 0), random_data()
    trainer.listeners.append(Checkpoints(tmp_path, {}, every=2, keep=3))
    trainer.fit_to_the_end(data)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["epoch-000004", "epoch-000006", "epoch-000007"]
