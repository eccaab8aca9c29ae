"""Cells that look for the number of clusters: one graph of k-means errors each."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.kinds import stages
from mixnet_core.components import iterated_l_method


def run(cell: dict, method: dict, dataset, inputs: dict[str, np.ndarray], artifacts, checkpoint,
        device: str = "cpu", progress=None) -> stages.Result:
    """Draw one cell's evaluation graph; parameters as `stages.run`.

    ``values`` has `k` and `graph`, lists of one length, and `knee`, the iterated L method's answer
    for the whole graph.
    """
    params = {name: v for name, v in cell["params"].items() if name not in stages.RESERVED}
    X = inputs["codes"] if cell["params"]["space"] == "code" else dataset.X
    result, start = stages.Result(), time.perf_counter()
    evaluation_graph = stages.resolve(method["estimator"])
    k, graph = evaluation_graph(X, random_state=cell["seed"], **params)
    result.phases["fit"] = time.perf_counter() - start
    result.values = {"n": len(X), "k": k.tolist(), "graph": graph.tolist(),
                     "knee": iterated_l_method(k, graph)[-1].n_components}
    return result
