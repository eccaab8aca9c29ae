"""Means, deviations, intervals and tests against scipy's t-tests."""

import math
import statistics

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp, ttest_ind, ttest_ind_from_stats, ttest_rel

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
    moments = stats.mean(a), stats.std(a), len(a), stats.mean(b), stats.std(b), len(b)
    interval = stats.welch(*moments, confidence=confidence).interval
    assert interval == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("case", cases)
def test_an_end_of_the_interval_has_exactly_that_p_value(case):
    """Shifting one mean by the end of the interval makes scipy's p-value 0.05."""
    interval = stats.welch(*case).interval
    for end in interval:
        shifted = (case[0] - end, *case[1:])
        p = ttest_ind_from_stats(*shifted, equal_var=False).pvalue
        assert p == pytest.approx(0.05, rel=1e-6)


def test_mean_and_deviation():
    values = [61.5, 70.25, 68.0]
    assert stats.mean(values) == pytest.approx(statistics.mean(values))
    assert stats.std(values) == pytest.approx(statistics.stdev(values))
    assert math.isnan(stats.mean([])) and math.isnan(stats.std([])) and math.isnan(stats.std([1.0]))


def test_two_constants_differ_exactly():
    assert stats.welch(80.0, 0.0, 10, 77.5, 0.0, 10).interval == (2.5, 2.5)


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
        stats.welch(*arguments)


def test_a_missing_value_is_never_averaged():
    with pytest.raises(ValueError, match="finite"):
        stats.mean([70.0, math.nan])


@pytest.mark.parametrize("n", [2, 3, 10])
@pytest.mark.parametrize("margin", [0.5, 3.0])
def test_paired_comparison_is_scipys(n, margin):
    rng = np.random.default_rng(n)
    a, b = rng.normal(70, 4, size=n), rng.normal(69, 4, size=n)
    found = stats.paired(a - b, margin=margin)
    test = ttest_rel(a, b)
    assert found[:3] == pytest.approx((np.mean(a - b), *test.confidence_interval()))
    assert found.p_different == pytest.approx(test.pvalue)
    one_sided = (
        ttest_rel(a + margin, b, alternative="greater"),
        ttest_rel(a - margin, b, alternative="less"),
    )
    assert found.p_level == pytest.approx(max(one.pvalue for one in one_sided))


@pytest.mark.parametrize("case", cases)
@pytest.mark.parametrize("margin", [0.0, 1.0, 12.0])
def test_equivalence_is_two_one_sided_tests(case, margin):
    found = stats.welch(*case, margin=margin)
    p = [
        ttest_ind_from_stats(case[0] + shift, *case[1:], equal_var=False, alternative=side).pvalue
        for shift, side in ((margin, "greater"), (-margin, "less"))
    ]
    assert found.p_level == pytest.approx(max(p))
    assert found.p_different == pytest.approx(ttest_ind_from_stats(*case, equal_var=False).pvalue)


def test_a_value_without_chance_is_compared_by_the_test_of_one_sample():
    printed = np.random.default_rng(3).normal(68, 5, size=10)
    moments = printed.mean(), printed.std(ddof=1), 10
    found = stats.welch(70.0, 0.0, math.inf, *moments)
    test = ttest_1samp(printed, 70.0)
    assert found.p_different == pytest.approx(test.pvalue)
    low, high = test.confidence_interval()
    assert found.interval == pytest.approx((70.0 - high, 70.0 - low))


@pytest.mark.parametrize(("value", "n"), [(1.5, 3), (-0.25, 6)])
def test_of_differences_that_do_not_vary_only_the_signs_count(value, n):
    found = stats.paired([value] * n, margin=2.0)
    assert found[:3] == (value, value, value)
    assert found.p_different == pytest.approx(binomtest(n, n).pvalue)
    assert found.p_level == pytest.approx(binomtest(n, n, alternative="greater").pvalue)


def test_no_difference_at_all_is_none():
    assert stats.paired([0.0, 0.0]) == (0.0, 0.0, 0.0, 1.0, 1.0)


def test_holm_adjusts_as_worked_out_by_hand():
    """p(1) = 0.01 × 4, p(2) = 0.02 × 3, p(3) = 0.03 × 2 is raised to that of p(2), p(4) × 1."""
    assert stats.holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert stats.holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert stats.holm([0.7, 0.6]) == [1.0, 1.0] and stats.holm([]) == []


@pytest.mark.parametrize("seed", range(5))
def test_holm_rejects_what_stepping_down_rejects(seed):
    """The procedure as Holm states it: compare the k-th smallest with alpha / (m - k + 1), stop."""
    p = np.random.default_rng(seed).uniform(0, 0.06, size=8) ** 1.5
    alpha, rejected = 0.05, set()
    for k, index in enumerate(np.argsort(p)):
        if p[index] > alpha / (len(p) - k):
            break
        rejected.add(int(index))
    assert {i for i, q in enumerate(stats.holm(p)) if q <= alpha} == rejected and rejected


@pytest.mark.parametrize(
    ("difference", "error", "word"),
    [
        (0.5, 0.3, "level"),
        (-2.0, 0.3, "level"),  # different for certain, and by less than matters
        (6.0, 0.3, "above"),
        (-6.0, 0.3, "below"),
        (0.5, 3.0, "unclear"),  # not shown to differ, nor to be level
        (4.0, 2.5, "unclear"),
    ],
)
def test_level_is_shown_and_not_inferred(difference, error, word):
    std = error * math.sqrt(10)  # ten runs, against a constant
    assert stats.judged(stats.welch(difference, std, 10, 0.0, 0.0, 10, margin=3.0)) == word


@pytest.mark.parametrize(
    ("arguments", "message"), [({"margin": -1.0}, "margin must be"), ({"confidence": 1}, "confid")]
)
def test_comparison_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        stats.paired([1.0, 2.0], **arguments)


@pytest.mark.parametrize("n", [5, math.inf])
def test_two_values_without_chance_differ_exactly_or_not_at_all(n):
    found = stats.welch(80.0, 0.0, n, 79.0, 0.0, math.inf, margin=5.0)
    assert found.interval == (1.0, 1.0) and found.p_different == 0.0 and found.p_level == 0.0
    same = stats.welch(80.0, 0.0, n, 80.0, 0.0, math.inf)
    assert same.interval == (0.0, 0.0) and same.p_different == 1.0


def test_differences_are_of_seeds_that_both_have_and_know():
    found = stats.differences({3: 2.0, 0: 0.1 + 0.2, 1: None, 7: 1.0}, {0: 0.3, 1: 5.0, 3: 0.5})
    assert list(found.items()) == [(0, 0.0), (3, 1.5)]  # the last bits of 0.1 + 0.2 are no gain
