"""Cells that train a mixture of networks, from another cell's partition or from its own."""

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
    """Estimators with ``fit(X, init_labels=(n,))``, ``labels_`` and ``log_likelihood_`` (n,).

    With ``own_start`` in the stanza ``init_labels`` is None: the estimator finds its start itself.
    """

    text = "trains the mixture of networks, from a partition or from its own start"
    kept = ("model",)
    clusters = True
    components = "n_components"

    def check(self, where, stanza) -> None:
        if ("start" in stanza.get("needs", {})) == bool(stanza.get("own_start", False)):
            raise ValueError(
                f"{where}: a mixture needs either the cell it starts from, "
                "needs.start, or own_start = true"
            )

    def run(
        self, cell, method, dataset, inputs, artifacts, checkpoint, device="cpu", progress=None
    ) -> Result:
        X, result = features(cell, dataset, inputs), Result()
        estimator, clock = self.build(cell, method, device), Clock(result.phases)
        start = inputs.get("start")
        estimator.fit(X, init_labels=start, checkpoint=checkpoint, progress=progress)
        clock.lap("fit")
        take_density(result, estimator, len(X))
        take_labels(result, estimator.labels_, len(X))
        return finish(result, estimator, len(X), artifacts)


KIND = Mixture()
