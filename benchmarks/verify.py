"""Does changed code still give the same bits? One seed is run again, the others re-stamped.

Of each group of stale cells (same dataset, method, space and old fingerprint) the cheapest seed
runs again. Where its outputs are bit-identical from identical inputs, each other member gets a new
attempt with the old outputs and the new fingerprint (``restamped_from``); otherwise it stays stale.
"""

from __future__ import annotations

from benchmarks import provenance
from benchmarks.cache import canonical_json, file_lock
from benchmarks.dispatch import Dispatcher, Settings
from benchmarks.plan import Node, Plan, artefact, cell_state
from benchmarks.progress import Display
from benchmarks.record import Store


def verify(plan: Plan, store: Store, settings: Settings, display: Display) -> bool:
    """Verify every stale cell of a plan, needs first; True if none is left stale or fails now."""
    tried: set[str] = set()
    while group := _next_group(plan, store, tried):
        tried.update(node.key for node in group)
        chosen = min(group, key=lambda node: _cost(node, store))
        old = cell_state(chosen, store).record
        display.line(f"verify {chosen.cell['dataset']} {chosen.cell['method']} "
                     f"{chosen.cell['params']['space']}: {len(group)} stale, running seed "
                     f"{chosen.cell['seed']}")
        summary = Dispatcher(_closure(chosen, plan), store, settings, display).run()
        if summary.stopped:
            return False
        new = cell_state(chosen, store)
        if new.name != "done":
            display.line(f"  {chosen}: {summary.outcomes[chosen.key].status}; left as it was")
        elif not _same(old, new.record):
            display.line("  differs; the others stay stale: `mixnet run` computes them anew")
        else:
            n = sum(_restamp(node, new.record, store) for node in group if node is not chosen)
            display.line(f"  bit-identical, {n} re-stamped")
    left = [(node, state) for node in plan.nodes.values()
            if (state := cell_state(node, store)).name == "stale"
            or state.name == "failed" and state.record]  # its new code fails where the old did not
    for node, state in left:
        display.line(f"{state.name}: {node} ({state.why})")
    return not left


def _next_group(plan: Plan, store: Store, tried: set[str]) -> list[Node]:
    """Untried cells that are stale only by code, alike in all but the seed; plan order."""
    group, tag = [], None
    for node in plan.nodes.values():
        if node.key in tried:
            continue
        state = cell_state(node, store)
        if state.name != "stale" or state.other:
            continue
        mine = (node.cell["dataset"], node.cell["method"], node.cell["params"]["space"],
                canonical_json(state.record["provenance"]["modules"]))
        if tag in (None, mine):
            tag = mine
            group.append(node)
    return group


def _cost(node: Node, store: Store) -> tuple:
    """Order of preference: inputs at hand, then fewest seconds, then lowest seed."""
    absent = any(artefact(need, cell_state(need, store).record, store, role) is None
                 for role, need in node.needs.items())
    return absent, cell_state(node, store).record.get("seconds") or 0.0, node.cell["seed"]


def _closure(node: Node, plan: Plan) -> Plan:
    part = Plan(plan.fast, plan.source, plan.store)

    def take(one: Node):
        for need in one.needs.values():
            take(need)
        part.nodes[one.key] = one

    take(node)
    return part


def _same(old: dict, new: dict) -> bool:
    hashes = [{role: used["hash"] for role, used in record["inputs"].items()}
              for record in (old, new)]
    return old["outputs"] == new["outputs"] and hashes[0] == hashes[1]


def _restamp(node: Node, verified: dict, store: Store) -> bool:
    with file_lock(node.artifacts / "run.lock", wait=False) as held:
        state = cell_state(node, store)
        if not held or state.name != "stale" or state.other:
            return False
        old = state.record
        store.write({**old, "restamped_from": old["attempt"],
                     "verified_by": {"key": verified["key"], "attempt": verified["attempt"]},
                     "provenance": {**old["provenance"],
                                    "modules": verified["provenance"]["modules"],
                                    "restamped": provenance.commit()}})
        return True
