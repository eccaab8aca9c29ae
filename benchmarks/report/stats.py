"""Means over seeds and their comparison with a printed mean and deviation."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

PAPER_RUNS = 10  # "We run experiments 10 times to obtain the results in the table" (§4.1.2)


class Interval(NamedTuple):
    """Confidence interval [low, high] of a difference of two means."""

    low: float
    high: float


def mean(values) -> float:
    """Mean of the values, nan where there are none; a nan among them is a ValueError."""
    values = _finite(values)
    return float(values.mean()) if len(values) else math.nan


def std(values) -> float:
    """Sample standard deviation (ddof = 1), nan for fewer than two values."""
    values = _finite(values)
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan


def known(measure, values) -> float | None:
    """`mean` or `std` of those values that are not None; None where it has no number."""
    found = measure([value for value in values if value is not None])
    return None if math.isnan(found) else found


def welch_interval(mean_a, std_a, n_a, mean_b, std_b, n_b, confidence=0.95) -> Interval:
    """Interval of mean_a - mean_b without assuming equal variances (Welch, 1947).

    Parameters
    ----------
    mean_a, mean_b, std_a, std_b : float
        Means and sample standard deviations (ddof = 1), in any one unit.
    n_a, n_b : int
        Sizes of the two samples, at least 2 each.
    confidence : float
        Coverage, between 0 and 1.
    """
    for name, value in (("n_a", n_a), ("n_b", n_b)):
        if value < 2:
            raise ValueError(f"{name} must be at least 2 for an interval, got {value}")
    for name, value in (("std_a", std_a), ("std_b", std_b)):
        if not value >= 0:
            raise ValueError(f"{name} must be a deviation, at least 0, got {value}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    a, b = std_a**2 / n_a, std_b**2 / n_b
    difference = mean_a - mean_b
    if a + b == 0:  # both are constants: the difference is known exactly
        return Interval(difference, difference)
    share = a / (a + b)  # a ratio first, so that tiny variances do not underflow when squared
    freedom = 1.0 / (share**2 / (n_a - 1) + (1.0 - share) ** 2 / (n_b - 1))
    half = student.ppf(0.5 + confidence / 2, freedom) * math.sqrt(a + b)
    return Interval(difference - half, difference + half)


def paired_interval(differences, confidence=0.95) -> Interval:
    """Student's interval of the mean of paired differences; at least 2 of them."""
    differences = _finite(differences)
    if len(differences) < 2:
        raise ValueError(f"differences must be at least 2 for an interval, got {len(differences)}")
    middle, error = differences.mean(), std(differences) / math.sqrt(len(differences))
    half = student.ppf(0.5 + confidence / 2, len(differences) - 1) * error
    return Interval(float(middle - half), float(middle + half))


def verdict(values, paper_mean, paper_std, paper_n=PAPER_RUNS) -> str:
    """`above`, `level` or `below` the paper, or empty.

    By the 95% Welch interval of the difference between the mean of `values` and the printed mean
    with its deviation and number of runs. Empty where fewer than two values or no printed figure
    (`paper_mean` or `paper_std` None) leave nothing to compare.
    """
    if paper_mean is None or paper_std is None or len(values) < 2:
        return ""
    low, high = welch_interval(
        mean(values), std(values), len(values), paper_mean, paper_std, paper_n
    )
    return "above" if low > 0 else "below" if high < 0 else "level"


def _finite(values) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.ndim != 1:
        raise ValueError(f"values need shape (n,), got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"values need finite numbers, got {values.tolist()}")
    return values
