"""Cells that look for the number of clusters: one graph of k-means errors each."""

from __future__ import annotations

from benchmarks.kinds.base import Clock, Kind, Result, features, own_params, resolve


class Counting(Kind):
    """Functions ``f(X, random_state, **params)`` that return numbers of clusters and errors.

    ``values`` has `k` and `graph`, lists of one length, and `knee`, the iterated L method's answer
    for the whole graph.
    """

    text = "looks for the number of clusters"
    output = "values"

    def run(
        self, cell, method, dataset, inputs, artifacts, checkpoint, device="cpu", progress=None
    ) -> Result:
        from mixnet_core.choosing.components import iterated_l_method

        X, result = features(cell, dataset, inputs), Result()
        clock, evaluation_graph = Clock(result.phases), resolve(method["estimator"])
        k, graph = evaluation_graph(X, random_state=cell["seed"], **own_params(cell))
        clock.lap("fit")
        result.values = {
            "n": len(X),
            "k": k.tolist(),
            "graph": graph.tolist(),
            "knee": iterated_l_method(k, graph)[-1].n_components,
        }
        return result


KIND = Counting()
