"""Files of trainings and models: written whole or not at all, read without pickle."""

import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np
import torch


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
    """Constructor parameters of an estimator in types that a checkpoint can hold."""
    params = estimator.get_params(deep=False)
    return {k: list(v) if isinstance(v, tuple) else v for k, v in params.items()}


def fingerprint(estimator, *arrays) -> str:
    """Name of a training: its settings and data. A checkpoint of another one is not resumed."""
    digest = hashlib.sha256(repr(sorted(plain_params(estimator).items())).encode())
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
