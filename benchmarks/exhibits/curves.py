"""How a training of the mixture went: purity and held-out likelihood, stage by stage."""

from __future__ import annotations

import numpy as np

from benchmarks.records.purity import purity


def training_curves(dataset, inputs, seed, progress) -> tuple[dict, dict]:
    """Curves of one trained mixture.

    ``inputs`` has ``start`` and ``mixture``, labels (n,) before and after, and ``model``, the
    fitted mixture with its history and snapshots. Classes score the labels and choose nothing.

    Returns
    -------
    arrays : dict
        ``heldout`` (T + 1,) float32: mean held-out log-likelihood in nats a point after Algorithm 1
        and each iteration of Algorithm 2; ``iteration`` (s,) of the snapshots, ``purity`` (s,)
        float32 of their labels in percent.
    values : dict
        ``purity_start``, ``purity_algorithm_1``, ``purity_final`` in percent.
    """
    model = inputs["model"]
    iterations = np.array(sorted(model.snapshots_), dtype=np.int32)
    curve = np.array([100 * purity(dataset.y, model.snapshots_[i]) for i in iterations], np.float32)
    arrays = {
        "heldout": np.array(model.history_["heldout"], dtype=np.float32),
        "iteration": iterations,
        "purity": curve,
    }
    values = {
        "purity_start": 100 * purity(dataset.y, inputs["start"]),
        "purity_algorithm_1": float(curve[0]),
        "purity_final": 100 * purity(dataset.y, inputs["mixture"]),
    }
    return arrays, values
