"""What one cell computes: data -> (codes) -> fit -> labels, likelihoods or codes.

Pure functions of the cell and its inputs. This file is part of every record's fingerprint; the
plumbing around it (processes, records, tables) is not.
"""

from __future__ import annotations

import importlib
import inspect
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.records.files import array_hash, load_array, shared_arrays
from benchmarks.records.provenance import imported_modules

RESERVED = ("space", "n_clusters", "inputs")  # parameters of the cell, not of the estimator
CODE_SLACK = 1e-5  # how far float32 rounding may carry a code beyond [0, 1]


class Diverged(ArithmeticError):
    """An estimator finished with numbers that are not finite."""


@dataclass
class Result:
    """Outputs of one cell; arrays are None where the method has none.

    labels (n,) int64; log_likelihood (n,) float32; codes (n, p) float32; phases in seconds.
    """

    labels: np.ndarray | None = None
    log_likelihood: np.ndarray | None = None
    codes: np.ndarray | None = None
    values: dict = field(default_factory=dict)
    history: dict = field(default_factory=dict)
    phases: dict = field(default_factory=dict)


def resolve(dotted: str):
    """The object named by ``"package.module:Name"``."""
    module, _, name = dotted.partition(":")
    return getattr(importlib.import_module(module), name)


def load_dataset(name: str, stanza: dict, content_hash: str, source: str | None,
                 variant: str | None = None):
    """The dataset of a cell, asserted to be the one that the cell names.

    Raises
    ------
    ValueError
        If the content hash (or, for ``variant:NAME``, the variant) differs from `content_hash`.
    """
    load = resolve(stanza.get("loader", "benchmarks.datasets:load"))
    dataset = load(name, source=source, **({} if variant is None else {"variant": variant}))
    if content_hash not in (dataset.content_hash, f"variant:{dataset.variant}"):
        raise ValueError(f"dataset {name} (variant {dataset.variant}) has content hash "
                         f"{dataset.content_hash[:16]}, the cell asks for {content_hash[:16]}")
    return dataset


def read_input(name: str, path: str, expected: str) -> np.ndarray:
    """An input from another cell's artefacts, asserted to be the output that its record names."""
    array = load_array(Path(path))
    if array is None or array_hash(array) != expected:
        raise RuntimeError(f"input {name} is not the output that its record names; run again")
    return array


def build(cell: dict, method: dict, device: str):
    """The estimator of a cell, constructed with its parameters and seed (and device if taken)."""
    cls = resolve(method["estimator"])
    params = {name: v for name, v in cell["params"].items() if name not in RESERVED}
    if method["kind"] in ("clustering", "selection"):
        params["n_clusters"] = cell["params"]["n_clusters"]
    elif method["kind"] == "mixture":
        params["n_components"] = cell["params"]["n_clusters"]
    if "device" in inspect.signature(cls).parameters:
        params["device"] = device
    return cls(random_state=cell["seed"], **params)


def run(cell: dict, method: dict, dataset, inputs: dict[str, np.ndarray], artifacts: Path,
        checkpoint: Path, device: str = "cpu", progress=None) -> Result:
    """Fit one cell's estimator on raw features or codes.

    Parameters
    ----------
    cell, method : dict
        The cell (see `benchmarks.records.store`) and its method's stanza.
    dataset
        Has ``X`` (n, d) float32; its labels are not looked at here.
    inputs : dict of str -> ndarray
        ``codes`` (n, p) in code space, ``start`` (n,) initial labels where the method needs them.
    artifacts, checkpoint : Path
        Folder for models; file of a long training's state.
    progress : callable(done, total, text) or None

    Raises
    ------
    Diverged
        If codes or likelihoods are not finite.
    """
    X = inputs["codes"] if cell["params"]["space"] == "code" else dataset.X
    estimator = build(cell, method, device)
    result = Result()
    clock = _Clock(result.phases)
    if method["kind"] == "embedding":
        estimator.fit(X, checkpoint=checkpoint, progress=progress)
        clock.lap("fit")
        result.codes = _checked_codes(estimator.transform(X), X)
        clock.lap("transform")
    elif method["kind"] == "mixture":
        estimator.fit(X, init_labels=inputs["start"], checkpoint=checkpoint, progress=progress)
        clock.lap("fit")
        result.log_likelihood = np.asarray(estimator.log_likelihood_, dtype=np.float32)
        if result.log_likelihood.shape != (len(X),):
            raise ValueError(f"log_likelihood_ has shape {result.log_likelihood.shape}, "
                             f"needs ({len(X)},)")
        if not np.isfinite(result.log_likelihood).all():
            raise Diverged("log_likelihood_ is not finite at "
                           f"{int((~np.isfinite(result.log_likelihood)).sum())} points")
    elif hasattr(estimator, "spectral_embedding"):
        embedding, seconds, reused = _spectral(estimator, cell, method, X)
        result.phases["spectral"] = seconds  # the cost of computing it, whoever paid
        result.values["spectral_reused"] = reused
        clock.restart()
        estimator.fit(X, embedding=embedding)
        clock.lap("fit")
    elif method["kind"] == "selection":
        candidates = np.column_stack([inputs[role] for role in sorted(method["needs"])])
        estimator.fit(X, candidates=candidates)
        clock.lap("fit")
    else:
        estimator.fit(X)
        clock.lap("fit")
    if method["kind"] != "embedding":
        result.labels = _checked_labels(estimator.labels_, len(X))
        result.values["n_clusters_found"] = int(len(np.unique(result.labels)))
    result.values["n"] = len(X)
    result.values.update(getattr(estimator, "values_", {}))
    result.history = getattr(estimator, "history_", {})
    if hasattr(estimator, "save"):
        estimator.save(artifacts / "model.pt")
    return result


def _spectral(estimator, cell: dict, method: dict, X) -> tuple[object, float, bool]:
    """The estimator's embedding, which no seed changes, from the shared cache.

    ``spectral_params``, if the class has it, names the parameters that the embedding depends on.
    """
    names = getattr(type(estimator), "spectral_params", None)
    params = {name: value for name, value in cell["params"].items()
              if name not in ("space", "inputs") and (names is None or name in names)}
    module = method["estimator"].partition(":")[0]
    package = module.partition(".")[0]
    code = {name: value for name, value in imported_modules(module).items()
            if name.partition(".")[0] == package}
    key = {"X": array_hash(X), "estimator": method["estimator"], "params": params, "code": code}
    return shared_arrays(key, lambda: estimator.spectral_embedding(X))


def _checked_codes(codes, X) -> np.ndarray:
    codes = np.ascontiguousarray(codes, dtype=np.float32)
    if codes.ndim != 2 or len(codes) != len(X):
        raise ValueError(f"transform returned shape {codes.shape}, needs ({len(X)}, p)")
    if not np.isfinite(codes).all():
        raise Diverged("the codes are not finite")
    if codes.min() < -CODE_SLACK or codes.max() > 1 + CODE_SLACK:
        raise ValueError(f"codes lie in [{codes.min():.3g}, {codes.max():.3g}], need [0, 1]")
    return codes


def _checked_labels(labels, n: int) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != (n,) or labels.dtype.kind not in "iu" or (n and labels.min() < 0):
        raise ValueError(f"labels_ has shape {labels.shape} and type {labels.dtype}, needs ({n},) "
                         "of integers from 0")
    return labels.astype(np.int64)


class _Clock:
    """Wall seconds between laps."""

    def __init__(self, phases: dict):
        self.phases = phases
        self.restart()

    def restart(self) -> None:
        self.start = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.phases[name] = now - self.start
        self.start = now
