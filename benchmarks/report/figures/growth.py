"""Cost and purity of clustering as n grows, beside Figure 1."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.report import plot
from benchmarks.report.plot import COLOURS

GROWTH = "benchmarks.exhibits.growth:growth"  # the exhibit that is drawn here
FITTED = 3  # runs, the largest, that an exponent is fitted to
APART = 1.07  # ratio of the places of two methods at one n, where they would cover each other
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))


def growth_frame(done) -> pd.DataFrame:
    """Everything that the figure shows, a row for each method and size, run or not.

    Parameters
    ----------
    done : list of dict
        Records; those of other exhibits and methods are left out.

    Returns
    -------
    DataFrame
        ``dataset, method`` (the cell's), ``n, seed``; ``status``: done, or what kept the size from
        being run (time, memory); ``seconds`` of processor time, ``graph_seconds`` for the graph
        alone, ``expected_seconds`` before the run; ``purity`` in percent; ``exponent`` of n, fitted
        to the largest `FITTED` runs of the method.
    """
    frames = []
    for record in (r for r in done if r["estimator"] == GROWTH):
        frame = pd.DataFrame(record["values"])
        status = frame.pop("status")
        for place, name in ((0, "dataset"), (1, "method"), (3, "seed")):
            frame.insert(place, name, record["cell"][name])
        frame.insert(4, "status", status)
        frame["exponent"] = exponent(frame.n, frame.seconds.astype(float))
        frames.append(frame)
    if not frames:
        return pd.DataFrame({"method": []})
    numbers = ("seconds", "graph_seconds", "expected_seconds", "purity", "exponent")
    found = pd.concat([f.astype(dict.fromkeys(numbers, "float64")) for f in frames])
    return found.round(4).reset_index(drop=True)


def exponent(n, seconds) -> float:
    """Slope of log seconds over log n at the largest sizes that were run.

    NaN below `FITTED` of them, and where the seconds fall from one to the next: no power of n does.
    """
    n, seconds = np.asarray(n, dtype=float), np.asarray(seconds, dtype=float)
    run = np.flatnonzero(np.isfinite(seconds))[-FITTED:]
    if len(run) < FITTED or (np.diff(seconds[run]) < 0).any():
        return float("nan")
    return float(np.polyfit(np.log(n[run]), np.log(seconds[run]), 1)[0])


def draw(frame, labels, remark=""):
    """The figure: seconds over n on logarithmic axes above, purity over n below.

    Seconds are joined by lines. Purities are not: each is of one fit, and one that fails is no
    trend; those of one n stand side by side.
    """
    figure = plot.canvas(plot.COLUMN, 4.4)
    cost, purity = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    methods = list(frame.groupby("method", sort=False))
    for i, (method, rows) in enumerate(methods):
        run = rows[rows.status == "done"]
        colour, marker, line = (of[i % len(of)] for of in (COLOURS, MARKERS, LINES))
        style = {"color": colour, "marker": marker, "markersize": 3.5}
        cost.plot(run.n, run.seconds, label=_legend(rows, labels[method]), linestyle=line, **style)
        beside = APART ** (i - (len(methods) - 1) / 2)
        purity.plot(run.n * beside, run.purity, linestyle="", **style)
    cost.set(xscale="log", yscale="log", ylabel="processor seconds of one fit")
    cost.set_xlim(0.75 * frame.n.min(), 1.35 * frame.n.max())
    purity.set(ylabel="purity, %", xlabel="points n")
    for axis in (cost, purity):
        axis.grid(True, which="major")
    plot.legend(figure, [cost], ncols=1, remark=remark)
    return figure


def sentences(frame, methods) -> list[str]:
    """What was measured of each method, in words."""
    lines = []
    for method, rows in frame.groupby("method", sort=False):
        run = rows[rows.status == "done"]
        if not len(run):
            continue
        last = run.iloc[-1]
        name = _plain(methods[method]["label"])
        line = f"{name}: {last.seconds:.3g} processor seconds at n = {last.n:,}"
        if np.isfinite(last.graph_seconds):
            line += f" (its graph alone {last.graph_seconds:.3g})"
        line += f", purity {last.purity:.1f}%"
        if run.purity.max() - run.purity.min() > 1:
            line += f" (over all n {run.purity.min():.1f} to {run.purity.max():.1f}%)"
        if np.isfinite(last.exponent):
            line += f"; grows as n^{last.exponent:.2f}"
        if _stopped(rows):
            line += f"; not run from {_stopped(rows)}"
        lines.append(line)
    return lines


def _legend(rows, label):
    grows = rows.exponent.iloc[0]
    words = _plain(label)
    if np.isfinite(grows):
        words += f", $n^{{{grows:.2f}}}$"
    return words + (f"; {_stopped(rows)}" if _stopped(rows) else "")


def _plain(label):
    return label.partition(": ")[2] or label


def _stopped(rows):
    """The first size that a method was not run at, and why; empty where there is none."""
    left = rows[rows.status != "done"]
    return f"n = {left.n.iloc[0]:,}: {left.status.iloc[0]}" if len(left) else ""
