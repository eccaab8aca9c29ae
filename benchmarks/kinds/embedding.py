"""Cells that learn codes of a dataset's features, once for each seed, for all methods."""

from __future__ import annotations

import numpy as np

from benchmarks.kinds.base import Clock, Diverged, Kind, Result, features, finish

SLACK = 1e-5  # how far float32 rounding may carry a code beyond [0, 1]


class Embedding(Kind):
    """Estimators with ``transform``; their codes lie in [0, 1]."""

    text = "learns codes that other cells take"
    output = "codes"
    kept = ("codes", "autoencoder")
    row = False

    def run(
        self, cell, method, dataset, inputs, artifacts, checkpoint, device="cpu", progress=None
    ) -> Result:
        X, result = features(cell, dataset, inputs), Result()
        estimator, clock = self.build(cell, method, device), Clock(result.phases)
        estimator.fit(X, checkpoint=checkpoint, progress=progress)
        clock.lap("fit")
        result.codes = _checked(estimator.transform(X), X)
        clock.lap("transform")
        return finish(result, estimator, len(X), artifacts)


def _checked(codes, X) -> np.ndarray:
    codes = np.ascontiguousarray(codes, dtype=np.float32)
    if codes.ndim != 2 or len(codes) != len(X):
        raise ValueError(f"transform returned shape {codes.shape}, needs ({len(X)}, p)")
    if not np.isfinite(codes).all():
        raise Diverged("the codes are not finite")
    if codes.min() < -SLACK or codes.max() > 1 + SLACK:
        raise ValueError(f"codes lie in [{codes.min():.3g}, {codes.max():.3g}], need [0, 1]")
    return codes


KIND = Embedding()
