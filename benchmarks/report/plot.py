"""Purity as bars: a panel for each feature space, a group for each dataset, a bar a method."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.records.whole import write_atomic

# Okabe and Ito's palette, told apart by all common forms of colour blindness; hatches tell the
# bars apart in print as well.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
HATCHES = ("", "//", "..", "xx", "\\\\", "--", "++", "oo")


def canvas(width: float, height: float):
    """An empty figure of that size in inches, without pyplot: no display, no state left behind."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def purity_bars(rows, methods, datasets, base) -> dict[str, Path]:
    """Draw mean purity with one standard deviation and write `base`.png and `base`.pdf.

    Parameters
    ----------
    rows : list of dict
        As from `summary.summarise`; a row without runs leaves its place empty.
    methods, datasets : dict
        Contents of methods.toml and datasets.toml, for the labels.
    base : path
        Files to write, without suffix.
    """
    names = list(dict.fromkeys(row["method"] for row in rows))
    panels = [space for space in ("raw", "code") if any(row["space"] == space for row in rows)]
    groups = {
        space: list(dict.fromkeys(r["dataset"] for r in rows if r["space"] == space))
        for space in panels
    }
    widths = [len(groups[space]) for space in panels] or [1]
    width = 2.5 + 1.9 * sum(widths)
    figure = canvas(width, 4.2)
    axes = figure.subplots(1, len(widths), sharey=True, squeeze=False, width_ratios=widths)[0]
    handles = {}
    for axis, space in zip(axes, panels, strict=False):
        for row in (row for row in rows if row["space"] == space):
            _bar(axis, row, groups[space].index(row["dataset"]), names, methods, handles)
        axis.set_title("raw features" if space == "raw" else "codes of the autoencoder")
        axis.set_xticks(
            np.arange(len(groups[space])), [datasets[d].get("title", d) for d in groups[space]]
        )
        axis.set_xlim(-0.5, len(groups[space]) - 0.5)
    axes[0].set_ylim(0, 100)
    axes[0].set_ylabel("purity, %")
    if "paper" in handles:
        handles["paper"] = handles.pop("paper")  # last in the legend
    if handles:
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside lower center",
            ncols=min(len(handles), 8, int(width / 2)),
            frameon=False,
        )
    return save(figure, base)


def save(figure, base, dpi: int = 150) -> dict[str, Path]:
    """Write `base`.png and `base`.pdf, without dates or versions: the same data, the same files."""
    paths = {kind: Path(f"{base}.{kind}") for kind in ("png", "pdf")}
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    write_atomic(paths["png"], lambda handle: handle.write(small_png(drawn.getvalue())))
    write_atomic(
        paths["pdf"],
        partial(
            figure.savefig, format="pdf", dpi=dpi, metadata={"CreationDate": None, "Producer": None}
        ),
    )
    return paths


def small_png(data: bytes) -> bytes:
    """A PNG of the same picture on white in at most 256 colours: less than half as large.

    Up to 256 colours stay as they are; of more, the rare shades of anti-aliased edges join others.
    """
    from PIL import Image

    with Image.open(io.BytesIO(data)) as opened:
        picture = opened.convert("RGBA")
    flat = Image.new("RGBA", picture.size, "white")
    flat.alpha_composite(picture)
    flat, out = flat.convert("RGB"), io.BytesIO()
    flat.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        out, "PNG", optimize=True
    )
    return out.getvalue()


def _bar(axis, row, group, names, methods, handles):
    width = 0.84 / len(names)
    index = names.index(row["method"])
    x = group + width * (index - (len(names) - 1) / 2)
    label = methods[row["method"]]["label"]
    if row["purity_mean"] is not None:
        handles[label] = axis.bar(
            x,
            row["purity_mean"],
            width,
            yerr=row["purity_std"],
            capsize=2,
            edgecolor="white",
            linewidth=0.5,
            color=COLOURS[index % len(COLOURS)],
            hatch=HATCHES[index % len(HATCHES)],
            error_kw={"linewidth": 1},
        )
    if row["paper_mean"] is not None:
        handles["paper"] = axis.hlines(
            row["paper_mean"], x - width / 2, x + width / 2, color="black", linewidth=1.6, zorder=3
        )
