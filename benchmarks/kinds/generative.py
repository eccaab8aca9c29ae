"""Cells that generate: train a model (or take a trained one), draw samples, decode them.

Their output are the samples, which evaluations of all kinds read (`benchmarks.kinds.evaluation`).
In code space a model learns codes, and its samples are decoded by the autoencoder that made them.
"""

from __future__ import annotations

import numpy as np

from benchmarks.kinds.base import Clock, Diverged, Kind, Result, features, load_fitted
from benchmarks.records.files import array_hash

STREAM = 2  # of the seed: draws of samples; 0 and 1 are the mixture's own


class Generative(Kind):
    """Estimators with ``fit(X, validation=)`` and ``sample(n, generator)``, or a fitted model.

    The cell's own parameters: ``n_samples``; ``n_train``, the number of training rows (0: all that
    the protocol names); ``max_updates``, the budget of a training (0: none). ``inputs`` may have
    ``autoencoder`` and ``model``, fitted estimators of other cells.
    """

    text = "puts out samples"
    output = "samples"
    kept = ("samples",)

    def check_data(self, where, method, data) -> None:
        if "test" not in data:
            raise ValueError(
                f"{where}: no 'test', images that samples of {method} can be scored on"
            )

    def inputs(self, space, data, of) -> dict:
        needed = super().inputs(space, data, of)
        # Samples of codes are decoded by the model that made the codes.
        return needed | ({"autoencoder": needed["codes"]} if needed else {})

    def run(
        self, cell, method, dataset, inputs, artifacts, checkpoint, device="cpu", progress=None
    ) -> Result:
        """As `Kind.run`; RuntimeError if a trained model is not the one of its record."""
        from baselines.protocols import PROTOCOLS

        params = dict(cell["params"])
        n_samples, n_train = params.pop("n_samples"), params.pop("n_train", 0)
        if "max_updates" in params:
            params["max_updates"] = params["max_updates"] or None
        train = PROTOCOLS["goodfellow"].split(len(dataset.X))[0]
        held_out = np.setdiff1d(np.arange(len(dataset.X)), train)
        X, result = features(cell, dataset, inputs), Result()
        clock = Clock(result.phases)
        if "model" in inputs:
            estimator = load_fitted(inputs["model"])
            result.values["train_seconds"] = inputs["model"]["seconds"]
        else:
            estimator = self.build({**cell, "params": params}, method, device)
            if n_train:
                train, held_out = train[:n_train], held_out[:n_train]
            estimator.fit(
                X[train], validation=X[held_out], checkpoint=checkpoint, progress=progress
            )
            clock.lap("fit")
            result.values["train_seconds"] = result.phases["fit"]
        result.values |= {"n": len(X), **estimator.values_}
        result.history = getattr(estimator, "history_", {})

        clock.restart()
        samples = _draw(estimator, n_samples, cell["seed"])
        if "autoencoder" in inputs:
            samples = _decoded(samples, inputs, dataset)
            result.values["autoencoder_seconds"] = inputs["autoencoder"]["seconds"]
        if not np.isfinite(samples).all():
            raise Diverged("samples are not finite")
        # A linear decoder leaves [0, 1] a little; nothing in it is farther from any image for that.
        result.samples = np.clip(samples, 0, 1).astype(np.float32)
        clock.lap("sample")
        if "model" not in inputs and hasattr(estimator, "save"):
            estimator.save(artifacts / "model.npz")
        return result


def _draw(estimator, n: int, seed: int) -> np.ndarray:
    """n samples of a generative baseline, or of a mixture (which returns labels too)."""
    import torch

    drawn = np.random.SeedSequence([seed, STREAM]).generate_state(1, np.uint64)[0]
    seed = int(drawn >> np.uint64(1))
    if hasattr(estimator, "priors_"):
        return estimator.sample(n, random_state=seed % 2**32)[0]
    return estimator.sample(n, torch.Generator().manual_seed(seed))


def _decoded(samples: np.ndarray, inputs: dict, dataset) -> np.ndarray:
    """Images (m, d) of sampled codes (m, p)."""
    autoencoder = load_fitted(inputs["autoencoder"])
    if array_hash(autoencoder.transform(dataset.X)) != array_hash(inputs["codes"]):
        raise RuntimeError("the autoencoder is not the one of its record; run that cell again")
    return autoencoder.inverse_transform(samples)


KIND = Generative()
