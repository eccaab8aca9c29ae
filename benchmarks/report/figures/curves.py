"""Purity and held-out likelihood over the training of the mixture, each stage marked."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks import registry
from benchmarks.report import plot, words
from benchmarks.report.plot import COLOURS

BLUE, ORANGE, GREEN = COLOURS[0], COLOURS[5], COLOURS[2]


def report(records, suite, out_dir, stem) -> tuple[str, dict[str, Path]]:
    """Write `stem`.csv, .png and .pdf into `out_dir`; the mean purity of each stage as text."""
    out, titles = Path(out_dir), registry.datasets()
    done = [r for r in records if r["status"] == "done"]
    frame = curve_frame(done)
    if frame.empty:
        return "no training has been recorded yet", {}
    paths = {"csv": words.frame(out / f"{stem}.csv", frame, float_format="%.4f")}
    shown = [name for name in suite["datasets"] if name in set(frame.dataset)]
    short = {name: short_title(titles[name], name) for name in shown}
    paths |= plot.column(out / stem, draw, frame, shown, short, remark=plot.older(done))
    lines = []
    for name in shown:
        purity = frame[(frame.dataset == name) & (frame.measure == "purity")]
        stages = purity[purity.stage != ""].groupby("stage", sort=False).value
        means = ", ".join(f"{stage} {value:.1f}" for stage, value in stages.mean().items())
        lines.append(f"{name}: purity {means}; n {purity.seed.nunique()}/{len(suite['seeds'])}")
    return "\n".join(lines), paths


def short_title(dataset: dict, name: str) -> str:
    """A dataset's title without what stands in brackets."""
    return dataset.get("title", name).partition(" (")[0]


def curve_frame(records) -> pd.DataFrame:
    """All curves in one table.

    Returns
    -------
    DataFrame
        ``dataset, seed``; ``measure``: `purity` (percent) or `heldout` (nats a point);
        ``iteration`` of Algorithm 2, -1 for the k-means start; ``stage`` where one ends; ``value``.
    """
    rows = []
    for record in records:
        arrays, values, cell = record["load"](), record["values"], record["cell"]
        here = (cell["dataset"], cell["seed"])
        last = len(arrays["heldout"]) - 1
        rows.append((*here, "purity", -1, "k-means", values["purity_start"]))
        for i, value in zip(arrays["iteration"], arrays["purity"], strict=True):
            rows.append((*here, "purity", int(i), "" if i else "Algorithm 1", float(value)))
        # Final labels are of more samples than those on the way: a point of its own.
        rows.append((*here, "purity", last, "end", values["purity_final"]))
        for i, value in enumerate(arrays["heldout"]):
            stage = "Algorithm 1" if i == 0 else "end" if i == last else ""
            rows.append((*here, "heldout", i, stage, float(value)))
    return pd.DataFrame(rows, columns=["dataset", "seed", "measure", "iteration", "stage", "value"])


def draw(frame, datasets, titles, remark=""):
    """A row for each dataset: purity left, held-out likelihood right; mean in colour."""
    figure = plot.canvas(plot.COLUMN, 1.05 * len(datasets) + 0.75)
    axes = figure.subplots(len(datasets), 2, squeeze=False)
    for row, name in zip(axes, datasets, strict=True):
        for axis, measure in zip(row, ("purity", "heldout"), strict=True):
            _curves(axis, frame[(frame.dataset == name) & (frame.measure == measure)])
        row[0].set_ylabel(titles[name], fontsize=7.5)
    axes[0, 0].set_title("purity, %")
    axes[0, 1].set_title("held-out nats a point")
    for axis in axes[-1]:
        axis.set_xlabel("iteration of Algorithm 2")
    plot.legend(figure, [axes[0, 0]], remark=remark)
    return figure


def _curves(axis, frame):
    path = frame[frame.stage.isin(["", "Algorithm 1"]) | (frame.measure == "heldout")]
    for _, one in path.groupby("seed"):
        axis.plot(one.iteration, one.value, color="0.75", linewidth=0.4, zorder=1)
    full = path.groupby("iteration").value
    mean = full.mean()[full.count() == path.seed.nunique()]  # of all seeds, while all go on
    axis.plot(mean.index, mean, color=BLUE, linewidth=1.4, label="mean of the seeds")
    first, last = frame[frame.stage == "k-means"], frame[frame.stage == "end"]
    if len(first):
        points = {"markersize": 2.5, "linestyle": "", "clip_on": False}
        start = {"marker": "s", "color": ORANGE, "label": "k-means start", **points}
        end = {"marker": "^", "color": GREEN, "label": "final labels", **points}
        axis.plot(first.iteration * 0 - _gap(frame), first.value, **start)
        axis.plot(last.iteration, last.value, **end)
    axis.axvline(0, color="0.4", linewidth=0.8, linestyle=":", label="end of Algorithm 1")


def _gap(frame) -> float:
    """How far left of Algorithm 2 the start is drawn."""
    return 0.06 * frame.iteration.max()
