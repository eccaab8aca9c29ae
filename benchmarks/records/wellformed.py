"""What a file must be before it is believed: arrays that fill their file, records of one shape.

A file may be damaged, or come from another machine: its sizes are compared with its bytes before
memory is asked for, and a record whose fields are of other types is no record.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks.stanzas import NAME

Check = Callable[[Any], bool]
LIMIT = 2**32  # bytes of all arrays of one file, unpacked
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ARRAYS = re.compile(r"(.*)-[0-9]{1,9}\.npz", re.DOTALL)


def check_array(stream: IO[bytes], size: int) -> None:
    """Raise ValueError unless a ``.npy`` stream of `size` bytes holds just what its header says."""
    version = np.lib.format.read_magic(stream)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"array of format {version}, needs one of {sorted(readers)}")
    shape, _, dtype = readers[version](stream)
    if dtype.hasobject:
        raise ValueError("array of Python objects, which are never read")
    needed, there = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if min(shape, default=0) < 0 or needed != there:
        raise ValueError(f"array of shape {shape} and type {dtype} in {there} bytes")


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Arrays of an ``.npz`` file, never unpickled.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, holds something else than arrays, or more than `LIMIT` bytes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > LIMIT:
                raise ValueError(f"more than {LIMIT} bytes when unpacked")
            for member in members:
                with archive.open(member) as stream:
                    check_array(stream, member.file_size)
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        raise
    except Exception as error:  # numpy, zipfile, zlib and tokenize each raise their own
        raise ValueError(f"{path}: damaged, or not arrays in a zip: {error}") from error


def load_array(path: Path) -> np.ndarray:
    """The array of a ``.npy`` file, never unpickled; errors as `load_arrays`."""
    try:
        with open(path, "rb") as stream:
            check_array(stream, Path(path).stat().st_size)
        return np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged header is tokenized, which raises its own
        raise ValueError(f"{path}: damaged, or not an array: {error}") from error


def _is(*types: type) -> Check:
    return lambda value: isinstance(value, types) and not isinstance(value, bool)


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _number(value: Any) -> bool:
    return _is(int, float)(value) and abs(value) < 1e300  # nan and infinity are not


def _named(check: Check) -> Check:
    return lambda value: isinstance(value, dict) and all(map(check, value.values()))


_TEXT = _or_none(_is(str))
_PROVENANCE = {
    "versions": _or_none(_named(_TEXT)),
    "modules": _or_none(_named(_is(str))),
    "device": _TEXT,
    "threads": _or_none(_is(int)),
    "cpu": _TEXT,
    "gpu": _TEXT,
    "gpu_memory_gb": _or_none(_number),
    "gpu_driver": _TEXT,
    "blas": _or_none(_is(list)),
    "no_commit": _TEXT,
    "cores": _or_none(_is(int)),
    "system": _TEXT,
    "commit": _TEXT,
    "started": _TEXT,
    "restamped": _or_none(_is(dict)),
}
_FIELDS = {
    "attempt": _is(int),
    "kind": _TEXT,
    "estimator": _TEXT,
    "variant": _TEXT,
    "error": _or_none(_is(dict)),
    "inputs": _named(_is(dict, str)),
    "outputs": _named(_is(str)),
    "metrics": _named(_or_none(_number)),
    "values": _is(dict),
    "phases": _or_none(_named(_or_none(_number))),
    "seconds": _or_none(_number),
    "timeout_s": _or_none(_number),
    "provenance": _is(dict),
}
_CELL = {
    "dataset": lambda v: isinstance(v, str) and bool(NAME.fullmatch(v)),
    "content_hash": _is(str),
    "method": lambda v: isinstance(v, str) and bool(NAME.fullmatch(v)),
    "params": _is(dict),
    "seed": _is(int),
}


#: What a record without these fields stands for: readers may take them for granted.
DEFAULTS: dict[str, Any] = {
    "error": None,
    "inputs": {},
    "outputs": {},
    "metrics": {},
    "values": {},
    "provenance": {},
}


def flaw(record: dict) -> str | None:
    """What is wrong with the types of a record's fields; None where nothing is.

    A field that is absent is no flaw: older records have fewer. Names of a dataset and a method are
    parts of paths, and so is the file of the arrays: none of them leads out of the folder.
    """
    places = [("", record, _FIELDS)]
    for name, part, checks in (
        ("cell", record.get("cell"), _CELL),
        ("provenance", record.get("provenance", {}), _PROVENANCE),
    ):
        if not isinstance(part, dict):
            return f"{name} is {_short(part)}"
        places.append((f"{name}.", part, checks))
    for where, part, checks in places:
        for name, check in checks.items():
            if name in part and not check(part[name]):
                return f"{where}{name} is {_short(part[name])}"
    reason = (record.get("error") or {}).get("reason")
    if not _TEXT(reason):
        return f"error.reason is {_short(reason)}"
    arrays = record.get("arrays")
    if arrays is not None:
        # of this attempt, or of the one that it was re-stamped from
        found = arrays if isinstance(arrays, dict) else {}
        file = _ARRAYS.fullmatch(str(found.get("file")))
        if (
            file is None
            or file[1] != str(record.get("key"))
            or not _SHA256.fullmatch(str(found.get("sha256")))
        ):
            return f"arrays are {_short(arrays)}, needs file KEY-ATTEMPT.npz and its sha256"
    return None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"
