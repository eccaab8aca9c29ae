"""Files of trainings and models: written whole or not at all, read without pickle."""

import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator

BLOCK_ROWS = 1 << 16


def save_checkpoint(path, state: dict) -> None:
    """Write `state` (tensors, numbers, strings, lists, dicts) to `path`, if that is not None."""
    if path is None:
        return
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_checkpoint(path) -> dict | None:
    """What :func:`save_checkpoint` wrote, or None where there is no readable file.

    A damaged checkpoint counts as none: the training then starts again.
    """
    if path is None or not Path(path).exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch raises many types for a damaged file
        return None


def plain_params(estimator) -> dict:
    """Constructor parameters of an estimator in types that a file can hold.

    A module, function or estimator among them becomes a description that is the same in another
    process: enough to tell two trainings apart, not to build it again.
    """
    return {name: _plain(value) for name, value in estimator.get_params(deep=False).items()}


def _plain(value):
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    if hasattr(value, "plain"):
        return repr(value.plain())
    if isinstance(value, torch.nn.Module | BaseEstimator):
        return repr(value)
    kind = value if hasattr(value, "__qualname__") else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def fingerprint(estimator, *arrays) -> str:
    """Name of a training: its settings and data. A checkpoint of another one is not resumed."""
    digest = hashlib.sha256(repr(sorted(plain_params(estimator).items())).encode())
    for array in arrays:
        array = np.asarray(array)
        digest.update(f"{array.dtype} {array.shape}".encode())
        for start in range(0, len(array), BLOCK_ROWS):  # the whole may be larger than memory
            digest.update(np.ascontiguousarray(array[start : start + BLOCK_ROWS]).data)
    return digest.hexdigest()
