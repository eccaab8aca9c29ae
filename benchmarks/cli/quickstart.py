"""``mixnet quickstart``: the suite of that name, run whole here and now in a folder of its own.

Neither records nor artefacts of the results folder are read, so what is shown was computed by this
checkout on this machine. A call that was stopped goes on from where it was; each row says whether
it was run by this call or by one before.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from benchmarks.records import folders
from benchmarks.records.files import file_lock
from benchmarks.records.store import Store
from benchmarks.report.table import Table
from benchmarks.run.plan import Plan, Standing
from benchmarks.run.progress import duration

SUITE = "quickstart"


def folder(results: Path) -> Path:
    """Where records, artefacts and tables of the quickstart go: an ignored folder of `results`."""
    return results / "partial" / SUITE


@contextlib.contextmanager
def own_folder(place: Path, fresh: bool):
    """Hold `place` for one call, emptied if `fresh`; artefacts go there too meanwhile.

    Yields
    ------
    bool
        False where another call holds the folder: nothing was changed.

    Raises
    ------
    OSError
        When the folder cannot be made or emptied.
    """
    with file_lock(place.parent / f"{place.name}.lock", wait=False) as free:
        if not free:
            yield False
            return
        if fresh and place.exists():
            shutil.rmtree(place)
        with folders.artifacts_in(place / "artifacts"):
            yield True


def attempts(store: Store) -> set[tuple[str, int]]:
    """(key, attempt) of every record there is."""
    return {(record["key"], record["attempt"]) for record in store.all()}


def lines(plan: Plan, store: Store, before: set[tuple[str, int]]) -> list[str]:
    """A line for each cell: its purity, whether it was run now, seconds of its whole process.

    `before` has the `attempts` as they were when this call began.
    """
    rows, now, all_seconds = [], 0, 0.0
    standing = Standing(store)
    for node in plan.nodes.values():
        state = standing.state(node)
        record = state.record if state.name == "done" else state.last
        cell = node.cell
        named = cell["dataset"], cell["method"], cell["params"]["space"]
        if record is None:
            rows.append((*named, "", "not run", ""))
            continue
        purity, seconds = record["metrics"].get("purity"), record["provenance"].get("wall_s") or 0.0
        ran = (record["key"], record["attempt"]) not in before
        when = "now" if ran else "before, " + record["provenance"]["started"][:16].replace("T", " ")
        if record["status"] != "done":
            when += f": {record['status']}"
        now, all_seconds = now + ran, all_seconds + ran * seconds
        rows.append((*named, "" if purity is None else f"{purity:.1f}", when, duration(seconds)))
    said = [Table(("dataset", "method", "space", "purity", "run", "took"), rows).text()]
    n = len(rows)
    said.append(f"{now} of {n} rows were run now, {duration(all_seconds)} of processes in all")
    if now < n:
        said.append("a row of before is of an earlier call, by the same code: --fresh starts over")
    return said
