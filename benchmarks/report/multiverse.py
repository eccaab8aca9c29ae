"""A specification curve: the purity of every filling of what the paper leaves open, sorted.

Simonsohn, Simmons and Nelson, "Specification curve analysis", Nature Human Behaviour 4, 2020.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from benchmarks import registry
from benchmarks.report import plot, words
from benchmarks.report.measures import measure
from benchmarks.report.summary import paper_figure
from benchmarks.report.table import Table

PRINTED = "mixnet", "code"  # method and features whose printed figure is meant
MEASURES = ("purity", "heldout_log_likelihood", "dead_components", "iterations", "seconds")
HEAD = (
    "Dataset", "Fillings", "Least", "Median", "Most", "Printed", "Reach it", "Ours", "Below ours",
)  # fmt: skip


def summarise(records, suite, paper) -> list[dict]:
    """One row for each dataset and filling, in the order of the suite.

    Parameters
    ----------
    records : iterable of dict
        At most one attempt of a cell, marked ``stale`` by the caller.
    suite : dict
        Of `registry.suites`, with the rows of its design.
    paper : dict
        Content of paper.toml.

    Returns
    -------
    list of dict
        ``panel`` (the dataset whose printed figure is meant), ``dataset``, ``filling``, ``ours``
        (1 of the first row of the design), a level for each factor, empty where it chooses among
        other datasets than the panel's, the `MEASURES`, None where the cell is not done,
        ``status``, ``stale``, ``printed_mean`` and ``printed_std``.
    """
    found = {(r["cell"]["dataset"], r["cell"]["method"]): r for r in records}
    panels = {name: suite.get("printed", {}).get(name, name) for name in suite["datasets"]}
    moot = {
        (panel, factor)
        for panel in panels.values()
        for factor, levels in suite["factors"].items()
        if not any(
            set(level) - {"not_on"} or panel in map(panels.get, level.get("not_on", ()))
            for level in levels.values()
        )
    }
    rows = []
    for dataset, panel in panels.items():
        mean, std, _ = paper_figure(paper, panel, *PRINTED)
        for i, (filling, levels) in enumerate(suite["rows"].items()):
            if filling not in suite["methods"] or dataset in suite["not_on"][filling]:
                continue
            record = found.get((dataset, filling), {"status": "not run"})
            done = record["status"] == "done"
            row = {"panel": panel, "dataset": dataset, "filling": filling, "ours": int(not i)}
            row |= {f: "" if (panel, f) in moot else level for f, level in levels.items()}
            row |= {name: measure(record, name) if done else None for name in MEASURES}
            row |= {"status": record["status"], "stale": int(bool(record.get("stale")))}
            rows.append(row | {"printed_mean": mean, "printed_std": std})
    return rows


def report(records, suite, out_dir, stem) -> tuple[str, dict[str, Path]]:
    """Write `stem`.csv, .md, .png and .pdf into `out_dir`; what they answer, as text."""
    rows, out = summarise(records, suite, registry.paper()), Path(out_dir)
    # A panel is called after the first of its datasets, which is not always that of the figure.
    first = {row["panel"]: row["dataset"] for row in reversed(rows)}
    curves = {
        registry.datasets()[dataset]["title"]: [row for row in rows if row["panel"] == panel]
        for panel, dataset in reversed(first.items())
    }
    answers = Table(HEAD, [_answer(*curve) for curve in curves.items()])
    curves = {
        title: sorted(
            (row for row in curve if row["purity"] is not None), key=lambda row: row["purity"]
        )
        for title, curve in curves.items()
    }
    lines = [
        *words.opening(suite),
        "Purity in percent. Reach it: fillings of at least the printed mean, and of at least that "
        "less its deviation. Below ours: of the other fillings.",
        "",
        answers.markdown(),
        "",
        f"![Purity of every filling, sorted, above the levels of each]({stem}.png)",
        "",
        "## By level",
        "",
        "Mean purity of the fillings with a level (how many); first levels are ours. While "
        "fillings are missing, levels are not compared under the same others.",
        "",
        _levels(suite, curves).markdown(),
    ]
    paths = {
        "csv": words.replace(out / f"{stem}.csv", Table(list(rows[0]), rows).csv()),
        "md": words.replace(out / f"{stem}.md", "\n".join(lines) + "\n"),
    }
    if any(curves.values()):
        paths |= plot.save(draw(suite, curves), out / stem)
    return answers.text(), paths


def _answer(title, rows) -> tuple:
    """The cells under `HEAD`."""
    purities = [row["purity"] for row in rows if row["purity"] is not None]
    stale = sum(row["stale"] for row in rows)
    line = [title, f"{len(purities)}/{len(rows)}" + (f", {stale} stale" if stale else "")]
    if not purities:
        return (*line, *[""] * (len(HEAD) - len(line)))
    line += map(words.fixed, (min(purities), statistics.median(purities), max(purities)))
    mean, std = rows[0]["printed_mean"], rows[0]["printed_std"]
    reach = [sum(p >= least for p in purities) for least in (mean, mean - std)] if mean else []
    line += [words.pm(mean, std), ", ".join(map(str, reach))]
    ours = next((row["purity"] for row in rows if row["ours"]), None)
    below = "" if ours is None else f"{sum(p < ours for p in purities)}/{len(purities) - 1}"
    return (*line, words.fixed(ours), below)


def _levels(suite, curves) -> Table:
    """Mean purity by level of each factor, a column for each panel."""
    lines = []
    for factor, levels in suite["factors"].items():
        for level in levels:
            cells = []
            for curve in curves.values():
                found = [row["purity"] for row in curve if row[factor] == level]
                cells.append(f"{statistics.mean(found):.1f} ({len(found)})" if found else "")
            lines.append((factor, level, *cells))
    return Table(("Factor", "Level", *curves), lines)


def draw(suite, curves):
    """A column for each panel: its curve above, the levels of every filling in a grid below."""
    curves = {title: curve for title, curve in curves.items() if curve}
    grid = [(factor, level) for factor, levels in suite["factors"].items() for level in levels]
    heights = (2.4, 0.15 * len(grid))
    figure = plot.canvas(2.6 * len(curves) + 1.8, sum(heights) + 0.6)
    axes = figure.subplots(
        2, len(curves), sharex="col", sharey="row", squeeze=False, height_ratios=heights
    )
    kinds = ((0, "0.35", ".", 5, "a filling"), (1, plot.COLOURS[5], "D", 4, "ours"))
    for (above, below), (title, curve) in zip(axes.T, curves.items(), strict=True):
        mean, std = curve[0]["printed_mean"], curve[0]["printed_std"]
        if mean is not None:
            blue = {"color": plot.COLOURS[0]}
            above.axhspan(mean - std, mean + std, alpha=0.15, linewidth=0, **blue)
            above.axhline(mean, linewidth=1.2, label="printed, mean ± deviation", **blue)
        for ours, colour, marker, size, label in kinds:
            mine = [(i, row) for i, row in enumerate(curve) if row["ours"] == ours]
            style = {"linestyle": "", "color": colour}
            x, y = [i for i, _ in mine], [row["purity"] for _, row in mine]
            above.plot(x, y, marker=marker, markersize=size, zorder=3, label=label, **style)
            marks = [
                (i, j) for i, row in mine for j, (f, level) in enumerate(grid) if row[f] == level
            ]
            below.plot([i for i, _ in marks], [j for _, j in marks], marker="|", **style)
        above.set_title(title, fontsize=9)
        below.set_xlabel("fillings, by purity")
        below.set_xticks([])
        for axis in (above, below):
            axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("purity, %")
    firsts = {
        factor: grid.index((factor, next(iter(of)))) for factor, of in suite["factors"].items()
    }
    for below in axes[1]:
        below.hlines(
            [j - 0.5 for j in firsts.values()], *below.get_xlim(), color="0.85", linewidth=0.6
        )
    names = [f"{f}:  {level}" if j == firsts[f] else level for j, (f, level) in enumerate(grid)]
    axes[1, 0].set_yticks(range(len(grid)), names, fontsize=7)
    axes[1, 0].set_ylim(len(grid) - 0.5, -0.5)
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=3, frameon=False)
    return figure
