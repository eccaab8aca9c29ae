"""Cells that compute what a figure shows, from the outputs and models of other cells.

The figure is then drawn from their records alone (`benchmarks.report.figures`), with neither data
nor models at hand.
"""

from __future__ import annotations

from benchmarks.kinds.base import Clock, Kind, Result, load_fitted, own_params, resolve


class Exhibit(Kind):
    """Functions ``f(dataset, inputs, seed, progress, **params)`` that return arrays and values."""

    text = "computes what a figure shows"
    output = "values"
    row = False

    def run(
        self, cell, method, dataset, inputs, artifacts, checkpoint, device="cpu", progress=None
    ) -> Result:
        result = Result()
        clock, exhibit = Clock(result.phases), resolve(method["estimator"])
        inputs = {
            role: load_fitted(given) if isinstance(given, dict) else given
            for role, given in inputs.items()
        }
        result.arrays, result.values = exhibit(
            dataset, inputs, cell["seed"], progress, **own_params(cell)
        )
        clock.lap("exhibit")
        return result


KIND = Exhibit()
