"""Rules: what a test of claims.toml makes of the records, a verdict for each of its parts.

Each is called with the evidence and the keys of the test. Only fresh runs count; a mean needs two.
All tests are at 5%, by 95% intervals.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.report import comparisons, notes, stats, table2, words
from benchmarks.report.claims.evidence import Evidence, Runs
from benchmarks.report.figures.growth import growth_frame

CONFIRMED, PARTLY, NOT = "confirmed", "partly", "not confirmed"
UNDECIDED, INCOMPARABLE = "undecided", "not comparable"
UNTESTABLE, NOT_RUN = "not testable", "not run"
VERDICTS = (CONFIRMED, PARTLY, NOT, UNDECIDED, INCOMPARABLE, UNTESTABLE, NOT_RUN)
LEAST = 2  # runs of a mean


class Part(NamedTuple):
    """What one test says of one thing.

    Attributes
    ----------
    what : str
        The dataset, the method, …
    verdict : str
        One of `VERDICTS`.
    said : str
        What was measured.
    value, low, high : float or None
        The quantity that is judged, with its 95% interval.
    n, n_asked, stale : int
        Fresh runs or pairs of them, those asked for, and those of older code only, left out.
    """

    what: str
    verdict: str = NOT_RUN
    said: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    n_asked: int = 0
    stale: int = 0


def together(verdicts) -> str:
    """The verdict of a claim whose parts have these; it holds if all do.

    What is not comparable says nothing. Where some hold and some do not it is "partly" true; what
    no other part settles stays undecided.
    """
    found = set(verdicts) - {INCOMPARABLE}
    if {CONFIRMED, NOT} <= found:
        return PARTLY
    return found.pop() if len(found) == 1 else UNDECIDED if found else INCOMPARABLE


def printed(
    evidence: Evidence,
    *,
    suite: str,
    datasets: list[str],
    methods: list[str],
    space: str = "",
    equal: bool = False,
) -> list[Part]:
    """Whether a purity is at least the printed one or, with `equal`, the same, as Table 1 says.

    That is: by `benchmarks.report.comparisons.judge`, of all rows of the suite. Where that is
    unclear it is at least the printed one if the interval lies above minus the margin of that
    table. Where the printed figure may be an accuracy, either may be the one that agrees.
    """
    parts, good = [], {"level"} if equal else {"level", "above"}
    for dataset, method in _rows(datasets, methods):
        row = evidence.row(suite, dataset, method, space)
        n = min(len(comparisons.fresh(row)), row["n_asked"])
        what = _what(evidence, dataset, datasets, method, methods)
        part = Part(what, n=n, n_asked=row["n_asked"], stale=row["stale"])
        found = {comparisons.said(row), comparisons.said(row, "acc_")} - {""}
        if found:
            low, high = row["less_paper_low"], row["less_paper_high"]
            if found == {"unclear"} and not equal and low > -comparisons.MARGIN:
                found = {"level"}  # or above; which, the table cannot tell
            part = part._replace(
                verdict=CONFIRMED if found & good else UNDECIDED if "unclear" in found else NOT,
                value=row["less_paper"],
                low=low,
                high=high,
            )
            there = words.pm(row["paper_mean"], row["paper_std"])
            said = f"{_mean(comparisons.fresh(row))} against {there}, {_interval(part)}"
            if row["acc_verdict"] or row["acc_p_level"] is not None:
                said += f", as accuracy {comparisons.said(row, 'acc_')}"
            part = part._replace(said=said)
        elif n and not all(o.get("comparable", True) for o in notes.holding(row, evidence.paper)):
            part = part._replace(verdict=INCOMPARABLE, said="other data than the paper's")
        parts.append(part)
    return parts


def figure(
    evidence: Evidence,
    *,
    suite: str,
    dataset: str,
    methods: list[str],
    column: str,
    model: str,
) -> list[Part]:
    """Whether a score of Table 2 is at least that printed for a model.

    By the tests of that table; a score that is level is as good, and, as of `printed`, one that the
    interval shows to be level or above.
    """
    parts, there = [], evidence.paper["table2"]["models"][model]
    for method in methods:
        runs = evidence.runs(suite, dataset, method, column)
        part = _few(_label(evidence, method), runs)
        if part.n >= LEAST:
            known = there["mean"], there["pm"], stats.PAPER_RUNS
            found = stats.welch(*_moments(runs), *known, margin=table2.MARGIN)
            part = _judged(part, found, ("level", "above"))
            if part.verdict == UNDECIDED and part.low > -table2.MARGIN:
                part = part._replace(verdict=CONFIRMED)
            said = f"{_mean(runs.values)} against {words.pm(*known[:2])}, {_interval(part)}"
            part = part._replace(said=said)
        parts.append(part)
    return parts


def difference(
    evidence: Evidence,
    *,
    suite: str,
    datasets: list[str],
    methods: list[str],
    against: str,
    column: str = "purity",
    margin: float = 0.0,
    space: str = "",
    against_space: str = "",
    against_suite: str = "",
    against_column: str = "",
) -> list[Part]:
    """Whether a method is above another on average, by Student's test of pairs of one seed.

    A difference shown to be smaller than `margin` is none.
    """
    parts = []
    for dataset, method in _rows(datasets, methods):
        there = against_suite or suite, dataset, against, against_column or column, against_space
        mine = evidence.runs(suite, dataset, method, column, space)
        pairs = _pairs(mine, evidence.runs(*there))
        part = _few(_what(evidence, dataset, datasets, method, methods), pairs)
        if part.n >= LEAST:
            found = stats.paired(list(pairs.values.values()), margin=margin)
            part = _judged(part, found, ("above",))
            part = part._replace(said=f"{_interval(part)} to {_label(evidence, against)}")
        parts.append(part)
    return parts


def best(
    evidence: Evidence,
    *,
    suite: str,
    datasets: list[str],
    method: str,
    rivals: list[str],
    within: float,
    column: str = "purity",
    space: str = "",
) -> list[Part]:
    """Whether on each dataset a method is nowhere more than `within` below a rival.

    Rivals compete in all their spaces, by intervals of differences paired by seed. The part shown
    is the rival that decides: one that is farther above, else one of which nothing is known yet,
    else the nearest.
    """
    parts = []
    for dataset in datasets:
        mine, found = evidence.runs(suite, dataset, method, column, space), []
        for rival in rivals:
            for there in evidence.spaces(suite, dataset, rival):
                pairs = _pairs(mine, evidence.runs(suite, dataset, rival, column, there))
                part = _few(_what(evidence, dataset), pairs)
                if part.n >= LEAST:
                    gap = stats.paired(list(pairs.values.values()))
                    part = _decided(part, gap.difference, gap.low, gap.high, -within)
                    part = part._replace(
                        said=f"{_interval(part)} to {_label(evidence, rival)} ({there})"
                    )
                found.append(part)
        decides = (NOT, NOT_RUN, UNDECIDED, CONFIRMED)
        parts.append(min(found, key=lambda p: (decides.index(p.verdict), p.value or 0.0)))
    return parts


def order(
    evidence: Evidence, *, suite: str, dataset: str, methods: list[str], column: str
) -> list[Part]:
    """Whether methods come in ascending order, each above the one before by Welch's test."""
    parts = []
    runs = [evidence.runs(suite, dataset, method, column) for method in methods]
    rows = list(zip(methods, runs, strict=True))
    for (low, a), (high, b) in itertools.pairwise(rows):
        part = _few(
            f"{_label(evidence, high)} above {_label(evidence, low)}",
            min(a, b, key=lambda one: len(one.values))._replace(stale=a.stale + b.stale),
        )
        if part.n >= LEAST:
            part = _judged(part, stats.welch(*_moments(b), *_moments(a)), ("above",))
            part = part._replace(said=_interval(part))
        parts.append(part)
    return parts


