"""Table 2 as a picture: nats with intervals and the paper's figures, the other measures beside.

Real images stand among the models, and as a line through each panel: in nats the training images,
of the other measures one half of the test images against the other, which is what a perfect model
would get.
"""

from __future__ import annotations

import math

from benchmarks.report import plot, stats
from benchmarks.report.plot import COLOURS
from benchmarks.report.summary import of_mixture

PANELS = {
    "ll": "nats",
    "mmd2": "MMD²",
    "coverage": "coverage",
    "classifier_accuracy": "told from real",
}
REAL = {"ll": "training-images", "mmd2": "test-images"}  # of the rest as of the second
ANCHORS = ("training-images", "test-images", "centroids")  # no models: what a score is held against
STYLES = {
    "mixture of networks": (COLOURS[0], "o"),
    "other models": (COLOURS[5], "s"),
    "no model": ("0.25", "D"),
}


def draw(scores, measures, labels):
    """The figure: a panel a measure, a line a model, in the order of `labels`.

    Of the rows of `benchmarks.report.table2.summarise`; `labels` has (method, space) -> name.
    """
    figure = plot.canvas(plot.COLUMN, 0.95 + 0.25 * len(labels))
    panels = figure.subplots(2, 2, sharey=True).flat
    for axis, (measure, title) in zip(panels, PANELS.items(), strict=True):
        plot.lines_of(axis, list(labels.values()))
        axis.set_title(title)
        for row in scores if measure == "ll" else measures:
            line = list(labels).index((row["method"], row["space"]))
            _dot(axis, row, measure, line)
    stale = any(row["stale"] for row in (*scores, *measures))
    plot.legend(figure, figure.axes, [plot.hollow_key()] * stale)
    return figure


def _dot(axis, row, measure, line):
    mean, std, n = row.get(f"{measure}_mean"), row.get(f"{measure}_std"), row["n"]
    if mean is not None:
        half = None
        if std:  # of one run, or of equal ones, there is no interval
            half = stats.welch(mean, std, n, 0.0, 0.0, math.inf).high - mean
        kind = _kind(row["method"])
        few = n if n < row["n_asked"] else None
        plot.dot(axis, mean, line, half, STYLES[kind], bool(row["stale"]), kind, few)
        if row["method"] == REAL.get(measure, REAL["mmd2"]) and row["space"] == "raw":
            axis.axvline(mean, color="0.25", linewidth=0.8, linestyle=":", label="real images")
    if measure == "ll" and row["paper_mean"] is not None:
        axis.plot(row["paper_mean"], line, "|", color="black", markersize=5, label="paper")


def _kind(method) -> str:
    if method in ANCHORS:
        return "no model"
    return "mixture of networks" if of_mixture(method) else "other models"
