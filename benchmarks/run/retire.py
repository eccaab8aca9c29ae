"""Which attempts no table, no suite and no comparison needs any more, and how they leave.

An attempt is retired if it is

superseded  a newer done attempt at its cell stands, or one at the same cell with later settings
            that no suite asks for either
replaced    suites ask for its dataset, method, space and seed with other settings, and that is done
unasked     no suite asks for its dataset, method, space and seed at all
former      its settings are of before, those of now are not done, and its method was named for this

and never what tables stand on, what is fresh, or, of what is asked for with other settings and not
yet done, the newest of before. Shortened schedules of the suites count as asked for: they are what
verifying by method runs. Nothing leaves that the repository's history does not have, byte for byte;
a line of `records.retired` says where.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from benchmarks.records import retired
from benchmarks.records.git import git
from benchmarks.records.store import Store
from benchmarks.run.plan import Plan, Standing


class NotInHistory(ValueError):
    """Records that git does not have as they are: nothing was retired."""


@dataclass
class Leaving:
    """An attempt that may go: its record, why, and its files, that of the record first."""

    record: dict
    why: str
    files: list[Path]

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(path.stat().st_size for path in self.files if path.is_file())


def place_of(cell: dict) -> tuple:
    """What a cell is, settings apart: dataset, method, space, seed and the model that it scores."""
    inputs = cell["params"].get("inputs") or {}
    of = inputs.get("samples", "").partition("/")[0]
    return cell["dataset"], cell["method"], cell["params"].get("space"), cell["seed"], of


def choose(plans: list[Plan], store: Store, former=()) -> list[Leaving]:
    """What may go, by the plans of all suites, shortened ones too, in the order of `Store.all`.

    Attempts with settings of before of the methods `former` may, though those of now are not done.
    """
    standing, records = Standing(store), store.all()
    nodes = {key: node for plan in plans for key, node in plan.nodes.items()}
    wanted = defaultdict(set)  # place -> keys that suites ask for in full
    for plan in plans:
        for key, node in plan.nodes.items():
            if not plan.fast:
                wanted[place_of(node.cell)].add(key)
    done = {
        record["key"] for record in records if record["status"] == "done" and store.intact(record)
    }
    before = defaultdict(list)  # place -> attempts with settings of before
    for record in records:
        if record["key"] not in nodes:
            before[place_of(record["cell"])].append(record)
    chosen = []
    for record in records:
        place, key = place_of(record["cell"]), record["key"]
        if key in nodes:
            why = _superseded(record, nodes[key], standing)
        elif not wanted[place]:
            why = "unasked"
        elif wanted[place] & done:
            why = "replaced"
        else:
            why = "superseded" if any(_stands_for(o, record) for o in before[place]) else ""
            why = why or ("former" if record["cell"]["method"] in former else "")
        if why:
            chosen.append((record, why))
    going = {(record["key"], record["attempt"]) for record, _ in chosen}
    staying = (r for r in records if (r["key"], r["attempt"]) not in going)
    kept = {_arrays(record, store) for record in staying}
    return [Leaving(record, why, _files(record, store, kept)) for record, why in chosen]


def _stands_for(other: dict, record: dict) -> bool:
    """Whether an attempt at the same place, by settings of before too, makes another dispensable.

    A done one does so for failures and for what is older, but a shortened schedule, which took less
    than half as long, for no longer one.
    """

    def age(one):
        started = str(one["provenance"].get("started"))
        return one["status"] == "done", started, one["key"], one["attempt"]

    shorter = (other.get("seconds") or 0) < (record.get("seconds") or 0) / 2
    return age(other) > age(record) and not (record["status"] == "done" and shorter)


def _superseded(record, node, standing: Standing) -> str:
    state = standing.state(node)
    stands = state.record
    if stands is None or record["attempt"] >= stands["attempt"]:
        return ""
    fresh = {one["attempt"] for one in standing.fresh(node)}
    return "" if record["attempt"] in fresh else "superseded"


def _arrays(record: dict, store: Store) -> Path | None:
    named = record.get("arrays")
    return store.folder(record["cell"]) / named["file"] if named else None


def _files(record: dict, store: Store, kept: set) -> list[Path]:
    """Files that go with a record: not the arrays that a record which stays has, too."""
    own = store.folder(record["cell"]) / f"{record['key']}-{record['attempt']}.json"
    arrays = _arrays(record, store)
    return [own] if arrays is None or arrays in kept else [own, arrays]


def retire(leaving: list[Leaving], store: Store) -> int:
    """Say in ``retired.csv`` what goes and delete it; bytes that became free.

    Interrupted, it goes on: what has its line and is still there goes without a second one.

    Raises
    ------
    NotInHistory
        If a file that would go is not in the last commit as it is here; nothing was changed.
    OSError
        When the disk does not take the lines, or a file cannot be deleted.
    """
    added = _history(store, [path for one in leaving for path in one.files])
    known, lines, size = store.retired.by_hash(), [], 0
    for one in leaving:
        digest = hashlib.sha256(one.files[0].read_bytes()).hexdigest()
        if digest not in known:
            lines.append(retired.line(one.record, one.why, digest, added[one.files[0]]))
    if lines:
        store.retired.append(lines)
    for one in leaving:
        size += one.size
        for path in one.files:  # the record first: it must never name arrays that are gone
            path.unlink(missing_ok=True)
    _sweep(store)
    return size


def _sweep(store: Store) -> None:
    """Delete arrays of retired records that were left when deleting was interrupted."""
    named = {_arrays(record, store) for record in Store(store.results).all()}
    for one in store.retired.lines():
        folder = store.root / one["dataset"] / one["method"].partition(" ")[0]
        path = folder / f"{one['key']}-{one['attempt']}.npz"
        if path not in named and not path.with_suffix(".json").exists():
            path.unlink(missing_ok=True)


def _history(store: Store, paths: list[Path]) -> dict[Path, str]:
    """A commit that has each of some files, all of them as they are here."""

    def ask(*words, given=None):
        try:
            return git(store.results, *words, given=given).decode()
        except OSError as error:
            raise NotInHistory(
                f"{store.results} needs to be in a git repository that has its "
                f"records: {str(error).removeprefix('git: ')}"
            ) from error

    if not paths:
        return {}
    names = {path: path.relative_to(store.results).as_posix() for path in paths}
    listed = "".join(f"{path.resolve()}\n" for path in paths)
    here = ask("hash-object", "--no-filters", "--stdin-paths", given=listed).split()
    there = {}
    for entry in ask("ls-tree", "-r", "-z", "HEAD", "--", "records").split("\0"):
        kind, _, name = entry.partition("\t")
        there[name] = kind.split(" ")[-1]
    other = [
        name for name, found in zip(names.values(), here, strict=True) if there.get(name) != found
    ]
    if other:
        raise NotInHistory(
            f"{len(other)} files that would go are not in the last commit as they "
            f"are here, such as {other[0]}: commit them first"
        )
    head = ask("rev-parse", "HEAD").strip()
    commits, commit = {}, head
    which = ("--diff-filter=AM", "--relative", "--name-only", "--format=%x00%H")
    for text in ask("log", *which, "--", "records").splitlines():
        if text.startswith("\0"):
            commit = text[1:]
        elif text:
            commits.setdefault(text, commit)  # the newest first: that of the bytes that are here
    return {path: commits.get(name, head) for path, name in names.items()}
