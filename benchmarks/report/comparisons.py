"""What rows of Table 1 show: against the paper's figures, against the start, against each other.

Rows are those of `benchmarks.report.summary`, with their runs. But for printed figures, of which
only moments are known, all is paired by seed. Nothing is concluded from runs that are stale.
"""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import combinations

from benchmarks.report import layout, notes, stats, words
from benchmarks.report.table import Table

#: Points that are taken to matter. Two methods of the same mean and of the deviation that the paper
#: prints (median 3.7), ten runs each, are shown to be level within it four times in five (before
#: Holm's adjustment): with less, the printed runs could hardly show anything to be level.
MARGIN = 5.0
ALPHA = 0.05
#: Columns of a verdict in table1.csv, after that of the verdict itself.
TESTED = ("less_paper", "less_paper_low", "less_paper_high", "p_different", "p_level")
#: Columns of a gain.
GAINS = ("dataset", "what", "n", "gain", "low", "high")
PAIRS = ("dataset", "a", "a_space", "b", "b_space", "n", "difference", "low", "high", "p", "p_holm")


def judge(rows, paper) -> None:
    """Set `verdict`, `acc_verdict` and their `TESTED` (those of accuracy with ``acc_`` before).

    Against each printed figure two tests (`stats.welch`), of no difference and of one of `MARGIN`
    or more; the p-values are adjusted for the number of all of them in the table (Holm). A figure
    that may be an accuracy is compared with ours too. Empty where fewer than two fresh runs, no
    figure, or other data than the paper's leave nothing to compare; a verdict is empty also where
    the tests show nothing (see :func:`said`).
    """
    tests = []
    for row in rows:
        for prefix in ("", "acc_"):
            row |= {f"{prefix}verdict": "", **dict.fromkeys(prefix + name for name in TESTED)}
        held = notes.holding(row, paper)
        if row["paper_mean"] is None or not all(note.get("comparable", True) for note in held):
            continue
        either = any("accuracy" in note for note in held)
        for measure in ("purity", "acc") if either else ("purity",):
            values = list(fresh(row, measure).values())
            if len(values) > 1:
                chance = (0.0, math.inf) if row["alike"] else (stats.std(values), len(values))
                printed = row["paper_mean"], row["paper_std"], row["paper_runs"]
                found = stats.welch(stats.mean(values), *chance, *printed, margin=MARGIN)
                tests.append((row, "" if measure == "purity" else "acc_", found))
    adjusted = stats.holm([p for *_, found in tests for p in (found.p_different, found.p_level)])
    for i, (row, prefix, found) in enumerate(tests):
        found = found._replace(p_different=adjusted[2 * i], p_level=adjusted[2 * i + 1])
        word = stats.judged(found, ALPHA)
        row[f"{prefix}verdict"] = "" if word == "unclear" else word
        row |= {prefix + name: value for name, value in zip(TESTED, found, strict=True)}


def said(row, prefix="") -> str:
    """A row's verdict in a word: `unclear` where it was tested, empty where it was not."""
    return row[f"{prefix}verdict"] or ("unclear" if row[f"{prefix}p_level"] is not None else "")


def verdicts(row) -> str:
    """All that is said of a row beside its printed figure, such as "above, as accuracy below"."""
    accuracy = said(row, "acc_")
    return ", as accuracy ".join([said(row), accuracy] if accuracy else [said(row)])


def fresh(row, measure="purity") -> dict[int, float]:
    """Seed -> value, in percent, of the runs of a row that are not stale."""
    return {
        seed: run[measure]
        for seed, run in row["runs"].items()
        if not run["stale"] and run[measure] is not None
    }


def paired(a, b) -> stats.Comparison | None:
    """Purity of row `a` less that of `b` over the fresh seeds of both; None below two seeds."""
    found = list(stats.differences(fresh(a), fresh(b)).values())
    if len(found) < 2:
        return None
    if a["alike"] and b["alike"]:  # no chance on either side
        return stats.Comparison(*[found[0]] * 3, float(found[0] == 0), 1.0)
    return stats.paired(found)


def best(rows) -> set[tuple]:
    """(dataset, method, space) of the highest mean purity of each dataset, and what ties with it.

    Of rows with all the runs that were asked for, at least two, none stale. A tie is a row whose
    purity, paired by seed, does not differ significantly from the highest (Holm, a dataset).
    """
    found = set()
    for mine in _by_dataset(rows).values():
        whole = (row for row in mine if row["n"] == row["n_asked"])
        full = [row for row in whole if len(fresh(row)) == len(row["runs"]) > 1]
        if full:
            top = max(full, key=lambda row: row["purity_mean"])
            tests = [(row, paired(top, row)) for row in full if row is not top]
            p = stats.holm([1.0 if test is None else test.p_different for _, test in tests])
            ties = [row for (row, _), value in zip(tests, p, strict=True) if value > ALPHA]
            found |= {key(row) for row in (top, *ties)}
    return found