def share(
    evidence: Evidence,
    *,
    suite: str,
    datasets: list[str],
    methods: list[str],
    column: str,
    at_least: float | None = None,
    below: float | None = None,
    space: str = "",
) -> list[Part]:
    """Whether a column reaches a bound, or stays below it, in most runs.

    By the exact (Clopper-Pearson) interval of the share of runs, against a half.
    """
    from scipy.stats import binomtest

    if (at_least is None) == (below is None):
        raise TypeError("share needs either at_least or below")
    parts = []
    for dataset, method in _rows(datasets, methods):
        runs = evidence.runs(suite, dataset, method, column, space)
        part = _few(_what(evidence, dataset, datasets, method, methods), runs)
        if n := part.n:
            values = list(runs.values.values())
            hold = sum(v >= at_least if below is None else v < below for v in values)
            low, high = binomtest(hold, n).proportion_ci(0.95, "exact")
            part = _decided(part, hold / n, low, high, 0.5)._replace(
                said=f"{hold} of {n} runs, mean {column.replace('_', ' ')} {stats.mean(values):.4g}"
            )
        parts.append(part)
    return parts


def count(evidence: Evidence, *, suite: str, datasets: list[str]) -> list[Part]:
    """Whether the curves of all seeds together suggest the printed number of components."""
    from benchmarks.report import knee  # and the library, which the other rules do without

    stanza, parts = evidence.suite(suite)[0], []
    for dataset in datasets:
        (method,) = stanza["methods"]
        part = _few(_what(evidence, dataset), evidence.runs(suite, dataset, method, "done"))
        if part.n:
            _, row = knee.judge(evidence.fresh(suite), stanza, dataset)
            part = part._replace(
                verdict=CONFIRMED if row["suggested"] == row["paper"] else NOT,
                said=f"{row['suggested']}, printed {row['paper']}; found {row['found']}",
                value=row["suggested"],
            )
        parts.append(part)
    return parts


