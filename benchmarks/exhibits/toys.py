"""What Figure 1 shows of a toy set: clusterings of its points, and the membership probability."""

from __future__ import annotations

import numpy as np

from benchmarks.records.store import small_int

MARGIN = 0.05  # of the grid around the points, as a share of their larger extent


def memberships(dataset, inputs, seed, progress, *, resolution, component=1):
    """Labels of the points and, on a grid around them, m_j of eq. 5.

    Parameters
    ----------
    dataset
        Has ``X`` (n, 2).
    inputs : dict
        ``model``, the fitted mixture; every other role is the labels (n,) of a clustering.
    resolution : int
        Points of the grid along the longer side; both sides have one step.
    component : int
        The j of m_j.

    Returns
    -------
    arrays : dict
        ``points`` (n, 2) float32; the labels (n,) under the names of their roles; ``grid_x`` (w,),
        ``grid_y`` (h,) and ``membership`` (h, w) float32.
    values : dict
        ``component``.

    Raises
    ------
    ValueError
        If the points are not in the plane, or the resolution is below 2.
    """
    X = np.asarray(dataset.X)
    if X.ndim != 2 or X.shape[1] != 2:
        raise ValueError(f"dataset {dataset.name} has points of shape {X.shape}, needs (n, 2)")
    grid_x, grid_y = axes(X, resolution)
    nodes = np.stack(np.meshgrid(grid_x, grid_y), axis=-1).reshape(-1, 2)
    membership = inputs["model"].predict_proba(nodes.astype(X.dtype))[:, component]
    arrays = {role: small_int(given) for role, given in inputs.items() if role != "model"}
    arrays |= {
        "points": X.astype(np.float32),
        "grid_x": grid_x.astype(np.float32),
        "grid_y": grid_y.astype(np.float32),
        "membership": membership.reshape(len(grid_y), len(grid_x)).astype(np.float32),
    }
    return arrays, {"component": int(component)}


def axes(X, resolution) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of a grid of square cells that holds the points X (n, 2) and a margin."""
    if resolution < 2:
        raise ValueError(f"resolution must be at least 2, got {resolution!r}")
    low, high = X.min(axis=0).astype(np.float64), X.max(axis=0).astype(np.float64)
    margin = MARGIN * (high - low).max()
    low, high = low - margin, high + margin
    step = (high - low).max() / (resolution - 1)
    sides = np.ceil((high - low) / step - 1e-9).astype(int) + 1
    start = (low + high) / 2 - step * (sides - 1) / 2
    return tuple(start[i] + step * np.arange(sides[i]) for i in (0, 1))
