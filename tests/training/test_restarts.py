"""Restarts: which one is kept, and which sessions are closed."""

import math
from types import SimpleNamespace

import pytest

from moe_vae.training import fit_restarts
from moe_vae.training.trainer import TrainingError


class Session:
    closed = False

    def close(self):
        self.closed = True


def starting(losses):
    """A function that starts a trainer with the next of these held-out losses.

    None fails, and "diverges" fails in training.
    """
    trainers = []

    def start(seed):
        def fit(*_, **__):
            if losses[seed] == "diverges":
                raise TrainingError("the loss is not finite")

        def evaluate(data_set):
            if losses[seed] is None:
                raise ValueError("the disk is full")
            return {"loss": losses[seed]}

        trainers.append(
            SimpleNamespace(
                model=SimpleNamespace(pretrain=lambda *_: None),
                session=Session(),
                stopped=False,
                interrupted=False,
                fit=fit,
                evaluate=evaluate,
            )
        )
        return trainers[-1]

    return start, trainers


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([math.nan, 5.0, 3.0], 2),
        ([3.0, math.nan, 5.0], 0),
        ([math.inf, 5.0], 1),
        ([math.nan, math.inf], 1),
        ([5.0, 3.0, 4.0], 1),
    ],
)
def test_a_loss_that_is_no_number_counts_as_infinite(losses, best):
    start, trainers = starting(losses)
    kept, found = fit_restarts(start, None, None, range(len(losses)))
    assert kept is trainers[best]
    assert list(found.values()) == pytest.approx(losses, nan_ok=True)
    assert [t.session.closed for t in trainers] == [t is not kept for t in trainers]


def test_a_restart_that_fails_leaves_no_session_open():
    start, trainers = starting([5.0, 3.0, None])
    with pytest.raises(ValueError, match="the disk is full"):
        fit_restarts(start, None, None, range(3))
    assert [trainer.session.closed for trainer in trainers] == [True] * 3


def test_a_restart_that_diverges_is_passed_over():
    start, trainers = starting(["diverges", 5.0, "diverges"])
    kept, found = fit_restarts(start, None, None, range(3))
    assert kept is trainers[1]
    assert list(found.values()) == pytest.approx([math.nan, 5.0, math.nan], nan_ok=True)
    assert [trainer.session.closed for trainer in trainers] == [True, False, True]


def test_if_every_restart_diverges_it_is_said():
    start, trainers = starting(["diverges"] * 2)
    with pytest.raises(TrainingError, match=r"diverged from each of the seeds \[0, 1\]"):
        fit_restarts(start, None, None, range(2))
    assert [trainer.session.closed for trainer in trainers] == [True] * 2
