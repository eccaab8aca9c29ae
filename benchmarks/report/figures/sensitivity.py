"""Does the label-free choice of the width of eq. 4 land near the best? Scores against the width."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from benchmarks import registry
from benchmarks.report import plot, words
from benchmarks.report.figures.curves import short_title
from benchmarks.report.plot import COLOURS

BLUE, ORANGE = COLOURS[0], COLOURS[5]
FIXED = {"color": BLUE, "marker": "o", "markersize": 3, "capsize": 1.5}
FREE = {"color": ORANGE, "marker": "D", "linestyle": "", "markersize": 4, "zorder": 3}
CHOSEN = "mixnet-printed"  # the row whose width was chosen by held-out likelihood


def report(records, suite, out_dir, stem) -> tuple[str, dict[str, Path]]:
    """Write `stem`.csv, .png and .pdf into `out_dir`; what the choice costs, as text."""
    out, datasets = Path(out_dir), registry.datasets()
    done = [r for r in records if r["status"] == "done"]
    frame = width_frame(done, datasets)
    if frame.empty or not frame.chosen.any() or frame.chosen.all():
        return "no widths have been recorded yet", {}
    paths = {"csv": words.frame(out / f"{stem}.csv", frame, float_format="%.4f")}
    shown = [name for name in suite["datasets"] if name in set(frame.dataset)]
    titles = {name: short_title(datasets[name], name) for name in shown}
    paths |= plot.column(out / stem, draw, frame, shown, titles, remark=plot.older(done))
    return "\n".join(_sentence(name, frame[frame.dataset == name]) for name in shown), paths


def width_frame(records, datasets) -> pd.DataFrame:
    """A row a run: ``dataset, seed, chosen, width, purity, heldout``.

    ``width`` is in units of w/√(2p), w the median distance within an initial cluster (as
    ``likelihood_widths`` of the mixture); ``chosen`` says that held-out likelihood chose it.
    """
    rows = []
    for record in records:
        cell, values = record["cell"], record["values"]
        p = datasets[cell["dataset"]]["code_dim"]
        # The ratio went through a division: one width differs in its last bits between seeds.
        width = round(values["width_ratio"] * math.sqrt(2 * p), 9)
        scores = record["metrics"]["purity"], values["heldout_log_likelihood"]
        rows.append((cell["dataset"], cell["seed"], cell["method"] == CHOSEN, width, *scores))
    return pd.DataFrame(rows, columns=["dataset", "seed", "chosen", "width", "purity", "heldout"])


def draw(frame, datasets, titles, remark=""):
    """A column for each dataset: purity above, held-out likelihood below; choices marked."""
    figure = plot.canvas(plot.COLUMN, 3.2)
    axes = figure.subplots(2, len(datasets), sharex=True, squeeze=False)
    for column, name in enumerate(datasets):
        mine = frame[frame.dataset == name]
        fixed, chosen = mine[~mine.chosen], mine[mine.chosen]
        for axis, measure in zip(axes[:, column], ("purity", "heldout"), strict=True):
            by = fixed.groupby("width")[measure]
            mean, spread = by.mean(), by.std().fillna(0)
            axis.errorbar(mean.index, mean, spread, label="fixed width, mean ± std", **FIXED)
            axis.plot(chosen.width, chosen[measure], label="chosen by held-out likelihood", **FREE)
        axes[0, column].set_title(titles[name])
        axes[1, column].set_xscale("log")
        axes[1, column].minorticks_off()
        ticks = sorted(fixed.width.round(2).unique())
        axes[1, column].set_xticks(ticks, apart(ticks))
        axes[1, column].set_xlabel("width of eq. 4, of w/√(2p)")
    axes[0, 0].set_ylabel("purity, %")
    axes[1, 0].set_ylabel("held-out nats a point")
    plot.legend(figure, [axes[0, 0]], ncols=1, remark=remark)
    return figure


def apart(ticks, ratio=1.9) -> list[str]:
    """Labels of ticks of a logarithmic axis: empty where the one before is nearer than a ratio."""
    labels, last = [], 0.0
    for tick in ticks:
        labels.append(f"{tick:g}" if tick >= ratio * last else "")
        last = tick if labels[-1] else last
    return labels


def _sentence(name, frame) -> str:
    """Purity of the choice beside the best and worst of the fixed widths, paired by seed."""
    fixed = frame[~frame.chosen].pivot(index="seed", columns="width", values="purity").dropna()
    chosen = frame[frame.chosen].set_index("seed").purity
    seeds = fixed.index.intersection(chosen.index)
    if seeds.empty:
        return f"{name}: no seed has every width yet"
    means = fixed.loc[seeds].mean()
    return (
        f"{name}: chosen {chosen[seeds].mean():.1f}; best fixed width {means.idxmax():.2g} "
        f"with {means.max():.1f}, worst {means.idxmin():.2g} with {means.min():.1f}; "
        f"n {len(seeds)}"
    )
