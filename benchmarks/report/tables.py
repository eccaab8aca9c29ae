"""From records to the files in the results folder: which records a suite's tables stand on."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from pathlib import Path

from benchmarks import registry
from benchmarks.records.scores import rescored
from benchmarks.records.store import Store
from benchmarks.run.current import current
from benchmarks.run.plan import Plan, Standing, suite_plan


def of_suite(name: str, store: Store, now: Standing | None = None) -> tuple[dict, list[dict]]:
    """A suite's stanza, and the records of its cells, scores and arrays (``load``) with them.

    `now` may be shared by suites: each cell is then judged once.
    """
    plan = suite_plan(name, store=store, recorded=True)
    records = rescored(current(plan, store, now), store)
    return selected_suite(name, plan), with_arrays(records, store)


def with_arrays(records: list[dict], store: Store) -> list[dict]:
    """Records with a function ``load`` that reads their arrays."""
    return [{**record, "load": functools.partial(store.arrays, record)} for record in records]


def selected_suite(name: str, plan: Plan) -> dict:
    """The suite's stanza narrowed, or widened, to what was asked of a plan; ``fast`` if it is."""
    suite = registry.get(registry.suites(), name, "suite")
    cells = [node.cell for node in plan.nodes.values() if node.requested]

    def asked(listed, what):
        names = list(dict.fromkeys(cell[what] for cell in cells))
        return [n for n in listed if n in names] + [n for n in names if n not in listed]

    return {
        **suite,
        "datasets": asked(suite["datasets"], "dataset"),
        "methods": asked(suite["methods"], "method"),
        "seeds": sorted({c["seed"] for c in cells}),
        "fast": plan.fast,
    }


def write(
    name: str, plan: Plan, store: Store, partial: bool, on_record: Sequence[str] = ()
) -> tuple[str, list[Path]]:
    """Write a suite's tables; returns the table as text and the files.

    A partial or shortened run writes to ``partial/`` and never touches the full tables. Methods
    named in `on_record` are marked so in the text, where that has a line for each.

    Raises
    ------
    ValueError
        For records of which no table can be made: a value that the report needs is not in one, or
        two must not be averaged.
    """
    place = store.results / "partial" if partial else store.results
    suite, records = selected_suite(name, plan), rescored(current(plan, store), store)
    suite["on_record"] = tuple(on_record)
    if partial:
        suite["title"] = (
            suite.get("title", name)
            + " ("
            + ("shortened schedules: no results" if plan.fast else "part of it")
            + ")"
        )
    folder = place
    if suite.get("report", "").startswith("figure"):  # of arrays that records keep
        folder, records = place / "figures", with_arrays(records, store)
    try:
        words, files = _report(suite)(records, suite, folder, suite.get("table", name))
    except KeyError as error:
        raise ValueError(f"one of its records has no {error}") from error
    return words, list(files.values())


def _report(suite: dict):
    """The function that writes a suite's report and returns it as text with its files."""
    name = suite.get("report") or ("measures" if "columns" in suite else "table1")
    return importlib.import_module(f"benchmarks.report.{name}").report
