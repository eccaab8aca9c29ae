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


class Comparison(NamedTuple):
    """A difference of two means, and what is known of it.

    Attributes
    ----------
    difference, low, high : float
        The difference and its confidence interval, in the unit of the values.
    p_different : float
        Of the test that there is no difference, two-sided.
    p_level : float
        Of the test that the difference is as large as the margin, either way: the larger p of two
        one-sided tests (Schuirmann, 1987). At least 0.5 where the margin is 0.
    """

    difference: float
    low: float
    high: float
    p_different: float
    p_level: float

    @property
    def interval(self) -> Interval:
        """The confidence interval alone."""
        return Interval(self.low, self.high)


def welch(mean_a, std_a, n_a, mean_b, std_b, n_b, *, margin=0.0, confidence=0.95) -> Comparison:
    """mean_a - mean_b without assuming equal variances (Welch, 1947).

    Parameters
    ----------
    mean_a, mean_b, std_a, std_b : float
        Means and sample standard deviations (ddof = 1), in any one unit.
    n_a, n_b : int
        Sizes of the two samples, at least 2 each; `math.inf` of a value without chance, whose
        deviation is 0: the test is then that of one sample against a constant.
    margin : float
        From which a difference matters, at least 0.
    confidence : float
        Coverage of the interval, between 0 and 1.

    Raises
    ------
    ValueError
        For any of them outside its range.
    """
    for name, value in (("n_a", n_a), ("n_b", n_b)):
        if value < 2:
            raise ValueError(f"{name} must be at least 2 for an interval, got {value}")
    for name, value in (("std_a", std_a), ("std_b", std_b)):
        if not value >= 0:
            raise ValueError(f"{name} must be a deviation, at least 0, got {value}")
    a, b = std_a**2 / n_a, std_b**2 / n_b
    # a ratio first, so that tiny variances do not underflow when squared
    share = a / (a + b) if a + b else 0.0
    inverse = share**2 / (n_a - 1) + (1.0 - share) ** 2 / (n_b - 1)
    freedom = 1.0 / inverse if inverse else math.inf  # two constants: nothing is estimated
    return _student(mean_a - mean_b, math.sqrt(a + b), freedom, margin, confidence)


def paired(differences, *, margin=0.0, confidence=0.95) -> Comparison:
    """Student's tests of the mean of paired differences, at least 2 of them; see :func:`welch`.

    n differences that are all the same say no more than their sign n times: the p-values are then
    those of the sign test, and the interval is a point.
    """
    differences = _finite(differences)
    if len(differences) < 2:
        raise ValueError(f"differences must be at least 2 for an interval, got {len(differences)}")
    error = std(differences) / math.sqrt(len(differences))
    found = _student(mean(differences), error, len(differences) - 1, margin, confidence)
    if error == 0:
        sign = 0.5 ** len(differences)
        least = 2 * sign if found.difference else 1.0
        found = found._replace(p_different=least, p_level=max(found.p_level, sign))
    return found


def differences(a, b) -> dict[int, float]:
    """Seed -> `a` less `b`, two of seed -> value or None, where both have a value.

    To 1e-9: scores of one partition, numbered otherwise, differ in their last bits.
    """
    return {
        seed: round(a[seed] - b[seed], 9)
        for seed in sorted(a.keys() & b.keys())
        if None not in (a[seed], b[seed])
    }


def _student(difference, error, freedom, margin, confidence) -> Comparison:
    """Both tests of a difference with its standard error; exact where nothing varies.

    By the distribution itself: scipy's tests have no interval from printed moments, and warn of
    values that do not vary.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    if not margin >= 0:
        raise ValueError(f"margin must be at least 0, got {margin}")
    far = abs(difference)
    if error == 0:
        p_different, p_level, half = float(far == 0), float(far >= margin), 0.0
    else:
        p_different = 2 * student.sf(far / error, freedom)
        p_level = student.sf((margin - far) / error, freedom)
        half = student.ppf(0.5 + confidence / 2, freedom) * error
    return Comparison(
        *map(float, (difference, difference - half, difference + half, p_different, p_level))
    )


def holm(p) -> list[float]:
    """p-values adjusted for their number, in their order (Holm, 1979).

    Those of at most alpha are the tests that may be rejected together, with a chance of at most
    alpha that any of them is true.
    """
    p = _finite(p)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted.tolist()


def judged(found: Comparison, alpha=0.05) -> str:
    """`level`, `above` or `below`, or `unclear`, by the tests of a comparison.

    Level is shown, not inferred from a difference that is not: where the two one-sided tests say
    that the difference is less than the margin. Both may hold, of a small difference that is known
    well; level comes first.
    """
    if found.p_level <= alpha:
        return "level"
    if found.p_different <= alpha:
        return "above" if found.difference > 0 else "below"
    return "unclear"


def _finite(values) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.ndim != 1:
        raise ValueError(f"values need shape (n,), got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"values need finite numbers, got {values.tolist()}")
    return values
