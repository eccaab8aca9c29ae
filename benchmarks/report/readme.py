"""The block of the README that is made from records: verdict, figure, and the headline table.

`mixnet readme` writes it between two markers; a test compares what stands there with what the
records give. The verdict is that of the claims (`benchmarks.report.claims`).
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path

from benchmarks import registry
from benchmarks.records.store import Store
from benchmarks.report import comparisons, layout, summary, words
from benchmarks.report.claims import judge
from benchmarks.report.claims.evidence import Evidence
from benchmarks.report.table import Table

BEGIN, END = "<!-- results: begin (mixnet readme) -->", "<!-- results: end -->"
STALE = r"\*"
START, PRINTED, OURS, CHOSEN = "kmeans10", "mixnet", "mixnet+", "mixnet+chosen"


class Results:
    """What the block is made of, from the records of a results folder.

    Attributes
    ----------
    rows : list of dict
        Of datasets of which the paper prints a figure, see `benchmarks.report.summary.summarise`.
    gains : list of dict
        By how much the purity of a mixture lies above that of its start, as
        `benchmarks.report.comparisons.gains` has it.
    claims : list of benchmarks.report.claims.judge.Claim
        Judged when they are asked for.
    """

    def __init__(self, store: Store):
        self.methods, self.datasets = registry.methods(), registry.datasets()
        self.paper = registry.paper()
        self.rows, self._evidence = [], Evidence.of(store)
        for name in ("table1", "mnist"):  # MNIST is in both, each with rows that the other lacks
            suite, records = self._evidence.suite(name)
            suite = suite | {"datasets": [d for d in suite["datasets"] if self._printed(d)]}
            found = summary.summarise(records, suite, self.methods, self.datasets, self.paper)
            self.rows += [r for r in found if not self.row(r["dataset"], r["method"], r["space"])]
        self.gains = comparisons.gains(self.rows, self.methods, self.paper)

    @cached_property
    def claims(self) -> list[judge.Claim]:
        """The paper's claims, judged by the same records."""
        return judge.judge(self._evidence)

    def _printed(self, dataset) -> dict | None:
        """The figures that the paper prints of a dataset."""
        return {**self.paper["table1"]["datasets"], "mnist": self.paper["mnist"]}.get(dataset)

    def row(self, dataset: str, method: str, space: str = "code") -> dict | None:
        """A row of Table 1 or MNIST."""
        wanted = dataset, method, space
        return next((row for row in self.rows if comparisons.key(row) == wanted), None)

    def best_other(self, dataset: str) -> dict | None:
        """The row of the highest purity, with all its runs, of what is no mixture of networks."""
        return self._best(dataset, lambda row: _runs(row) == row["n_asked"])

    def better_so_far(self, dataset: str) -> dict | None:
        """The best of those without all their runs, if its mean lies above :meth:`best_other`."""
        other = self.best_other(dataset)
        found = self._best(dataset, lambda row: _runs(row) < row["n_asked"] and not row["stale"])
        above = found and (other is None or found["purity_mean"] > other["purity_mean"])
        return found if above else None

    def _best(self, dataset: str, counts) -> dict | None:
        mine = (r for r in self.rows if r["dataset"] == dataset and r["n"])
        other = (row for row in mine if not summary.of_mixture(row["method"]))
        return max(filter(counts, other), key=lambda row: row["purity_mean"], default=None)


def _runs(row: dict) -> int:
    """Runs of a row; where all seeds gave one partition `n` is 1."""
    return row["alike"] or row["n"]


# -- the block --------------------------------------------------------------------------------


def block(found: Results, claims: list[dict]) -> str:
    """Verdict, figure and table in Markdown, markers included; `claims` as of `judge.rows`."""
    lines = [
        BEGIN,
        "",
        *(f"* {line}" for line in judge.verdict_lines(claims)),
        "",
        f"Of {len({row['claim'] for row in claims})} claims, {judge.count(claims)}: by rules, from "
        "runs of the present code alone. [Each, with what was measured](results/claims.md).",
        "",
        "![Gain of the mixture over its start: the paper's beside ours, with 95% intervals]"
        "(results/gain.png)",
        "",
        headline(found).markdown(),
        "",
        "Purity in percent, mean ± standard deviation over ten seeds, or so many of them, on an "
        f"autoencoder's codes where nothing else is said. {STALE}: by code that has changed since. "
        "Above, level, below: tested against the paper's figure. Mixture +: our recipe, the "
        "library's default, from the same k-means; last, from a consensus of ten partitions. "
        "Everything: [Table 1](results/table1.md), "
        "[MNIST](results/mnist.md), [Table 2](results/table2.md)." + _other_data(found),
        "",
        END,
    ]
    return "\n".join(lines)


