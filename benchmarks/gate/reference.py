"""The tracked values that a run is compared with: ``results/gate/reference.csv``.

A line a cell: dataset, method, space, seed, status, number of points, the measures, the cell's key,
and what made it (commit, whether the checkout differed from it, processor, versions).
"""

from __future__ import annotations

import csv
from pathlib import Path

from benchmarks.records.provenance import PACKAGES
from benchmarks.report.table import Table
from benchmarks.report.words import replace

CELL = ("dataset", "method", "space", "seed")
MACHINE = ("cpu", "python", *PACKAGES)
DIGITS = 6  # decimals that are kept, and that a run is rounded to before it is compared


class BadReference(ValueError):
    """A reference that cannot be read as one; the message says what to do."""


def columns(measures) -> list[str]:
    """Header of the file."""
    return [*CELL, "status", "n", *measures, "key", "commit", "dirty", *MACHINE]


def cell_of(row: dict) -> tuple:
    """Dataset, method, space and seed of a row."""
    return tuple(row[name] for name in CELL)


def path_in(results: Path) -> Path:
    """Where the reference of a results folder lies."""
    return Path(results) / "gate" / "reference.csv"


def write(path: Path, rows: list[dict], measures) -> None:
    """Replace the reference, in the order of the rows."""
    said = {True: "yes", False: "no"}
    table = Table(columns(measures), [{**row, "dirty": said.get(row.get("dirty"))} for row in rows])
    replace(Path(path), table.csv(f".{DIGITS}f"))


def read(path: Path, measures) -> list[dict]:
    """Rows of the reference; [] where there is no file.

    Raises
    ------
    BadReference
        For a missing column, a cell listed twice or a value that is no number.
    """
    path = Path(path)
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle)
        if absent := set(columns(measures)) - set(reader.fieldnames or ()):
            raise BadReference(
                f"{path} has no column {', '.join(sorted(absent))}: "
                "`mixnet gate --update` writes a new one"
            )
        rows = []
        for line in reader:
            try:
                rows.append(
                    {
                        **line,
                        "seed": int(line["seed"]),
                        "n": _number(line["n"], int),
                        "dirty": line["dirty"] == "yes",
                        **{name: _number(line[name], float) for name in measures},
                    }
                )
            except (TypeError, ValueError) as error:
                raise BadReference(f"{path}, line {reader.line_num}: {error}") from error
    cells = [*map(cell_of, rows)]
    if twice := {cell for cell in cells if cells.count(cell) > 1}:
        raise BadReference(f"{path} has {' '.join(map(str, sorted(twice)[0]))} twice")
    return rows


def machines(rows) -> list[str]:
    """The distinct machines of some rows, in words."""

    def words(row):
        return ", ".join(
            [row["cpu"], *(f"{name} {row[name]}" for name in MACHINE if name != "cpu")]
        )

    return list(dict.fromkeys(words(row) for row in rows if row.get("cpu")))


def _number(text: str, kind):
    return None if text == "" else kind(text)
