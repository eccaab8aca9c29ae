"""Do measures of samples put models in the order of the Parzen window? From rows of Table 2."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.stats import spearmanr

from benchmarks.report.table import Table

#: Rows that are no models, and the one that every measure is held against.
ANCHORS = ("training-images", "test-images", "centroids")
REFERENCE = "test-images"
FEWEST = 3  # rows, below which no order is compared


def agreement(scores, measures, names) -> list[dict]:
    """How each measure orders the models, beside the Parzen window.

    A model is the better the nearer its figure is to that of real test images: what blur or copies
    win by passing them is no gain.

    Parameters
    ----------
    scores, measures : list of dict
        As from `benchmarks.report.table2.summarise`; anchors are left out.
    names : list of str
        Measures, without ``_mean``.

    Returns
    -------
    list of dict
        ``measure``, ``n`` models, ``rho`` (Spearman's, ties by mean ranks; None where one order has
        ties alone), ``other_way`` of ``pairs``, ``nearest`` (method, space), its ``place`` by the
        Parzen window, from 1, and ``first``, the row that the window puts first.
    """
    nats = {_where(row): row["ll_mean"] for row in scores if row["ll_mean"] is not None}
    rows = {_where(row): row for row in measures}
    real = next((row for row in measures if row["method"] == REFERENCE), {})
    found = []
    for name in names:
        column = f"{name}_mean"
        models = [
            at for at in nats if at[0] not in ANCHORS and rows.get(at, {}).get(column) is not None
        ]
        if real.get(column) is None or len(models) < FEWEST:
            continue
        parzen = np.array([nats[at] for at in models])
        nearness = -np.abs(np.array([rows[at][column] for at in models]) - real[column])
        signs = [
            np.sign(parzen[i] - parzen[j]) * np.sign(nearness[i] - nearness[j])
            for i, j in combinations(range(len(models)), 2)
        ]
        nearest = int(nearness.argmax())
        found.append(
            {
                "measure": name,
                "n": len(models),
                "rho": spearman(parzen, nearness),
                "other_way": sum(sign < 0 for sign in signs),
                "pairs": len(signs),
                "nearest": models[nearest],
                "place": 1 + int((parzen > parzen[nearest]).sum()),
                "first": models[int(parzen.argmax())],
            }
        )
    return found


def spearman(x, y) -> float | None:
    """Correlation of the ranks of x and y (n,), n >= 2; None where all of one are equal."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(spearmanr(x, y).statistic)


def lines(found, labels) -> list[str]:
    """Markdown: what contradicts the Parzen order in words, and a table; [] where nothing is known.

    Parameters
    ----------
    found : list of dict
        As from `agreement`.
    labels : dict of (str, str) -> str
        Name of a row by its method and space.
    """
    if not found:
        return []
    table = Table(
        (
            "Measure",
            "Models",
            "Rank correlation",
            "Pairs the other way",
            "Nearest to real",
            "Place",
        ),
        [
            (
                row["measure"],
                row["n"],
                "" if row["rho"] is None else f"{row['rho']:+.2f}".replace("-", "−"),
                f"{row['other_way']} of {row['pairs']}",
                labels[row["nearest"]],
                row["place"],
            )
            for row in found
        ],
    )
    return [
        "",
        "## Do they agree with the Parzen order?",
        "",
        "Models alone, without real images and centroids; a model is the better the nearer its "
        "figure is to that of real test images. Rank correlation: Spearman's with the "
        "log-likelihood, +1 the same order; place: by the Parzen window, of the model that the "
        "measure puts first. " + said(found, labels),
        "",
        table.markdown(),
    ]


def said(found, labels) -> str:
    """Where measures contradict the Parzen order, in words."""
    contrary: dict[tuple, list[str]] = {}
    for row in found:
        if row["place"] > 1:
            about = row["place"], row["n"], labels[row["nearest"]], labels[row["first"]]
            contrary.setdefault(about, []).append(row["measure"])
    against = [row["measure"] for row in found if row["rho"] is not None and row["rho"] < 0]
    parts = [
        f"By {_listed(names)} {label} is nearest to real images, which the Parzen window puts at "
        f"place {place} of {n}, behind {first}."
        for (place, n, label, first), names in contrary.items()
    ]
    if against:
        parts.append(f"On the whole {_listed(against)} go against its order (correlation below 0).")
    return " ".join(parts) or "None puts another model first than the Parzen window."


def _listed(names) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _where(row) -> tuple[str, str]:
    return row["method"], row["space"]
