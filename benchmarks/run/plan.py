"""Which cells a suite asks for, what each needs, and how each stands: done, stale, failed, missing.

A cell's parameters include the keys of the cells that it takes inputs from (``inputs``), so that a
code-space cell of a shortened autoencoder is another cell than that of the full one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import kinds, registry
from benchmarks.kinds.base import FITTED
from benchmarks.records.files import array_hash, artifacts_root, load_array, save_array
from benchmarks.records.store import Store, cell_key

# Failures that the same code would repeat: run again only when asked to, or when code changed.
STICKY = ("error", "diverged", "timeout")
NEVER = "never run"  # why a cell is missing of which nothing like it is on record


@dataclass
class Node:
    """A cell with its stanzas and the cells that it needs (role -> node)."""

    cell: dict
    method: dict
    data: dict
    needs: dict[str, Node] = field(default_factory=dict)
    variant: str | None = None
    requested: bool = False

    def __post_init__(self):
        self.key = cell_key(self.cell)

    def __str__(self):
        cell = self.cell
        of = f" of {self.needs['samples'].cell['method']}" if "samples" in self.needs else ""
        return (
            f"{cell['dataset']} {cell['method']}{of} {cell['params']['space']} seed {cell['seed']}"
        )

    @property
    def kind(self) -> kinds.Kind:
        """What cells of its method are."""
        return kinds.of(self.method)

    @property
    def output(self) -> str:
        """Name of the output that other cells take from this one."""
        return self.kind.output

    @property
    def artifacts(self) -> Path:
        """Folder of the ignored artefacts of this cell."""
        return artifacts_root() / self.cell["dataset"] / self.cell["method"] / self.key


class Plan:
    """Cells in an order in which needs come first. ``nodes`` maps key -> `Node`.

    ``recorded``: the records, not the data at hand, say which variant of a dataset is meant, since
    tables are functions of records alone. ``schedules``: dataset -> method -> parameters that
    replace those of the stanzas.
    """

    def __init__(
        self,
        fast: bool = False,
        source: str | None = None,
        store: Store | None = None,
        recorded: bool = False,
        schedules: dict | None = None,
    ):
        self.schedules = schedules or {}
        self.fast, self.source, self.store, self.recorded = fast, source, store, recorded
        self.nodes: dict[str, Node] = {}
        self.methods, self.datasets = registry.methods(), registry.datasets()
        self._known: dict[str, tuple[str, str | None]] = {}
        self._params: dict[tuple, dict] = {}

    def add(
        self,
        dataset: str,
        method: str,
        space: str,
        seed: int,
        requested=True,
        of: str | None = None,
    ) -> Node:
        """Add a cell and, before it, what it needs.

        An evaluation is `of` a generative method, or of the test images where there is none.
        """
        data = registry.get(self.datasets, dataset, "dataset")
        stanza = registry.get(self.methods, method, "method")
        own = stanza.get("needs", {})
        if data.get("embedding", "none") == "none":
            space = "code" if "codes" in own else "raw"
        kind = kinds.of(stanza)
        try:
            kind.check_data(f"datasets.toml [{dataset}]", method, data)
        except ValueError as error:
            raise registry.RegistryError(str(error)) from error
        needs = {
            role: self.add(dataset, other, where, seed, False)
            for role, (other, where) in kind.inputs(space, data, of).items()
            if role not in own
        }
        for role, reference in own.items():
            other, _, where = reference.partition("/")
            needs[role] = self.add(dataset, other, where or space, seed, False)
        if (method, dataset) not in self._params:
            schedule = self.schedules.get(dataset, {}).get(method)
            self._params[method, dataset] = registry.resolve(
                method, stanza, dataset, data, self.fast, schedule
            )
        params = {"space": space, **self._params[method, dataset]}
        if kind.clusters:
            params["n_clusters"] = data["n_clusters"]
        if needs:
            params["inputs"] = {
                role: f"{need.cell['method']}/{need.key}" for role, need in needs.items()
            }
        content_hash, variant = self._identity(dataset, data)
        cell = {
            "dataset": dataset,
            "content_hash": content_hash,
            "method": method,
            "params": params,
            "seed": int(seed),
        }
        node = Node(cell, stanza, data, needs, variant)
        node = self.nodes.setdefault(node.key, node)
        node.requested |= requested
        return node

    def _identity(self, name: str, data: dict) -> tuple[str, str | None]:
        """(content hash, variant to load or None) of a dataset.

        Where the hash hangs on the variant, the one at hand names the cells, else the one that the
        newest record used, else the preferred one; with ``recorded`` the newest record goes first.
        A variant without a pinned hash is named by ``variant:NAME``; its record then holds the hash
        that was found.
        """
        if name in self._known:
            return self._known[name]
        if data.get("content_hash"):
            found = data["content_hash"], None
        elif not data.get("variants"):
            raise registry.RegistryError(f"datasets.toml [{name}]: no content_hash")
        else:
            from benchmarks.datasets import status

            (row,) = status(name, source=self.source)
            records = self.store.of_dataset(name) if self.store else []
            used = [record for record in records if record.get("variant")]
            variant = row["variant"]
            if used and (self.recorded or row["state"] != "present"):
                variant = max(used, key=lambda r: r["provenance"]["started"])["variant"]
            pinned = data.get("variant", {}).get(variant, {}).get("content_hash")
            found = pinned or f"variant:{variant}", variant
        self._known[name] = found
        return found


def check_names(chosen: Iterable[str] | None, table: dict, what: str) -> list[str]:
    """`chosen`, each once; `UnknownName` for a name that is not in the registry's table."""
    chosen = list(dict.fromkeys(chosen or ()))
    for name in chosen:
        registry.get(table, name, what)
    return chosen


