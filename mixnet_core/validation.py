"""Checks at the door: what a user hands in is named in the message, with what was needed."""

import numpy as np


def check_points(X, *, name="X", n_features=None, minimum=2) -> np.ndarray:
    """A finite float32 matrix of at least `minimum` rows, or ValueError."""
    X = np.asarray(X.numpy(force=True) if hasattr(X, "numpy") else X)
    if X.ndim != 2:
        raise ValueError(f"{name} must be a matrix (points × features); got shape {X.shape}")
    if X.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold numbers; got dtype {X.dtype}")
    if len(X) < minimum or X.shape[1] < 1:
        raise ValueError(f"{name} needs at least {minimum} rows and 1 feature; got shape {X.shape}")
    if n_features is not None and X.shape[1] != n_features:
        raise ValueError(f"{name} must have {n_features} features; got {X.shape[1]}")
    X = np.ascontiguousarray(X, dtype=np.float32)
    if not np.isfinite(X).all():
        n_bad = int((~np.isfinite(X)).sum())
        raise ValueError(f"{name} must be finite; {n_bad} entries are NaN or infinite in float32")
    return X
