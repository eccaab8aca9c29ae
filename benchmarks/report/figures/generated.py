"""What Figures 2 and 3 share: finding their records, and the numbers of what networks generate."""

from __future__ import annotations

import numpy as np

from benchmarks.report.table import Table

#: Columns of the CSV of pictures; empty where a row has nothing to say.
COLUMNS = (
    "part", "row", "column", "network", "position", "nearest_training_row", "distance", "step", "n",
    "q05", "q95", "training_row", "class", "kmeans_class", "ncut_class", "mixture_class", "note",
)  # fmt: skip
KINDS = {
    "samples": "samples by the priors",
    "held_out": "real points held out of the mixture's training",
    "training": "training points, to the nearest other one",
}


class Missing(LookupError):
    """A record that a figure stands on is not there; the message says which, and what to do."""


def record_of(records, method: str, suite: dict, seed: int | None = None) -> dict:
    """The done record of a method and a seed, of the smallest seed where none is given.

    Raises
    ------
    Missing
        With the status of the cell and the command that runs it.
    """
    own = [
        r for r in records if r["cell"]["method"] == method and seed in (None, r["cell"]["seed"])
    ]
    done = [r for r in own if r["status"] == "done"]
    if not done:
        which = method if seed is None else f"{method} of seed {seed}"
        state = own[0]["status"] if own else "missing"
        reason = (own[0].get("error") or {}).get("reason", "") if own else ""
        raise Missing(
            f"nothing is drawn: {which} is {state}{f' ({reason})' if reason else ''}; "
            f"run `mixnet run {suite['name']}`"
        )
    return min(done, key=lambda r: r["cell"]["seed"])


def stale_note(*records) -> list[str]:
    """A line that names the methods whose records were made by code that has since changed."""
    names = sorted({r["cell"]["method"] for r in records if r.get("stale")})
    return [f"Stale, made by code that has changed since: {', '.join(names)}."] if names else []


def generated_rows(arrays) -> list[dict]:
    """CSV rows of what `benchmarks.exhibits.images.generated` made: every picture and distance.

    ``position`` is the place on a line, from 0 to 1; ``distance`` that to the nearest training
    point, in code space; ``step`` that to the picture before.
    """
    rows, shape = [], grid_shape(arrays)

    def picture(part, row, column, network, nearest, distance):
        names = ("part", "row", "column", "network", "nearest_training_row", "distance")
        said = part, row, column, network, nearest, distance
        rows.append(dict(zip(names, said, strict=True)))

    near, far = arrays["samples_rows"], arrays["samples_distances"]
    for i, network in enumerate(arrays["samples_networks"]):
        picture("sample", *divmod(i, shape[1]), network, near[i], far[i])
    note = "training image nearest to the sample at its left, in code space"
    rows += [
        {"part": "nearest", "row": i, "column": shape[1], "training_row": row, "note": note}
        for i, row in enumerate(near.reshape(shape)[:, -1])
    ]
    for part in ("line", "network"):
        found, distances = arrays[f"{part}s_rows"], arrays[f"{part}s_distances"]
        for (j, i), row in np.ndenumerate(found):
            picture(part, j, i, j, row, distances[j, i])
            if part == "line":
                rows[-1]["position"] = i / (found.shape[1] - 1)
                rows[-1]["step"] = arrays["lines_steps"][j, i - 1] if i else None
    for kind, words_of_it in KINDS.items():
        distances = arrays[f"nearest_{kind}"]
        low, median, high = np.quantile(distances, [0.05, 0.5, 0.95])
        rows.append(
            {
                "part": f"distances of {kind.replace('_', '-')}",
                "n": len(distances),
                "distance": median,
                "q05": low,
                "q95": high,
                "note": "median and quantiles of the distance to the nearest training point "
                f"in code space: {words_of_it}",
            }
        )
    return rows


def grid_shape(arrays) -> tuple[int, int]:
    """Rows and columns of the samples, the nearest training images not counted."""
    rows = len(arrays["neighbours"])
    return rows, len(arrays["samples"]) // rows


def with_neighbours(arrays) -> np.ndarray:
    """Samples in rows and columns, the nearest training image of the last at the end of a row."""
    samples, (rows, columns) = arrays["samples"], grid_shape(arrays)
    samples = samples.reshape(rows, columns, *samples.shape[1:])
    return np.concatenate([samples, arrays["neighbours"][:, None]], axis=1)


def ends(record) -> str:
    """How the ends of the lines were chosen, in words for a heading."""
    pairs = record["cell"]["params"]["n_pairs"]
    return f"the ends are the farthest apart of {pairs} random pairs"


def memorisation(arrays) -> str:
    """The line of a caption on how near samples come to training points."""
    found = {kind: arrays[f"nearest_{kind}"] for kind in KINDS}
    samples, held_out, training = (
        f"{np.median(found[kind]):.2f} (n = {len(found[kind])})" for kind in KINDS
    )
    return (
        f"Median distance to the nearest training point, in code space: samples {samples}, "
        f"held-out points {held_out}, training points to the next one "
        f"{training}."
    )


def to_csv(rows, columns=COLUMNS) -> str:
    """The rows under these columns, four decimals, empty where there is no number."""
    return Table(columns, [[_plain(row.get(name)) for name in columns] for row in rows]).csv()


def _plain(value):
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and np.isnan(value) else value