def suite_plan(
    name: str,
    datasets=None,
    methods=None,
    seeds=None,
    fast=False,
    source=None,
    store: Store | None = None,
    recorded=False,
) -> Plan:
    """Cells of a suite, or of a selection, with all that they need.

    A selection may name any registered dataset and method, the suite's own or not: whoever adds a
    method runs it beside those of a suite without changing the suite. What a suite lists under
    ``full_only`` is in a `fast` plan only where it is named. `recorded` is for tables:
    see `Plan`.

    Raises
    ------
    UnknownName
        For a suite, dataset or method that is not there.
    """
    suite = registry.get(registry.suites(), name, "suite")
    plan = Plan(fast, source, store, recorded)
    left = suite.get("full_only", ()) if fast else ()
    own = [dataset for dataset in suite["datasets"] if dataset not in left]
    datasets = check_names(datasets, plan.datasets, "dataset") or own
    methods = check_names(methods, plan.methods, "method") or suite["methods"]
    for seed in suite["seeds"] if seeds is None else seeds:
        for dataset in datasets:  # seeds outermost: a stopped run leaves whole rows
            for method in methods:
                if seed not in suite.get("only_seeds", {}).get(method, [seed]):
                    continue
                stanza = registry.get(plan.methods, method, "method")
                data = registry.get(plan.datasets, dataset, "dataset")
                for space in registry.asked_spaces(suite, method, stanza, dataset, data):
                    plan.add(dataset, method, space, seed)
                    if kinds.of(stanza).output == "samples":
                        for evaluation in suite.get("evaluations", ()):
                            plan.add(dataset, evaluation, space, seed, of=method)
    return plan


@dataclass
class State:
    """How a cell stands.

    ``record`` is the newest done attempt, a fresh one if any; ``last`` the newest of all.
    """

    name: str  # done | stale | failed | missing
    why: str = ""
    record: dict | None = None
    last: dict | None = None
    modules: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    def to_run(self, retry_failed: bool = False) -> bool:
        """Whether a run should compute this cell."""
        if self.name == "failed":
            return retry_failed or self.last["status"] not in STICKY
        return self.name != "done"


