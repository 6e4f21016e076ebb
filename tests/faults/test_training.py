"""Faults that a training meets, each really made, and what they cost: nothing.

One small training of each model and engine is the measure. However it is interrupted, a resumed run
must come to the same history, pictures and weights, bit for bit, as the run that nothing happened
to.
"""

import contextlib
import multiprocessing
import os
import resource
import shutil
import signal
import time
from typing import Any, NamedTuple

import numpy as np
import pytest
from forked import LOADS_TENSORFLOW
from kills import LONGEST_LIFE_SECONDS, N_KILLS, moments
from small_disks import filled
from tasks import PATIENCE

from moe_vae import DataSet, build_vade, make_spiral
from moe_vae.experiments.registry import builder
from moe_vae.training.checkpoints import CheckpointError, Checkpoints, locked
from moe_vae.training.trainer import StopTraining, TrainingError, start_trainer

pytestmark = pytest.mark.process

LAYERS = {"encoder_layers": [8], "decoder_layers": [8], "manager_layers": [8], "z_dim": 2}
SIZES = {"batch_size": 50, "epochs": 6}
HIERARCHY = {
    **LAYERS,
    "batch_size": 50,
    "n_experts": 2,
    "n_styles": 2,
    "cluster_encoder_layers": [8],
    "n_neighbours": 0,
    "pretrain_epochs": 0,
    "deskew": False,
    "routing_epochs": 1,
    "routing_batch_size": 50,
    "epochs": 5,
}
MOE = {**SIZES, "gate": "hierarchical", "n_clusters": 4}
ENDLESS = 100_000


class Case(NamedTuple):
    """A model and the engine that trains it.

    Attributes:
      model: a key of `MODELS`.
      engine: one of `ENGINES`.
      params: its parameters, for six epochs of all phases together.
      other: a parameter with which its checkpoint has other shapes.
      shape: of an example.
    """

    model: str
    engine: str
    params: dict[str, Any]
    other: dict[str, Any]
    shape: tuple[int, ...] = (28, 28)


CASES = [
    Case("mixture-of-vaes", "plain", {**LAYERS, **SIZES, "n_experts": 2}, {"z_dim": 3}),
    Case("mixture-of-vaes", "fused", {**LAYERS, **SIZES, "n_experts": 2}, {"z_dim": 3}),
    Case("hierarchy", "plain", HIERARCHY, {"z_dim": 3}),
    Case("hierarchy", "fused", HIERARCHY, {"z_dim": 3}),
    Case("moe", "plain", MOE, {"n_clusters": 6}, (2,)),
    Case("moe", "compiled", MOE, {"n_clusters": 6}, (2,)),
]
PLAIN = CASES[0]


# All faults of a case go to one worker of pytest-xdist, so that they share its undisturbed run.
@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            case,
            id=name,
            marks=[pytest.mark.xdist_group(name), *([] if case is PLAIN else [pytest.mark.long])],
        )
        for case in CASES
        for name in [f"{case.model}-{case.engine}"]
    ],
)
def case(request):
    return request.param


def random_data(case, seed=0):
    generator = np.random.default_rng(seed)
    images = generator.random([1230, int(np.prod(case.shape))], np.float32)
    targets = generator.random([1230, 1], np.float32) if case.model == "moe" else None
    return DataSet(images, generator.integers(0, 10, 1230), targets, case.shape)


