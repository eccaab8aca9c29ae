"""What a run would do, and how long it would take, without running anything."""

from __future__ import annotations

import heapq

from benchmarks.records.store import Store
from benchmarks.run.dispatch import Settings, forecast
from benchmarks.run.plan import Node, Plan, Standing
from benchmarks.run.progress import History, duration


def lines(plan: Plan, store: Store, settings: Settings) -> list[str]:
    """A line for each cell that would run, with the reason and its expected time; then the sum.

    Times are medians over records of cells alike, "roughly" where only other parameters or
    datasets have been seen. The sum is what `settings.jobs` cells at a time would take.
    """
    history = History(store.all(), plan.fast)
    chosen = forecast(plan, store, settings.retry_failed, settings.remake)
    said, blocked, seconds, standing = [], {}, {}, Standing(store)
    for key, (state, why) in chosen.items():
        node = plan.nodes[key]
        if reason := _blocked(node, chosen, blocked, standing):
            blocked[key] = reason
            said.append(f"{node}: not run, {reason}")
            continue
        seconds[key] = history.expect(node.cell)
        guess = "" if history.certain([node.cell]) else "roughly "
        time = "unknown time" if seconds[key] is None else guess + duration(seconds[key])
        need = "" if node.requested else "needed by others, "
        said.append(f"{node}: {state.name}, {need}{why}; {time}")
    words = f"{len(seconds)} of {len(plan.nodes)} cells would run"
    known = {key: value for key, value in seconds.items() if value is not None}
    if known:
        cells = [plan.nodes[key].cell for key in known]
        words += (
            ", "
            + ("" if history.certain(cells) else "roughly ")
            + duration(makespan([plan.nodes[key] for key in known], known, settings.jobs))
        )
        words += f" with {settings.jobs} at a time"
    if len(known) < len(seconds):
        n = len(seconds) - len(known)
        words += f", {n} of unknown time" + (" not counted" if known else "")
    return [*said, words]


def _blocked(node: Node, chosen, blocked, standing: Standing) -> str:
    """Why a cell that is to run cannot: a need that failed and is not to run again, or none."""
    for need in node.needs.values():
        if need.key in blocked:
            return blocked[need.key]
        if need.key not in chosen and (state := standing.state(need)).name == "failed":
            return f"needs {need}: {state.last['status']}"
    return ""


def makespan(nodes: list[Node], seconds: dict[str, float], jobs: int) -> float:
    """Seconds until the last of `nodes` ends: in their order, `jobs` at a time, needs first.

    `seconds` are by key of a node. Needs that are not among `nodes` are there already.
    """
    now, running, waiting, over = 0.0, [], list(nodes), set()
    keys = {node.key for node in nodes}
    while waiting or running:
        for node in list(waiting):
            if len(running) == jobs:
                break
            if all(need.key in over or need.key not in keys for need in node.needs.values()):
                heapq.heappush(running, (now + seconds[node.key], node.key))
                waiting.remove(node)
        now, key = heapq.heappop(running)
        over.add(key)
    return now
