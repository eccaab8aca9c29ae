"""The contract of every clustering in methods.toml, built as the harness builds it, but shorter."""

import inspect
import json

import numpy as np
import pytest

from benchmarks import kinds, registry
from benchmarks.kinds.base import resolve

#: N2D only at night: the first UMAP of a process is compiled for a quarter of a minute.
METHODS = [
    pytest.param(name, marks=[pytest.mark.slow] if name == "n2d" else [])
    for name, stanza in registry.methods().items()
    if stanza["kind"] == "clustering"
]
NAMES = {param.values[0] for param in METHODS}


def built(method, n_clusters, seed):
    params = {**registry.resolve_params(method, "digits", fast=True), "n_clusters": n_clusters}
    stanza = registry.methods()[method]
    if "hidden" in inspect.signature(resolve(stanza["estimator"])).parameters:
        params["hidden"] = [16, 16, 32]
    cell = {"params": {"space": "raw", **params}, "seed": seed}
    return kinds.of(stanza).build(cell, stanza)


def test_the_methods_of_figure_1_are_among_them():
    assert {"kmeans", "ncut", "gmm", "spectral", "spectral-full"} <= NAMES


@pytest.mark.parametrize("method", METHODS)
def test_separate_groups_are_found_and_a_seed_repeats_itself(method):
    if method == "n2d":
        pytest.importorskip("umap")
    rng = np.random.default_rng(0)
    truth = np.arange(120) % 3
    X = (rng.normal(size=(120, 4)) + 20 * np.eye(3, 4)[truth]).astype(np.float32)
    model, again = (built(method, 3, 7).fit(X) for _ in range(2))
    assert model.labels_.shape == (120,) and model.labels_.dtype == np.int64
    assert np.array_equal(model.labels_, again.labels_)
    assert set(model.labels_) <= {0, 1, 2}
    json.dumps(model.values_, allow_nan=False)  # a record takes them
    if method != "kmeans":  # one start may end badly
        assert len({(a, b) for a, b in zip(truth, model.labels_, strict=True)}) == 3
