"""What all figures share, and purity as small multiples: a panel a dataset, a line a method."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from textwrap import wrap

from benchmarks.records.whole import write_atomic
from benchmarks.report import layout

# Okabe and Ito's palette, told apart by all common forms of colour blindness; markers and dashes
# tell what is drawn apart in print as well.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
COLUMN = 3.3  # inches: a column of a journal, at which figures are drawn and print as they are
DPI = 300  # of their PNG
SPACES = {"raw": (COLOURS[5], "s", "raw"), "code": (COLOURS[0], "o", "codes")}
OTHERS = ((COLOURS[2], "^"), (COLOURS[3], "D"), (COLOURS[7], "v"))  # of codes of other embeddings
LONGEST = 36  # letters of a line's name
STALE = "hollow: of older code"


def canvas(width: float, height: float):
    """An empty figure of that size in inches, without pyplot: no display, no state left behind."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def column_style():
    """A context in which what is drawn has letters and lines that read at the width of a column."""
    import matplotlib

    small = ("xtick.labelsize", "ytick.labelsize", "legend.fontsize")
    return matplotlib.rc_context(
        {
            "font.size": 7,
            "axes.titlesize": 7.5,
            "axes.labelsize": 7,
            **dict.fromkeys(small, 6.5),
            "axes.linewidth": 0.6,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "xtick.major.width": 0.6,
            "ytick.major.width": 0.6,
            "lines.linewidth": 1.0,
            "grid.linewidth": 0.4,
            "grid.color": "#dddddd",
            "hatch.linewidth": 0.6,
        }
    )


def column(base, draw, *given, **more) -> dict[str, Path]:
    """Draw a figure in `column_style` and `save` it; ticks are made, and sized, only by saving."""
    with column_style():
        return save(draw(*given, **more), base, DPI)


def older(records) -> str:
    """What a figure says of the stale ones among its records, or nothing."""
    stale = sum(bool(record.get("stale")) for record in records)
    return f"{stale} of {len(records)} runs: older code" if stale else ""


def lines_of(axis, names):
    """Make an axis one of dots: a line for each name, from the top, with a pale rule along it.

    A name of more than `LONGEST` letters takes two lines, and no more than they hold.
    """
    axis.set_yticks(range(len(names)), [*map(_wrapped, names)], linespacing=0.9)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    axis.grid(axis="y")
    axis.set_axisbelow(True)


