"""Models in files: arrays and JSON in one zip, written whole or not at all, read without pickle."""

import contextlib
import json
import os
import secrets
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
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")  # however long the name
    # Permissions as of any new file: those that the user's umask leaves.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
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


def plain(value):
    """A parameter as JSON can hold it; None for what it cannot (modules, functions, …)."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [plain(entry) for entry in value]
    return str(value) if type(value).__name__ == "device" else None


def load_model(path, kind: str, version: int, oldest: int = 1) -> tuple[dict, dict]:
    """Header and arrays of a model.

    Parameters
    ----------
    path : path
    kind : str
    version, oldest : int
        The latest and the earliest layout that the caller reads.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged (every byte is under a checksum), is not of this `kind`, or is of a
        version that this program does not read.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; it should be {_a(kind)} saved by mixnet")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays.pop(HEADER).tobytes())
        found = header["kind"], header["version"]
    except (PermissionError, IsADirectoryError):
        raise
    except Exception as error:  # a damaged zip raises many types
        raise ValueError(
            f"{path} is not {_a(kind)} that mixnet saved, or it is damaged: {error}"
        ) from error
    if found[0] != kind:
        raise ValueError(f"{path} holds {_a(str(found[0])[:60])}; needed {_a(kind)}")
    if not isinstance(found[1], int):
        raise ValueError(f"{path} is of version {found[1]!r:.60}, which is no number")
    if found[1] < oldest:
        raise ValueError(
            f"{path} is of version {found[1]}, made by an earlier mixnet; this one reads "
            f"{oldest} to {version}; fit the model again"
        )
    if found[1] > version:
        raise ValueError(
            f"{path} is of version {found[1]}, made by a later mixnet; "
            f"this one reads up to {version}"
        )
    return header, arrays


def _a(kind: str) -> str:
    return f"{'an' if kind[:1] in tuple('aeiou') else 'a'} {kind}"
