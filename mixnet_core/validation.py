"""Checks at the door: what a user hands in is named in the message, with what was needed."""

import math
from numbers import Real

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


def check_labels(labels, n: int, n_components: int) -> np.ndarray:
    """int64 labels of shape (n,) in 0..n_components-1, or ValueError."""
    labels = np.asarray(labels)
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"init_labels must be {n} integers; got shape {labels.shape}, dtype {labels.dtype}"
        )
    if labels.min() < 0 or labels.max() >= n_components:
        raise ValueError(
            f"init_labels must lie in 0..{n_components - 1}; got {labels.min()}..{labels.max()}"
        )
    return labels.astype(np.int64)


def check_settings(model) -> None:
    """The settings of a mixture, or ValueError that names the first one out of range."""
    whole = ("n_components", "batch_size", "n_samples", "n_final_samples", "patience")
    for name in (*whole, "lr", "batch_share", "validation_size"):
        _require_number(model, name, lambda value: value > 0, "positive")
    for name in ("t1", "t2", "min_updates", "momentum", "weight_decay", "threshold"):
        _require_number(model, name, lambda value: value >= 0, "zero or more")
    _require_number(model, "memory", lambda value: 0 <= value < 1, "0 or more and below 1")
    for name in (*whole, "t1", "t2"):
        value = getattr(model, name)
        _require(float(value).is_integer(), name, value, "a whole number")
    for name, limit in (("lr", math.inf), ("momentum", 1)):
        value = getattr(model, name)
        _require(value < limit, name, value, "finite" if name == "lr" else "below 1")
    for name in ("mmd_widths", "likelihood_widths"):
        widths = getattr(model, name)
        listed = isinstance(widths, tuple | list | np.ndarray) and len(widths) > 0
        good = listed and all(isinstance(w, Real) and 0 < w < math.inf for w in widths)
        _require(good, name, widths, "one or more positive numbers")
    _require(model.optimizer in ("sgd", "adam"), "optimizer", model.optimizer, "'sgd' or 'adam'")
    good = model.init is None or hasattr(model.init, "fit_predict")
    _require(good, "init", model.init, "None or a clusterer with fit_predict")


def check_share(name: str, value) -> None:
    """ValueError unless 0 < value < 1."""
    _require(0 < value < 1, name, value, "above 0 and below 1")


def _require(good: bool, name: str, value, needed: str) -> None:
    if not good:
        raise ValueError(f"{name} must be {needed}; got {value!r}")


def _require_number(model, name: str, good, needed: str) -> None:
    value = getattr(model, name)
    number = isinstance(value, Real) and not isinstance(value, bool)
    _require(number and good(value), name, value, needed)
