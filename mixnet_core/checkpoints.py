"""Files that hold the state of a training or a model: written whole or not at all, read without pickle."""

import os
import tempfile
from pathlib import Path

import torch


def save_checkpoint(path, state: dict) -> None:
    """Write `state` (tensors, numbers, strings, lists, dicts) to `path`; do nothing if it is None."""
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
