"""Records of other machines' results folders, joined to this one as further attempts.

An attempt that both have is recognised by what it says and not doubled; one that was retired here
stays so. Attempts are numbered anew;
where a record, or a line of the ledger, names another by its number it names the same one as
before; all else in it stays.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.records import ledger
from benchmarks.records.files import short_hash
from benchmarks.records.store import Store


class Conflict(ValueError):
    """Folders that must not be joined; nothing was written."""


@dataclass
class Merged:
    """What became of the records and of the lines of ledgers: how many joined, were here already.

    ``left_out`` maps a path to the reason.
    """

    added: int = 0
    known: int = 0
    verified: int = 0
    left_out: dict[str, str] = field(default_factory=dict)


def merge(store: Store, folders: list[Path]) -> Merged:
    """Join the records of results folders to a store. Repeated or interrupted, it goes on.

    Raises
    ------
    Conflict
        A folder without records or given as its own source, or one dataset with different content
        in two folders.
    """
    for folder in folders:
        if not (folder / "records").is_dir():
            raise Conflict(f"{folder} has no records, needs a results folder with `records/` in it")
        if (folder / "records").resolve() == store.root.resolve():
            raise Conflict(f"{folder} is the results folder itself, needs others")
    sources = [(folder, Store(folder)) for folder in folders]
    chosen = [(source, _sound(source)) for _, source in sources]
    _check_data(store, chosen)
    result = Merged()
    for (folder, source), (_, records) in zip(sources, chosen, strict=True):
        joined = _Join(store, source, records)
        for record in records.values():
            joined.place(record)
        result.added += joined.added
        result.known += joined.known
        result.verified += joined.verifications()
        result.left_out |= {
            str(folder / "records" / path): problem
            for path, problem in {**source.problems, **joined.problems}.items()
        }
        result.left_out |= {
            str(folder / place): problem
            for place, problem in {**source.ledger.problems, **joined.unverified}.items()
        }
    return result


def _sound(source: Store) -> dict[tuple[str, int], dict]:
    """The whole records of a folder by key and attempt; what is wrong with others is noted."""
    found = {}
    for record in source.all():
        name = f"{record['key']}-{record['attempt']}.json"
        path = source.folder(record["cell"]) / name
        if path.resolve().parent.parent.parent != source.root.resolve() or not path.is_file():
            source.problems[name] = "it does not lie where its cell belongs"
        elif source.intact(record):
            found[record["key"], record["attempt"]] = record
    return found


def _check_data(store: Store, chosen: list[tuple[Store, dict[tuple[str, int], dict]]]) -> None:
    """Refuse folders in which one dataset, by name and pinned hash or variant, differs."""
    known: dict[tuple, dict[str, Path]] = defaultdict(dict)
    for record in store.all():
        if (tag := _data(record)) is not None:
            known[tag[:-1]][tag[-1]] = store.results
    for source, records in chosen:
        for record in records.values():
            if (tag := _data(record)) is None:
                continue
            seen = known[tag[:-1]]
            if seen and tag[-1] not in seen:
                other, where = next(iter(seen.items()))
                raise Conflict(
                    f"{tag[0]} ({tag[2] or 'its only variant'}) has content {tag[-1][:16]}… in "
                    f"{source.results} and {other[:16]}… in {where}: these are different data, "
                    "nothing was merged"
                )
            seen.setdefault(tag[-1], source.results)


def _data(record: dict) -> tuple | None:
    """(dataset, hash in the cell, variant, hash that was found) where data were read."""
    if not record.get("dataset"):
        return None
    cell = record["cell"]
    return (
        cell["dataset"],
        cell["content_hash"],
        record.get("variant"),
        record["dataset"]["content_hash"],
    )


def content(record: dict) -> str:
    """Hash of what a record says, its own number and those of others that it names aside."""
    said = {
        name: value
        for name, value in record.items()
        if name not in ("schema", "attempt", "arrays", "restamped_from")
    }
    said["arrays"] = (record.get("arrays") or {}).get("sha256")
    said["restamped"] = bool(record.get("restamped_from"))
    said["inputs"] = {
        role: {**used, "attempt": None} for role, used in record.get("inputs", {}).items()
    }
    if verified := record.get("verified_by"):
        said["verified_by"] = verified["key"]
    return short_hash(said, 64)


def _said(one: dict) -> str:
    """Hash of what a line of a ledger says, numbers aside."""
    words = {name: value for name, value in one.items() if name not in ("id", "copies")}
    return short_hash({**words, "witness": one["witness"]["key"]}, 64)


class _Join:
    """The records of one source on their way into a store."""

    def __init__(self, store: Store, source: Store, records: dict[tuple[str, int], dict]):
        self.store, self.source, self.records = store, source, records
        self.added = self.known = 0
        self.problems: dict[str, str] = {}
        self.unverified: dict[str, str] = {}
        self._numbers: dict[tuple[str, int], int | None] = {}  # None: on its way, or left out
        self._here: dict[str, dict[str, list[int]]] = {}
        self._taken: Counter = Counter()
        self._gone = store.retired.by_hash()
        self._attempts = defaultdict(list)
        for key, attempt in sorted(records):
            self._attempts[key].append(attempt)

    def place(self, record: dict) -> int | None:
        """Number of a record in the store, to which it is joined unless it is there already.

        What it names comes first, and so do earlier attempts at its cell.
        """
        key, attempt = record["key"], record["attempt"]
        if (key, attempt) in self._numbers:
            return self._numbers[key, attempt]
        self._numbers[key, attempt] = None
        for earlier in self._attempts[key]:
            if earlier < attempt:
                self.place(self.records[key, earlier])
        if (gone := self._retired(record)) is not None:
            self.known += 1
            self._numbers[key, attempt] = gone
            return gone
        whole = self._renumbered(record)
        if whole is None:
            name = f"{record['cell']['dataset']}/{record['cell']['method']}/{key}-{attempt}.json"
            self.problems[name] = "re-stamped from a record that is not there, or is broken"
            return None
        if (number := self._same(record)) is not None:
            self.known += 1
        else:
            number = self.store.add(*self._with_arrays(whole))["attempt"]
            self.added += 1
        self._numbers[key, attempt] = number
        return number

    def verifications(self) -> int:
        """Join the lines of the source's ledger, once its records are placed; how many are new."""
        here = {_said(one) for one in self.store.ledger.lines()}
        new = []
        for one in self.source.ledger.lines():
            if _said(one) in here:
                continue
            number = self._number(one["witness"])
            if number is None:
                self.unverified[f"{ledger.NAME} {one['id']}"] = (
                    "its witness is not there, or is broken"
                )
            else:
                words = {name: value for name, value in one.items() if name not in ("id", "copies")}
                new.append(
                    ledger.line(**{**words, "witness": {**one["witness"], "attempt": number}})
                )
        if new:
            self.store.ledger.append(new)
        return len(new)

    def _retired(self, record: dict) -> int | None:
        """Number of a record that was here and was retired: it does not come back."""
        if not self._gone:
            return None
        name = f"{record['key']}-{record['attempt']}.json"
        said = (self.source.folder(record["cell"]) / name).read_bytes()
        return self._gone.get(hashlib.sha256(said).hexdigest())

    def _same(self, record: dict) -> int | None:
        """Number of the attempt here that says the same and stands for no other of the source."""
        key = record["key"]
        if key not in self._here:
            self._here[key] = defaultdict(list)
            for mine in self.store.attempts(record["cell"]):
                if self.store.intact(mine):  # a damaged one is no reason to leave a whole one out
                    self._here[key][content(mine)].append(mine["attempt"])
        tag = key, content(record)
        found = self._here[key][tag[1]][self._taken[tag] :]
        self._taken[tag] += 1
        return found[0] if found else None

    def _renumbered(self, record: dict) -> dict | None:
        """The record with the numbers here of the attempts that it names."""
        whole = dict(record)
        whole["inputs"] = {
            role: {**used, "attempt": self._number(used)}
            for role, used in record.get("inputs", {}).items()
        }
        if old := record.get("restamped_from"):
            whole["restamped_from"] = self._number({"key": record["key"], "attempt": old})
            if whole["restamped_from"] is None:
                return None
        if verified := record.get("verified_by"):
            whole["verified_by"] = {**verified, "attempt": self._number(verified)}
        return whole

    def _with_arrays(self, record: dict) -> tuple[dict, bytes | None]:
        """The record and the bytes of its arrays, None where a file here holds them.

        Such a file is another attempt's with the same arrays, or what an interrupted merge left.
        """
        if not record.get("arrays"):
            return record, None
        wanted = record["arrays"]["sha256"]
        for path in sorted(self.store.folder(record["cell"]).glob(f"{record['key']}-*.npz")):
            if hashlib.sha256(path.read_bytes()).hexdigest() == wanted:
                return {**record, "arrays": {"file": path.name, "sha256": wanted}}, None
        folder = self.source.folder(record["cell"])
        return record, (folder / record["arrays"]["file"]).read_bytes()

    def _number(self, named: dict) -> int | None:
        key, attempt = named["key"], named["attempt"]
        other = self.records.get((key, self.source.ledger.copies(key).get(attempt, attempt)))
        return None if other is None else self.place(other)
