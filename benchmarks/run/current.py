"""Which record a cell stands on, for whatever is made of records."""

from __future__ import annotations

from benchmarks.records.store import Store
from benchmarks.run.plan import Plan, Standing, State


def current(plan: Plan, store: Store, now: Standing | None = None) -> list[dict]:
    """One record a requested cell, as `standing` says; cells that were never run have none.

    Where a cell takes codes, ``codes_seconds`` is what computing them took, those that they are
    made of included; None if not known.
    """
    now, found = now or Standing(store), []
    for node in plan.nodes.values():
        record = standing(now.state(node)) if node.requested else None
        if record is not None and "codes" in node.needs:
            record["codes_seconds"] = _seconds_of_codes(node, now)
        if record is not None:
            found.append(record)
    return found


def _seconds_of_codes(node, now: Standing) -> float | None:
    """Of all embeddings under a cell: one may be of the codes of another."""
    total = 0.0
    while (node := node.needs.get("codes")) is not None:
        seconds = (standing(now.state(node)) or {}).get("seconds")
        if seconds is None:
            return None
        total += seconds
    return total


def standing(state: State) -> dict | None:
    """The record that a cell stands on: its newest done attempt, marked ``stale``, else its newest.

    None where the cell was never run.
    """
    record = state.record or state.last
    if record is None:
        return None
    if record["status"] == "done" and state.record is None:
        record = {**record, "status": "error"}  # its arrays are damaged
    return {
        **record,
        "stale": state.record is not None
        and bool(state.modules or state.other or state.name == "failed"),
    }
