"""Parsed arrays on disk: one .npz a dataset, written atomically, believed if its hash agrees."""

import hashlib
import logging
from pathlib import Path

import numpy as np

from benchmarks.datasets.errors import DatasetError
from benchmarks.records.wellformed import load_arrays
from benchmarks.records.whole import write_atomic

log = logging.getLogger(__name__)


def content_hash(X, y):
    """sha256 of shape, little-endian float32 bytes of X and int64 bytes of y, in row order.

    Parameters
    ----------
    X : ndarray (n, d)
    y : ndarray (n,)

    Returns
    -------
    str, 64 hexadecimal digits
    """
    X = np.ascontiguousarray(X, dtype="<f4")
    y = np.ascontiguousarray(y, dtype="<i8")
    digest = hashlib.sha256(repr((X.shape, y.shape)).encode())
    digest.update(memoryview(X).cast("B"))
    digest.update(memoryview(y).cast("B"))
    return digest.hexdigest()


def pinned(entry, X, y, paths=()):
    """Content hash of arrays, asserted to be the one that a stanza pins, if it does.

    Raises
    ------
    DatasetError
        For another content; `paths`, the raw files, are named.
    """
    digest = content_hash(X, y)
    if entry["content_hash"] and digest != entry["content_hash"]:
        where = ", ".join(str(p) for p in paths) or entry["name"]
        raise DatasetError(
            f"{where}: the content is not that of {entry['name']} (content hash {digest[:16]}…, "
            f"expected {entry['content_hash'][:16]}…): another version, or a damaged or altered "
            f"file; `mixnet data {entry['name']}` says which file, and where to get it"
        )
    return digest


def load(path, expected=None):
    """Arrays of a cache file, or None where there is none that can be believed.

    A file that is damaged, or whose arrays have another hash than `expected` (or, where that is
    None, than the one stored in it), is removed, so that the caller rebuilds it.

    Returns
    -------
    (X, y, hash) or None
    """
    path = Path(path)
    try:
        stored = load_arrays(path)
        X, y, claimed = stored["X"], stored["y"], str(stored["content_hash"])
        found = content_hash(X, y)
        if found == (expected or claimed):
            return X, y, found
        log.warning("%s: content hash does not agree; parsing again", path)
    except FileNotFoundError:
        return None
    except Exception as error:  # numpy, zipfile and zlib each raise their own on a damaged file
        log.warning("%s: damaged (%s); parsing again", path, error)
    try:
        path.unlink(missing_ok=True)
    except OSError:  # read-only cache: it is rewritten below or parsed every time
        pass
    return None


def store(path, X, y, digest):
    """Write a cache file whole or not at all; concurrent writers write the same and the last wins.

    A cache that cannot be written is no reason to stop: it is logged.
    """
    try:
        write_atomic(
            Path(path), lambda handle: np.savez(handle, X=X, y=y, content_hash=np.array(digest))
        )
    except OSError as error:
        log.warning("%s: parsed arrays not cached (%s)", path, error)
