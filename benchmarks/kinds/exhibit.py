"""Cells that compute what a figure shows, from the outputs and models of other cells.

The figure is then drawn from their records alone (`benchmarks.report`), with neither data nor
models at hand.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from benchmarks.kinds import stages
from benchmarks.kinds.generative import _load as load_fitted


@dataclass
class Result(stages.Result):
    """With ``arrays``: name -> what a figure shows, kept in the record."""

    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def run(cell: dict, method: dict, dataset, inputs: dict, artifacts, checkpoint,
        device: str = "cpu", progress=None) -> Result:
    """Compute one cell's exhibit; parameters as `stages.run`.

    The method's estimator is a function ``f(dataset, inputs, seed, progress, **params)`` that
    returns arrays and values, two dicts. Roles ``model`` and ``autoencoder`` of ``inputs`` are
    fitted estimators, the others arrays.
    """
    params = {name: v for name, v in cell["params"].items() if name not in stages.RESERVED}
    result, start = Result(), time.perf_counter()
    inputs = {role: load_fitted(given) if isinstance(given, dict) else given
              for role, given in inputs.items()}
    exhibit = stages.resolve(method["estimator"])
    result.arrays, result.values = exhibit(dataset, inputs, cell["seed"], progress, **params)
    result.phases["exhibit"] = time.perf_counter() - start
    return result
