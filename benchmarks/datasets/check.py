"""From arrays as published to the arrays of a dataset: labels from 0, scaling, what is asserted.

Scaling is a field of the stanza and nothing else decides it; what was done is said in
``Dataset.scaling``. Each is exact arithmetic on single values, or rounded, so that the content hash
is the same on every machine.
"""

import numpy as np

from benchmarks.datasets.errors import DatasetError
from benchmarks.stanzas import scaling_range

DECIMALS = 6  # kept of a logarithm, whose last bits differ between machines


def finished(entry, X, y, paths=()):
    """Arrays of a dataset from those that a reader or a generator gives.

    Parameters
    ----------
    entry : dict
        Stanza of a variant, see `benchmarks.datasets.core.stanza`.
    X : ndarray (n, d)
        Features as published.
    y : ndarray (n,)
        Labels as published.
    paths : sequence of path-like
        The raw files, named in errors.

    Returns
    -------
    X : ndarray of float32, (n, d)
    y : ndarray of int64, (n,), 0..n_classes-1

    Raises
    ------
    DatasetError
        If n, d, classes or range are not those of the stanza; its content hash is compared by
        `benchmarks.datasets.cache.pinned`.
    """
    where = ", ".join(str(p) for p in paths) or entry["name"]
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim != 2 or X.shape != (entry["n"], entry["d"]):
        raise DatasetError(
            f"{where}: array of shape {X.shape}, {entry['name']} has ({entry['n']}, {entry['d']})"
        )
    y = _labels(entry, y, where)
    if not np.isfinite(X).all():
        raise DatasetError(f"{where}: holds values that are not finite numbers")
    if "decimals" in entry:
        X = np.round(X, entry["decimals"])
    if "row_order" in entry:
        order = np.lexsort((y, *X.T[::-1]))
        X, y = X[order], y[order]
    X = np.ascontiguousarray(scaled(X, entry["scaling"], where), dtype=np.float32)
    if not np.isfinite(X).all():
        raise DatasetError(f"{where}: holds values beyond float32")
    return X, y


def _labels(entry, y, where):
    first = entry.get("first_label", 0)
    if (
        y.shape != (entry["n"],)
        or y.dtype.kind not in "buif"
        or not np.isfinite(y).all()
        or (np.abs(y) > 2**31).any()
        or not np.array_equal(y, np.floor(y))
    ):
        raise DatasetError(f"{where}: labels are not {entry['n']} whole numbers")
    y = y.astype(np.int64) - first
    if not np.array_equal(np.unique(y), np.arange(entry["n_classes"])):
        raise DatasetError(
            f"{where}: labels {np.unique(y)[:5] + first}…, "
            f"{entry['name']} has {entry['n_classes']} consecutive classes "
            f"from {first}"
        )
    return y


def scaled(X, scaling, where="X"):
    """Features scaled as a stanza says.

    Parameters
    ----------
    X : ndarray (n, d)
        Finite.
    scaling : str
        ``"LOW..HIGH to 0..1"``: affinely, by the published range, which is asserted (a constant
        feature stays where it is in that range). ``"min-max"``: each feature by its own range in
        these data to [0, 1], a constant one to 0. ``"tf-idf"``: counts to
        (1 + ln count) (1 + ln((1 + n) / (1 + document frequency))), rows of norm 1, rounded to 6
        decimals; an empty row stays zero. ``"none"``: as they are.
    where : str
        Named in errors.

    Returns
    -------
    ndarray (n, d), floating

    Raises
    ------
    DatasetError
        Values outside the published range, or counts below 0.
    """
    # bytes as float32, whose quotient by a small whole number is the nearest one either way
    if X.dtype.kind in "bui":
        X = X.astype(np.float32 if X.dtype.itemsize == 1 else np.float64)
    if scaling == "none":
        return X
    bounds = scaling_range(scaling)
    if bounds is not None:
        low, high = bounds
        if X.size and (X.min() < low or X.max() > high):
            raise DatasetError(
                f"{where}: values from {X.min():g} to {X.max():g}, must lie in "
                f"[{low:g}, {high:g}] (scaling = {scaling!r})"
            )
        return (X - X.dtype.type(low)) / X.dtype.type(high - low)
    if scaling == "min-max":
        X = X.astype(np.float64)
        low, high = X.min(axis=0), X.max(axis=0)
        return (X - low) / np.where(high > low, high - low, 1)
    return _tf_idf(X.astype(np.float64), where)


def _tf_idf(counts, where):
    if counts.min() < 0:
        raise DatasetError(f"{where}: a count of {counts.min():g}, tf-idf needs counts from 0")
    there = counts > 0
    idf = 1 + np.log((1 + len(counts)) / (1 + there.sum(axis=0)))
    weights = np.where(there, 1 + np.log(np.where(there, counts, 1)), 0) * idf
    norm = np.sqrt((weights**2).sum(axis=1, keepdims=True))
    return np.round(weights / np.where(norm > 0, norm, 1), DECIMALS)
