"""Means, deviations and Welch's interval against scipy's t-test."""

import math
import statistics

import numpy as np
import pytest
from scipy.stats import ttest_ind, ttest_ind_from_stats

from benchmarks.report import stats

cases = [
    (71.2, 3.4, 10, 62.3, 3.1, 10),
    (80.0, 0.0, 10, 77.6, 3.1, 10),
    (50.0, 8.0, 3, 52.0, 1.0, 10),
    (1.0, 1e-3, 2, 1.0, 2.0, 7),
    (78.3, 9.0, 4, 78.3, 3.7, 10),
]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_interval_is_scipys(seed, confidence):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(70, 4, size=10), rng.normal(68, 1, size=3 + seed)
    expected = ttest_ind(a, b, equal_var=False).confidence_interval(confidence)
    interval = stats.welch_interval(
        stats.mean(a), stats.std(a), len(a), stats.mean(b), stats.std(b), len(b), confidence
    )
    assert interval == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("case", cases)
def test_an_end_of_the_interval_has_exactly_that_p_value(case):
    """Shifting one mean by the end of the interval makes scipy's p-value 0.05."""
    interval = stats.welch_interval(*case)
    for end in interval:
        shifted = (case[0] - end, *case[1:])
        p = ttest_ind_from_stats(*shifted, equal_var=False).pvalue
        assert p == pytest.approx(0.05, rel=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_verdict_follows_the_t_test(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(63 + 8 * rng.uniform(-1, 1), rng.uniform(0.5, 6), size=rng.integers(2, 11))
    test = ttest_ind_from_stats(
        values.mean(), values.std(ddof=1), len(values), 63.1, 4.2, 10, equal_var=False
    )
    expected = "level" if test.pvalue >= 0.05 else "above" if test.statistic > 0 else "below"
    assert stats.verdict(values, 63.1, 4.2) == expected


def test_verdict_is_empty_without_two_runs_or_a_printed_figure():
    assert stats.verdict([], 60.0, 3.0) == ""
    assert stats.verdict([90.0], 60.0, 3.0) == ""
    assert stats.verdict([90.0, 91.0], None, None) == ""
    assert stats.verdict([90.0, 91.0], 60.0, 3.0) == "above"


def test_mean_and_deviation():
    values = [61.5, 70.25, 68.0]
    assert stats.mean(values) == pytest.approx(statistics.mean(values))
    assert stats.std(values) == pytest.approx(statistics.stdev(values))
    assert math.isnan(stats.mean([])) and math.isnan(stats.std([])) and math.isnan(stats.std([1.0]))


def test_two_constants_differ_exactly():
    assert stats.welch_interval(80.0, 0.0, 10, 77.5, 0.0, 10) == (2.5, 2.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.0, 1.0, 1, 1.0, 1.0, 10), "n_a must be at least 2"),
        ((1.0, -1.0, 5, 1.0, 1.0, 10), "std_a must be a deviation"),
        ((1.0, 1.0, 5, 1.0, math.nan, 10), "std_b must be a deviation"),
    ],
)
def test_interval_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        stats.welch_interval(*arguments)


def test_a_missing_value_is_never_averaged():
    with pytest.raises(ValueError, match="finite"):
        stats.mean([70.0, math.nan])
