"""Does changed code still give the same bits? One seed is run again, a line stands for the others.

Of each group of stale cells (same dataset, method, space and old code) the cheapest seed runs
again. Where its outputs are bit-identical from identical inputs, a line of the ledger says so, and
the other members are fresh by it (`benchmarks.records.ledger`); otherwise they stay stale. What an
earlier verification saw of a group is not run again.

For changes that no data can tell apart, such as of what is said of a damaged file, a group may be
a method's cells of all datasets and schedules: a short training then stands for the long ones.
"""

from __future__ import annotations

from benchmarks.records import ledger, provenance
from benchmarks.records.files import canonical_json
from benchmarks.records.store import Store
from benchmarks.run.dispatch import Dispatcher, Settings
from benchmarks.run.plan import Node, Plan, Standing, artefact, cell_state
from benchmarks.run.progress import Display


def verify(
    plans: list[Plan], store: Store, settings: Settings, display: Display, by: str = "dataset"
) -> bool:
    """Verify every stale cell of the plans, needs first; True if none is left stale or fails now.

    ``by``: "dataset" runs one seed of each dataset and method, "method" one cell of each method.
    """
    nodes = {key: node for plan in plans for key, node in plan.nodes.items()}
    tried: set[str] = set()
    while groups := _groups(nodes.values(), store, tried, by):
        witnesses = _witnesses(nodes.values(), store, by)
        if known := groups.keys() & witnesses.keys():
            for tag in sorted(known):
                group, seen = groups[tag], witnesses[tag]
                tried.update(node.key for node in group)
                n = _verified(group, seen, store, by)
                display.line(
                    f"verify {_name(group[0].cell)}: {n} fresh, as seen at {_name(seen['cell'])}"
                )
            continue  # what depends on these may have a witness too

        def cost(node):
            return _cost(node, store)

        # The cheapest first: what depends on it may be cheaper than what is to come.
        group = min(groups.values(), key=lambda group: min(map(cost, group)))
        tried.update(node.key for node in group)
        chosen = min(group, key=cost)
        old = cell_state(chosen, store).record
        display.line(f"verify {_name(chosen.cell)}: one of {len(group)} stale runs")
        summary = Dispatcher(_closure(chosen), store, settings, display).run()
        if summary.stopped:
            return False
        new = cell_state(chosen, store)
        if new.name != "done":
            display.line(f"  {chosen}: {summary.outcomes[chosen.key].status}; left as it was")
        elif not _same(old, new.record):
            display.line("  differs; the others stay stale: `mixnet run` computes them anew")
        else:
            n = _verified([node for node in group if node is not chosen], new.record, store, by)
            display.line(f"  bit-identical, {n} more are fresh")
    left = [
        (node, state)
        for node in nodes.values()
        if (state := cell_state(node, store)).name == "stale"
        # the last: its new code fails where the old did not
        or (state.name == "failed" and state.record)
    ]
    for node, state in left:
        display.line(f"{state.name}: {node} ({state.why})")
    return not left


def _name(cell: dict) -> str:
    return f"{cell['dataset']} {cell['method']} {cell['params']['space']} seed {cell['seed']}"


def _tag(node: Node, record: dict, store: Store, by: str) -> tuple:
    """What cells of a group have in common; of the code only what changed."""
    cell, old, alike = node.cell, store.changed(record), ()
    if by == "dataset":  # all but the seed, of its inputs too
        params = {name: value for name, value in cell["params"].items() if name != "inputs"}
        inputs = {role: need.cell["method"] for role, need in node.needs.items()}
        alike = cell["dataset"], canonical_json(params), canonical_json(inputs)
    return *alike, cell["method"], cell["params"]["space"], canonical_json(old)


def _groups(nodes, store: Store, tried: set[str], by: str) -> dict[tuple, list[Node]]:
    """Untried cells that are stale only by code, by their tag."""
    groups: dict[tuple, list[Node]] = {}
    standing = Standing(store)
    for node in nodes:
        if node.key not in tried:
            state = standing.state(node)
            if state.name == "stale" and not state.other:
                groups.setdefault(_tag(node, state.record, store, by), []).append(node)
    return groups


def _witnesses(nodes, store: Store, by: str) -> dict[tuple, dict]:
    """Fresh records whose cell has the same outputs by older code: tag of the older one -> record.

    One that differs from the older code takes the word from all others of its tag. Only attempts
    count that this code computed itself: one that is fresh by the ledger is no second witness.
    """
    found, contradicted, standing = {}, set(), Standing(store)
    for node in nodes:
        made = (r for r in standing.fresh(node) if not r.get("restamped_from"))
        own = next((r for r in made if not provenance.changed_modules(r)), None)
        if own is None:
            continue
        for old in store.attempts(node.cell):
            if old["status"] != "done" or old.get("restamped_from"):
                continue
            if _same(old, own):
                found.setdefault(_tag(node, old, store, by), own)
            elif _inputs(old) == _inputs(own):
                contradicted.add(_tag(node, old, store, by))
    return {tag: record for tag, record in found.items() if tag not in contradicted}


def _cost(node: Node, store: Store) -> tuple:
    """Order of preference: fewest seconds, inputs that are not at hand included; lowest seed."""
    return _seconds(node, store), node.cell["seed"]


def _seconds(node: Node, store: Store) -> float:
    """What the cell took, and what it takes to make those of its inputs that are absent."""
    absent = (
        need
        for role, need in node.needs.items()
        if artefact(need, cell_state(need, store).record, store, role) is None
    )
    own = (cell_state(node, store).record or {}).get("seconds") or 0.0
    return own + sum(_seconds(need, store) for need in absent)


def _closure(node: Node) -> Plan:
    part = Plan()

    def take(one: Node):
        for need in one.needs.values():
            take(need)
        part.nodes[one.key] = one

    take(node)
    return part


def _inputs(record: dict) -> dict:
    return {role: used["hash"] for role, used in record["inputs"].items()}


def _result(record: dict) -> dict:
    """What was computed, but for what says how: seconds, and if an embedding was another cell's."""
    values = {
        name: value
        for name, value in record["values"].items()
        if not name.endswith("seconds") and name != "spectral_reused"
    }
    return {"outputs": record["outputs"], "values": values}


def _same(old: dict, new: dict) -> bool:
    return _result(old) == _result(new) and _inputs(old) == _inputs(new)


def _verified(group: list[Node], witness: dict, store: Store, by: str) -> int:
    """Say in the ledger that the code now gives the same bits for a group; how many cells it is."""
    stale = [
        (node, store.changed(state.record))
        for node in group
        if (state := cell_state(node, store)).name == "stale" and not state.other
    ]
    stale = [(node, changed) for node, changed in stale if changed == stale[0][1]]
    if not stale:
        return 0
    cell, old = stale[0][0].cell, stale[0][1]
    new = {
        **witness["provenance"]["modules"],
        **{name: provenance.module_hash(name) for name in old},
    }
    store.ledger.append(
        [
            ledger.line(
                dataset=cell["dataset"] if by == "dataset" else None,
                method=cell["method"],
                space=cell["params"]["space"],
                by=by,
                old=old,
                new=new,
                witness={"key": witness["key"], "attempt": witness["attempt"]},
                keys=sorted(node.key for node, _ in stale),
                **provenance.commit(),
                date=provenance.now(),
            )
        ]
    )
    return len(stale)
