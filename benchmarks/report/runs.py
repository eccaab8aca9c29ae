"""runs.csv: one row for every done attempt, everything in it flat."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from benchmarks.report import words

FIRST = ("cell.dataset", "cell.method", "cell.params.space", "cell.seed", "stale",
         "metrics.purity", "metrics.acc", "metrics.nmi", "metrics.ari", "seconds")


def frame(records) -> pd.DataFrame:
    """Done attempts as rows; nested keys are joined by dots, lists are written as JSON."""
    table = pd.json_normalize([r for r in records if r.get("status", "done") == "done"])
    table = table.map(lambda value: json.dumps(value) if isinstance(value, list) else value)
    first = [column for column in FIRST if column in table.columns]
    table = table[first + sorted(set(table.columns) - set(first))]
    return table.sort_values(first[:4], ignore_index=True) if first else table


def write(records, path) -> Path:
    """Write the rows of `frame` as CSV, the file replaced whole."""
    path = Path(path)
    return words.replace(path, frame(records).to_csv(index=False, lineterminator="\n"))
