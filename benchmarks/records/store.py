"""Records: one immutable JSON an attempt, with its raw outputs beside it.

``<results>/records/<dataset>/<method>/<key>-<attempt>.json`` and, where there are labels or
per-point log-likelihoods, ``.npz``. A file is written under a temporary name, synced, and takes its
final one, which fails if that exists: nothing is ever overwritten, nothing is half there.
A file that does not parse is reported and left out, never fatal.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from benchmarks.records import folders, provenance
from benchmarks.records.files import short_hash
from benchmarks.records.ledger import Ledger
from benchmarks.records.retired import Retired
from benchmarks.records.wellformed import DEFAULTS, flaw, load_arrays
from benchmarks.records.whole import write_new

SCHEMA = 1  # of the layout that is written; those before it are read
STATUSES = ("done", "timeout", "killed", "diverged", "error", "skipped", "interrupted", "no data")
_NAME = re.compile(r"^(?P<key>[0-9a-f]{16})-(?P<attempt>\d+)\.(json|npz)$")


def cell_key(cell: dict) -> str:
    """Key of a cell: first 16 hex of the sha256 of its canonical JSON."""
    return short_hash(
        {name: cell[name] for name in ("dataset", "content_hash", "method", "params", "seed")}
    )


def blank(cell: dict, method: dict, timeout_s: float, inputs: dict) -> dict:
    """A record of a cell, by its method's stanza, of which nothing has come out yet."""
    return {
        "cell": cell,
        "status": "done",
        "error": None,
        "estimator": method["estimator"],
        "kind": method["kind"],
        "inputs": inputs,
        **{name: {} for name in ("outputs", "metrics", "values", "phases")},
        **dict.fromkeys(("variant", "dataset", "seconds")),
        "timeout_s": timeout_s,
    }


def small_int(labels: ArrayLike) -> np.ndarray:
    """Labels in the smallest unsigned integer type that holds them."""
    labels = np.asarray(labels)
    return labels.astype(np.min_scalar_type(int(labels.max(initial=0))))


def default_results() -> Path:
    """Results folder; see `folders.results`."""
    return folders.results()


