"""The block of the README that is made from records: verdict, figure, and the headline table.

`mixnet readme` writes it between two markers; a test compares what stands there with what the
records give. Sentences say what was measured, whichever way it went.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from benchmarks import registry
from benchmarks.records.scores import rescored
from benchmarks.records.store import Store
from benchmarks.report import stats, summary, table2, tables, words
from benchmarks.report.table import Table
from benchmarks.run.plan import suite_plan

BEGIN, END = "<!-- results: begin (mixnet readme) -->", "<!-- results: end -->"
STALE = r"\*"
START, PRINTED, OURS, SELECTED = "kmeans10", "mixnet", "mixnet+", "mixnet+selected"
MIXTURES = (PRINTED, "mixnet-printed", OURS, SELECTED)
LEAST = 2  # runs that a sentence needs
NETWORKS = ("mixnet-samples", "mixnet-printed-samples")
GAINS = ("dataset", "what", "n", "gain", "low", "high")


class Results:
    """What the block is made of, from the records of a results folder.

    Attributes
    ----------
    rows : list of dict
        Of datasets of which the paper prints a figure, see `benchmarks.report.summary.summarise`.
    gains : list of dict
        The keys of `GAINS`: by how much the purity of a mixture lies above that of the k-means on
        the same codes, with its 95% interval. ``what`` is ``paper`` (of the printed means, Welch)
        or a method (paired by seed, over ``n`` seeds).
    scores : list of dict
        Of Table 2, see `benchmarks.report.table2.summarise`.
    """

    def __init__(self, store: Store):
        self.methods, self.datasets = registry.methods(), registry.datasets()
        self.paper = registry.paper()
        self.rows, self.gains = [], []
        for name in ("table1", "mnist"):  # MNIST is in both, each with rows that the other lacks
            suite, records = _records(name, store)
            suite["datasets"] = [d for d in suite["datasets"] if self._printed(d)]
            found = summary.summarise(records, suite, self.methods, self.datasets, self.paper)
            new = set(suite["datasets"]) - {row["dataset"] for row in self.rows}
            self.rows += [r for r in found if not self.row(r["dataset"], r["method"], r["space"])]
            for dataset in (d for d in suite["datasets"] if d in new):
                self.gains += self._gains(dataset, records)
        suite, records = _records("table2", store)
        self.scores, _ = table2.summarise(records, suite, self.methods, self.paper)

    def _printed(self, dataset) -> dict | None:
        """The figures that the paper prints of a dataset."""
        return {**self.paper["table1"]["datasets"], "mnist": self.paper["mnist"]}.get(dataset)

    def _gains(self, dataset, records) -> list[dict]:
        figures = self._printed(dataset)
        a, b, n = figures["mixnet"], figures["kmeans"], stats.PAPER_RUNS
        found = [
            _gain(
                dataset,
                "paper",
                n,
                a["mean"] - b["mean"],
                stats.welch_interval(a["mean"], a["std"], n, b["mean"], b["std"], n),
            )
        ]
        purity = {
            (r["cell"]["method"], r["cell"]["seed"]): r["metrics"]["purity"]
            for r in records
            if r["cell"]["dataset"] == dataset
            and r["status"] == "done"
            and r["cell"]["params"]["space"] == "code"
        }
        for method in (PRINTED, OURS, SELECTED):
            pairs = [
                value - purity[START, seed]
                for (name, seed), value in purity.items()
                if name == method and (START, seed) in purity
            ]
            if len(pairs) > 1:
                found.append(
                    _gain(
                        dataset, method, len(pairs), stats.mean(pairs), stats.paired_interval(pairs)
                    )
                )
        return found

    def row(self, dataset: str, method: str, space: str = "code") -> dict | None:
        """A row of Table 1 or MNIST."""
        return next(
            (
                row
                for row in self.rows
                if (row["dataset"], row["method"], row["space"]) == (dataset, method, space)
            ),
            None,
        )

    def best_other(self, dataset: str) -> dict | None:
        """The row of the highest purity, with all its runs, of what is no mixture of networks."""
        rows = [
            row
            for row in self.rows
            if row["dataset"] == dataset
            and row["method"] not in MIXTURES
            and row["n"]
            and row["n"] == row["n_asked"]
        ]
        return max(rows, key=lambda row: row["purity_mean"], default=None)


def _records(name, store) -> tuple[dict, list[dict]]:
    plan = suite_plan(name, store=store, recorded=True)
    return (tables.selected_suite(name, plan), rescored(tables.current(plan, store), store))


def _gain(dataset, what, n, gain, interval) -> dict:
    return {
        "dataset": dataset,
        "what": what,
        "n": n,
        "gain": float(gain),
        "low": interval.low,
        "high": interval.high,
    }


# -- the block --------------------------------------------------------------------------------


def block(found: Results) -> str:
    """Verdict, figure and table in Markdown, markers included."""
    lines = [
        BEGIN,
        "",
        *(f"* {line}" for line in verdict(found)),
        "",
        "![By how much the mixture improves the k-means partition that it starts from: the "
        "paper's figures beside ours, with 95% intervals](results/gain.png)",
        "",
        headline(found).markdown(),
        "",
        "Purity in percent, mean ± standard deviation of ten seeds; all columns but "
        f"“best other” on the autoencoder's codes. {STALE}: made by code that has changed "
        "since. Above, level, below: against the paper's figure. Mixture +: our recipe, the "
        "library's default, from the same k-means, and from the likelier of k-means and NCut. "
        "All rows: [Table 1](results/table1.md), "
        "[MNIST](results/mnist.md), [Table 2](results/table2.md)." + _other_data(found),
        "",
        END,
    ]
    return "\n".join(lines)


def _other_data(found) -> str:
    """Of datasets whose documents or images at hand are not those of the paper."""
    used = {(row["dataset"], row["variant"]) for row in found.rows}
    names = [
        name
        for note in found.paper["table1"]["notes"]
        if "variant" in note
        for name in note["datasets"]
        if (name, note["variant"]) in used
    ]
    return f" {_titles(found, names)}: not the paper's data, see the notes there." if names else ""


def verdict(found: Results) -> list[str]:
    """Five sentences: printed purities, the start, other clusterings, baselines, samples."""
    return [_reached(found), _improved(found), _beaten(found), _baselines(found), _samples(found)]


def _titles(found, names) -> str:
    return ", ".join(found.datasets[name]["title"].partition(" (")[0] for name in names)


def _names(found) -> list[str]:
    return list(dict.fromkeys(row["dataset"] for row in found.rows))


def _reached(found) -> str:
    by: dict[str, list[str]] = {}
    for name in _names(found):
        row = found.row(name, PRINTED)
        known = row["n"] >= LEAST and row["verdict"]
        by.setdefault(row["verdict"] if known else "not run", []).append(name)
    said = {
        "above": "above them on",
        "level": "level with them on",
        "below": "below them on",
        "not run": "not run often enough by the present code on",
    }
    return (
        "**Are the paper's purities reached?** The mixture of networks, as printed, is "
        + "; ".join(
            f"{words_} {_titles(found, by[key])}" for key, words_ in said.items() if key in by
        )
        + _so_far(found, PRINTED)
        + "."
    )


def _so_far(found, *methods: str) -> str:
    """How many seeds there are of rows that do not have all of theirs."""
    rows = [found.row(name, method) for name in _names(found) for method in methods]
    few = [row["n"] for row in rows if row and LEAST <= row["n"] < row["n_asked"]]
    if not few:
        return ""
    span = f"{min(few)}" if min(few) == max(few) else f"{min(few)} to {max(few)}"
    return f" (so far {span} of ten seeds)"


def _improved(found) -> str:
    def of(what, good):
        return [gain["dataset"] for gain in found.gains if gain["what"] == what and good(gain)]

    parts = []
    names = (
        (PRINTED, "the printed recipe"),
        (OURS, "ours from the same start"),
        (SELECTED, "ours from the selected start"),
    )
    for what, name in names:
        ran = of(what, lambda _: True)
        if not ran:
            parts.append(f"{name} has not been run yet")
            continue
        better, worse = of(what, lambda g: g["low"] > 0), of(what, lambda g: g["high"] < 0)
        said = [f"better on {_titles(found, better) or 'none'} of {len(ran)} datasets"]
        said += [f"worse on {_titles(found, worse)}"] if worse else []
        parts.append(f"{name} is " + ", ".join(said))
    printed = len(of("paper", lambda g: g["low"] > 0))
    return (
        "**Does it improve its k-means start?** By 95% paired intervals "
        + "; ".join(parts)
        + f"{_so_far(found, *MIXTURES)}. In the paper it is better on "
        f"{printed} of {len(of('paper', lambda _: True))}."
    )


def _beaten(found) -> str:
    said, compared = [], 0
    for name in _names(found):
        other, rows = found.best_other(name), [found.row(name, m) for m in MIXTURES]
        rows = [row for row in rows if row and row["n"] >= LEAST]
        if other is None or not rows:
            continue
        compared += 1
        mine = max(rows, key=lambda row: row["purity_mean"])
        if other["purity_mean"] > mine["purity_mean"]:
            said.append(
                f"{found.datasets[name]['title'].partition(' (')[0]} "
                f"({found.methods[other['method']]['label']}: {other['purity_mean']:.1f} "
                f"against {mine['purity_mean']:.1f})"
            )
    head = "**Is it the best clustering here?** "
    if not compared:
        best = [(name, found.best_other(name)) for name in _names(found)]
        return (
            head
            + "Not to be said before it is run; the best of the others are "
            + ", ".join(
                f"{found.methods[row['method']]['label']} on {_titles(found, [name])} "
                f"({row['purity_mean']:.1f})"
                for name, row in best
                if row
            )
            + "."
        )
    if not said:
        return head + f"On all {compared} datasets compared{_so_far(found, *MIXTURES)}."
    return (
        head
        + f"Not on {len(said)} of {compared} datasets, where another is better: "
        + "; ".join(said)
        + _so_far(found, *MIXTURES)
        + "."
    )


def _baselines(found) -> str:
    rows = [
        row
        for row in found.rows
        if row["paper_mean"] is not None
        and row["method"] not in MIXTURES
        and row["verdict"]
        and row["dataset"] != "mnist"
    ]
    counts = Counter(row["verdict"] for row in rows)
    return (
        f"**Are its baselines as strong as they should be?** Of {len(rows)} printed figures of "
        f"baselines ours lie above {counts['above']}, level with {counts['level']}, below "
        f"{counts['below']}. On COIL-20 and USPS the printed ones look like accuracies copied "
        "from another paper."
    )


def _samples(found) -> str:
    scores = {row["method"]: row for row in found.scores if row["n"]}
    head = "**Does it generate the best digits?** "
    mine = [scores[name] for name in NETWORKS if name in scores]
    naive = scores.get("centroids")
    said = [
        f"{found.methods[row['method']]['label']} {words.pm(row['ll_mean'], row['ll_std'])}"
        for row in mine
    ] or ["the mixture has not been run by the present code"]
    printed = found.paper["table2"]["models"]["mixnet"]
    text = f"By the paper's score, in nats: {', '.join(said)}; printed {printed['mean']}."
    if naive:
        text += (
            f" Cluster means of k-means, no model of digits, score {naive['ll_mean']:.1f}: "
            "the score rewards smooth samples and does not rank generators."
        )
    return head + text


def headline(found: Results) -> Table:
    """A line for each dataset: the start, the best other clustering, the paper, ours."""
    head = (
        "Dataset",
        "k-means (the start)",
        "Best other",
        "Mixture, paper",
        "Mixture, ours",
        "Mixture +, ours",
        "Mixture + from the selected start",
    )
    lines = []
    for name in _names(found):
        other, printed = found.best_other(name), found.row(name, PRINTED)
        lines.append(
            (
                _titles(found, [name]),
                _cell(found.row(name, START)),
                other
                and f"{_cell(other)} ({found.methods[other['method']]['label']}, {other['space']})",
                words.pm(printed["paper_mean"], printed["paper_std"]),
                _cell(printed) + (f", {printed['verdict']}" if printed["verdict"] else ""),
                _cell(found.row(name, OURS)),
                _cell(found.row(name, SELECTED)),
            )
        )
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
    """Put the block into a README, and draw its figure beside the tables.

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
        words.replace(out.with_suffix(".csv"), Table(GAINS, found.gains).csv()),
        *draw(found, out).values(),
    ]
    words.replace(readme, text.replace(old, block(found)))
    return [readme, *files]


