"""The comparison of two samples, against counting by hand and simulation."""

import itertools

import numpy as np
import pytest
from scipy import stats

from moe_vae.evaluation.comparison import compare_samples


def test_the_p_value_is_the_share_of_divisions():
    first, second = np.array([1.0, 4.0, 6.0]), np.array([2.0, 8.0, 9.0, 7.0])
    values = np.concatenate([first, second])
    observed = abs(first.mean() - second.mean())
    differences = []
    for chosen in itertools.combinations(range(7), 3):
        rest = [i for i in range(7) if i not in chosen]
        differences.append(abs(values[list(chosen)].mean() - values[rest].mean()))
    share = np.mean(np.array(differences) >= observed - 1e-12)
    compared = compare_samples(first, second)
    assert compared.difference == pytest.approx(first.mean() - second.mean())
    assert compared.p_value == pytest.approx(share)
    np.testing.assert_allclose(compared.quantiles[0], [1, 2.5, 4, 5, 6])
    np.testing.assert_allclose(compared.quantiles[1], [2, 5.75, 7.5, 8.25, 9])


def test_equal_samples_do_not_differ():
    values = np.arange(10.0)
    compared = compare_samples(values, values)
    assert compared.difference == 0
    assert compared.p_value == pytest.approx(1)


def test_the_detectable_difference_is_found_four_times_in_five():
    """By simulation: normal samples of ten whose means differ by what is said to be detectable."""
    random = np.random.default_rng(0)
    unit = random.standard_normal(10)
    unit = (unit - unit.mean()) / unit.std(ddof=1)
    gap = compare_samples(unit, unit).detectable
    p_values = stats.ttest_ind(
        random.standard_normal([20_000, 10]), gap + random.standard_normal([20_000, 10]), axis=1
    ).pvalue
    assert (p_values < 0.05).mean() == pytest.approx(0.8, abs=0.015)


def test_one_value_is_refused():
    with pytest.raises(ValueError, match="1 and 3 values"):
        compare_samples(np.ones(1), np.ones(3))
