"""The schedules against their formulas."""

import numpy as np
import pytest

from moe_vae.params import ParameterError
from moe_vae.schedules import SCHEDULES, Schedule, check_schedule, progress


def test_progress_is_the_share_of_the_epochs_that_are_over():
    assert [progress(epoch, 4) for epoch in range(6)] == [0, 0.25, 0.5, 0.75, 1, 1]
    assert progress(0, 0) == 1


def test_a_cosine_falls_from_one_and_would_reach_zero_after_the_last_epoch():
    expected = (1 + np.cos(np.pi * np.arange(6) / 5)) / 2
    schedule = Schedule("cosine", 5)
    assert [schedule.factor(epoch) for epoch in range(6)] == pytest.approx(expected)
    later = Schedule("cosine", 5, n_before=2)
    assert [later.factor(epoch) for epoch in range(4)] == pytest.approx(expected[2:])


def test_a_constant_does_not_change():
    assert {Schedule().factor(epoch) for epoch in range(9)} == {1.0}


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_begins_with_the_whole_rate_and_never_grows(name):
    factors = [Schedule(name, 7).factor(epoch) for epoch in range(8)]
    assert factors[0] == 1
    assert np.diff(factors).max() <= 0


def test_an_unknown_schedule_is_named():
    with pytest.raises(ParameterError, match="schedule is 'linearly': it must be one of constant"):
        check_schedule("linearly")
