"""runs.csv: one row for every attempt on record, under at most 40 plain names.

Written by ``mixnet runs``; nothing reads it but people and notebooks. A cell is empty where an
attempt has no such value. Lines come by dataset, method, space, seed, key and attempt.

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

import csv
import io
from pathlib import Path

from benchmarks.records.files import canonical_json
from benchmarks.report import words

#: Where a column stands in a record; `parameters`, `values` and `stale` are made from it.
PLACES = {
    "dataset": "cell.dataset", "method": "cell.method", "kind": "kind",
    "space": "cell.params.space", "seed": "cell.seed", "key": "key", "attempt": "attempt",
    "status": "status", "reason": "error.reason", "stale": "", "restamped_from": "restamped_from",
    "parameters": "", "values": "", "variant": "variant", "n_points": "dataset.n",
    "n_features": "dataset.d", "purity": "metrics.purity", "accuracy": "metrics.acc",
    "nmi": "metrics.nmi", "ari": "metrics.ari",
    "accuracy_unlabelled": "values.accuracy_unlabelled",
    "heldout_log_likelihood": "values.heldout_log_likelihood", "iterations": "values.iterations",
    "parzen_log_likelihood": "values.ll",
    "parzen_standard_error": "values.se", "seconds": "seconds",
    "wall_seconds": "provenance.wall_s", "cpu_seconds": "provenance.cpu_s",
    "peak_memory_mb": "provenance.peak_rss_mb", "device": "provenance.device",
    "threads": "provenance.threads", "cpu": "provenance.cpu",
    "started": "provenance.started", "commit": "provenance.commit",
    "uncommitted_changes": "provenance.dirty", "python": "provenance.versions.python",
    "torch": "provenance.versions.torch", "numpy": "provenance.versions.numpy",
    "scipy": "provenance.versions.scipy", "scikit_learn": "provenance.versions.scikit-learn",
}
COLUMNS = tuple(PLACES)


def row(record: dict) -> dict:
    """The values of `COLUMNS` of one record, with the caller's mark ``stale``; None where none."""
    params = {name: value for name, value in record["cell"]["params"].items()
              if name not in ("space", "inputs")}
    made = {"stale": record.get("stale"), "parameters": canonical_json(params),
            "values": canonical_json(record["values"])}
    return {name: made.get(name) if not place else _at(record, place)
            for name, place in PLACES.items()}


def _at(record: dict, place: str):
    """What stands at a path of keys joined by dots, or None."""
    value = record
    for key in place.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def write(records, path: Path | str) -> Path:
    """Write one row for each record as CSV, the file replaced whole; returns its path.

    Parameters
    ----------
    records : iterable of dict
        As `Store.all` gives them, marked ``stale``, in the order of the rows.

    Raises
    ------
    OSError
        When the file cannot be written; what was there before stays.
    """
    out = io.StringIO()
    lines = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    lines.writeheader()
    lines.writerows(map(row, records))
    return words.replace(Path(path), out.getvalue())
