"""What the kinds of cell share: the protocol, the result, the estimator and its checks.

This file and that of the cell's kind are part of a record's fingerprint; the plumbing around them
(processes, records, tables) is not.
"""

from __future__ import annotations

import importlib
import inspect
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.records.files import array_hash, load_array

RESERVED = ("space", "n_clusters", "inputs")  # parameters of the cell, not of the estimator
FITTED = ("autoencoder", "model")  # roles filled by another cell's fitted model, not by its output


class Diverged(ArithmeticError):
    """An estimator finished with numbers that are not finite."""


@dataclass
class Result:
    """What one cell puts out; arrays are None where its kind has none.

    Attributes
    ----------
    labels : ndarray of int64, shape (n,)
    log_likelihood : ndarray of float32, shape (n,)
    codes : ndarray of float32, shape (n, p)
    samples : ndarray of float32, shape (m, d), in [0, 1]
    arrays : dict of str -> ndarray
        What a figure shows; kept in the record.
    values, history : dict
        Numbers for the record, and curves.
    phases : dict of str -> float
        Seconds.
    """

    labels: np.ndarray | None = None
    log_likelihood: np.ndarray | None = None
    codes: np.ndarray | None = None
    samples: np.ndarray | None = None
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    values: dict = field(default_factory=dict)
    history: dict = field(default_factory=dict)
    phases: dict = field(default_factory=dict)


class Kind:
    """What every kind of cell says of itself; one instance of a derived class a file.

    Attributes
    ----------
    text : str
        What its cells do, for listings.
    output : str
        Which field of `Result` other cells take from it, and verifying compares.
    kept : tuple of str
        Roles in which a cell leaves what its record cannot give back.
    clusters : bool
        Whether its cells have a parameter ``n_clusters``, the dataset's.
    components : str
        Name of the estimator's parameter for it; empty where it takes none.
    row : bool
        Whether a cell is a row of a table of clusterings.
    chooses : bool
        Whether it takes over one of its inputs.
    scores : bool
        Whether it scores what other cells put out.
    """

    text = ""
    output = "labels"
    kept: tuple[str, ...] = ()
    clusters = False
    components = ""
    row = True
    chooses = False
    scores = False

    def check(self, where: str, stanza: dict) -> None:
        """Raise ValueError, with `where` in it, if a method's stanza does not fit this kind."""

    def check_data(self, where: str, method: str, data: dict) -> None:
        """Raise ValueError if the stanza of a dataset lacks what cells of this kind need."""

    def inputs(self, space: str, data: dict, of: str | None) -> dict[str, tuple[str, str]]:
        """Cells that every cell of the kind takes from, role -> (method, space), needs apart.

        `of` is the generative method that an evaluation scores.
        """
        return {"codes": (data["embedding"], "raw")} if space == "code" else {}

    def run(
        self,
        cell: dict,
        method: dict,
        dataset,
        inputs: dict,
        artifacts: Path,
        checkpoint: Path,
        device: str = "cpu",
        progress=None,
    ) -> Result:
        """Compute one cell: a pure function of the cell and its inputs.

        Parameters
        ----------
        cell, method : dict
            The cell (see `records.store`) and its method's stanza.
        dataset
            Has ``X`` (n, d) float32 and ``y``, which most kinds must not look at.
        inputs : dict
            By role: arrays that other cells put out; for the roles of `FITTED` a dict with path,
            estimator, recorded values and seconds of a fitted model.
        artifacts, checkpoint : Path
            Folder for models; file of a long training's state.
        device : str
        progress : callable(done, total, text) or None

        Raises
        ------
        Diverged
            If an output is not finite.
        """
        raise NotImplementedError

    def build(self, cell: dict, method: dict, device: str = "cpu"):
        """The estimator of a cell, with its parameters, seed and (where it takes one) device."""
        cls = resolve(method["estimator"])
        params = own_params(cell)
        if self.components:
            params[self.components] = cell["params"]["n_clusters"]
        if "device" in inspect.signature(cls).parameters:
            params["device"] = device
        return cls(random_state=cell["seed"], **params)


