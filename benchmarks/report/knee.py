"""How many components: the k-means curve, the two lines of the L method, the knees found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import registry
from benchmarks.report import plot, words
from benchmarks.report.plot import COLOURS
from mixnet_core.choosing.components import judge_graphs

BLUE, ORANGE, GREEN = COLOURS[:3]
GREY = "#999999"


def knee_frame(suggestion, paper=None) -> pd.DataFrame:
    """Everything that the plot shows, as rows of series, restart, k and value.

    Parameters
    ----------
    suggestion : mixnet_core.choosing.components.Suggestion
    paper : int, optional
        The number that the paper reports.

    Returns
    -------
    DataFrame
        Series `graph` (within-cluster sum of squares), `left line` and `right line` (the same, at
        the k that each was fitted to), `knees` (how often k was found), `suggested` (its
        stability) and `paper` (no value). `restart` is empty where it has no meaning.
    """
    knee, k = suggestion.knee, suggestion.k
    rows = [
        ("graph", r, x, y)
        for r, graph in enumerate(suggestion.graphs)
        for x, y in zip(k, graph, strict=True)
    ]
    at_left = k <= knee.n_components
    for side, fitted in (("left", at_left), ("right", ~at_left & (k <= knee.cutoff))):
        slope, intercept = getattr(knee, side)
        rows += [(f"{side} line", suggestion.restart, x, slope * x + intercept) for x in k[fitted]]
    rows += [("knees", None, x, count) for x, count in sorted(suggestion.table.items())]
    rows.append(("suggested", None, suggestion.n_components, suggestion.stability))
    if paper is not None:
        rows.append(("paper", None, paper, None))
    frame = pd.DataFrame(rows, columns=["series", "restart", "k", "value"])
    return frame.astype({"restart": "Int64", "k": "int64", "value": "float64"})


def plot_knee(suggestion, path, title, paper=None) -> dict[str, Path]:
    """Write `path`.png and .pdf, and `path`.csv with what they show.

    Above, the graphs of all restarts, and the lines through the one that `suggestion` shows; below,
    how often each knee was found over restarts and cutoffs. Parameters are those of `knee_frame`.
    """
    frame = knee_frame(suggestion, paper)
    csv = words.frame(Path(f"{path}.csv"), frame)
    return {"csv": csv, **plot.column(path, _figure, frame, title)}


def judge(records, suite, name):
    """Judge the graphs of one dataset's seeds.

    Returns
    -------
    suggestion : mixnet_core.choosing.components.Suggestion, or None where there is no graph
    row : dict
        ``dataset, n, n_asked, paper, suggested, stability, found, stale``.
    """
    done = [r for r in records if r["cell"]["dataset"] == name and r["status"] == "done"]
    row = {
        "dataset": name,
        "n": len(done),
        "n_asked": len(suite["seeds"]),
        "paper": suite.get("paper", {}).get(name),
        "suggested": None,
        "stability": None,
        "found": "",
        "stale": sum(bool(r.get("stale")) for r in done),
    }
    if not done:
        return None, row
    found = judge_graphs(done[0]["values"]["k"], [r["values"]["graph"] for r in done])
    return found, row | {
        "suggested": found.n_components,
        "stability": round(found.stability, 4),
        "found": ", ".join(f"{k}: {count}" for k, count in found.table.items()),
    }


def report(records, suite, out_dir, stem) -> tuple[str, dict[str, Path]]:
    """Judge the graphs of each dataset's seeds: a plot each, `stem`.csv, and lines of text."""
    datasets, lines, rows, paths = registry.datasets(), [], [], {}
    for name in suite["datasets"]:
        found, row = judge(records, suite, name)
        if found:
            base, title = Path(out_dir) / f"{stem}-{name}", datasets[name]["title"]
            title += " · older code" * bool(row["stale"])
            files = plot_knee(found, base, title, row["paper"])
            paths |= {f"{name} {kind}": path for kind, path in files.items()}
        rows.append(row)
        lines.append(
            f"{name}: {row['suggested']} components (stability {row['stability']}; knees "
            f"found: {row['found']}); the paper: {row['paper']}; "
            f"n {row['n']}/{row['n_asked']}"
        )
    frame = pd.DataFrame(rows).convert_dtypes()
    paths["csv"] = words.frame(Path(out_dir) / f"{stem}.csv", frame)
    return "\n".join(lines), paths


def _figure(frame, title):
    from matplotlib.ticker import MaxNLocator

    figure = plot.canvas(plot.COLUMN, 3.6)
    curve, counts = figure.subplots(2, 1, height_ratios=(2, 1))
    figure.suptitle(title, fontsize=7.5)
    counts.set_xlabel("components K")
    for axis in (curve, counts):
        axis.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    _draw_curve(curve, frame)
    _draw_counts(counts, frame)
    return figure


def _draw_curve(axis, frame):
    graphs = frame[frame.series == "graph"]
    shown = frame.restart[frame.series == "left line"].iloc[0]
    graph, others = graphs[graphs.restart == shown], graphs[graphs.restart != shown]
    others = others.pivot(index="k", columns="restart", values="value")
    if others.size:
        lines = axis.plot(others.index, others.to_numpy(), color=GREY, linewidth=0.7)
        lines[0].set_label("other restarts")
    axis.plot(graph.k, graph.value, "o", color="black", markersize=2, label="k-means")
    for series, colour, style in (("left line", BLUE, "-"), ("right line", ORANGE, "--")):
        line = frame[frame.series == series]
        axis.plot(line.k, line.value, style, color=colour, linewidth=1.5, label=series)
    _mark(axis, frame, "suggested", GREEN, "-.")
    _mark(axis, frame, "paper", "black", ":")
    axis.set_ylim(bottom=min(0, frame.value[frame.series.str.endswith("line")].min()))
    axis.set_ylabel("within-cluster sum of squares")
    axis.ticklabel_format(axis="y", scilimits=(-3, 4), useMathText=True)
    axis.legend(frameon=False, loc="lower right", ncols=2)


def _draw_counts(axis, frame):
    knees = frame[frame.series == "knees"]
    suggested = frame[frame.series == "suggested"].iloc[0]
    chosen = (knees.k == suggested.k).to_numpy()
    share = 100 * knees.value / knees.value.sum()
    look = {"color": np.where(chosen, GREEN, GREY), "edgecolor": "black", "linewidth": 0.6}
    axis.bar(knees.k, share, 0.8, hatch=["//" if own else "" for own in chosen], **look)
    marks = [*knees.k, *frame.k[frame.series == "paper"]]
    axis.set_xlim(min(marks) - 2, max(marks) + 2)
    if max(marks) - min(marks) < 6:  # room for every number
        axis.set_xticks(range(min(marks) - 1, max(marks) + 2))
    axis.set_ylim(0, 100)
    axis.set_ylabel("knees found, %")
    axis.set_title(f"stability {suggested.value:.2f}", fontsize=7)
    _mark(axis, frame, "paper", "black", ":", zorder=3)


def _mark(axis, frame, series, colour, style, zorder=0):
    for k in frame.k[frame.series == series]:
        label = f"{series}: {k}"
        axis.axvline(k, color=colour, linestyle=style, linewidth=1.0, zorder=zorder, label=label)
