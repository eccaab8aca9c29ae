"""How the cells of all suites stand, and what the page keeps of their records."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass, field

from benchmarks import registry
from benchmarks.records.store import Store
from benchmarks.report import layout
from benchmarks.report.tables import selected_suite
from benchmarks.report.words import span
from benchmarks.run.current import standing
from benchmarks.run.plan import STICKY, Standing, suite_plan

STATES = ("done", "stale", "failed", "missing")
FIRST = ("table1", "table2", "mnist")  # the paper's own tables, then the rest by name
#: Where `mixnet run` puts a result beside the one that is there and would otherwise be skipped.
AGAIN = "again"


@dataclass
class Group:
    """What a number stands on: cells of a suite that differ in their seed only.

    An evaluation stands under the method whose samples it scores. ``cells`` are indices of
    `Cells.digests`, ``states`` how they stand.
    """

    id: str
    dataset: str
    method: str
    space: str
    evaluation: str
    requested: bool
    title: str
    command: str = ""
    cells: list[int] = field(default_factory=list)
    states: list[str] = field(default_factory=list)


class Cells:
    """Cells of all suites.

    Attributes
    ----------
    suites : dict of str -> dict
        Stanzas as `benchmarks.report.tables` uses them, in the order of the page.
    records : dict of str -> list of dict
        Of each suite the records that its tables stand on.
    digests : list of dict
        A cell each, without arrays: see `_digest`.
    groups : dict of str -> dict of str -> Group
        By suite, then by the group's id: ``suite/dataset/method/space[/evaluation]``.
    stages : list of dict
        ``dataset, method`` of all cells, each once.
    environments : list of dict
        Versions and machines, each once; digests hold indices.
    """

    def __init__(self, store: Store):
        self.store, self._standing = store, Standing(store)
        self.methods, self.datasets = registry.methods(), registry.datasets()
        self.suites, self.records = {}, {}
        self.digests, self.groups, self.environments, self.stages = [], {}, [], []
        self._index: dict[str, int] = {}
        known = registry.suites()
        for name in [n for n in FIRST if n in known] + [n for n in known if n not in FIRST]:
            self._add(name)

    def _add(self, name):
        plan = suite_plan(name, store=self.store, recorded=True)
        self.suites[name], self.records[name] = selected_suite(name, plan), []
        groups = self.groups[name] = {}
        for node in sorted(plan.nodes.values(), key=lambda node: not node.requested):
            if node.key not in self._index:
                self._index[node.key] = len(self.digests)
                self.digests.append(self._digest(name, node, self._standing.state(node)))
            index = self._index[node.key]
            if node.requested and (record := self.digests[index]["record"]):
                self.records[name].append(record)
            stage = {name: node.cell[name] for name in ("dataset", "method")}
            if stage not in self.stages:
                self.stages.append(stage)
            where = place(node)
            id = "/".join(filter(None, (name, *where)))
            group = groups.setdefault(id, Group(id, *where, node.requested, self._title(*where)))
            group.cells.append(index)
            group.states.append(self.digests[index]["state"])
            seeds = span(self.digests[i]["seed"] for i in group.cells)
            done = "done" if set(group.states) == {"done"} else ""
            group.command = command(name, node, seeds, done)

    def called(self, dataset: str) -> str:
        """Title of a dataset, without what it has in brackets."""
        return self.datasets[dataset].get("title", dataset).partition(" (")[0]

    def _title(self, dataset, method, space, evaluation) -> str:
        of = layout.in_words(layout.features(method, space, self.methods))
        parts = [self.called(dataset), self.methods[method]["label"], of]
        return " · ".join(parts + ([self.methods[evaluation]["label"]] if evaluation else []))

    def _digest(self, suite, node, state) -> dict:
        """What the page shows of a cell; ``record`` itself stays behind."""
        record, seed = standing(state), node.cell["seed"]
        failed = state.last["status"] if state.name == "failed" else ""
        found = {
            "seed": seed,
            "state": state.name,
            "why": state.why,
            "command": command(suite, node, str(seed), state.name, failed, record),
            "record": record,
        }
        if record is None:
            return found
        made = record["provenance"]
        machine = {
            name: made.get(name)
            for name in ("versions", "device", "threads", "cpu", "gpu", "cores", "system")
        }
        if machine not in self.environments:
            self.environments.append(machine)
        cell = record["cell"]
        verified = self.store.ledger.verified(record["key"], made.get("modules") or {})
        return found | {
            "status": record["status"],
            "key": record["key"],
            "attempt": record["attempt"],
            "path": f"{cell['dataset']}/{cell['method']}/{record['key']}-{record['attempt']}.json",
            "commit": made.get("commit"),
            "dirty": made.get("dirty"),
            "verified": verified,
            "started": made.get("started"),
            "seconds": _short(record.get("seconds")),
            "environment": self.environments.index(machine),
            "values": {
                name: _short(value)
                for kind in ("values", "metrics")
                for name, value in record[kind].items()
                if isinstance(value, (int, float, str))
            },
        }

    def tally(self, suite=None) -> Counter:
        """How many cells of a suite, or of all, are in which state; every cell counts once."""
        chosen = {
            index
            for name, groups in self.groups.items()
            if suite in (None, name)
            for group in groups.values()
            for index in group.cells
        }
        return Counter(self.digests[index]["state"] for index in chosen)

    def embedded(self) -> dict:
        """What the page's script reads: digests without their records, groups, environments."""
        return {
            "cells": [
                {k: v for k, v in digest.items() if k != "record" and v not in (None, "")}
                for digest in self.digests
            ],
            "groups": {
                id: {
                    "suite": self.suites[name].get("title", name),
                    "title": group.title,
                    "command": group.command,
                    "cells": group.cells,
                }
                for name, groups in self.groups.items()
                for id, group in groups.items()
            },
            "environments": self.environments,
        }


def place(node) -> tuple[str, str, str, str]:
    """(dataset, method, space, evaluation) of a cell; an evaluation is its samples', or ""."""
    cell, of = node.cell, node.needs.get("samples", node).cell
    evaluation = "" if of is cell else cell["method"]
    return cell["dataset"], of["method"], cell["params"]["space"], evaluation


def command(
    suite: str, node, seeds: str, state: str = "", status: str = "", record: dict | None = None
) -> str:
    """Command that computes a cell again, on the device and threads of its record.

    What is done and fresh would be skipped, so it goes to another results folder; a failure that
    the same code would repeat is asked for by name; data that was not there is fetched first.
    """
    dataset, method = place(node)[:2]
    words = ["mixnet", "run", suite, "--datasets", dataset, "--methods", method, "--seeds", seeds]
    words += ["--results", AGAIN] if state == "done" else []
    words += ["--retry-failed"] if status in STICKY else []
    made = record["provenance"] if record else {}
    for option, usual in (("device", "cpu"), ("threads", 1)):
        if made.get(option, usual) != usual:
            words += [f"--{option}", str(made[option])]
    fetch = f"mixnet data {shlex.quote(dataset)} --fetch && " if status == "no data" else ""
    return fetch + shlex.join(words)


def _short(value):
    return float(f"{value:.6g}") if isinstance(value, float) else value
