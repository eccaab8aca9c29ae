"""Cells that cluster: estimators with ``fit(X)``, ``labels_`` and perhaps ``log_likelihood_``."""

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
from benchmarks.records.files import array_hash, shared_arrays
from benchmarks.records.provenance import imported_modules, software


class Clustering(Kind):
    """A spectral embedding, which no seed changes, is computed once for all seeds."""

    text = "partitions points"
    clusters = True
    components = "n_clusters"

    def run(
        self, cell, method, dataset, inputs, artifacts, checkpoint, device="cpu", progress=None
    ) -> Result:
        X, result = features(cell, dataset, inputs), Result()
        estimator, clock = self.build(cell, method, device), Clock(result.phases)
        if hasattr(estimator, "spectral_embedding"):
            embedding, seconds, reused = _spectral(estimator, cell, method, X)
            result.phases["spectral"] = seconds  # the cost of computing it, whoever paid
            result.values["spectral_reused"] = reused
            clock.restart()
            estimator.fit(X, embedding=embedding)
        else:
            estimator.fit(X)
        clock.lap("fit")
        take_labels(result, estimator.labels_, len(X))
        if hasattr(estimator, "log_likelihood_"):  # of a density that clusters
            take_density(result, estimator, len(X))
        return finish(result, estimator, len(X), artifacts)


def _spectral(estimator, cell: dict, method: dict, X) -> tuple[object, float, bool]:
    """The estimator's embedding from the shared cache, whose key has all that decides it.

    ``spectral_params``, if the class has it, names the parameters that the embedding depends on.
    """
    names = getattr(type(estimator), "spectral_params", None)
    params = {
        name: value
        for name, value in cell["params"].items()
        if name not in ("space", "inputs") and (names is None or name in names)
    }
    module = method["estimator"].partition(":")[0]
    key = {
        "X": array_hash(X),
        "estimator": method["estimator"],
        "params": params,
        "code": imported_modules(module, pinned=True),
        "software": software(),
    }
    return shared_arrays(key, lambda: estimator.spectral_embedding(X))


KIND = Clustering()
