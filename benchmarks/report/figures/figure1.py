"""Figure 1 of the paper from records: toy sets, their purities, and what clustering them costs.

The paper shows two columns, the k-means start and the mixture's clusters with the contour of the
membership probability. Beside them stand the two methods of which §4.1.1 says that they fail or are
too expensive. Classes score the panels and choose nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from benchmarks import kinds, registry
from benchmarks.report import measures, notes, plot, stats, words
from benchmarks.report.figures import growth
from benchmarks.report.plot import COLOURS

MEMBERSHIPS = "benchmarks.exhibits.toys:memberships"  # the exhibit that is drawn here
PANELS = {
    "start": "k-means start",
    "mixture": "mixture of networks",
    "gmm": "Gaussian mixture",
    "spectral": "spectral clustering",
}
ISOLINES = (0.1, 0.3, 0.5, 0.7, 0.9)
SEEN = 99.0  # purity in percent that seeds are counted at
CLAIMS = (
    "§4.1.1: “Conventional mixture models, such as Gaussian mixture model, obviously fail to "
    "identify these clusters for two-moon and moon-circle.”",
    "§4.1.1, of spectral clustering: it “could have also identified clusters”, but such methods "
    "“usually include an eigen-decomposition step, which is very computationally expensive when it "
    "comes to clustering large datasets.”",
)


def report(records, suite, out_dir, stem) -> tuple[str, dict[str, Path]]:
    """Write the files of Figure 1 into `out_dir`; what was measured as text.

    `stem`.png, .pdf, .csv: the toy sets; `stem`-growth likewise: cost as n grows; `stem`-purity.csv
    and .md: purities over seeds. Files of which there is no record yet are not written.
    """
    methods, datasets, out = registry.methods(), registry.datasets(), Path(out_dir)
    own = {**suite, "methods": [m for m in suite["methods"] if kinds.of(methods[m]).row]}
    rows = measures.summarise(records, own, methods, datasets)
    done = [record for record in records if record["status"] == "done"]
    paths, lines = {}, [measures.text(rows, own, methods), ""]
    shown = {r["cell"]["dataset"]: r for r in done if r["estimator"] == MEMBERSHIPS}
    shown = {name: shown[name] for name in suite["datasets"] if name in shown}
    if shown:
        arrays = {name: record["load"]() for name, record in shown.items()}
        frame = toy_frame(arrays, _scores(done, shown))
        titles = {name: datasets[name]["title"] for name in shown}
        figure = draw(frame, titles, plot.older(list(shown.values())))
        paths |= _files(thinned(frame), out / stem, plot.save(figure, out / stem, dpi=200))
    grown = growth.growth_frame(done)
    if len(grown):
        labels = {name: methods[name]["label"] for name in grown.method.unique()}
        base = out / f"{stem}-growth"
        remark = plot.older([r for r in done if r["estimator"] == growth.GROWTH])
        drawn = plot.column(base, growth.draw, grown, labels, remark=remark)
        paths |= _files(grown, base, drawn)
    found = steps(done, own, datasets)
    costs = growth.sentences(grown, methods)
    said = [
        *compared(rows, methods, datasets),
        *costs,
        *notes.machines(record for record in done if record["estimator"] == growth.GROWTH),
    ]
    lines += [*found, *said]
    markdown = [
        measures.to_markdown(rows, own, methods, datasets),
        "## From the start to the end",
        "",
        *(f"* {line}" for line in found),
        "",
        "## Two claims of the paper, measured",
        "",
        *(f"> {claim}\n" for claim in CLAIMS),
        *(f"* {line}" for line in said),
    ]
    for kind, content in (("csv", measures.to_csv(rows)), ("md", "\n".join(markdown) + "\n")):
        paths[f"purity {kind}"] = words.replace(out / f"{stem}-purity.{kind}", content)
    return "\n".join(lines), paths


def toy_frame(shown, scores) -> pd.DataFrame:
    """Everything that the figure of the toy sets shows.

    Parameters
    ----------
    shown : dict
        Dataset -> arrays of the exhibit (`benchmarks.exhibits.toys.memberships`).
    scores : dict
        (dataset, panel) -> purity in percent, where it is known.

    Returns
    -------
    DataFrame
        ``dataset``; ``series``; ``x, y`` of `points` and `grid`; of points the cluster in each
        panel, numbered so that it agrees best with the mixture's; of the grid the ``membership``;
        of the series `purity of` a panel its ``purity``.
    """
    frames = []
    for name, arrays in shown.items():
        points = {
            "dataset": name,
            "series": "points",
            "x": arrays["points"][:, 0],
            "y": arrays["points"][:, 1],
        }
        for role in (role for role in PANELS if role in arrays):
            points[role] = renumbered(arrays[role], arrays["mixture"])
        x, y = np.meshgrid(arrays["grid_x"], arrays["grid_y"])
        grid = {
            "dataset": name,
            "series": "grid",
            "x": x.ravel(),
            "y": y.ravel(),
            "membership": arrays["membership"].ravel(),
        }
        purity = [
            {"dataset": name, "series": f"purity of {role}", "purity": scores[name, role]}
            for role in PANELS
            if (name, role) in scores
        ]
        frames += [pd.DataFrame(points), pd.DataFrame(grid), pd.DataFrame(purity)]
    frame = pd.concat(frames, ignore_index=True)
    roles = [role for role in PANELS if role in frame]
    frame = frame.reindex(columns=["dataset", "series", "x", "y", *roles, "membership", "purity"])
    numbers = ("x", "y", "membership", "purity")
    return frame.astype(dict.fromkeys(roles, "Int64") | dict.fromkeys(numbers, "float64")).round(5)


def thinned(frame) -> pd.DataFrame:
    """What the CSV has of `toy_frame`: all points, every second node of a grid along each side.

    Places to four decimals, less than a pixel; memberships to three. The record has all of it.
    """
    keep = np.ones(len(frame), dtype=bool)
    for _, grid in frame[frame.series == "grid"].groupby("dataset"):
        sides = (np.unique(grid[axis], return_inverse=True)[1] for axis in ("x", "y"))
        for place in sides:
            keep[grid.index] &= place % 2 == 0
    return frame[keep].round({"x": 4, "y": 4, "membership": 3})


def renumbered(labels, like) -> np.ndarray:
    """`labels` (n,) with clusters numbered as those of `like` with which they share most points."""
    labels, like = np.asarray(labels, dtype=int), np.asarray(like, dtype=int)
    k = max(labels.max(), like.max()) + 1
    shared = np.zeros((k, k), dtype=int)
    np.add.at(shared, (labels, like), 1)
    return linear_sum_assignment(shared, maximize=True)[1][labels]


def draw(frame, titles, remark=""):
    """The figure: a row for each dataset of the frame, under its title; a column a clustering."""
    names = list(dict.fromkeys(frame.dataset))
    roles = [role for role in PANELS if role in frame]
    grids = {name: frame[(frame.dataset == name) & (frame.series == "grid")] for name in names}
    heights = [np.ptp(grid.y) / np.ptp(grid.x) for grid in grids.values()]
    panel = 1.72  # inches; labels and colour bar beside
    figure = plot.canvas(panel * len(roles) + 0.3, panel * sum(heights) + 0.24 * len(names) + 0.75)
    axes = figure.subplots(len(names), len(roles), squeeze=False, height_ratios=heights)
    colours = np.array(COLOURS)
    for i, name in enumerate(names):
        points = frame[(frame.dataset == name) & (frame.series == "points")]
        for axis, role in zip(axes[i], roles, strict=True):
            if role == "mixture":
                filled = _contour(axis, grids[name])
            look = {"s": 0.7, "linewidths": 0, "rasterized": True, "zorder": 3}
            clusters = points[role].to_numpy(dtype=int)
            axis.scatter(points.x, points.y, c=colours[clusters], **look)
            ends = {"xlim": _ends(grids[name].x), "ylim": _ends(grids[name].y)}
            axis.set(aspect="equal", xticks=[], yticks=[], **ends)
            of_it = (frame.dataset == name) & (frame.series == f"purity of {role}")
            for purity in frame.purity[of_it]:
                axis.set_xlabel(f"purity {purity:.1f}%", fontsize=8, labelpad=2)
            if i == 0:
                axis.set_title(PANELS[role], fontsize=9)
        axes[i, 0].set_ylabel(titles[name], fontsize=9)
    bar = figure.colorbar(
        filled, ax=axes, location="bottom", shrink=0.5, aspect=45, pad=0.02, ticks=[0, *ISOLINES, 1]
    )
    bar.set_label(
        "membership probability of the orange cluster; isolines at "
        + ", ".join(f"{level:g}" for level in ISOLINES)
        + (f"\n{remark}" if remark else ""),
        fontsize=8,
    )
    bar.ax.tick_params(labelsize=8)
    return figure


def steps(done, suite, datasets) -> list[str]:
    """A line for each dataset: purity of the start and of the mixture, seed by seed."""
    purity = {
        (r["cell"]["dataset"], r["cell"]["method"], r["cell"]["seed"]): r["metrics"]["purity"]
        for r in done
        if "purity" in r["metrics"]
    }
    lines = []
    for name in suite["datasets"]:
        pairs = [
            (purity[name, "kmeans10", seed], purity[name, "mixnet", seed])
            for seed in suite["seeds"]
            if {(name, "kmeans10", seed), (name, "mixnet", seed)} <= set(purity)
        ]
        if pairs:
            start, end = zip(*pairs, strict=True)
            gain = [b - a for a, b in pairs]
            spread = f" ± {stats.std(gain):.2f}" if len(gain) > 1 else ""
            lines.append(
                f"{datasets[name]['title']}: k-means {stats.mean(start):.2f}, mixture "
                f"{stats.mean(end):.2f}, difference {stats.mean(gain):+.2f}{spread}, smallest "
                f"{min(end):.2f}; {sum(p >= SEEN for p in end)} of {len(end)} seeds at "
                f"{SEEN:g}% or more"
            )
    return lines


def compared(rows, methods, datasets) -> list[str]:
    """A line for each method of the rows: its mean purity on every dataset, in one order."""
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows if row["n"]):
        found = [
            f"{datasets[row['dataset']]['title']} "
            + words.pm(row["purity_mean"], row["purity_std"])
            for row in rows
            if row["method"] == method and row["n"]
        ]
        lines.append(f"{methods[method]['label']}, purity in percent: {', '.join(found)}")
    return lines


def _scores(done, shown):
    """Purity of every panel: that of the very cell whose labels it shows."""
    by_key = {r["key"]: r["metrics"].get("purity") for r in done}
    return {
        (name, role): by_key[used["key"]]
        for name, record in shown.items()
        for role, used in record["inputs"].items()
        if by_key.get(used["key"]) is not None
    }


def _contour(axis, grid):
    from matplotlib.colors import LinearSegmentedColormap

    table = grid.pivot(index="y", columns="x", values="membership")
    tints = LinearSegmentedColormap.from_list("tints", ["#A9CFE8", "#FFFFFF", "#F8D899"])
    at = table.columns.to_numpy(), table.index.to_numpy(), table.to_numpy()
    filled = axis.contourf(*at, levels=np.linspace(0, 1, 11), cmap=tints)
    widths = [1.0 if level == 0.5 else 0.4 for level in ISOLINES]
    axis.contour(*at, levels=ISOLINES, colors="black", linewidths=widths)
    return filled


def _ends(values):
    return values.min(), values.max()


def _files(frame, base, drawn):
    paths = {**drawn, "csv": words.frame(Path(f"{base}.csv"), frame)}
    return {f"{base.name} {kind}": path for kind, path in paths.items()}
