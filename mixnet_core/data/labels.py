"""A few known labels: labelled points hold their component (the paper's future work, §5)."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mixnet_core.data.loaders import as_matrix

UNLABELLED = -1
# Nats by which a component that a labelled point does not belong to is less likely, at least.
# Finite, so that a mini-batch with labelled points of two components still has a membership.
PENALTY = 1e4


def check_partial_labels(y, n: int, n_components: int) -> np.ndarray:
    """Known components as int64 of shape (n,), -1 elsewhere; all -1 where `y` has no -1 at all.

    Raises
    ------
    ValueError
        If `y` has a -1 and is not n whole numbers in -1..n_components-1, or if it has missing
        values (NaN, None): the mark of an unknown component is -1.
    """
    if y is None:
        return np.full(n, UNLABELLED)
    y = np.asarray(as_matrix(y, "y"))
    missing = [value for value in y.ravel().tolist() if _is_missing(value)]
    if missing:
        raise ValueError(
            f"y must have {UNLABELLED} where the component is not known; got {len(missing)} "
            f"missing values ({missing[0]!r})"
        )
    if y.dtype.kind in "OUS":
        words = y.astype(str)
        if not (words == str(UNLABELLED)).any():
            return np.full(n, UNLABELLED)
        try:
            y = words.astype(np.float64)
        except ValueError:
            raise ValueError(
                f"y must be whole numbers, {UNLABELLED} where the component is not known; got "
                f"{sorted(set(words.ravel()))[:5]}"
            ) from None
    if not (y == UNLABELLED).any():
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


def _is_missing(value) -> bool:
    named = type(value).__name__ in ("NAType", "NaTType")  # of pandas, which is not needed here
    return value is None or named or (isinstance(value, float) and value != value)


def match_names(clusters: np.ndarray, y: np.ndarray, n_components: int) -> np.ndarray:
    """New number of each cluster: as many labelled points as can be lie in that of their label.

    Parameters
    ----------
    clusters : ndarray of int64, shape (n,)
    y : ndarray of int64, shape (n,)
        -1 where the label is not known.

    Returns
    -------
    ndarray of int64, shape (K,)
        A permutation, by the Hungarian method.
    """
    known = y != UNLABELLED
    counts = np.zeros((n_components, n_components), dtype=np.int64)
    np.add.at(counts, (clusters[known], y[known]), 1)
    return linear_sum_assignment(counts, maximize=True)[1]


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
        held = torch.minimum(log_lik[rows], (own - PENALTY).unsqueeze(1))
        held[torch.arange(len(rows), device=rows.device), y] = own
        log_lik[rows] = held
    return log_lik


def held_out_count(size, n: int, n_components: int) -> int:
    """How many of n points `validation_size`, a share or a number, holds out; or ValueError."""
    count, least = max(1, round(size * n)) if size < 1 else size, max(2, n_components)
    if count != int(count) or n - count < least:
        raise ValueError(
            f"validation_size must be a share below 1 or a whole number that leaves at least "
            f"{least} of {n} points to train on; got {size!r}"
        )
    return int(count)


def split(labelled: Tensor, n_held_out: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Held-out and training rows; labelled points are trained on, so they limit the former."""
    shuffled = torch.randperm(len(labelled), generator=generator)
    if labelled.any():
        n_held_out = min(n_held_out, int((~labelled).sum()))
        shuffled = shuffled[labelled[shuffled].to(torch.int8).argsort(stable=True)]
    return shuffled[:n_held_out], shuffled[n_held_out:]
