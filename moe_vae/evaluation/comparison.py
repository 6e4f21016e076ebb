"""Do two samples come from one distribution? Quantiles, a permutation test, and its power."""

from typing import NamedTuple

import numpy as np

__all__ = ["QUANTILES", "Comparison", "compare_samples"]

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
LEVEL, POWER = 0.05, 0.8
# All ways to divide twenty values into two tens are 184,756; so these are counted, not drawn.
N_DIVISIONS = 200_000


class Comparison(NamedTuple):
    """What two samples of one score tell.

    Attributes:
      quantiles: float array [2, 5], the quantiles 0, 0.25, 0.5, 0.75 and 1 of each sample.
      difference: the first sample's mean minus the second's.
      p_value: share of the divisions of all values into two samples of these sizes whose means
        differ at least as much.
      detectable: the difference of means that a two-sided test at 5 % finds with probability 0.8,
        for normal scores with the samples' pooled standard deviation s, about
        (t(0.975) + t(0.8)) s sqrt(1 / n + 1 / m) with Student's quantiles of n + m - 2 degrees
        of freedom.
    """

    quantiles: np.ndarray
    difference: float
    p_value: float
    detectable: float


def compare_samples(first: np.ndarray, second: np.ndarray) -> Comparison:
    """Compares two samples of one score by their quantiles and by a permutation test of the means.

    Args:
      first, second: float arrays [n] and [m], one value a run; at least two values each.

    Returns:
      A `Comparison`.

    Raises:
      ValueError: a sample has fewer than two values.
    """
    from scipy import stats

    n, m = len(first), len(second)
    if min(n, m) < 2:
        raise ValueError(f"the samples have {n} and {m} values: each must have at least 2")
    test = stats.permutation_test(
        (first, second),
        lambda one, other, axis: np.abs(np.mean(one, axis=axis) - np.mean(other, axis=axis)),
        alternative="greater",
        permutation_type="independent",
        n_resamples=N_DIVISIONS,
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    n_free = n + m - 2
    squares = (n - 1) * np.var(first, ddof=1) + (m - 1) * np.var(second, ddof=1)
    deviations = sum(stats.t.ppf([1 - LEVEL / 2, POWER], n_free))
    return Comparison(
        np.stack([np.quantile(first, QUANTILES), np.quantile(second, QUANTILES)]),
        float(np.mean(first) - np.mean(second)),
        float(test.pvalue),
        float(deviations * np.sqrt(squares / n_free) * np.sqrt(1 / n + 1 / m)),
    )
