"""Cells that train a mixture of networks from another cell's partition."""

from __future__ import annotations

from benchmarks.kinds.base import (
    Clock,
    Kind,
    Result,
    features,
    finish,
    take_density,
    take_labels,
)


class Mixture(Kind):
    """Estimators with ``fit(X, init_labels=(n,))``, ``labels_`` and ``log_likelihood_`` (n,)."""

    text = "trains the mixture of networks from a partition"
    kept = ("model",)
    clusters = True
    components = "n_components"

    def check(self, where, stanza) -> None:
        if "start" not in stanza.get("needs", {}):
            raise ValueError(f"{where}: a mixture needs the cell it starts from, needs.start")

    def run(self, cell, method, dataset, inputs, artifacts, checkpoint, device="cpu",
            progress=None) -> Result:
        X, result = features(cell, dataset, inputs), Result()
        estimator, clock = self.build(cell, method, device), Clock(result.phases)
        estimator.fit(X, init_labels=inputs["start"], checkpoint=checkpoint, progress=progress)
        clock.lap("fit")
        take_density(result, estimator, len(X))
        take_labels(result, estimator.labels_, len(X))
        return finish(result, estimator, len(X), artifacts)


KIND = Mixture()
