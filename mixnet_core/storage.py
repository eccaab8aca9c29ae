"""Models in files: arrays and JSON in one zip, written whole or not at all, read without pickle."""

import contextlib
import json
import os
import tempfile
from pathlib import Path

import numpy as np

HEADER = "header"


@contextlib.contextmanager
def whole_file(path):
    """A binary file to write; it takes the place of the one at `path` when all is on the disk.

    The folder is made where it is missing. After an error the old file is as it was.
    """
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


def save_model(path, kind: str, version: int, header: dict, arrays: dict[str, np.ndarray]) -> None:
    """Write a model.

    Parameters
    ----------
    path : path
        The folder is made where it is missing; an old file stays until the new one is complete.
    kind, version : str, int
        What the file holds and in which layout; :func:`load_model` asks for them.
    header : dict
        Whatever JSON can hold.
    arrays : dict of str -> ndarray
    """
    text = json.dumps({"kind": kind, "version": version, **header})
    entries = {HEADER: np.frombuffer(text.encode(), dtype=np.uint8), **arrays}
    with whole_file(path) as file:
        np.savez(file, allow_pickle=False, **entries)


def load_model(path, kind: str, version: int) -> tuple[dict, dict[str, np.ndarray]]:
    """Header and arrays of a model.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged (every byte is under a checksum), is not of this `kind`, or is of a
        later version than this program reads.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; it should be a {kind} saved by mixnet")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays.pop(HEADER).tobytes())
        found = header["kind"], header["version"]
    except Exception as error:  # a damaged zip raises many types
        raise ValueError(
            f"{path} is not a {kind} that mixnet saved, or it is damaged: {error}"
        ) from error
    if found[0] != kind:
        raise ValueError(f"{path} holds a {found[0]!s:.60}; needed a {kind}")
    if not isinstance(found[1], int):
        raise ValueError(f"{path} is of version {found[1]!r:.60}, which is no number")
    if found[1] > version:
        raise ValueError(
            f"{path} is of version {found[1]}, made by a later mixnet; "
            f"this one reads up to {version}"
        )
    return header, arrays
