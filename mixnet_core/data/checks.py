"""Input checks: an error names the argument, what it got and what it needs."""

import contextlib
import math
import warnings
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils.validation import validate_data

from mixnet_core.data.loaders import as_matrix, is_loader
from mixnet_core.data.points import blocks, on_disk

LOPSIDED = 0.95  # share of the variance in one feature from which a user is warned


def check_rows(estimator, X, minimum: int, reset: bool) -> np.ndarray:
    """X as a finite matrix of floats; one on disk stays there, whatever its numbers are.

    Parameters
    ----------
    estimator : BaseEstimator
        Of a number and names of features, which are set where `reset`, and compared otherwise.
    X : array, tensor or memory map, shape (n, p)
    minimum : int
        Rows that are needed.
    reset : bool

    Raises
    ------
    ValueError
        If X is anything else.
    """
    if is_loader(X):
        raise ValueError("X must be a matrix here; got a loader or iterator, which fit takes")
    X = as_matrix(X)
    if not on_disk(X):
        kinds = ["float64", "float32"]
        return validate_data(
            estimator, X, dtype=kinds, ensure_min_samples=minimum, reset=reset, order="C"
        )
    if X.ndim != 2 or X.dtype.kind not in "fiub" or len(X) < minimum:
        raise ValueError(
            f"X must be a matrix of numbers with at least {minimum} rows; got shape {X.shape}, "
            f"dtype {X.dtype}"
        )
    if not all(np.isfinite(block).all() for block in blocks(X)):
        raise ValueError("X must be finite; it has NaN or infinite values")
    validate_data(estimator, np.asarray(X[:minimum]), dtype=None, reset=reset)
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


def whole(name: str, value, least: int) -> None:
    """ValueError unless `value` is an integer of at least `least`."""
    good = isinstance(value, Integral) and not isinstance(value, bool)
    require(good and value >= least, name, value, f"a whole number of {least} or more")


def number(name: str, value, needed: str, good) -> None:
    """ValueError unless `value` is a finite real number for which `good` is true."""
    real = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
    require(real and math.isfinite(value) and good(value), name, value, needed)


def one_of(name: str, value, options) -> None:
    """ValueError unless `value` is one of the strings `options`."""
    good = isinstance(value, str) and value in options
    require(good, name, value, f"one of {', '.join(map(repr, options))}")


def numbers(name: str, values) -> None:
    """ValueError unless `values` are one or more finite positive numbers."""
    listed = isinstance(values, tuple | list | np.ndarray) and len(values) > 0
    good = listed and all(isinstance(w, Real) and 0 < w < math.inf for w in values)
    require(good, name, values, "one or more positive numbers")


def require(good: bool, name: str, value, needed: str) -> None:
    """ValueError that says what `name` must be, unless `good`."""
    if not good:
        raise ValueError(f"{name} must be {needed}; got {value!r}")


def check_seed(random_state) -> int:
    """A seed from None, a whole number or a generator of numpy's."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    if isinstance(random_state, Integral) and random_state >= 0:
        return int(random_state)
    raise ValueError(
        "random_state must be a whole number of 0 or more, None or a numpy RandomState; got "
        f"{random_state!r}"
    )


def warn_of_lopsided(X: np.ndarray, stacklevel: int = 3) -> None:
    """A warning where one of several features has nearly all of the variance (100,000 rows seen).

    Distances, and with them the start and every kernel, then see that feature only.
    """
    some = np.asarray(X[:: max(1, len(X) // 100_000)], dtype=np.float64)
    if some.shape[1] < 3:
        return
    top = np.abs(some - some[0]).max()
    variance = ((some - some[0]) / (top if top > 0 else 1)).var(0)
    total = variance.sum()
    if total > 0 and variance.max() > LOPSIDED * total:
        warnings.warn(
            f"feature {int(variance.argmax())} has {100 * variance.max() / total:.1f}% of the "
            f"variance of all {len(variance)}, so that distances see little else; scale the "
            "features first (sklearn.preprocessing.StandardScaler) unless that is meant",
            UserWarning,
            stacklevel=stacklevel,
        )


@contextlib.contextmanager
def own_torch_modes():
    """Gradients on, autocast and inference mode off, whatever the caller has set around us."""
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
    ):
        yield


def check_device(device) -> torch.device:
    """The device, or ValueError where torch cannot use it here."""
    try:
        device = torch.device(device)
        torch.empty(1, device=device)
    except Exception as error:  # torch raises many types
        raise ValueError(
            f"device must be one that torch can use here; got {device!r}: {error}"
        ) from error
    return device
