"""Files of the generative models: written whole or not at all, read without pickle."""

from __future__ import annotations

import contextlib
import copy
import math
import os
import tempfile
import time
import warnings
from pathlib import Path

import torch

SECONDS_BETWEEN_CHECKPOINTS = 20.0


class Checkpoint:
    """The file of a training: one state a phase, written whole or not at all, without pickle.

    A file of another training (other settings or data) or a damaged one counts as none.
    """

    def __init__(self, path, signature: str):
        self.path, self.signature, self.phases = Path(path), signature, {}
        self.saved = -math.inf
        if not self.path.exists():
            return
        try:
            found = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many types for a damaged file
            warnings.warn(
                f"{path} cannot be read, the training starts again: {error}", stacklevel=4
            )
            return
        if isinstance(found, dict) and found.get("signature") == signature:
            phases = found.get("phases")
            if isinstance(phases, dict) and all(isinstance(s, dict) for s in phases.values()):
                self.phases = phases
            else:
                warnings.warn(f"{path} is damaged, the training starts again", stacklevel=4)

    def read(self, phase: str) -> dict | None:
        """The state of a phase, or None."""
        return self.phases.get(phase)

    def write(self, phase: str, state, last: bool) -> None:
        """Keep ``state()``, if the file is older than 20 s or this is the phase's last."""
        if not last and time.monotonic() - self.saved < SECONDS_BETWEEN_CHECKPOINTS:
            return
        self.phases[phase] = state()
        with whole_file(self.path) as file:
            torch.save({"signature": self.signature, "phases": self.phases}, file)
        # A phase that is over never changes again; one that goes on changes its tensors in place.
        self.phases[phase] = copy.deepcopy(self.phases[phase]) if last else None
        self.saved = time.monotonic()


@contextlib.contextmanager
def whole_file(path):
    """A binary file that appears under its name when it is complete, and only then."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
