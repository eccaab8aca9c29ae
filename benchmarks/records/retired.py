"""Attempts that were retired: no longer here, each a line that says where the history has it.

``<results>/retired.csv``, to which lines are only ever added:

==============  ====================================================================================
dataset,        the cell of the attempt (``space`` is raw or code; of an evaluation ``method``
method, space,  is followed by ``of`` and the model)
seed
key, attempt    its name: no later attempt gets that number
status          done, or how it failed
measure, value  purity in percent, else the first of `MEASURES` that it had
why             superseded, replaced or unasked (`benchmarks.run.retire`)
code            commit of the code that made it, as the record has it
sha256          of the record's file
found_in        a commit that has it: ``records/DATASET/METHOD/KEY-ATTEMPT.json``, ``.npz``
==============  ====================================================================================
"""

from __future__ import annotations

import csv
import io
import os
import re
from pathlib import Path

from benchmarks.records.whole import append_whole, read_appended

NAME = "retired.csv"
FIELDS = (
    "dataset", "method", "space", "seed", "key", "attempt", "status", "measure", "value", "why",
    "code", "sha256", "found_in",
)  # fmt: skip
MEASURES = ("purity", "ll", "mmd2", "graph_knee")
_GOOD = {
    "key": re.compile(r"[0-9a-f]{16}"),
    "attempt": re.compile(r"[1-9][0-9]{0,8}"),
    "sha256": re.compile(r"[0-9a-f]{64}"),
    "found_in": re.compile(r"[0-9a-f]{40,64}"),
}


class Retired:
    """The lines of one results folder.

    Attributes
    ----------
    problems : dict of str -> str
        Lines that cannot be believed ("retired.csv line 3" -> what is wrong).
    """

    def __init__(self, results: Path):
        self.path = Path(results) / NAME
        self.problems: dict[str, str] = {}
        self._seen: tuple[int, int, int] | None = None
        self._lines: list[dict[str, str]] = []

    def lines(self) -> list[dict[str, str]]:
        """Every line that can be believed, in the order in which they were added."""
        try:
            stat = os.stat(self.path)
            seen: tuple[int, int, int] | None = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen == self._seen:
                return self._lines
            text = read_appended(self.path).decode("utf-8", "replace")
        except OSError:
            seen, text = None, ""
        self._seen, self._lines, self.problems = seen, [], {}
        for number, text_line in enumerate(text.splitlines(), 1):
            values = next(csv.reader([text_line]), [])
            if not values or tuple(values) == FIELDS:
                continue
            one = dict(zip(FIELDS, values, strict=False))
            wrong = [name for name, form in _GOOD.items() if not form.fullmatch(one.get(name, ""))]
            if len(values) != len(FIELDS) or wrong:
                self.problems[f"{NAME} line {number}"] = (
                    f"damaged: {', '.join(wrong) or f'{len(values)} fields'}"
                )
                continue
            self._lines.append(one)
        return self._lines

    def numbers(self, key: str) -> set[int]:
        """Numbers of the retired attempts at a cell."""
        return {int(one["attempt"]) for one in self.lines() if one["key"] == key}

    def by_hash(self) -> dict[str, int]:
        """sha256 of a retired record's file -> its number."""
        return {one["sha256"]: int(one["attempt"]) for one in self.lines()}

    def append(self, lines: list[dict]) -> None:
        """Add lines, all or none; OSError where the disk does not take them."""
        new = not self.path.exists() or not self.path.stat().st_size
        out = io.StringIO()
        writer = csv.DictWriter(out, FIELDS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(lines)
        append_whole(self.path, out.getvalue().encode())


def line(record: dict, why: str, sha256: str, found_in: str) -> dict:
    """The line of a record."""
    cell, said = record["cell"], {**record["values"], **record["metrics"]}
    of = (cell["params"].get("inputs") or {}).get("samples", "").partition("/")[0]
    measure = next((name for name in MEASURES if isinstance(said.get(name), int | float)), "")
    return {
        "dataset": cell["dataset"],
        "method": cell["method"] + (f" of {of}" if of else ""),
        "space": cell["params"].get("space", ""),
        "seed": cell["seed"],
        "key": record["key"],
        "attempt": record["attempt"],
        "status": record["status"],
        "measure": measure,
        "value": f"{said[measure]:.6g}" if measure else "",
        "why": why,
        "code": record["provenance"].get("commit") or "",
        "sha256": sha256,
        "found_in": found_in,
    }
