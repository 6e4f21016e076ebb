"""scikit-learn's own checks of all estimators."""

import estimators_small as small
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

pytestmark = [
    pytest.mark.estimators,
    pytest.mark.filterwarnings("ignore:.*is marked as expected to fail"),
]

# What an estimator cannot pass, by its name and the check's, with the reason: at most five in all.
EXPECTED_FAILURES: dict[str, dict[str, str]] = {}


def checks_of(build):
    """Returns a test that runs all checks of one estimator."""

    @parametrize_with_checks(
        [build()],
        expected_failed_checks=lambda each: EXPECTED_FAILURES.get(type(each).__name__, {}),
    )
    def test_passes(self, estimator, check):
        check(estimator)

    return test_passes


# A class each, so that two processes can share them.


class TestConditionalVAE:
    test_passes = checks_of(small.conditional)


class TestMixtureOfVAEs:
    test_passes = checks_of(small.mixture)


class TestHierarchicalMixture:
    test_passes = checks_of(small.hierarchy)


class TestVaDE:
    test_passes = checks_of(small.vade)


class TestDMVAE:
    test_passes = checks_of(small.dmvae)


class TestRegressor:
    test_passes = checks_of(small.regressor)


class TestClassifier:
    test_passes = checks_of(small.classifier)


def test_at_most_five_checks_are_expected_to_fail():
    assert sum(map(len, EXPECTED_FAILURES.values())) <= 5
