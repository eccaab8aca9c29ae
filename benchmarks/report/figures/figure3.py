"""Figure 3: faces that the networks generate, and the lighting that their clusters capture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.report import stats, words
from benchmarks.report.figures.generated import (
    Missing,
    ends,
    generated_rows,
    memorisation,
    record_of,
    stale_note,
    to_csv,
    with_neighbours,
)
from benchmarks.report.figures.images import Sheet
from benchmarks.report.plot import COLOURS

GREY = "gray"
NEIGHBOUR, SAME = COLOURS[5], COLOURS[0]
MARKERS = "osD^vP*X"
SIDES = ("left", "right", "top", "bottom")
LEGEND = 1.25  # inches beside the plot
SIDED = 0.5  # of a standard deviation over images: by so much a side is the brighter one
KINDS = ("lit from the front", "dark", "bright on the left", "bright on the right")
PARTITIONS = {"mixture": "", "k-means start": "start_"}
OF_CLUSTERS = {"means": "mean of cluster", "deviations": "standard deviation in cluster"}
MEASURES = {  # arrays of a partition, as the CSV calls them
    "spread": "spread over clusters",
    "random_mean": "spread over random partitions, mean",
    "random_q95": "spread over random partitions, 95% quantile",
    "share": "share of variance between clusters",
    "p": "permutation p-value",
}


def report(records, suite, out_dir, stem) -> tuple[str, dict[str, Path]]:
    """Write `stem`.png, .pdf and .csv, `stem`-brightness.csv, and the caption as text.

    Pictures and clusters are those of the smallest seed that has pictures; the brightness is
    measured at every seed. Where a record is missing nothing is drawn, and the text says which.
    """
    try:
        made = record_of(records, "generated-faces", suite)
        seed = made["cell"]["seed"]
        shown = record_of(records, "lighting", suite, seed)
    except Missing as missing:
        return str(missing), {}
    lit = [r for r in records if r["cell"]["method"] == "lighting" and r["status"] == "done"]
    lit.sort(key=lambda r: r["cell"]["seed"])
    measured = {r["cell"]["seed"]: r["load"]() for r in lit}
    arrays, values = made["load"](), shown["values"]
    names = values["quantities"]
    caption = [
        f"Seed {seed}. {memorisation(arrays)}",
        brightness_line(measured, values, len(suite["seeds"])),
        *stale_note(made, *lit),
    ]
    base = Path(out_dir) / stem
    sheet = draw(arrays, measured[seed], names, suite["title"], ends(made), caption)
    columns = ("seed", "partition", "measure", "cluster", "lighting", "n", *names)
    bright = to_csv(brightness_rows(measured, names), columns)
    paths = {
        **sheet.save(base),
        "csv": words.replace(base.with_suffix(".csv"), to_csv(generated_rows(arrays))),
        "brightness": words.replace(Path(f"{base}-brightness.csv"), bright),
    }
    return "\n".join([suite["title"], *caption]), paths


def brightness_rows(measured, names) -> list[dict]:
    """CSV rows of brightness: clusters of every seed, their spread, and its mean over seeds.

    `measured` has the arrays of `benchmarks.exhibits.lighting.lighting` by seed, `names` says what
    they measure of an image.
    """
    rows = []

    def add(seed, partition, measure, n, line, **cluster):
        own = {"seed": seed, "partition": partition, "measure": measure, "n": n, **cluster}
        rows.append(own | dict(zip(names, line, strict=True)))

    for seed, arrays in measured.items():
        for partition, prefix in PARTITIONS.items():
            sizes, said = arrays[f"{prefix}sizes"], lighting_words(arrays, names, prefix)
            for array, kind in OF_CLUSTERS.items():
                for j, line in enumerate(arrays[f"{prefix}{array}"]):
                    add(seed, partition, kind, sizes[j], line, cluster=j, lighting=said[j])
            for array, label in MEASURES.items():
                add(seed, partition, label, sizes.sum(), arrays[f"{prefix}{array}"])
    for partition, prefix in PARTITIONS.items():
        for array, label in MEASURES.items():
            over = np.stack([arrays[f"{prefix}{array}"] for arrays in measured.values()])
            add("mean over seeds", partition, label, len(over), over.mean(0))
            add("standard deviation over seeds", partition, label, len(over), _deviation(over))
    return rows


def brightness_line(measured, values, n_asked: int) -> str:
    """The line of the caption on what the clusters capture."""
    words_of, names = [], values["quantities"]
    for name in ("left - right", "whole"):
        i = names.index(name)
        own, start, random = (
            [float(arrays[array][i]) for arrays in measured.values()]
            for array in ("spread", "start_spread", "random_mean")
        )
        what = "left − right" if name == "left - right" else "the whole image"
        words_of.append(
            f"{what} {_pm(own)} (k-means start {_pm(start)}, random partitions of the "
            f"same sizes {_pm(random)})"
        )
    p = max(float(arrays["p"].max()) for arrays in measured.values())
    every = [
        sum(set(KINDS) <= {*lighting_words(arrays, names, prefix)} for arrays in measured.values())
        for prefix in PARTITIONS.values()
    ]
    return (
        f"Clusters differ in lighting. Spread over clusters of mean brightness (0 to 1), mean "
        f"± standard deviation over n = {len(measured)}/{n_asked} seeds: "
        f"{'; '.join(words_of)}; largest permutation p of all sides and seeds {p:.4f} "
        f"({values['n_permutations']} random partitions each). A cluster is called bright on "
        f"one side where left − right is beyond half a standard deviation over images, else "
        f"lit from the front or dark as the whole is above the mean or below; all four are "
        f"there at {every[0]} seeds (k-means start {every[1]})."
    )


def lighting_words(arrays, names, prefix: str = "") -> list[str]:
    """Which of `KINDS` each cluster of a partition is, from the mean brightness of its images.

    Bright on one side where the difference of left and right is more than half a standard
    deviation over all images; else from the front or dark, as the whole is above the mean or below.
    """
    side, whole = names.index("left - right"), names.index("whole")
    front, dark, on_left, on_right = KINDS
    found = []
    for line in arrays[f"{prefix}means"]:
        if np.isnan(line[whole]):
            found.append("empty")
        elif abs(line[side]) > SIDED * arrays["image_deviations"][side]:
            found.append(on_left if line[side] > 0 else on_right)
        else:
            found.append(front if line[whole] > arrays["image_means"][whole] else dark)
    return found


def draw(arrays, lit, names, title, chosen, caption) -> Sheet:
    """The page: samples, a row a network, a line a network, and the clusters' brightness."""
    said = lighting_words(lit, names)
    sheet = Sheet(7.2, 9.2)
    sheet.text(0.1, 0.06, title, size=9, weight="bold")
    sheet.text(
        0.1,
        0.30,
        "(a) Samples drawn by the priors; last column: the training image "
        "nearest to the sample at its left, in code space",
    )
    place = sheet.grid(with_neighbours(arrays), 0.1, 0.5, GREY, zoom=5, apart=1, frame=NEIGHBOUR)
    top = place.bottom + 0.14
    sheet.text(
        0.1,
        top,
        "(b) One network a row, named by the lighting of its cluster, see (d); "
        "the last two columns have identical inputs",
    )
    place = sheet.grid(arrays["networks"], 1.0, top + 0.2, GREY, zoom=5, apart=2, frame=SAME)
    _label(sheet, place, said)
    top = place.bottom + 0.14
    sheet.text(
        0.1, top, f"(c) One network a row, along a straight line in its latent space; {chosen}"
    )
    place = sheet.grid(arrays["lines"], 1.0, top + 0.2, GREY, zoom=5)
    _label(sheet, place, said)
    top = place.bottom + 0.14
    sheet.text(
        0.1,
        top,
        "(d) The clusters: mean image, number of images, and mean brightness of "
        "the sides ± one standard deviation over images",
    )
    bottom = _clusters(sheet, lit, names, said, top + 0.22)
    sheet.lines(0.1, bottom, caption, 135)
    return sheet


