"""Paired differences of a suite that compares its rows, such as the ladder: a dot a dataset."""

from __future__ import annotations

from statistics import median

from benchmarks.report import plot
from benchmarks.report.plot import COLOURS

NAMES = {"purity": "purity, points", "heldout_log_likelihood": "held-out nats a point"}


def draw(rows, paired, methods):
    """The figure: a panel a column that is paired, a line a method, its median over datasets.

    Of the rows of `benchmarks.report.measures.summarise`; those without differences have no dot.
    """
    rows = [row for row in rows if row["against"]]
    names = list(dict.fromkeys(row["method"] for row in rows))
    figure = plot.canvas(plot.COLUMN, 0.85 + 0.15 * len(names))
    axes = figure.subplots(1, len(paired), sharey=True, squeeze=False)[0]
    for axis, column in zip(axes, paired, strict=True):
        plot.lines_of(axis, [methods[name]["label"] for name in names])
        axis.axvline(0, color="0.5", linewidth=0.8, zorder=1)
        for line, name in enumerate(names):
            mine = [r for r in rows if r["method"] == name and r[f"{column}_gain"] is not None]
            for row in mine:
                style = COLOURS[0], "o"
                plot.dot(axis, row[f"{column}_gain"], line, None, style, row["stale"], "a dataset")
            if len(mine) > 1:
                middle = median(row[f"{column}_gain"] for row in mine)
                axis.plot(middle, line, "|", color="black", markersize=7, label="their median")
        axis.set_xscale("symlog", linthresh=1)  # a few differences dwarf the rest
        axis.xaxis.set_major_formatter("{x:g}")
        axis.set_xlabel(NAMES.get(column, column.replace("_", " ")))
    stale = any(row["stale"] for row in rows)
    plot.legend(figure, axes, [plot.hollow_key()] * stale, ncols=3)
    return figure