class Run:
    """A run in a directory as the command line has it, from its start or its last checkpoint."""

    def __init__(self, directory, case=PLAIN, keep=3, seed=3, data_seed=0, **params):
        build = builder(case.model, case.shape, case.engine)
        self.trainer = start_trainer(build, {**case.params, **params}, seed)
        self.trainer.shows_progress = False
        self.data = random_data(case, data_seed)
        identity = {
            "model": case.model,
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
        """Trains until so many epochs of all phases are over; the last must be of phase "loss"."""

        def stop(trainer, train_set):
            if trainer.n_epochs >= epoch:
                raise StopTraining

        self.trainer.listeners.append(stop)
        self.trainer.fit_to_the_end(self.data)
        self.trainer.listeners.remove(stop)
        assert self.trainer.n_epochs == epoch
        return self

    def end(self):
        """Everything that a run ends with, as one list of arrays."""
        trainer = self.trainer
        ended = [
            *map(np.array, trainer.history.values()),
            np.array(trainer.samples),
            np.array(trainer.fixed_samples),
            *trainer.session.run(trainer.session.graph.get_collection("variables")),
        ]
        trainer.session.close()
        return ended


def n_differences(end, expected):
    """How many values of a run's end are not exactly those expected."""
    assert [part.shape for part in end] == [part.shape for part in expected]
    return int(sum((ours != theirs).sum() for ours, theirs in zip(end, expected, strict=True)))


@pytest.fixture(scope="module")
def expected(tmp_path_factory, case):
    """The end of the run that nothing happened to."""
    run = Run(tmp_path_factory.mktemp("calm"), case).fit_to_the_end()
    assert np.isfinite(run.trainer.history["loss"]).all()
    return run.end()


@pytest.fixture(scope="module")
def third_epoch(tmp_path_factory, case):
    """A directory with the checkpoints of a run's first three epochs."""
    directory = tmp_path_factory.mktemp("third")
    Run(directory, case).fit_until(3).trainer.session.close()
    return directory


@pytest.fixture
def saw(case, fault_log):
    """Function that records a fault of this case."""

    def record(fault, made_by, outcome, lost, times=1):
        of_case = {"model": case.model, "engine": case.engine}
        outcome = {"made by": made_by, "times": times, "outcome": outcome, "lost": lost}
        fault_log({"fault": fault, **of_case, **outcome})

    return record


@pytest.fixture
def went_on(tmp_path, case, expected, saw):
    """Function that resumes after a fault, compares the end, and records what was lost."""

    def check(fault, made_by, outcome):
        lost = n_differences(Run(tmp_path, case).fit_to_the_end().end(), expected)
        saw(fault, made_by, outcome, lost)
        assert lost == 0

    return check


# Killed


def live(directory, case, trains):
    """What a process that will be killed does."""
    with locked(directory):
        run = Run(directory, case, epochs=ENDLESS)
        run.trainer.listeners.append(lambda trainer, train_set: trains.set())
        run.fit_to_the_end()


def finish(directory, case, epochs, path):
    """What a process does that is not killed; it computes with as many threads as those were."""
    np.savez(path, *Run(directory, case, epochs=epochs).fit_to_the_end().end())


@pytest.fixture(scope="module")
def processes():
    """Processes forked from one that has imported the package, which takes seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADS_TENSORFLOW)
    return context


def test_a_run_killed_twenty_times_ends_as_one_never_killed(tmp_path, processes, case, saw):
    cut_off = []
    for number, moment in enumerate(moments(f"{case.model}, {case.engine}")):
        trains = processes.Event()
        process = processes.Process(target=live, args=[tmp_path, case, trains])
        process.start()
        if number % 4:  # every fourth may be killed before its first epoch is over
            assert trains.wait(PATIENCE)
        time.sleep(moment)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "the training ended before it was killed"
        cut_off.append(max((path.name for path in tmp_path.glob("epoch-??????")), default="none"))
    assert len(set(cut_off)) > N_KILLS / 2, cut_off
    of_loss = int(cut_off[-1][-6:]) - case.params.get("routing_epochs", 0)
    ends = []
    for directory in (tmp_path, tmp_path / "calm"):
        path = tmp_path / f"{len(ends)}.npz"
        process = processes.Process(target=finish, args=[directory, case, of_loss + 3, path])
        process.start()
        process.join()
        with np.load(path) as arrays:
            ends.append([arrays[name] for name in arrays.files])
    lost = n_differences(*ends)
    made_by = f"SIGKILL, within {LONGEST_LIFE_SECONDS} s of training"
    saw("killed", made_by, "resumes to the same end", lost, N_KILLS)
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


def test_a_file_that_may_not_grow(tmp_path, case, went_on):
    run = Run(tmp_path, case).fit_until(2)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, before[1]))
    try:
        assert_refused_and_whole(run, tmp_path, "000002")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    went_on(
        "file size limit",
        "`RLIMIT_FSIZE` below a checkpoint's size",
        "ends with an error; resumes when there is space",
    )


def test_a_full_disk(tmp_path, case, went_on):
    with filled(tmp_path) as fill:
        run = Run(tmp_path, case).fit_until(2)
        free = fill()
        assert_refused_and_whole(run, tmp_path, "000002")
        free()
        went_on(
            "full disk",
            "a tmpfs filled to the last byte",
            "ends with an error; resumes when there is space",
        )


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
    fault_log(
        {
            "fault": "unwritable directory",
            "model": "any",
            "engine": "any",
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
def test_a_damaged_checkpoint(tmp_path, case, third_epoch, expected, saw, damage, name):
    shutil.copytree(third_epoch, tmp_path, dirs_exist_ok=True)
    damage(tmp_path / "epoch-000003" / name)
    run = Run(tmp_path, case)
    assert run.trainer.n_epochs == 2
    assert len(run.damage) == 1
    assert "epoch-000003 is damaged" in run.damage[0]
    assert (tmp_path / "epoch-000003.damaged").is_dir()
    fault = {
        cut_short: "checkpoint cut short",
        change_one_bit: "checkpoint with a wrong bit",
        os.remove: "checkpoint without a file",
    }[damage]
    lost = n_differences(run.fit_to_the_end().end(), expected)
    saw(fault, f"`{name}`", "is renamed; the run resumes from the checkpoint before", lost)
    assert lost == 0


def test_nothing_but_damaged_checkpoints(tmp_path):
    Run(tmp_path).fit_until(2)
    for path in tmp_path.glob("epoch-*"):
        cut_short(path / "state.npz")
    with pytest.raises(
        CheckpointError, match=r"all checkpoints are damaged: .*epoch-000002.* bytes of"
    ):
        Run(tmp_path)


def test_a_checkpoint_of_another_run(tmp_path, case, third_epoch, went_on, saw):
    shutil.copytree(third_epoch, tmp_path, dirs_exist_ok=True)
    (size,) = case.other
    others = {
        size: (case.other, f"its {size} is {case.params[size]}, not {case.other[size]}"),
        "batch_size": ({"batch_size": 40}, "its batch_size is 50, not 40"),
        "seed": ({"seed": 4}, "its seed is 3, not 4"),
        "data": ({"data_seed": 1}, r"its checksum is \d+, not \d+"),
    }
    for change, message in others.values():
        with pytest.raises(CheckpointError, match=f"epoch-000003 is of another run: {message}"):
            Run(tmp_path, case, **change)
    went_on(
        "checkpoint of another run",
        ", ".join(f"other `{name}`" for name in others),
        "is refused; the run itself continues",
    )


def test_a_training_may_be_made_longer_but_not_shorter_than_it_is(tmp_path):
    Run(tmp_path, epochs=3).fit_to_the_end()
    longer = Run(tmp_path).fit_to_the_end()
    calm = Run(tmp_path / "calm").fit_to_the_end()
    assert n_differences(longer.end(), calm.end()) == 0
    with pytest.raises(ValueError, match="'epochs' is 4: it must be at least 6, which are done"):
        Run(tmp_path, epochs=4).fit_to_the_end()


# Two runs in one directory


def hold(directory, held):
    with locked(directory):
        held.set()
        time.sleep(PATIENCE)


def test_two_runs_in_one_directory(tmp_path, processes, third_epoch, went_on):
    shutil.copytree(third_epoch, tmp_path, dirs_exist_ok=True)
    held = processes.Event()
    process = processes.Process(target=hold, args=[tmp_path, held])
    process.start()
    try:
        assert held.wait(PATIENCE)
        message = f"{tmp_path} is in use by another process"
        with pytest.raises(CheckpointError, match=message), locked(tmp_path):
            pytest.fail("two runs have the directory")
    finally:
        process.kill()
        process.join()
    with locked(tmp_path):  # a killed process holds nothing
        went_on("two runs in one directory", "a second process", "the second is refused")


# A loss that is no number


def test_a_loss_that_is_not_a_number(tmp_path, case, went_on):
    run = Run(tmp_path, case).fit_until(2)
    weights = run.trainer.variables().items()
    run.trainer.load_variables({name: np.full_like(value, np.nan) for name, value in weights})
    with pytest.raises(TrainingError, match="is nan after epoch 3"):
        run.fit_to_the_end()
    assert run.trainer.n_epochs == 2
    assert [path.name for path in run.checkpoints.paths()] == ["epoch-000001", "epoch-000002"]
    went_on(
        "NaN in the loss",
        "the weights set to NaN in memory",
        "ends with an error; resumes from the last checkpoint",
    )


def test_a_learning_rate_that_is_too_high(tmp_path):
    with pytest.raises(TrainingError, match=r"loss is (nan|inf) after epoch \d: .*which is 1e\+30"):
        Run(tmp_path, learning_rate=1e30).fit_to_the_end()


# Writing them


def test_checkpoints_are_written_every_n_epochs_and_at_the_end_and_the_last_are_kept(tmp_path):
    build = builder(PLAIN.model, PLAIN.shape)
    trainer, data = start_trainer(build, {**PLAIN.params, "epochs": 7}, 0), random_data(PLAIN)
    trainer.listeners.append(Checkpoints(tmp_path, {}, every=2, keep=3))
    trainer.fit_to_the_end(data)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["epoch-000004", "epoch-000006", "epoch-000007"]
