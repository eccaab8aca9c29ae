"""A few known labels: labelled points hold their component (the paper's future work, §5)."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

UNLABELLED = -1
# Nats by which a component that a labelled point does not belong to is less likely. Finite, so that
# a mini-batch with labelled points of two components still has a membership; e^-10000 is 0.
PENALTY = 1e4


def check_partial_labels(y, n: int, n_components: int) -> np.ndarray:
    """Known components as int64 of shape (n,), -1 elsewhere; all -1 where `y` has no -1 at all.

    Raises
    ------
    ValueError
        If `y` has a -1 and is not n whole numbers in -1..n_components-1.
    """
    y = np.asarray(y)
    if y.dtype.kind not in "iuf" or not (y == UNLABELLED).any():
        return np.full(n, UNLABELLED)
    if y.shape != (n,) or not np.isfinite(y).all() or (y != np.round(y)).any():
        raise ValueError(
            f"y must be {n} whole numbers, {UNLABELLED} where the component is not known; "
            f"got shape {y.shape}, dtype {y.dtype}"
        )
    if y.min() < UNLABELLED or y.max() >= n_components:
        raise ValueError(
            f"y must lie in {UNLABELLED}..{n_components - 1} (n_components={n_components}); "
            f"got {y.min()}..{y.max()}"
        )
    return y.astype(np.int64)


def adopt_labels(clusters: np.ndarray, y: np.ndarray, n_components: int) -> np.ndarray:
    """Initial clusters that agree with the known labels.

    Clusters are renumbered so that as many labelled points as possible lie in the cluster of their
    label (Hungarian method), then the labelled points are put where they belong.

    Parameters
    ----------
    clusters : ndarray of int64, shape (n,)
    y : ndarray of int64, shape (n,)
        -1 where the label is not known.

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    known = y != UNLABELLED
    counts = np.zeros((n_components, n_components), dtype=np.int64)
    np.add.at(counts, (clusters[known], y[known]), 1)
    names = linear_sum_assignment(counts, maximize=True)[1]
    return np.where(known, y, names[clusters])


def hold(log_lik: Tensor, rows: Tensor, y: Tensor) -> Tensor:
    """The likelihood matrix in which labelled points are likely under their component only.

    Parameters
    ----------
    log_lik : Tensor, shape (N, K)
        Changed in place.
    rows : Tensor of int64, shape (m,)
        The labelled points.
    y : Tensor of int64, shape (m,)
        Their components.
    """
    if len(rows):
        own = log_lik[rows, y]
        log_lik[rows] -= PENALTY
        log_lik[rows, y] = own
    return log_lik


def split(labelled: Tensor, n_held_out: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Held-out and training rows; labelled points are always trained on."""
    shuffled = torch.randperm(len(labelled), generator=generator)
    if labelled.any():
        shuffled = shuffled[labelled[shuffled].to(torch.int8).argsort(stable=True)]
    return shuffled[:n_held_out], shuffled[n_held_out:]
