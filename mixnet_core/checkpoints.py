"""Files of trainings and models: written whole or not at all, read without pickle."""

import functools
import hashlib
import marshal
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator

from mixnet_core.storage import whole_file

BLOCK_ROWS = 1 << 16


def save_checkpoint(path, state: dict) -> None:
    """Write `state` (tensors, numbers, strings, lists, dicts) to `path`, if that is not None."""
    if path is None:
        return
    with whole_file(path) as file:
        torch.save(state, file)


def load_checkpoint(path) -> dict | None:
    """What :func:`save_checkpoint` wrote, or None where there is no readable file.

    A damaged checkpoint counts as none: the training then starts again.
    """
    if path is None or not Path(path).exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for a damaged file
        warnings.warn(f"{path} cannot be read, the training starts again: {error}", stacklevel=2)
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
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, torch.device):
        return str(value)
    return _describe(value)


def _describe(value) -> str:
    """A string that tells two modules, functions or estimators apart, in any process."""
    if isinstance(value, torch.nn.Module):
        digest = hashlib.sha256()
        for name, tensor in value.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return f"{value!r} {digest.hexdigest()}"
    if isinstance(value, functools.partial):
        return f"partial({_plain(value.func)}, {_plain(value.args)}, {_plain(value.keywords)})"
    if hasattr(value, "__code__"):
        cells = [_plain(cell.cell_contents) for cell in value.__closure__ or ()]
        digest = hashlib.sha256(marshal.dumps(value.__code__))
        return f"{value.__module__}.{value.__qualname__} {digest.hexdigest()} {cells}"
    if isinstance(value, BaseEstimator) or hasattr(value, "plain"):
        return repr(value)
    return f"{type(value).__module__}.{type(value).__qualname__}"


def fingerprint(estimator, *arrays) -> str:
    """Name of a training: its settings and data. A checkpoint of another one is not resumed."""
    digest = hashlib.sha256(repr(sorted(plain_params(estimator).items())).encode())
    for array in arrays:
        array = np.asarray(array)
        digest.update(f"{array.dtype} {array.shape}".encode())
        for start in range(0, len(array), BLOCK_ROWS):  # the whole may be larger than memory
            digest.update(np.ascontiguousarray(array[start : start + BLOCK_ROWS]).data)
    return digest.hexdigest()
