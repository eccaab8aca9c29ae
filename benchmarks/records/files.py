"""Arrays on disk that several cells share, computed once (file lock), never unpickled."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from benchmarks.records import folders, wellformed
from benchmarks.records.whole import write_atomic

_SINGLE = "__array__"


def artifacts_root() -> Path:
    """Folder of the ignored artefacts; see `folders.artifacts`."""
    return folders.artifacts()


def array_hash(array: ArrayLike) -> str:
    """First 32 hex of the sha256 over type, shape and bytes of an array."""
    array = np.ascontiguousarray(array)
    head = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(head + array.tobytes()).hexdigest()[:32]


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces: the text that keys are hashes of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def short_hash(value: object, digits: int = 16) -> str:
    """First hex digits of the sha256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:digits]


@contextlib.contextmanager
def file_lock(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold an exclusive lock file; yields False at once where ``wait`` is off and it is taken.

    The kernel releases it when the holder dies, however it dies.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def save_array(path: Path, array: ArrayLike) -> None:
    """Write one array as ``.npy``, whole or not at all."""
    write_atomic(path, lambda handle: np.save(handle, array, allow_pickle=False))


def load_array(path: Path) -> np.ndarray | None:
    """The array of a ``.npy`` file, or None where it is absent or damaged."""
    try:
        return wellformed.load_array(path)
    except (OSError, ValueError):
        return None


def shared_arrays(key: dict, compute: Callable[[], Any]) -> tuple[object, float, bool]:
    """Result of ``compute()`` from the disk cache, computed by one process while others wait.

    Parameters
    ----------
    key : dict
        JSON-able description of everything that the result depends on.
    compute : callable
        Returns an array or a dict of arrays.

    Returns
    -------
    (result, seconds, reused) : seconds that computing took, whoever did it
    """
    name = short_hash(key, 32)
    path = artifacts_root() / "cache" / f"{name}.npz"
    with file_lock(path.with_suffix(".lock")):
        if (found := _read(path)) is not None:
            return (*found, True)
        start = time.perf_counter()
        result = compute()
        seconds = time.perf_counter() - start
        arrays = result if isinstance(result, dict) else {_SINGLE: result}
        arrays = {name: np.asarray(value) for name, value in arrays.items()}
        for name, value in arrays.items():
            if value.dtype == object:
                raise TypeError(
                    f"spectral_embedding returned {name} of type object; needs an "
                    "array or a dict of arrays"
                )
        write_atomic(path, lambda handle: np.savez(handle, __seconds__=seconds, **arrays))
        stored = _read(path)  # as others will have it
        return (_unpacked(arrays) if stored is None else stored[0]), seconds, False


def _read(path: Path) -> tuple[object, float] | None:
    try:
        arrays = wellformed.load_arrays(path)
        seconds = float(arrays.pop("__seconds__", 0.0))
    except (OSError, ValueError, TypeError):  # absent or damaged: compute again
        return None
    return _unpacked(arrays), seconds


def _unpacked(arrays: dict[str, np.ndarray]) -> object:
    return arrays[_SINGLE] if set(arrays) == {_SINGLE} else arrays
