"""Checks of what users hand in, for every baseline: points, labels, whole and real numbers.

Imports no torch, which the clusterings do without; tensors are recognised by what they can do.
"""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.validation import validate_data

UNLABELLED = -1
FLOATS = (np.float64, np.float32)
FAR = 1e3  # standard deviations from the origin: beyond, three digits and more of sixteen are lost


def as_array(name: str, values):
    """`values`, a tensor as an array; anything else as it is.

    Raises
    ------
    ValueError
        If it is a masked array with masked entries: numpy drops masks silently, and what lies
        under them is no datum.
    """
    if hasattr(values, "detach") and hasattr(values, "numpy"):
        return values.detach().cpu().numpy()
    if isinstance(values, np.ma.MaskedArray):
        if np.ma.is_masked(values):
            raise ValueError(
                f"{name} must have no masked entries (no method here knows missing values); got "
                f"{int(np.ma.getmaskarray(values).sum())} of them: fill them or leave rows out"
            )
        return values.data
    return values


def check_matrix(
    estimator, X, *, name: str = "X", reset: bool = True, min_samples: int = 1, dtype=FLOATS
) -> np.ndarray:
    """X as a finite C-contiguous matrix (n points x d features) of float64 or float32.

    Parameters
    ----------
    estimator : the estimator that was handed X; with `reset` it learns the number and the names of
        the features (``n_features_in_``, ``feature_names_in_``), else X must have these.
    name : of the argument, for messages.

    Raises
    ------
    ValueError, TypeError
        If X is sparse, not 2-D, empty, complex, not finite, has masked entries, fewer than
        `min_samples` rows, or features other in number, name or order than those of the fit.
    """
    X = as_array(name, X)
    ndim = X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
    if not sp.issparse(X) and ndim != 2:
        raise ValueError(
            f"{name} must be a 2-D array (n points x d features), got {ndim}-D. "
            "Reshape your data to one row per point."
        )
    kept = {"dtype": list(dtype), "order": "C", "ensure_min_samples": min_samples}
    if name == "X" or reset:
        return validate_data(estimator, X, reset=reset, **kept)
    array = check_array(X, input_name=name, estimator=estimator, **kept)
    if array.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"{name} has {array.shape[1]} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input"
        )
    check_names(estimator, X, name)
    return array


def centre_if_far(X: np.ndarray) -> np.ndarray:
    """(d,) what to subtract from X (n, d) before a library multiplies rows as they are.

    The mean of X where it is so far from the origin that products lose what rows differ by; zeros
    elsewhere, where subtracting would only move the last bits.
    """
    centre = X.mean(axis=0, dtype=np.float64)
    far = np.abs(centre).max() > FAR * X.std(axis=0, dtype=np.float64).max()
    return centre if far else np.zeros_like(centre)


def check_names(estimator, X, name: str) -> None:
    """ValueError where X has column names and they are not those of the fit, in their order."""
    known = getattr(estimator, "feature_names_in_", None)
    columns = getattr(X, "columns", None)
    if known is None or columns is None or not all(isinstance(c, str) for c in columns):
        return
    if list(columns) != list(known):
        raise ValueError(
            f"{name} must have the feature names of the fit, in their order: {list(known)[:5]}; "
            f"got {list(columns)[:5]}"
        )


def check_number(name: str, value, kind: type, low: float, open_left: bool = False) -> None:
    """Raise unless `value` is a finite number of `kind` (Integral or Real) and >= (or >) `low`."""
    words = {Integral: "an integer", Real: "a number"}[kind]
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"{name} must be {words}, got {value!r} of type {type(value).__name__}.")
    if not np.isfinite(value) or value < low or (open_left and value == low):
        raise ValueError(f"{name} must be {'>' if open_left else '>='} {low}, got {value!r}.")


def check_partial_labels(y, n: int) -> np.ndarray:
    """Labels (n,) of some points: integers, or an object array of names, -1 where unknown.

    Lists, series and columns (n, 1) are taken as arrays; where numpy has made strings of names and
    -1, ``"-1"`` is the unknown one.

    Raises
    ------
    ValueError
        If y is None, not one label a point, has NaN, None or pd.NA (what is unknown is -1), numbers
        that are not whole, or no label at all.
    """
    if y is None:
        raise ValueError(
            f"y must be given, a label a point, {UNLABELLED} where it is unknown: the estimator "
            "requires y to be passed, but the target y is None"
        )
    y = as_array("y", y)
    if isinstance(y, list | tuple):  # numpy would make the string "None" of a None among names
        y = np.array(y, dtype=object) if any(isinstance(v, str) for v in y) else y
    if isinstance(y, pd.Series | pd.DataFrame | pd.api.extensions.ExtensionArray):
        y = y.to_numpy(dtype=object) if y.size and np.any(pd.isna(y)) else np.asarray(y)
    if pd.isna(np.asarray(y, dtype=object)).any():
        raise ValueError(f"y must have {UNLABELLED} where a label is unknown; got NaN, None or NA")
    y = column_or_1d(y, warn=True)
    if len(y) != n:
        raise ValueError(f"y must have a label for each of the {n} points of X; got {len(y)}")
    if y.dtype.kind == "f":
        if not np.isfinite(y).all() or (y != np.round(y)).any():
            raise ValueError(
                f"y must be labels of classes, not a continuous quantity: Unknown label type; got "
                f"{y[:5]}"
            )
        y = y.astype(np.int64)
    elif y.dtype.kind in "OUS":
        y = y.astype(object)
        y[[str(v) == str(UNLABELLED) for v in y]] = UNLABELLED
        if all(isinstance(v, Integral) for v in y):
            y = y.astype(np.int64)
    elif y.dtype.kind in "iub":
        y = y.astype(np.int64)
    else:
        raise ValueError(f"y must be integers or names of classes; got dtype {y.dtype}")
    known = y != UNLABELLED
    if not known.any():
        raise ValueError(f"y must have a label for one point at least; got {UNLABELLED} for all")
    if y.dtype == object and len({isinstance(v, str) for v in y[known]}) > 1:
        raise ValueError("y must be integers or names, not both (but for -1, which is unknown)")
    return y


def encode(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Classes, sorted, and the index of each label of :func:`check_partial_labels` in them or -1.

    Returns
    -------
    classes : (c,) int64, or str where labels are names.
    index : (n,) int64.
    """
    known = y != UNLABELLED
    names = y[known].astype(str) if y.dtype == object else y[known]
    index = np.full(len(y), UNLABELLED)
    classes, index[known] = np.unique(names, return_inverse=True)
    return classes, index


def check_seed(random_state) -> int:
    """A seed of `random_state`: an int itself, of a RandomState one draw, of None a fresh one.

    Raises ValueError for anything else, and below 0.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    if isinstance(random_state, Integral) and not isinstance(random_state, bool):
        if random_state >= 0:
            return int(random_state)
    raise ValueError(
        "random_state must be a whole number of 0 or more, None or a numpy RandomState; got "
        f"{random_state!r}"
    )