def _wrapped(name: str) -> str:
    width = LONGEST if len(name) <= LONGEST else min(LONGEST, 3 * len(name) // 4)
    return "\n".join(wrap(name, width, max_lines=2, placeholder="…"))


def dot(axis, x, y, spread, style, hollow=False, label=None, runs=None):
    """A mean with its spread to both sides, or none; hollow where it is stale.

    ``style`` is (colour, marker); ``runs``, their number, is written beside a mean of too few.
    """
    colour, marker = style
    look = {"color": colour, "markerfacecolor": "white" if hollow else colour, "markersize": 3.2}
    look |= {"markeredgewidth": 0.8, "elinewidth": 0.8}
    axis.errorbar(x, y, xerr=spread, fmt=marker, label=label, **look)
    if runs is not None:
        look = {"textcoords": "offset points", "fontsize": 5.5, "color": "0.3", "va": "center"}
        axis.annotate(str(runs), (x + (spread or 0), y), (3.5, 0), **look)


def legend(figure, axes, more=(), ncols=2, remark=""):
    """What the labels of all axes say, each once, below the panels.

    `more` are handles, the `remark` words without one.
    """
    from matplotlib.lines import Line2D

    found = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    found |= {handle.get_label(): handle for handle in more}
    if remark:
        found[remark] = Line2D([], [], linestyle="")
    if found:
        look = {"frameon": False, "columnspacing": 1.2, "handletextpad": 0.4, "ncols": ncols}
        figure.legend(found.values(), found.keys(), loc="outside lower center", **look)


def hollow_key():
    """Handle of a legend for what is drawn hollow."""
    from matplotlib.lines import Line2D

    look = {"markerfacecolor": "white", "linestyle": "", "markersize": 3.2}
    return Line2D([], [], color="0.4", marker="o", label=STALE, **look)


def purity_dots(rows, methods, datasets, base) -> dict[str, Path]:
    """Draw mean purity ± one standard deviation and write `base`.png and `base`.pdf.

    Of the rows of `summary.summarise`; one without runs has no dot. A small number beside a dot is
    that of its runs, where they are not all that were asked for.
    """
    return column(base, purity_figure, rows, methods, datasets)


def purity_figure(rows, methods, datasets):
    """The figure of `purity_dots`; a dataset without a run or a printed figure has no panel.

    A line is a column of Table 1. Features lie below each other on it, none covers another.
    """
    known = [r for r in rows if r["purity_mean"] is not None or r["paper_mean"] is not None]
    shown = list(dict.fromkeys(row["dataset"] for row in known))
    column = layout.columns(dict.fromkeys(row["method"] for row in rows), methods)
    names, found = list(dict.fromkeys(column.values())), layout.order(rows)
    rows = [row | {"line": names.index(column[row["method"]])} for row in rows]
    across = min(2, len(shown)) or 1
    down = -(-len(shown) // across) or 1
    high = 0.125 + 0.03 * max(0, len(found) - 2)  # of a line, in inches
    figure = canvas(COLUMN, 0.45 + down * (0.34 + high * len(names)))
    axes = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).flat
    for axis, dataset in zip(axes, shown, strict=False):
        lines_of(axis, [methods[name]["label"] for name in names])
        axis.set_title(datasets[dataset].get("title", dataset).partition(" (")[0])
        for row in (row for row in rows if row["dataset"] == dataset):
            _purity(axis, row, found)
    for axis in figure.axes[len(shown) :]:
        axis.remove()
    for axis in figure.axes[-across:]:
        axis.set_xlabel("purity, %")
        axis.tick_params(labelbottom=True)
    legend(
        figure,
        figure.axes,
        [hollow_key()] * any(row["stale"] for row in rows),
        ncols=4 if len(found) < 3 else 3,
    )
    return figure


def _purity(axis, row, found):
    """A mean at its place in the line; `found` are the features of all rows, from the top."""
    style, label = _look(row["features"], found)
    gap = 0.32 if len(found) < 3 else 0.72 / len(found)
    y = row["line"] + gap * (found.index(row["features"]) - (len(found) - 1) / 2)
    if row["purity_mean"] is not None:
        few = row["n"] if row["n"] < row["n_asked"] else None
        dot(axis, row["purity_mean"], y, row["purity_std"], style, bool(row["stale"]), label, few)
    if row["paper_mean"] is not None:
        axis.plot(row["paper_mean"], y, "|", color="black", markersize=5, label="paper")


def _look(of, found) -> tuple[tuple[str, str], str]:
    """(colour, marker) and name of features; of other codes than the dataset's by turns."""
    if of in SPACES:
        colour, marker, label = SPACES[of]
        return (colour, marker), label
    turn = [other for other in found if other not in SPACES].index(of) % len(OTHERS)
    return OTHERS[turn], of if of in layout.JOINT else layout.in_words(of)


def save(figure, base, dpi: int = 150) -> dict[str, Path]:
    """Write `base`.png and `base`.pdf, without dates or versions: the same data, the same files."""
    paths = {kind: Path(f"{base}.{kind}") for kind in ("png", "pdf")}
    drawn, undated = io.BytesIO(), {"CreationDate": None, "Producer": None}
    figure.savefig(drawn, format="png", dpi=dpi)
    write_atomic(paths["png"], lambda handle: handle.write(small_png(drawn.getvalue())))
    pdf = partial(figure.savefig, format="pdf", dpi=dpi, metadata=undated)
    write_atomic(paths["pdf"], pdf)
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