def draw(found: Results, base: Path) -> dict[str, Path]:
    """The gains as points with intervals, a line for each dataset; `base`.png and .pdf."""
    from benchmarks.report.plot import canvas, save

    figure = canvas(7.2, 3.6)
    axis = figure.subplots()
    styles = {
        "paper": ("s", "white", "paper"),
        PRINTED: ("o", "#0072B2", "ours: mixture, as printed"),
        OURS: ("D", "#D55E00", "ours: mixture +"),
        SELECTED: ("^", "#009E73", "ours: mixture +, selected start"),
    }
    names = list(dict.fromkeys(gain["dataset"] for gain in found.gains))
    for i, (what, (marker, colour, label)) in enumerate(styles.items()):
        gains = [gain for gain in found.gains if gain["what"] == what]
        if not gains:
            continue
        edge = "black" if what == "paper" else colour
        at = [names.index(gain["dataset"]) + 0.2 * (i - 1.5) for gain in gains]
        axis.errorbar(
            [gain["gain"] for gain in gains],
            at,
            xerr=[
                [gain["gain"] - gain["low"] for gain in gains],
                [gain["high"] - gain["gain"] for gain in gains],
            ],
            fmt=marker,
            color=edge,
            markerfacecolor=colour,
            markersize=6,
            capsize=3,
            linewidth=1.2,
            label=label,
        )
    axis.axvline(0, color="0.5", linewidth=1, zorder=0)
    axis.set_yticks(range(len(names)), [_titles(found, [name]) for name in names])
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlabel("purity above that of k-means, points (95% intervals)")
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return save(figure, base)