def _other_data(found) -> str:
    """Of datasets whose documents or images at hand are not those of the paper."""
    used = {(row["dataset"], row["variant"]) for row in found.rows}
    notes = [note for note in found.paper["table1"]["notes"] if "variant" in note]
    names = [d for note in notes for d in note["datasets"] if (d, note["variant"]) in used]
    return f" {_titles(found, names)} is not the paper's data." if names else ""


def _titles(found, names) -> str:
    return ", ".join(found.datasets[name]["title"].partition(" (")[0] for name in names)


def _named(row: dict, methods: dict) -> str:
    label = methods[layout.column(row["method"], methods)]["label"]
    return f"{_cell(row)} ({label}, {row['features']})"


def headline(found: Results) -> Table:
    """A line for each dataset: the start, the best other clustering, the paper, ours."""
    head = (
        "Dataset", "k-means (the start)", "Best other", "Mixture, paper", "Mixture, ours",
        "Mixture +, ours", found.methods[CHOSEN]["label"],
    )  # fmt: skip
    lines = []
    for name in dict.fromkeys(row["dataset"] for row in found.rows):
        printed = found.row(name, PRINTED)
        others = (found.best_other(name), found.better_so_far(name))
        other = "; ".join(_named(row, found.methods) for row in others if row)
        paper = words.pm(printed["paper_mean"], printed["paper_std"])
        verdict = f", {printed['verdict']}" if printed["verdict"] else ""
        start, *ours = (_cell(found.row(name, m)) for m in (START, OURS, CHOSEN))
        mixtures = paper, _cell(printed) + verdict, *ours
        lines.append((_titles(found, [name]), start, other, *mixtures))
    return Table(head, lines)


def _cell(row) -> str:
    if row is None or not row["n"]:
        return "not run"
    runs = "" if row["n"] == row["n_asked"] else f" ({row['n']}/{row['n_asked']})"
    return words.pm(row["purity_mean"], row["purity_std"]) + runs + (STALE if row["stale"] else "")


def unmarked(text: str) -> str:
    """A block without its marks of older code, which come and go with every change of code."""
    return text.replace(STALE, "")


# -- writing it -------------------------------------------------------------------------------


def between(text: str) -> str:
    """What a README has between the markers, these included.

    Raises
    ------
    ValueError
        Where it does not have both, once.
    """
    found = re.findall(re.escape(BEGIN) + ".*?" + re.escape(END), text, re.S)
    if len(found) != 1 or text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"needs the lines {BEGIN!r} and {END!r}, once")
    return found[0]


def write(store: Store, readme: Path) -> list[Path]:
    """Put the block into a README; write its claims, and draw its figure, beside the tables.

    Raises
    ------
    ValueError, OSError
        A README without markers, or a file that cannot be read or written.
    """
    text = readme.read_text(encoding="utf-8")
    old = between(text)
    found = Results(store)
    out = store.results / "gain"
    files = [
        words.replace(out.with_suffix(".csv"), Table(comparisons.GAINS, found.gains).csv()),
        *draw(found, out).values(),
        *judge.write(found.claims, store.results),
    ]
    words.replace(readme, text.replace(old, block(found, judge.rows(found.claims))))
    return [readme, *files]


def draw(found: Results, base: Path) -> dict[str, Path]:
    """The gains as points with intervals, a line for each dataset; `base`.png and .pdf."""
    from benchmarks.report.plot import canvas, save

    figure = canvas(7.2, 3.2)
    axis = figure.subplots()
    styles = {
        "paper": ("s", "white", "paper"),
        PRINTED: ("o", "#0072B2", "ours: mixture, as printed"),
        OURS: ("D", "#D55E00", "ours: mixture +"),
        CHOSEN: ("^", "#009E73", "ours: mixture +, from the consensus"),
    }
    names = list(dict.fromkeys(gain["dataset"] for gain in found.gains))
    for i, (what, (marker, colour, label)) in enumerate(styles.items()):
        gains = [gain for gain in found.gains if gain["what"] == what]
        if not gains:
            continue
        edge = "black" if what == "paper" else colour
        at = [names.index(gain["dataset"]) + 0.16 * (i - 1.5) for gain in gains]
        ends = [[g["gain"] - g["low"] for g in gains], [g["high"] - g["gain"] for g in gains]]
        look = {"color": edge, "markerfacecolor": colour, "markersize": 6, "linewidth": 1.2}
        middles = [gain["gain"] for gain in gains]
        axis.errorbar(middles, at, xerr=ends, fmt=marker, capsize=3, label=label, **look)
    axis.axvline(0, color="0.5", linewidth=1, zorder=0)
    axis.set_yticks(range(len(names)), [_titles(found, [name]) for name in names])
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlabel("purity above that of the start, points (95% intervals)")
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return save(figure, base)