def cost(
    evidence: Evidence, *, suite: str, datasets: list[str], methods: list[str], against: str
) -> list[Part]:
    """Whether a method costs more than another where there are most points.

    That is: at the largest size that both were fitted to, or it had no time or memory left for one
    that the other was fitted to. One fit a size, so there is no interval.
    """
    parts = []
    for dataset, method in _rows(datasets, methods):
        runs = (evidence.runs(suite, dataset, name, "done") for name in (method, against))
        part = _few(_label(evidence, method).rpartition(": ")[2], _pairs(*runs))
        if part.n:
            frame = growth_frame(evidence.fresh(suite))
            frame = frame[frame.dataset == dataset]
            mine, theirs = (frame[frame.method == name] for name in (method, against))
            done = mine[mine.status == "done"].n, theirs[theirs.status == "done"].n
            left = mine[(mine.status != "done") & mine.n.isin(done[1])]
            if len(left):
                said = f"not fitted to {left.n.iloc[0]:,} points: {left.status.iloc[0]}"
                part = part._replace(verdict=CONFIRMED, said=said)
            elif n := max({*done[0]} & {*done[1]}, default=0):
                a, b = (float(rows[rows.n == n].seconds.iloc[0]) for rows in (mine, theirs))
                part = part._replace(
                    verdict=CONFIRMED if a > b else NOT,
                    said=f"{a:.3g} s against {b:.3g} s at {n:,} points",
                    value=a / b,
                )
        parts.append(part)
    return parts


#: By name.
RULES: dict[str, Callable[..., list[Part]]] = {
    rule.__name__: rule for rule in (printed, figure, difference, best, order, share, count, cost)
}


def _rows(datasets, methods):
    return [(dataset, method) for dataset in datasets for method in methods]


def _label(evidence, method) -> str:
    return evidence.methods[method]["label"]


def _what(evidence, dataset, datasets=(), method="", methods=()) -> str:
    """The dataset, and the method where a test has several of them."""
    if len(methods) < 2:
        return evidence.title(dataset)
    label = _label(evidence, method)
    return label if len(datasets) == 1 else f"{label} on {evidence.title(dataset)}"


def _mean(values: dict) -> str:
    """Mean and deviation of runs, in words."""
    found = list(values.values())
    return words.pm(stats.known(stats.mean, found), stats.known(stats.std, found))


def _moments(runs: Runs) -> tuple[float, float, int]:
    """Mean, deviation and number."""
    values = list(runs.values.values())
    return stats.mean(values), stats.std(values), len(values)


def _pairs(a: Runs, b: Runs) -> Runs:
    """Differences of the seeds that both have."""
    return Runs(stats.differences(a.values, b.values), min(a.n_asked, b.n_asked), a.stale + b.stale)


def _few(what: str, runs: Runs) -> Part:
    """A part that is not judged yet."""
    return Part(what, n=len(runs.values), n_asked=runs.n_asked, stale=runs.stale)


def _judged(part: Part, found: stats.Comparison, good) -> Part:
    word = stats.judged(found)
    verdict = CONFIRMED if word in good else UNDECIDED if word == "unclear" else NOT
    return part._replace(verdict=verdict, value=found.difference, low=found.low, high=found.high)


def _decided(part: Part, value, low, high, bound) -> Part:
    """By the side of a bound on which an interval lies."""
    verdict = CONFIRMED if low > bound else NOT if high < bound else UNDECIDED
    return part._replace(verdict=verdict, value=value, low=float(low), high=float(high))


def _interval(part: Part) -> str:
    return words.interval(part.value, part.low, part.high)