def pairs(rows) -> list[dict]:
    """`PAIRS` of every two rows of a dataset: ``a`` less ``b``, the p-values also by Holm.

    Beside them ``features``, those of both.
    """
    found = []
    for mine in _by_dataset(rows).values():
        tests = [(a, b, paired(a, b)) for a, b in combinations(mine, 2)]
        tests = [test for test in tests if test[2]]
        adjusted = stats.holm([test.p_different for *_, test in tests])
        for (a, b, test), p in zip(tests, adjusted, strict=True):
            n = len(fresh(a).keys() & fresh(b).keys())
            values = *key(a), *key(b)[1:], n, *test[:4], p
            of = {"features": (a["features"], b["features"])}
            found.append(dict(zip(PAIRS, values, strict=True)) | of)
    return found


def matrices(found, datasets, n_asked) -> list[str]:
    """`pairs` on the same features in Markdown: a triangle a dataset, its row less its column.

    What was made of several kinds stands with each of them, but not with raw features beside codes.
    """
    lines = []
    for dataset, mine in _by_dataset(found).items():
        spaces = dict.fromkeys(of for pair in mine for of in pair["features"])
        alone = [space for space in spaces if space not in layout.JOINT]
        for space in sorted(alone or spaces, key="raw".__eq__):
            also = () if space == "raw" and "code" in spaces else layout.JOINT
            of = {(p["b"], p["a"]): p for p in mine if {*p["features"]} <= {space, *also}}
            names = list(dict.fromkeys(name for pair in of for name in reversed(pair)))
            if of:
                lines += ["", f"### {datasets[dataset].get('title', dataset)}, {space}", ""]
                body = [
                    (name, *(_pair(of.get((name, other)), n_asked) for other in names[:-1]))
                    for name in names[1:]
                ]
                lines.append(Table(("", *names[:-1]), body).markdown())
    return lines


def _pair(pair, n_asked) -> str:
    """`pairs` has the earlier row less the later one; a matrix reads the other way."""
    if pair is None:
        return ""
    text = words.interval(-pair["difference"], -pair["high"], -pair["low"])
    text = f"**{text}**" if pair["p_holm"] <= ALPHA else text
    return text + (f" ({pair['n']})" if pair["n"] < n_asked else "")


def gains(rows, methods, paper) -> list[dict]:
    """`GAINS`: by how much the purity of a mixture lies above that of the partition it starts from.

    ``what`` is ``paper`` (its mixture less its k-means, of printed means, Welch) or a method
    (paired by seed over ``n`` seeds, at least two). A mixture that was chosen from several starts
    where these did, at the reference of the choice. ``stale`` counts the runs among the pairs that
    are: they are shown, with a mark.
    """
    found = []
    for dataset, mine in _by_dataset(rows).items():
        printed = paper["mnist"] if dataset == "mnist" else paper["table1"]["datasets"].get(dataset)
        if printed:
            a, b, n = printed["mixnet"], printed["kmeans"], stats.PAPER_RUNS
            test = stats.welch(a["mean"], a["std"], n, b["mean"], b["std"], n)
            found.append(_gain(dataset, "paper", n, test, 0))
        by = {(row["method"], row["space"]): row for row in mine}
        coded = any(row["space"] == "code" == row["features"] for row in mine)
        for row in mine:
            needs = methods[row["method"]].get("needs", {})
            start, _, space = needs.get("start", needs.get("reference", "")).partition("/")
            there = by.get((start, space)) or (None if coded else by.get((start, "raw")))
            a, b = row["runs"], there["runs"] if there else {}
            gained = stats.differences(
                *({seed: run["purity"] for seed, run in runs.items()} for runs in (a, b))
            )
            if len(gained) > 1:
                test = stats.paired(list(gained.values()))
                stale = sum(a[seed]["stale"] or b[seed]["stale"] for seed in gained)
                found.append(_gain(dataset, row["method"], len(gained), test, stale))
    return found


def _gain(dataset, what, n, test, stale) -> dict:
    return dict(zip(GAINS, (dataset, what, n, *test[:3]), strict=True)) | {"stale": stale}


def gain_table(found, methods, datasets) -> Table:
    """`gains`, a line for each dataset; the paper's first."""
    names = list(dict.fromkeys(gain["what"] for gain in found))
    names.sort(
        key=lambda name: (name != "paper", list(methods).index(name) if name in methods else 0)
    )
    cells = defaultdict(dict)
    for gain in found:
        text = words.interval(gain["gain"], gain["low"], gain["high"])
        runs = "" if gain["what"] == "paper" else f" ({gain['n']})"
        stale = f", *{gain['stale']} stale*" if gain["stale"] else ""
        cells[gain["dataset"]][gain["what"]] = text + runs + stale
    head = [methods[name]["label"] if name in methods else "Paper" for name in names]
    lines = [
        (datasets[name].get("title", name), *(line.get(what, "") for what in names))
        for name, line in cells.items()
    ]
    return Table(("Dataset", *head), lines)


def key(row) -> tuple[str, str, str]:
    """What a row is of."""
    return row["dataset"], row["method"], row["space"]


def _by_dataset(rows) -> dict[str, list[dict]]:
    found = defaultdict(list)
    for row in rows:
        found[row["dataset"]].append(row)
    return found