class Standing:
    """How cells stand at one moment: each is judged once, however many others need it.

    Valid while neither records nor code change; a run that goes on asks anew, by `cell_state`.
    """

    def __init__(self, store: Store):
        self.store = store
        self._states: dict[str, State] = {}
        self._fresh: dict[str, list[dict]] = {}
        self._hashes: dict[str, str | None] = {}
        self._done: dict[tuple[str, str], list[dict]] = {}

    def state(self, node: Node) -> State:
        """See `cell_state`."""
        if node.key not in self._states:
            self._states[node.key] = self._judge(node)
        return self._states[node.key]

    def fresh(self, node: Node) -> list[dict]:
        """Done attempts that this code would make from inputs as they are, newest first.

        There are several where machines whose records were merged differ in the last bits: what
        was made from any of them is as good.
        """
        if node.key not in self._fresh:
            self._fresh[node.key] = list(self._each_fresh(node))
        return self._fresh[node.key]

    def _each_fresh(self, node: Node) -> Iterator[dict]:
        for record in reversed(self.store.attempts(node.cell)):
            whole = record["status"] == "done" and self.store.intact(record)
            if whole and not any(self.staleness(node, record)):
                yield record

    def input_of(self, node: Node) -> dict | None:
        """See the function `input_of`."""
        fresh = list(self.fresh(node))
        if len(fresh) > 1:
            found = _hash_of(node.artifacts / f"{node.output}.npy")
            fresh.sort(key=lambda record: record["outputs"].get(node.output) != found)
        return fresh[0] if fresh else self.state(node).record

    def staleness(self, node: Node, record: dict) -> tuple[list[str], list[str]]:
        """(modules whose code changed, other reasons) why a record is not what would come now."""
        modules = list(self.store.changed(record, self._hashes))
        other = []
        if record.get("estimator", node.method["estimator"]) != node.method["estimator"]:
            other.append(f"estimator was {record['estimator']}")
        for role, need in node.needs.items():
            used = record.get("inputs", {}).get(role)
            if used is None:
                continue
            state = self.state(need)
            if state.name != "done":
                other.append(f"{need.cell['method']} is {state.name}")
            elif state.record["outputs"].get(need.output) != used["hash"] and not any(
                made["outputs"].get(need.output) == used["hash"] for made in self.fresh(need)
            ):
                other.append(f"{role} changed")
        return modules, other

    def _otherwise(self, cell: dict) -> str:
        """Which parameters were others when a cell was last run, if it ever was; else `NEVER`."""
        place = cell["dataset"], cell["method"]
        if place not in self._done:
            self._done[place] = [
                record for record in self.store.of_method(*place) if record["status"] == "done"
            ]

        def asked(of):
            return of["seed"], of["params"].get("space"), of["content_hash"]

        alike = [r for r in self._done[place] if asked(r["cell"]) == asked(cell)]
        if not alike:
            return NEVER
        newest = max(alike, key=lambda r: (r["provenance"]["started"], r["attempt"]))
        then, now = newest["cell"]["params"], cell["params"]
        other = [
            f"{name} was {then.get(name)!r:.40}, is {now.get(name)!r:.40}"
            for name in sorted({*then, *now} - {"inputs"})
            if (name in then, then.get(name)) != (name in now, now.get(name))
        ]
        inputs, before = now.get("inputs", {}), then.get("inputs", {})
        roles = [r for r in sorted({*inputs, *before}) if inputs.get(r) != before.get(r)]
        other += [f"{', '.join(roles)} of other parameters"] if roles else []
        return f"{NEVER} with these parameters: {'; '.join(other)}"

    def _judge(self, node: Node) -> State:
        attempts = self.store.attempts(node.cell)
        if not attempts:
            return State("missing", self._otherwise(node.cell))
        last = attempts[-1]
        if (fresh := next(self._each_fresh(node), None)) is not None:
            return State("done", record=fresh, last=last)
        done = next(
            (r for r in reversed(attempts) if r["status"] == "done" and self.store.intact(r)), None
        )
        modules, other = self.staleness(node, done) if done else ([], [])
        failed = last["status"] != "done" and (last["status"] in STICKY or done is None)
        if failed and last["status"] in STICKY:
            failed = not any(self.staleness(node, last))
            if last["status"] == "timeout" and last.get("timeout_s", 0) < timeout_of(node):
                failed = False
        if failed:
            reason = (last.get("error") or {}).get("reason", "")
            return State("failed", f"{last['status']}: {reason}".rstrip(": "), done, last)
        if done is None:
            why = f"only {last['status']}, with other code or damaged"
            return State("missing", why, None, last)
        return State("stale", _words(modules, other), done, last, modules, other)


def _words(modules, other) -> str:
    return "; ".join(([f"code changed: {', '.join(modules)}"] if modules else []) + other)


def cell_state(node: Node, store: Store) -> State:
    """The state of a cell now: from its records, the code on disk and the cells that it needs."""
    return Standing(store).state(node)


def input_of(node: Node, store: Store) -> dict | None:
    """The attempt at a cell that others take their input from: one whose output is on this machine.

    Where there is none, that of its state.
    """
    return Standing(store).input_of(node)


def timeout_of(node: Node) -> float:
    """Hard limit of a cell in seconds (an hour where the stanza says nothing)."""
    return float(node.method.get("timeout_s", 3600))


_artefacts: dict[tuple, str] = {}


def artefact(
    node: Node, record: dict, store: Store, role: str = "", unpack: bool = False
) -> Path | None:
    """File with what other cells take in a role, if it is what the record names, else None.

    Codes and samples lie in the ignored artefacts; labels can be unpacked there from the record's
    own arrays, and are if `unpack`. A fitted model is only looked for: that it is the record's, its
    reader asserts.
    """
    if role in FITTED:
        path = node.artifacts / "model.pt"
        return path if path.is_file() else None
    path, wanted = node.artifacts / f"{node.output}.npy", record["outputs"].get(node.output)
    if wanted is None:
        return None
    found = _hash_of(path)
    if found != wanted and node.output == "labels":
        tag = (record["key"], record["attempt"])
        if unpack or tag not in _artefacts:
            labels = store.arrays(record)["labels"].astype("int64")
            _artefacts[tag] = array_hash(labels)
            if unpack:
                save_array(path, labels)
        found = _artefacts[tag]
    return path if found == wanted else None


def lost(node: Node, record: dict, store: Store) -> bool:
    """Whether codes, samples or the model of a cell that is done are not on this machine."""
    return any(artefact(node, record, store, role) is None for role in node.kind.kept)


def _hash_of(path: Path) -> str | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    tag = (str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino)
    if tag not in _artefacts:
        array = load_array(path)
        _artefacts[tag] = "" if array is None else array_hash(array)
    return _artefacts[tag]
