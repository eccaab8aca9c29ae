"""Cells that choose one of the partitions that other cells found."""

from __future__ import annotations

import numpy as np

from benchmarks.kinds.base import Clock, Kind, Result, features, finish, take_labels


class Selection(Kind):
    """Estimators with ``fit(X, candidates=(n, m))``; candidates in the order of their roles."""

    text = "chooses one of the partitions of other methods"
    clusters = True
    components = "n_clusters"
    chooses = True

    def check(self, where, stanza) -> None:
        if not stanza.get("needs"):
            raise ValueError(f"{where}: a selection needs cells to choose from, in needs")

    def run(
        self, cell, method, dataset, inputs, artifacts, checkpoint, device="cpu", progress=None
    ) -> Result:
        X, result = features(cell, dataset, inputs), Result()
        estimator, clock = self.build(cell, method, device), Clock(result.phases)
        candidates = np.column_stack([inputs[role] for role in sorted(method["needs"])])
        estimator.fit(X, candidates=candidates)
        clock.lap("fit")
        take_labels(result, estimator.labels_, len(X))
        return finish(result, estimator, len(X), artifacts)


KIND = Selection()