def resolve(dotted: str):
    """The object named by ``"package.module:Name"``."""
    module, _, name = dotted.partition(":")
    return getattr(importlib.import_module(module), name)


def own_params(cell: dict) -> dict:
    """Parameters of a cell's estimator."""
    return {name: v for name, v in cell["params"].items() if name not in RESERVED}


def features(cell: dict, dataset, inputs: dict) -> np.ndarray:
    """What a cell's estimator is fitted on: codes (n, p) or the dataset's own features (n, d)."""
    return inputs["codes"] if cell["params"]["space"] == "code" else dataset.X


def load_dataset(
    name: str, stanza: dict, content_hash: str, source: str | None, variant: str | None = None
):
    """The dataset of a cell, asserted to be the one that the cell names.

    Raises
    ------
    ValueError
        If the content hash (or, for ``variant:NAME``, the variant) differs from `content_hash`.
    """
    load = resolve(stanza.get("loader", "benchmarks.datasets:load"))
    dataset = load(name, source=source, **({} if variant is None else {"variant": variant}))
    if content_hash not in (dataset.content_hash, f"variant:{dataset.variant}"):
        raise ValueError(
            f"dataset {name} (variant {dataset.variant}) has content hash "
            f"{dataset.content_hash[:16]}, the cell asks for {content_hash[:16]}"
        )
    return dataset


def read_input(name: str, path: str, expected: str) -> np.ndarray:
    """An input from another cell's artefacts, asserted to be the output that its record names."""
    array = load_array(Path(path))
    if array is None or array_hash(array) != expected:
        raise RuntimeError(f"input {name} is not the output that its record names; run again")
    return array


def load_fitted(model: dict):
    """The fitted estimator of another cell, asserted to have the values of its record."""
    estimator = resolve(model["estimator"]).load(model["path"])
    values = getattr(estimator, "values_", {})
    if any(model["values"].get(name) != value for name, value in values.items()):
        raise RuntimeError("the model is not the one of its record; run that cell again")
    return estimator


def finish(result: Result, estimator, n: int, artifacts: Path) -> Result:
    """Take what a fitted estimator says of itself; save it if it can be saved."""
    result.values["n"] = n
    result.values.update(getattr(estimator, "values_", {}))
    result.history = getattr(estimator, "history_", {})
    if hasattr(estimator, "save"):
        estimator.save(artifacts / "model.pt")
    return result


def take_labels(result: Result, labels, n: int) -> None:
    """Put labels (n,) of integers from 0 into a result, or ValueError."""
    labels = np.asarray(labels)
    if labels.shape != (n,) or labels.dtype.kind not in "iu" or (n and labels.min() < 0):
        raise ValueError(
            f"labels_ has shape {labels.shape} and type {labels.dtype}, needs ({n},) "
            "of integers from 0"
        )
    result.labels = labels.astype(np.int64)
    result.values["n_clusters_found"] = int(len(np.unique(result.labels)))


def take_density(result: Result, estimator, n: int) -> None:
    """Put the log density of each point, ``log_likelihood_`` (n,), into a result.

    Raises
    ------
    ValueError
        For another shape.
    Diverged
        Where it is not finite.
    """
    density = np.asarray(estimator.log_likelihood_, dtype=np.float32)
    if density.shape != (n,):
        raise ValueError(f"log_likelihood_ has shape {density.shape}, needs ({n},)")
    if not np.isfinite(density).all():
        raise Diverged(
            f"log_likelihood_ is not finite at {int((~np.isfinite(density)).sum())} points"
        )
    result.log_likelihood = density


class Clock:
    """Wall seconds between laps, put into a dict."""

    def __init__(self, phases: dict):
        self.phases = phases
        self.restart()

    def restart(self) -> None:
        """Forget the time since the last lap."""
        self.start = time.perf_counter()

    def lap(self, name: str) -> None:
        """Put the seconds since the last lap under `name`."""
        now = time.perf_counter()
        self.phases[name] = now - self.start
        self.start = now
