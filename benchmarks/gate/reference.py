"""The tracked values that a run is compared with: ``results/gate/reference.csv``.

A line a cell: dataset, method, space, seed, status, number of points, the measures, the cell's key,
and what made it (commit, whether the checkout differed from it, processor, versions).
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from benchmarks.records.provenance import PACKAGES
from benchmarks.records.whole import write_atomic

MACHINE = ("cpu", "python", *PACKAGES)
DIGITS = 6  # decimals that are kept, and that a run is rounded to before it is compared


class BadReference(ValueError):
    """A reference that cannot be read as one; the message says what to do."""


def columns(measures) -> list[str]:
    """Header of the file."""
    return [
        "dataset",
        "method",
        "space",
        "seed",
        "status",
        "n",
        *measures,
        "key",
        "commit",
        "dirty",
        *MACHINE,
    ]


def path_in(results: Path) -> Path:
    """Where the reference of a results folder lies."""
    return Path(results) / "gate" / "reference.csv"


def write(path: Path, rows: list[dict], measures) -> None:
    """Replace the reference, in the order of the rows."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns(measures), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _text(row.get(name)) for name in columns(measures)})
    write_atomic(Path(path), lambda handle: handle.write(out.getvalue().encode()))


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
    cells = [(r["dataset"], r["method"], r["space"], r["seed"]) for r in rows]
    if twice := {cell for cell in cells if cells.count(cell) > 1}:
        raise BadReference(f"{path} has {' '.join(map(str, sorted(twice)[0]))} twice")
    return rows


def machines(rows) -> list[str]:
    """The distinct machines of some rows, in words."""
    return list(
        dict.fromkeys(
            ", ".join(
                f"{name} {row[name]}" if name != "cpu" else str(row[name]) for name in MACHINE
            )
            for row in rows
            if row.get("cpu")
        )
    )


def _text(value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.{DIGITS}f}" if isinstance(value, float) else str(value)


def _number(text: str, kind):
    return None if text == "" else kind(text)
