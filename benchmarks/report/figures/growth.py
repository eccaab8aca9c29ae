"""Cost and purity of clustering as n grows, beside Figure 1."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.report import plot
from benchmarks.report.plot import COLOURS

GROWTH = "benchmarks.exhibits.growth:growth"  # the exhibit that is drawn here
FITTED = 3  # runs, the largest, that an exponent is fitted to
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
        cell = record["cell"]
        frame = pd.DataFrame(record["values"])
        status = frame.pop("status")
        frame.insert(0, "dataset", cell["dataset"])
        frame.insert(1, "method", cell["method"])
        frame.insert(3, "seed", cell["seed"])
        frame.insert(4, "status", status)
        frame["exponent"] = exponent(frame.n, frame.seconds.astype(float))
        frames.append(frame)
    if not frames:
        return pd.DataFrame({"method": []})
    numbers = ("seconds", "graph_seconds", "expected_seconds", "purity", "exponent")
    found = pd.concat([f.astype(dict.fromkeys(numbers, "float64")) for f in frames])
    return found.round(4).reset_index(drop=True)


def exponent(n, seconds) -> float:
    """Slope of log seconds over log n at the largest sizes that were run; NaN below `FITTED`."""
    n, seconds = np.asarray(n, dtype=float), np.asarray(seconds, dtype=float)
    run = np.flatnonzero(np.isfinite(seconds))[-FITTED:]
    if len(run) < FITTED:
        return float("nan")
    return float(np.polyfit(np.log(n[run]), np.log(seconds[run]), 1)[0])


def draw(frame, labels):
    """The figure: seconds over n on logarithmic axes, and purity over n; a line for each method."""
    figure = plot.canvas(7.2, 4.0)
    cost, purity = figure.subplots(1, 2, width_ratios=(3, 2))
    for i, (method, rows) in enumerate(frame.groupby("method", sort=False)):
        run = rows[rows.status == "done"]
        style = {
            "color": COLOURS[i % len(COLOURS)],
            "marker": MARKERS[i % len(MARKERS)],
            "linestyle": LINES[i % len(LINES)],
            "markersize": 4.5,
        }
        cost.plot(run.n, run.seconds, label=_legend(rows, labels[method]), linewidth=1.4, **style)
        # Each size is one fit: thin, since a fit that fails is no trend.
        purity.plot(run.n, run.purity, linewidth=0.5, markerfacecolor="none", **style)
    for axis in (cost, purity):
        axis.set_xscale("log")
        axis.set_xlabel("points n")
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_xlim(0.8 * frame.n.min(), 1.25 * frame.n.max())
    cost.set_yscale("log")
    cost.set_ylabel("processor seconds of one fit")
    cost.grid(True, which="major", linewidth=0.4, color="#dddddd")
    purity.set_ylabel("purity, %")
    purity.set_ylim(top=101)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8, handlelength=3.5)
    return figure


def sentences(frame, methods) -> list[str]:
    """What was measured of each method, in words."""
    lines = []
    for method, rows in frame.groupby("method", sort=False):
        run = rows[rows.status == "done"]
        if not len(run):
            continue
        last = run.iloc[-1]
        line = (
            f"{_plain(methods[method]['label'])}: {last.seconds:.3g} processor seconds at n = "
            f"{last.n:,}"
        )
        if np.isfinite(last.graph_seconds):
            line += f" (its graph alone {last.graph_seconds:.3g})"
        line += f", purity {last.purity:.1f}%"
        if run.purity.max() - run.purity.min() > 1:
            line += f" (over all n {run.purity.min():.1f} to {run.purity.max():.1f}%)"
        if np.isfinite(last.exponent):
            line += f"; grows as n^{last.exponent:.2f}"
        if _stopped(rows):
            line += f"; {_stopped(rows)}"
        lines.append(line)
    return lines


def _legend(rows, label):
    grows = rows.exponent.iloc[0]
    words = _plain(label)
    if np.isfinite(grows):
        words += f", $n^{{{grows:.2f}}}$"
    return words + (f" ({_stopped(rows)})" if _stopped(rows) else "")


def _plain(label):
    return label.partition(": ")[2] or label


def _stopped(rows):
    left = rows[rows.status != "done"]
    return f"not run from n = {left.n.iloc[0]:,}: {left.status.iloc[0]}" if len(left) else ""
