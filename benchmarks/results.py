"""Results as a frame: one row for every attempt on record, under at most 40 plain names.

>>> from benchmarks import results
>>> attempts = results.load()                    # of `results/`; or of a folder, or of a commit
>>> done = attempts[(attempts.status == "done") & ~attempts.stale]
>>> done.groupby(["dataset", "method", "space"]).purity.agg(["mean", "std", "count"])
>>> results.load(suite="table1")                 # only what that table stands on
>>> results.labels(done.iloc[0])                 # the partition that an attempt found, (n,)

``mixnet runs`` writes the same as ``runs.csv``. A cell is empty (missing, in the frame) where an
attempt has no such value. Rows come by dataset, method, space, seed, key and attempt.

==============================  ====================================================================
dataset, method, kind           what ran on what, by their names in the registry
space                           features: ``raw``, or ``code`` of an autoencoder
seed
key, attempt                    of the record, ``records/<dataset>/<method>/<key>-<attempt>.json``
status, reason                  how it ended, and why where it did not end ``done``
stale                           ``True``: code of it has changed since, so that it would be run anew
restamped_from                  attempt whose values it repeats; see ``mixnet verify``
parameters, values              JSON: all that the method was given, all that it said of its run
variant                         of a dataset that has several
n_points, n_features            shape of the data
purity, accuracy, nmi, ari      agreement of the clusters with the classes, percent
accuracy_unlabelled             percent; of methods that know a few labels
heldout_log_likelihood          mean over points that no network was trained on, nats
iterations                      of Algorithm 2, or of k-means
parzen_log_likelihood           of test images under the samples, nats (Table 2), and its standard
parzen_standard_error           error over the images
seconds                         of fitting alone, wall clock
wall_seconds, cpu_seconds       of the whole process: wall clock; processor time of all its threads
peak_memory_mb                  resident, MiB
device, threads, cpu            what it ran on
started                         UTC
commit, uncommitted_changes     of the checkout; the hashes of its modules are in the record
python, torch, numpy, scipy, scikit_learn
                                versions
==============================  ====================================================================
"""

from __future__ import annotations

import contextlib
import csv
import io
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.records import folders
from benchmarks.records.files import canonical_json
from benchmarks.records.git import git
from benchmarks.records.store import Store
from benchmarks.records.whole import write_atomic

if TYPE_CHECKING:
    import pandas as pd

#: Where a column stands in a record; `parameters`, `values` and `stale` are made from it.
PLACES = {
    "dataset": "cell.dataset",
    "method": "cell.method",
    "kind": "kind",
    "space": "cell.params.space",
    "seed": "cell.seed",
    "key": "key",
    "attempt": "attempt",
    "status": "status",
    "reason": "error.reason",
    "stale": "",
    "restamped_from": "restamped_from",
    "parameters": "",
    "values": "",
    "variant": "variant",
    "n_points": "dataset.n",
    "n_features": "dataset.d",
    "purity": "metrics.purity",
    "accuracy": "metrics.acc",
    "nmi": "metrics.nmi",
    "ari": "metrics.ari",
    "accuracy_unlabelled": "values.accuracy_unlabelled",
    "heldout_log_likelihood": "values.heldout_log_likelihood",
    "iterations": "values.iterations",
    "parzen_log_likelihood": "values.ll",
    "parzen_standard_error": "values.se",
    "seconds": "seconds",
    "wall_seconds": "provenance.wall_s",
    "cpu_seconds": "provenance.cpu_s",
    "peak_memory_mb": "provenance.peak_rss_mb",
    "device": "provenance.device",
    "threads": "provenance.threads",
    "cpu": "provenance.cpu",
    "started": "provenance.started",
    "commit": "provenance.commit",
    "uncommitted_changes": "provenance.dirty",
    "python": "provenance.versions.python",
    "torch": "provenance.versions.torch",
    "numpy": "provenance.versions.numpy",
    "scipy": "provenance.versions.scipy",
    "scikit_learn": "provenance.versions.scikit-learn",
}
COLUMNS = tuple(PLACES)
TEXT = (
    "dataset", "method", "kind", "space", "key", "status", "reason", "parameters", "values",
    "variant", "device", "cpu", "commit", "python", "torch", "numpy", "scipy", "scikit_learn",
)  # fmt: skip
WHOLE = ("seed", "attempt", "restamped_from", "n_points", "n_features", "threads")
EITHER = ("stale", "uncommitted_changes")
NUMBERS = tuple(name for name in COLUMNS if name not in (*TEXT, *WHOLE, *EITHER, "started"))


class NoResults(ValueError):
    """What was named has no records."""


@contextlib.contextmanager
def opened(place: str | Path | None = None) -> Iterator[Store]:
    """The records of a place, for as long as the context lasts.

    Parameters
    ----------
    place : path or str, optional
        A results folder (one with ``records/`` in it), else a revision of the checkout, such as
        ``v0.1.0`` or ``HEAD~3``, whose `results/` is meant. Default: ``MIXNET_RESULTS``, else
        `results/`.

    Raises
    ------
    NoResults
        If it is neither, or holds no records.
    """
    folder = folders.results() if place is None else folders.given(place)
    if folder.is_dir() or place is None:
        if not (folder / "records").is_dir():
            raise NoResults(
                f"{folder} has no records, needs a results folder with `records/` in "
                "it, or a revision of the checkout"
            )
        yield Store(folder)
        return
    if folder.exists():
        raise NoResults(f"{folder} is a file, needs a results folder or a revision")
    with tempfile.TemporaryDirectory(prefix="mixnet-") as temporary:
        _unpack(str(place), Path(temporary))
        yield Store(Path(temporary) / "results")


