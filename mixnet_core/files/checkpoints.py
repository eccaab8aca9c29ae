"""Files of trainings: written whole or not at all, read without pickle."""

import warnings
from pathlib import Path

import torch

from mixnet_core.files.storage import whole_file


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