def _label(sheet, place, said) -> None:
    for j, y in enumerate(place.tops):
        sheet.text(0.1, y + place.height / 2, f"network {j}\n{said[j]}", size=6.5, va="center")


def _clusters(sheet, lit, names, said, top) -> float:
    sides = [names.index(side) for side in SIDES]
    faces = sheet.grid(lit["faces"][None], 0.1, top + 0.1, GREY, zoom=7)
    for j, x in enumerate(faces.lefts):
        light = said[j].replace(" on ", "\non ").replace(" from ", "\nfrom ")
        under = f"cluster {j}\n{light}\nn = {lit['sizes'][j]}"
        sheet.text(x + faces.width / 2, faces.bottom + 0.04, under, size=6.5, ha="center")
    left = faces.right + 0.55
    axis = sheet.axes(left, top + 0.05, 7.0 - LEGEND - left, 1.2)
    places = np.arange(len(sides))
    for j, (mean, deviation) in enumerate(zip(lit["means"], lit["deviations"], strict=True)):
        beside = places + 0.12 * (j - (len(said) - 1) / 2)
        look = {"fmt": MARKERS[j % len(MARKERS)], "color": COLOURS[j % len(COLOURS)]}
        look |= {"markersize": 4, "linewidth": 1, "capsize": 1.5}
        axis.errorbar(beside, mean[sides], deviation[sides], label=f"cluster {j}", **look)
    centre, reach = lit["image_means"][sides], lit["random_q95"][sides]
    random = "random partitions:\nmean ± 95% quantile\nof the spread"
    axis.bar(places, 2 * reach, 0.7, centre - reach, color="#999999", zorder=0, label=random)
    axis.set_xticks(places, SIDES, fontsize=7)
    axis.set_xlim(-0.5, len(sides) - 0.5)
    axis.set_ylim(0, None)
    axis.tick_params(axis="y", labelsize=6.5)
    axis.set_ylabel("brightness", fontsize=7)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=6.5, loc="upper left", bbox_to_anchor=(1.0, 1.08))
    return faces.bottom + 0.88


def _deviation(over) -> np.ndarray:
    """Over seeds (ddof = 1); NaN for a single one."""
    return over.std(0, ddof=1) if len(over) > 1 else np.full(over.shape[1], np.nan)


def _pm(values) -> str:
    deviation = f" ± {stats.std(values):.3f}" if len(values) > 1 else ""
    return f"{stats.mean(values):.3f}{deviation}"
