"""When a run is worse than the reference: the rule of the purity gate.

Values are paired by seed, d = now - reference, and a test is one-sided: only a drop counts. Five
differences say little about their own variance, so it is moderated (Smyth, 2004): with s² the
variance of the differences and σ² that between the seeds of the reference,

    t = mean(d) / √(v / n),   v = (ν₀ · 2σ² + ν · s²) / (ν₀ + ν),

judged by Student's distribution with ν₀ + ν degrees of freedom, ν₀ and ν those of σ² and s². 2σ² is
the variance of a difference of two runs that have nothing in common but the data. A harmless change
of the code, another processor or another version of a library makes a training go another way, but
not further than that, so the rule is the same on every machine. σ is taken to be no less than the
measure's ``least``: else rows that always come out alike would make an alarm of a rounding.

A drop that all datasets share is looked for once more, in the sum of a method's t over them. All
tests share ``alpha`` equally (Bonferroni).

The ``exact`` methods train nothing. On the reference's processor and versions they must put as many
points right as there, not one less or more; elsewhere the last bits of an eigenvector differ, and
``moved_elsewhere`` points are allowed for those that lie on a border.

Whatever is not there, or not done, is a failure.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from benchmarks.gate.reference import MACHINE, cell_of


@dataclass(frozen=True)
class Verdict:
    """One row of the gate's judgement.

    Attributes
    ----------
    row : tuple of str
        Dataset ("all" where several are taken together), method, space.
    measure : str
        Empty where a row fails before anything is measured.
    passed : bool
    mean : float or None
        Mean difference, now less reference, in the measure's unit.
    limit : float or None
        Mean differences below it fail; None where nothing is tested.
    p : float or None
        Of as large a drop by chance.
    why : str
        What is wrong, or what was compared.
    """

    row: tuple[str, str, str]
    measure: str
    passed: bool
    mean: float | None = None
    limit: float | None = None
    p: float | None = None
    why: str = ""


def moderated_t(differences, sigma, df):
    """Moderated paired t of each row of differences.

    Parameters
    ----------
    differences : array, shape (..., n)
        Now less reference, a seed each; n at least 2.
    sigma : float or array, shape (...,)
        Deviation between seeds, above 0.
    df : int
        Degrees of freedom of `sigma`.

    Returns
    -------
    t, error : ndarray, shape (...,)
        The statistic and the standard error of the mean difference.
    df : int
        Degrees of freedom of t.

    Raises
    ------
    ValueError
        For fewer than two differences, or a sigma that is not above 0.
    """
    differences = np.asarray(differences, dtype=float)
    n = differences.shape[-1]
    if n < 2:
        raise ValueError(f"differences need at least 2 seeds, got {n}")
    if not np.all(np.asarray(sigma) > 0):
        raise ValueError(f"sigma must be above 0, got {sigma}")
    own = differences.var(axis=-1, ddof=1)
    variance = (df * 2 * np.square(sigma) + (n - 1) * own) / (df + n - 1)
    error = np.sqrt(variance / n)
    return differences.mean(axis=-1) / error, error, df + n - 1


def together(t, df: int):
    """Sum of the t of several rows, scaled to a standard normal variable: shape (..., rows)."""
    return np.sum(t, axis=-1) / np.sqrt(np.shape(t)[-1] * df / (df - 2))


def sigma_of(values, least: float) -> float:
    """Deviation between seeds that the rule believes: that of the values, at least `least`."""
    return max(float(np.std(values, ddof=1)), least)


def judge(reference: list[dict], found: list[dict], gate: dict, seeds) -> list[Verdict]:
    """Compare a run with the reference.

    Parameters
    ----------
    reference, found : list of dict
        ``dataset, method, space, seed, status, n`` and the measures, None where there is none.
        Rows of datasets that the run does not have are not looked at: leave out here what was not
        asked for.
    gate : dict
        ``measures``, ``exact``, ``moved_elsewhere`` and ``alpha`` of gate.toml.
    seeds : sequence of int
        Those that are paired; of exact methods the first, since others give the same.

    Returns
    -------
    list of Verdict
        Failures that need no test first, then exact rows, then the tests.
    """
    old, new = _table(reference), _table(found)
    failed, exact, pairs = [], [], []
    for row in dict.fromkeys([*new, *old]):
        fixed = row[1] in gate["exact"]
        paired = seeds[:1] if fixed else seeds
        trouble = _trouble(old.get(row, {}), new.get(row, {}), paired)
        if trouble:
            failed.append(Verdict(row, "", False, why=trouble))
        elif fixed:
            exact.append(_equal(row, old[row], new[row], paired, gate["moved_elsewhere"]))
        else:
            for measure in gate["measures"]:
                verdict = _paired(row, old[row], new[row], measure, seeds)
                (failed if isinstance(verdict, Verdict) else pairs).extend(
                    [verdict] if verdict else []
                )
    return failed + exact + _tests(pairs, gate)


def _table(rows) -> dict[tuple, dict[int, dict]]:
    table = defaultdict(dict)
    for row in rows:
        *place, seed = cell_of(row)
        table[tuple(place)][seed] = row
    return dict(table)


def _trouble(old: dict, new: dict, seeds) -> str:
    """Why a row cannot be compared at all, or empty."""
    said = []
    for name, rows in (("reference", old), ("run", new)):
        if absent := [seed for seed in seeds if seed not in rows]:
            said.append(
                f"not in the {name}: "
                + ("the row" if len(absent) == len(seeds) else f"seed {_words(absent)}")
            )
        for seed, row in rows.items():
            if row["status"] != "done" and (name == "reference" or seed in seeds):
                said.append(
                    f"seed {seed} of the {name} is {row['status']}"
                    + (f" ({row['reason']})" if row.get("reason") else "")
                )
    return "; ".join(said)


def _words(seeds) -> str:
    return ", ".join(map(str, seeds))


def _equal(row, old, new, seeds, elsewhere: int) -> Verdict:
    """Numbers of points in the right cluster, seed by seed."""
    moved, wrong = [], False
    for seed in seeds:
        was, now = ((r["n"], round(r["purity"] * r["n"] / 100)) for r in (old[seed], new[seed]))
        if was != now:
            moved.append(f"seed {seed}: {was[1]} of {was[0]} points, now {now[1]} of {now[0]}")
            same = all(old[seed].get(name) == new[seed].get(name) for name in MACHINE)
            wrong |= was[0] != now[0] or abs(was[1] - now[1]) > (0 if same else elsewhere)
    mean = float(np.mean([new[seed]["purity"] - old[seed]["purity"] for seed in seeds]))
    said = "; ".join(moved) + ("" if wrong or not moved else ": another machine, allowed")
    return Verdict(row, "purity", not wrong, mean, why=said or "equal, as it must be")


def _paired(row, old, new, measure, seeds):
    """(row, measure, differences, values of all reference seeds); None where neither has any."""
    values = {seed: r[measure] for seed, r in old.items()}
    now = {seed: new[seed][measure] for seed in seeds}
    if all(v is None for v in (*values.values(), *now.values())):
        return None
    if absent := [seed for seed in seeds if (values[seed] is None) != (now[seed] is None)]:
        why = f"not measured in both the run and the reference: seed {_words(absent)}"
        return Verdict(row, measure, False, why=why)
    if len(values) < 3 or None in values.values() or None in now.values():
        n = sum(v is not None for v in values.values())
        why = f"the reference needs values of at least 3 seeds, has {n}"
        return Verdict(row, measure, False, why=why)
    return (row, measure, np.array([now[s] - values[s] for s in seeds]), list(values.values()))


def _tests(pairs, gate) -> list[Verdict]:
    groups = defaultdict(list)  # a method and measure on several datasets
    for row, measure, differences, values in pairs:
        sigma = sigma_of(values, gate["measures"][measure]["least"])
        t, error, df = moderated_t(differences, sigma, len(values) - 1)
        groups[row[1], measure].append((row, float(t), float(error), df, differences))
    joint = {
        name: tests
        for name, tests in groups.items()
        if len(tests) > 1 and len({df for *_, df, _ in tests}) == 1
    }
    level = gate["alpha"] / max(1, len(pairs) + len(joint))
    single, several = [], []
    for (method, measure), tests in groups.items():
        for row, t, error, df, differences in tests:
            p, limit = float(student.cdf(t, df)), float(student.ppf(level, df) * error)
            moved = float(differences.mean()), limit, p, _pairs(differences)
            single.append(Verdict(row, measure, p >= level, *moved))
        if (method, measure) in joint:
            z = float(together([t for _, t, *_ in tests], tests[0][3]))
            p = float(norm.cdf(z))
            why = (
                f"{len(tests)} datasets together: {z:+.2f} standard errors, "
                f"fails below {norm.ppf(level):.2f}"
            )
            several.append(Verdict(("all", method, "any"), measure, p >= level, p=p, why=why))
    return single + several


def _pairs(differences) -> str:
    equal = int((differences == 0).sum())
    n = len(differences)
    return "identical" if equal == n else f"{n} seeds, {equal} of them identical"
