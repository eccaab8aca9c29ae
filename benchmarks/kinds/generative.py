"""Cells that generate: train a model (or take a trained one), draw samples, decode them.

Their output are the samples, which evaluations of all kinds read (`benchmarks.kinds.evaluation`).
In code space a model learns codes, and its samples are decoded by the autoencoder that made them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from baselines.protocols import PROTOCOLS
from benchmarks.kinds import stages
from benchmarks.records.files import array_hash

STREAM = 2  # of the seed: draws of samples; 0 and 1 are the mixture's own


@dataclass
class Result(stages.Result):
    """With samples: (n, d) float32 in [0, 1]."""

    samples: np.ndarray | None = None


def run(cell: dict, method: dict, dataset, inputs: dict, artifacts, checkpoint,
        device: str = "cpu", progress=None) -> Result:
    """Draw one cell's samples; parameters as `stages.run`.

    The cell's own parameters: ``n_samples``; ``n_train``, the number of training rows (0: all that
    the protocol names); ``max_updates``, the budget of a training (0: none). ``inputs`` may have
    ``autoencoder`` and ``model``: path, estimator, recorded values and seconds of a trained one.

    Raises
    ------
    Diverged
        If samples are not finite.
    RuntimeError
        If a trained model is not the one of its record.
    """
    import torch

    params = dict(cell["params"])
    n_samples, n_train = params.pop("n_samples"), params.pop("n_train", 0)
    if "max_updates" in params:
        params["max_updates"] = params["max_updates"] or None
    train = PROTOCOLS["goodfellow"].split(len(dataset.X))[0]
    held_out = np.setdiff1d(np.arange(len(dataset.X)), train)
    coded = params["space"] == "code"
    X = inputs["codes"] if coded else dataset.X
    result = Result()
    start = time.perf_counter()
    if "model" in inputs:
        estimator = _load(inputs["model"])
        result.values["train_seconds"] = inputs["model"]["seconds"]
    else:
        estimator = stages.build({**cell, "params": params}, method, device)
        if n_train:
            train, held_out = train[:n_train], held_out[:n_train]
        estimator.fit(X[train], X[held_out], checkpoint=checkpoint, progress=progress)
        result.phases["fit"] = time.perf_counter() - start
        result.values["train_seconds"] = result.phases["fit"]
    result.values |= {"n": len(X), **estimator.values_}
    result.history = getattr(estimator, "history_", {})

    start = time.perf_counter()
    seed = np.random.SeedSequence([cell["seed"], STREAM]).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(seed >> np.uint64(1)))
    samples = _draw(estimator, n_samples, generator)
    if coded:
        autoencoder = _load(inputs["autoencoder"])
        if array_hash(autoencoder.transform(dataset.X)) != array_hash(inputs["codes"]):
            raise RuntimeError("the autoencoder is not the one of its record; run that cell again")
        samples = autoencoder.inverse_transform(samples)
        result.values["autoencoder_seconds"] = inputs["autoencoder"]["seconds"]
    if not np.isfinite(samples).all():
        raise stages.Diverged("samples are not finite")
    # A linear decoder leaves [0, 1] a little; nothing in it is farther from any image for that.
    result.samples = np.clip(samples, 0, 1).astype(np.float32)
    result.phases["sample"] = time.perf_counter() - start
    if "model" not in inputs and hasattr(estimator, "save"):
        estimator.save(artifacts / "model.npz")
    return result


def _draw(estimator, n: int, generator) -> np.ndarray:
    """n samples of a generative baseline, or of a mixture (which returns labels too)."""
    if hasattr(estimator, "priors_"):
        return estimator.sample(n, random_state=int(generator.initial_seed() % 2**32))[0]
    return estimator.sample(n, generator)


def _load(model: dict):
    """The fitted estimator of another cell, asserted to have the values of its record."""
    estimator = stages.resolve(model["estimator"]).load(model["path"])
    values = getattr(estimator, "values_", {})
    if any(model["values"].get(name) != value for name, value in values.items()):
        raise RuntimeError("the model is not the one of its record; run that cell again")
    return estimator
