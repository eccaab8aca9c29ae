"""Figure 2: digits that the networks generate, and digits that only the mixture puts right."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.report import words
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

INK = "gray_r"  # black digits on white paper
NEIGHBOUR, SAME = COLOURS[5], COLOURS[0]
RULE = (
    "a cluster stands for its majority class; of each class digits drawn at random, by the "
    "seed, from all that k-means and NCut put in a wrong cluster and the mixture in the right "
    "one"
)
LABELS = "labels are used for display only"


def report(records, suite, out_dir, stem) -> tuple[str, dict[str, Path]]:
    """Write `stem`.png, .pdf and .csv from the records of the smallest seed; the caption as text.

    Where a record is missing nothing is drawn, and the text says which.
    """
    try:
        made = record_of(records, "generated-digits", suite)
        seed = made["cell"]["seed"]
        wrong = record_of(records, "misclustered", suite, seed)
    except Missing as missing:
        return str(missing), {}
    arrays, digits = made["load"](), wrong["load"]()
    caption = [
        f"Seed {seed}. {memorisation(arrays)}",
        counts(wrong["values"], digits),
        *stale_note(made, wrong),
    ]
    base = Path(out_dir) / stem
    paths = draw(arrays, digits, suite["title"], ends(made), caption).save(base)
    rows = generated_rows(arrays) + wrong_rows(digits)
    paths["csv"] = words.replace(base.with_suffix(".csv"), to_csv(rows))
    return "\n".join([suite["title"], *caption]), paths


def counts(values, digits) -> str:
    """The line of the caption on how many digits are put right by which method."""
    most = int(digits["only_mixture"].argmax())
    return (
        f"Of {values['n']} digits k-means puts {values['kmeans_right']} in the right cluster, "
        f"NCut {values['ncut_right']}, the mixture {values['mixture_right']}; the mixture "
        f"alone {values['only_mixture']} ({digits['only_mixture'][most]} of them {most}s), "
        f"k-means and NCut but not the mixture {values['only_others']}. A cluster stands for "
        "its majority class, in quotes beside its network."
    )


def wrong_rows(digits) -> list[dict]:
    """CSV rows of the digits shown, and of how many of each class there are."""
    found, column = [{"part": "rule", "note": f"{RULE}; {LABELS}"}], 0
    for i, (row, own) in enumerate(zip(digits["rows"], digits["classes"], strict=True)):
        column = column + 1 if i and own == digits["classes"][i - 1] else 0
        classes = {
            f"{by}_class": digits[f"{by}_classes"][i] for by in ("kmeans", "ncut", "mixture")
        }
        place = {"row": own, "column": column, "training_row": row, "class": own}
        found.append({"part": "misclustered", **place, "note": LABELS, **classes})
    for kind, note in (
        ("only_mixture", "put right by the mixture, not by k-means or NCut"),
        ("only_others", "put right by k-means and NCut, not by the mixture"),
    ):
        found += [
            {"part": kind, "row": own, "class": own, "n": n, "note": f"digits {note}; {LABELS}"}
            for own, n in enumerate(digits[kind])
        ]
    return found


def draw(arrays, digits, title, chosen, caption) -> Sheet:
    """The page: (a) above, (b) in the middle, (c) below."""
    sheet = Sheet(7.2, 9.15)
    sheet.text(0.1, 0.06, title, size=9, weight="bold")
    sheet.text(
        0.1,
        0.30,
        "(a) Samples drawn by the priors; last column: the\n"
        "training image nearest to the sample beside it, in code space",
    )
    left = sheet.grid(with_neighbours(arrays), 0.1, 0.63, INK, apart=1, frame=NEIGHBOUR)
    _misclustered(sheet, digits, left.right + 0.35, 0.30, left)

    stands = digits["mixture_clusters"]
    top = left.bottom + 0.12
    sheet.text(
        0.1,
        top,
        "(b) One network a panel: from upper left to lower right along a straight "
        f"line in its latent space;\n      {chosen}",
    )
    side = round(arrays["lines"].shape[1] ** 0.5)
    for j, line in enumerate(arrays["lines"]):
        x, y = 0.1 + 1.43 * (j % 5), top + 0.31 + 1.38 * (j // 5)
        sheet.text(x, y, network(j, stands), size=7)
        panel = line.reshape(side, side, *line.shape[1:])
        bottom = sheet.grid(panel, x, y + 0.14, INK).bottom

    top = bottom + 0.12
    sheet.text(0.1, top, "(c) One network a row; the last two columns have identical inputs")
    rows = sheet.grid(arrays["networks"], 0.95, top + 0.2, INK, apart=2, frame=SAME)
    for j, y in enumerate(rows.tops):
        sheet.text(0.1, y + rows.height / 2, network(j, stands), size=7, va="center")
    sheet.lines(0.1, rows.bottom + 0.1, caption, 135)
    return sheet


def network(j: int, stands) -> str:
    """Name of a network with the class that its cluster stands for."""
    own = stands[j] if j < len(stands) and stands[j] >= 0 else "–"
    return f"network {j}  “{own}”"


def _misclustered(sheet, digits, left, top, beside) -> None:
    sheet.text(
        left,
        top,
        "Digits that k-means (k) and NCut (N) put in a wrong cluster, that of\n"
        "the number given, and the mixture in the right one",
    )
    for own, y in enumerate(beside.tops):
        middle = y + beside.height / 2
        sheet.text(left, middle, f"{own}", size=8, va="center", weight="bold")
        shown = np.flatnonzero(digits["classes"] == own)
        if not len(shown):
            stands = own in digits["mixture_clusters"]
            why = "none" if stands else f"none: no cluster of the mixture stands for {own}"
            sheet.text(left + 0.2, middle, why, size=7, va="center", style="italic")
        for column, i in enumerate(shown):
            x = left + 0.2 + 0.68 * column
            spot = sheet.grid(digits["images"][i][None, None], x, y, INK)
            wrong = f"k {digits['kmeans_classes'][i]}  N {digits['ncut_classes'][i]}"
            sheet.text(spot.right + 0.05, middle, wrong, size=6.5, va="center")
