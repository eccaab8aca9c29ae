"""Metrics of stored labels, by the metrics' code as it is now; nothing is run again.

What was computed is kept in ``<results>/scores.json``, which is not tracked and can be deleted. A
score's key has the code of the metric, the labels and the classes; see `key_of`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.records import files, metrics, provenance
from benchmarks.records.purity import contingency
from benchmarks.records.store import Store
from benchmarks.records.whole import write_atomic

NAME = "scores.json"


def scorer(name: str) -> tuple[Callable, str]:
    """A metric as a function of (y, labels) that gives percent, and what its values depend on.

    Parameters
    ----------
    name : str
        One of `metrics.METRICS`, or ``package.module:function``: a function of (y, labels), whose
        values are taken as they are.

    Raises
    ------
    ValueError
        For a name of neither kind, or a function that is not there.
    """
    module, colon, function = name.partition(":")
    if colon:
        import importlib

        try:
            found = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"--metric {name}: {error}") from error
        return found, files.short_hash([name, provenance.imported_modules(module, pinned=True)])
    if name not in metrics.METRICS:
        raise ValueError(
            f"--metric is {name!r}, needs one of {', '.join(metrics.METRICS)} or "
            "package.module:function"
        )
    code = [provenance.module_hash(f"benchmarks.records.{part}") for part in ("metrics", "purity")]
    return (
        lambda y, labels: 100.0 * metrics.METRICS[name](contingency(y, labels)),
        files.short_hash([name, code]),
    )


def key_of(code: str, record: dict) -> str:
    """Key of a score: the metric's code, the labels' hash, and the content of the dataset."""
    return files.short_hash([code, record["outputs"]["labels"], record["dataset"]["content_hash"]])


class Scores:
    """Scores of the records of one results folder."""

    def __init__(self, store: Store):
        self.store, self.path = store, Path(store.results) / NAME
        try:
            found = json.loads(self.path.read_text())
        except (OSError, ValueError):  # absent or damaged: computed again
            found = {}
        self._known = (
            {key: value for key, value in found.items() if isinstance(value, (int, float))}
            if isinstance(found, dict)
            else {}
        )

    def known(self, record: dict, codes: dict[str, str]) -> dict[str, float]:
        """Scores of a record that are kept, by the name of the metric; `codes` as of `scorer`."""
        if not scorable(record):
            return {}
        keys = {name: key_of(code, record) for name, code in codes.items()}
        return {name: self._known[key] for name, key in keys.items() if key in self._known}

    def compute(self, record: dict, y: np.ndarray, names: list[str]) -> dict[str, float]:
        """Scores of a record's labels against the classes y (n,) of its dataset, kept from now on.

        Raises
        ------
        ValueError
            If `y` and the stored labels differ in length.
        """
        chosen = {name: scorer(name) for name in names}
        found = self.known(record, {name: code for name, (_, code) in chosen.items()})
        missing = [name for name in names if name not in found]
        if missing:
            labels = self.store.arrays(record)["labels"]
            for name in missing:
                function, code = chosen[name]
                found[name] = float(function(y, labels))
                self._known[key_of(code, record)] = found[name]
        return found

    def save(self) -> None:
        """Write what is known, whole or not at all."""
        text = json.dumps(self._known, indent=0, sort_keys=True).encode()
        write_atomic(self.path, lambda handle: handle.write(text))


def scorable(record: dict) -> bool:
    """Whether a record ended well and holds labels of a dataset that is known."""
    return (
        record["status"] == "done" and "labels" in record["outputs"] and bool(record.get("dataset"))
    )


def rescored(records: list[dict], store: Store) -> list[dict]:
    """Records with the kept scores by the metrics' code as it is now, in place of those of then."""
    scores = Scores(store)
    if not scores._known:
        return records
    codes = {name: scorer(name)[1] for name in metrics.METRICS}
    return [
        {**record, "metrics": {**record["metrics"], **scores.known(record, codes)}}
        for record in records
    ]