class Store:
    """Records under one results folder.

    Attributes
    ----------
    problems : dict of str -> str
        Files that could not be read (relative path -> what is wrong), found so far.
    ledger : Ledger
        Which code was seen to give the same bits.
    retired : Retired
        Attempts that are no longer here.
    """

    def __init__(self, results: Path | str | None = None):
        self.results = folders.given(results) if results is not None else default_results()
        self.root = self.results / "records"
        self.problems: dict[str, str] = {}
        self.ledger, self.retired = Ledger(self.results), Retired(self.results)
        self._parsed: dict[Path, dict | None] = {}
        self._intact: dict[Path, bool] = {}

    def folder(self, cell: dict) -> Path:
        """Folder of a cell's attempts."""
        return self.root / cell["dataset"] / cell["method"]

    def attempts(self, cell: dict) -> list[dict]:
        """Readable attempts at a cell, oldest first, as they are on disk now."""
        folder, start = self.folder(cell), f"{cell_key(cell)}-"
        names = os.listdir(folder) if folder.is_dir() else ()  # a glob takes ten times as long
        own = (name for name in names if name.startswith(start) and name.endswith(".json"))
        found = self._readable(folder / name for name in own)
        return sorted(found, key=lambda record: record["attempt"])

    def all(self) -> list[dict]:
        """Every readable record, by path and attempt."""

        def place(record: dict) -> tuple:
            cell = record["cell"]
            space = str(cell["params"].get("space"))
            named = cell["dataset"], cell["method"], space, cell["seed"]
            return *named, record["key"], record["attempt"]

        return sorted(self._readable(sorted(self.root.glob("*/*/*.json"))), key=place)

    def of_dataset(self, name: str) -> list[dict]:
        """Every readable record of a dataset, in no order."""
        return self._readable((self.root / name).glob("*/*.json"))

    def of_method(self, dataset: str, method: str) -> list[dict]:
        """Every readable record of a method on a dataset, in no order."""
        return self._readable((self.root / dataset / method).glob("*.json"))

    def _readable(self, paths: Iterable[Path]) -> list[dict]:
        return [record for path in paths if (record := self._parse(path)) is not None]

    def _parse(self, path: Path) -> dict | None:
        if path not in self._parsed:  # immutable files: parsing one once is enough
            record: Any = None
            problem = None
            match = _NAME.match(path.name)
            try:
                record = _plain_json(path.read_bytes())
                schema = record.get("schema") if isinstance(record, dict) else None
                if type(schema) is int and schema > SCHEMA:  # it may hold anything: ask no more
                    problem = f"written by a newer version (schema {schema}, known up to {SCHEMA})"
                elif type(schema) is not int or schema < 1 or record.get("status") not in STATUSES:
                    problem = "not a record"
                elif wrong := flaw(record):
                    problem = f"not a record: {wrong}"
                elif (
                    match is None
                    or record["key"] != match["key"]
                    or record["attempt"] != int(match["attempt"])
                ):
                    problem = "its name does not fit its content"
                elif cell_key(record["cell"]) != record["key"]:
                    problem = "its cell does not hash to its key"
                elif path.parent != self.folder(record["cell"]):
                    problem = "it does not lie where its cell belongs"
            except PermissionError as error:
                problem = f"unreadable: {error.strerror}"
            except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
                if path.is_file() and not path.stat().st_size:  # perhaps being written: `whole`
                    self.problems[str(path.relative_to(self.root))] = "empty"
                    return None
                problem = f"unreadable: {type(error).__name__}"
            if problem:
                self.problems[str(path.relative_to(self.root))] = problem
                record = None
            else:
                record = _filled(record)
            self._parsed[path] = record
        return self._parsed[path]

    def changed(self, record: dict, known: dict | None = None) -> dict[str, str]:
        """Modules whose code now differs from what made a record -> their hashes then.

        Empty where the record is what this code would make: its fingerprint is that of the code
        now, or one is to which the ledger leads from there. Else counted from the nearest one.
        `known` is as for `provenance.changes`.
        """
        pinned = provenance.is_pinned(record["cell"])
        modules = record["provenance"].get("modules") or {}
        known = {} if known is None else known
        best = provenance.changes(modules, pinned, known)
        if best and record["status"] == "done":
            for verified in self.ledger.reached(record["key"], modules):
                found = provenance.changes(verified, pinned, known)
                best = found if len(found) <= len(best) else best
                if not best:
                    break
            self.problems.update(self.ledger.problems)
        return best

    def intact(self, record: dict) -> bool:
        """Whether the arrays that a record names are there, byte for byte."""
        if not record.get("arrays"):
            return True
        path = self.folder(record["cell"]) / record["arrays"]["file"]
        if path not in self._intact:
            why = "missing or damaged arrays"
            try:
                good = hashlib.sha256(path.read_bytes()).hexdigest() == record["arrays"]["sha256"]
            except OSError as error:
                good = False
                why = str(error.strerror) if isinstance(error, PermissionError) else why
            if not good:
                self.problems[str(path.relative_to(self.root))] = why
            self._intact[path] = good
        return self._intact[path]

    def arrays(self, record: dict) -> dict[str, np.ndarray]:
        """Arrays of a record: ``labels`` (n,) and perhaps ``log_likelihood`` (n,) float32.

        The latter to 1/256 nat (records before 2026-11-28: to all bits).

        Raises
        ------
        FileNotFoundError, ValueError
            If the file is not there or is damaged; see `intact`.
        """
        if not record.get("arrays"):
            return {}
        return load_arrays(self.folder(record["cell"]) / record["arrays"]["file"])

    def write(self, record: dict, arrays: dict[str, np.ndarray] | None = None) -> dict:
        """Add an attempt and return it as written, with ``schema``, ``key`` and ``attempt`` set.

        Raises
        ------
        OSError
            When the disk does not take it; nothing is left half-written.
        """
        return self.add({**record, "schema": SCHEMA}, packed(arrays) if arrays else None)

    def add(self, record: dict, payload: bytes | None = None) -> dict:
        """As `write`, with the bytes of the file of arrays; a schema that a record has stays."""
        if record["status"] not in STATUSES:
            raise ValueError(f"status is {record['status']!r}, needs one of {STATUSES}")
        if wrong := flaw({"cell": record["cell"]}):  # or it might lie outside of the folder
            raise ValueError(wrong)
        folder, key = self.folder(record["cell"]), cell_key(record["cell"])
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            taken = [
                int(m["attempt"])
                for path in folder.glob(f"{key}-*")
                if (m := _NAME.match(path.name))
            ]
            taken += [*self.ledger.copies(key), *self.retired.numbers(key)]
            attempt = max(taken, default=0) + 1
            whole = {"schema": SCHEMA, "key": key, "attempt": attempt, **record}
            whole.update(key=key, attempt=attempt)
            if payload is not None:
                name = f"{key}-{attempt}.npz"
                whole["arrays"] = {"file": name, "sha256": hashlib.sha256(payload).hexdigest()}
                if not write_new(folder / name, payload):
                    continue
            whole.setdefault("arrays", None)
            text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
            if write_new(folder / f"{key}-{attempt}.json", text.encode()):
                return whole


def _filled(record: dict) -> dict:
    """A record with what readers take for granted; a metric that is null is none."""
    whole = {**DEFAULTS, **record}
    whole["metrics"] = {name: v for name, v in whole["metrics"].items() if v is not None}
    if whole["provenance"].get("started") is None:
        whole["provenance"] = {**whole["provenance"], "started": ""}
    return whole


def packed(arrays: dict[str, np.ndarray]) -> bytes:
    """Bytes of an ``.npz`` file that `numpy.load` reads; the same arrays, the same bytes.

    Compressed by bzip2, which takes a sixth off what numpy's own way leaves of log-likelihoods.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_BZIP2) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    return out.getvalue()


def _plain_json(data: bytes) -> Any:
    """Value of a JSON text in UTF-8 that is strict: no NaN, no half characters."""

    def refuse(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    value = json.loads(data.decode("utf-8"), parse_constant=refuse)
    if b"\\ud" in data.lower():  # an escaped half of a character cannot be written again
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def jsonable(value: Any) -> Any:
    """Plain JSON value of numpy scalars and containers; a number that is not finite becomes None.

    JSON has no NaN, and a missing number must never look like a measured one.
    """
    if isinstance(value, dict):
        return {str(name): jsonable(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    if value is None or isinstance(value, str):
        return value
    return str(value)
