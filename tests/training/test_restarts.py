"""Restarts: which one is kept, and which sessions are closed."""

import math
from types import SimpleNamespace

import pytest

from moe_vae.training import fit_restarts


class Session:
    closed = False

    def close(self):
        self.closed = True


def starting(losses):
    """A function that starts a trainer with the next of these held-out losses; None fails."""
    trainers = []

    def start(seed):
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
                fit=lambda *_, **__: None,
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