def _unpack(revision: str, folder: Path) -> None:
    """Write the records of a revision of the checkout, and what is noted of them, to a folder."""
    try:
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options")
        commit = git(folders.ROOT, *words, f"{revision}^{{commit}}", own=True).decode().strip()
    except OSError as error:
        raise NoResults(
            f"{revision} is no folder and no revision of {folders.ROOT} ({error})"
        ) from error
    wanted = (f"results/{name}" for name in ("records", "verified.jsonl", "retired.csv"))
    there = git(folders.ROOT, "ls-tree", "--name-only", commit, *wanted).decode().split()
    if "results/records" not in there:
        raise NoResults(f"revision {revision} has no results/records")
    packed = git(folders.ROOT, "archive", "--format=zip", "-0", commit, "--", *there)
    root = Path(folder).resolve()
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        for name in archive.namelist():
            path = (root / name).resolve()
            if not name.endswith("/") and path.is_relative_to(root):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(name))


def load(place: str | Path | None = None, suite: str | None = None) -> pd.DataFrame:
    """Every attempt on record as a row: see the table above.

    Parameters
    ----------
    place : path or str, optional
        As of `opened`.
    suite : str, optional
        Only the attempts that the tables of a suite, such as ``table1``, stand on: of each run that
        it asks for the newest that ended well, else the newest.

    Returns
    -------
    DataFrame
        `COLUMNS`: text as such, whole numbers as ``Int64``, ``stale`` and ``uncommitted_changes``
        as ``boolean``, ``started`` as a time in UTC, all others as float64. Purity, accuracy, nmi
        and ari are in percent, likelihoods in nats, seconds in seconds.

    Raises
    ------
    NoResults
        As of `opened`. A record that cannot be read is left out, with a warning.
    benchmarks.registry.UnknownName
        If there is no such suite.
    """
    import warnings

    import pandas as pd

    with opened(place) as store:
        found = rows(store) if suite is None else _behind(suite, store)
        frame = pd.DataFrame(found, columns=list(COLUMNS), dtype=object)
        for path, problem in store.problems.items():
            warnings.warn(f"record {path} left out: {problem}", stacklevel=2)
    for name in COLUMNS:
        if name in EITHER:
            frame[name] = frame[name].astype("boolean")
        elif name == "started":
            times = pd.to_datetime(frame[name], utc=True, errors="coerce", format="ISO8601")
            frame[name] = times.dt.as_unit("ns")  # that of an empty frame is another's
        elif name in NUMBERS + WHOLE:
            numbers = pd.to_numeric(frame[name], errors="coerce")
            frame[name] = numbers.astype("Int64" if name in WHOLE else "float64")
    return frame


def _behind(suite: str, store: Store) -> list[dict]:
    """`rows` of the records that a suite's tables stand on."""
    from benchmarks.records.scores import rescored
    from benchmarks.run.current import current
    from benchmarks.run.plan import suite_plan

    plan = suite_plan(suite, store=store, recorded=True)
    return [row(record) for record in rescored(current(plan, store), store)]


def labels(row: Mapping, place: str | Path | None = None) -> np.ndarray:
    """The partition that an attempt found.

    Parameters
    ----------
    row : mapping
        A row of `load`: ``dataset``, ``method``, ``key`` and ``attempt`` say which.
    place : path or str, optional
        What `load` was given.

    Returns
    -------
    ndarray of int, shape (n,)
        In the order of the dataset's rows.

    Raises
    ------
    NoResults
        If there is no such attempt, or it has no labels.
    ValueError
        If its arrays are damaged.
    """
    name = f"{row['dataset']} {row['method']} {row['key']}-{row['attempt']}"
    with opened(place) as store:
        for record in store.of_method(row["dataset"], row["method"]):
            if (record["key"], record["attempt"]) == (row["key"], row["attempt"]):
                if not store.intact(record):
                    raise ValueError(f"{name}: missing or damaged arrays")
                found = store.arrays(record)
                if "labels" in found:
                    return found["labels"]
                raise NoResults(f"{name} has no labels, it is {row['status']}")
    raise NoResults(f"{name} is not on record in {place or folders.results()}")


def rows(store: Store) -> list[dict]:
    """A dict of `COLUMNS` for every readable record, in the order of `Store.all`."""
    known: dict[str, str | None] = {}
    return [row({**record, "stale": bool(store.changed(record, known))}) for record in store.all()]


def row(record: dict) -> dict:
    """The values of `COLUMNS` of one record, with the caller's mark ``stale``; None where none."""
    params = {
        name: value
        for name, value in record["cell"]["params"].items()
        if name not in ("space", "inputs")
    }
    made = {
        "stale": record.get("stale"),
        "parameters": canonical_json(params),
        "values": canonical_json(record["values"]),
    }
    return {
        name: made.get(name) if not place else _at(record, place) for name, place in PLACES.items()
    }


def _at(record: dict, place: str) -> object:
    """What stands at a path of keys joined by dots, or None."""
    value: object = record
    for key in place.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def write(found: list[dict], path: Path | str) -> Path:
    """Write `rows` as CSV, the file replaced whole; returns its path.

    Raises
    ------
    OSError
        When the file cannot be written; what was there before stays.
    """
    out = io.StringIO()
    lines = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    lines.writeheader()
    lines.writerows(found)
    write_atomic(Path(path), lambda handle: handle.write(out.getvalue().encode()))
    return Path(path)
