"""From a name to checked arrays: where the raw files are, parsing, scaling, assertions, cache.

Places are tried in this order. With an offline folder (argument, else ``MIXNET_DATA``): that folder
and nothing else; the network is never touched. Without one: the raw files downloaded earlier, then
the mirrors. Arrays parsed from either are cached.
"""

import difflib
import hashlib
import os
import tomllib
from dataclasses import dataclass
from functools import cache as memoise
from pathlib import Path

import numpy as np

from benchmarks.datasets import cache, lyrl2004
from benchmarks.datasets import fetch as _fetch
from benchmarks.datasets.errors import DatasetError, DatasetMissing, DownloadError
from benchmarks.datasets.prepare import PARSERS, checked
from benchmarks.datasets.rawfile import find

STANZAS = Path(__file__).resolve().parent.parent / "datasets.toml"
OFFLINE, DOWNLOAD = "offline folder", "download"
MADE = {"toy": "generated", "digits": "scikit-learn"}  # formats without raw files -> source


@dataclass(frozen=True)
class Dataset:
    """Checked arrays of one dataset.

    Attributes
    ----------
    name, title, variant : str
    X : ndarray of float32, C-contiguous, (n, d), scaled
    y : ndarray of int64, (n,), 0..n_classes-1
    n_classes, n_clusters : int
        Classes in the data; components that the paper fits (they differ on Yale B).
    content_hash : str
        sha256, see `benchmarks.datasets.cache.content_hash`.
    image : dict or None
        ``height``, ``width``, ``order`` ("C" or "F": the argument of numpy's reshape).
    source : str
        "offline folder", "download", "generated" or "scikit-learn".
    """

    name: str
    title: str
    variant: str
    X: np.ndarray
    y: np.ndarray
    n_classes: int
    n_clusters: int
    content_hash: str
    image: dict | None
    source: str


@memoise
def _catalogue():
    with open(STANZAS, "rb") as stream:
        return tomllib.load(stream)


def names():
    """Names of all datasets, in the order of datasets.toml."""
    return list(_catalogue())


def stanza(name, variant=None):
    """Stanza of a dataset with the fields of one variant (default: the preferred one) merged in.

    Raises
    ------
    DatasetError
        Unknown dataset or variant.
    """
    entry = _known(name, _catalogue(), "dataset")
    variant = entry["variants"][0] if variant is None else variant
    _known(variant, entry["variants"], f"variant of {name}")
    merged = {**entry, **entry.get("variant", {}).get(variant, {})}
    merged.pop("variant", None)
    return {**merged, "chosen": variant}


def load(name, source=None, cache_dir=None, download=True, variant=None):
    """Arrays of a dataset, their n, d, classes and content asserted.

    Parameters
    ----------
    name : str
        A stanza of datasets.toml.
    source : path-like, optional
        Offline folder with the raw files; default ``MIXNET_DATA``. If there is one, nothing is
        downloaded.
    cache_dir : path-like, optional
        Default ``MIXNET_CACHE``, else ``~/.cache/mixnet``.
    download : bool
        Whether missing raw files may be downloaded.
    variant : str, optional
        Default: the first of the stanza's variants that is there.

    Returns
    -------
    Dataset

    Raises
    ------
    DatasetMissing
        Raw files are not there and may not, or could not, be downloaded.
    DatasetError
        Unknown name, malformed file, or other data than the stanza asserts.
    """
    wanted = [variant] if variant is not None else _known(name, _catalogue(), "dataset")["variants"]
    entries = [stanza(name, v) for v in wanted]
    source, store = _folder(source), _cache_dir(cache_dir)
    if entries[0]["format"] in MADE:
        return _made(entries[0])
    for entry in entries:
        paths = _find(entry, source or store / "raw")
        if None not in paths:
            return _from_files(entry, paths, store, OFFLINE if source else DOWNLOAD)
    if source is None:
        for entry in entries:
            if download and all(f.get("urls") for f in entry["files"]):
                paths = _downloaded(entry, store / "raw")
                return _from_files(entry, paths, store, DOWNLOAD)
    raise _missing(name, entries, source, store)


def status(name=None, source=None, cache_dir=None):
    """What there is of each dataset, without loading any of it.

    Parameters
    ----------
    name : str, optional
        One dataset; default all.
    source, cache_dir
        As for `load`.

    Returns
    -------
    list of dict
        ``name, title, state`` ("present" or "missing"), ``source`` (as in `Dataset`, or ""),
        ``folder`` (where the files lie, or ""), ``variant, n, d, n_classes, content_hash`` (of the
        variant that would be loaded; "" where not pinned), ``todo`` (what to do when missing).
    """
    source, store = _folder(source), _cache_dir(cache_dir)
    rows = []
    for key in names() if name is None else [name]:
        entries = [stanza(key, v) for v in _known(key, _catalogue(), "dataset")["variants"]]
        entry, where, folder = _present(entries, source, store)
        rows.append({
            "name": key, "title": entry["title"], "state": "present" if where else "missing",
            "source": where, "folder": folder, "variant": entry["chosen"], "n": entry["n"],
            "d": entry["d"], "n_classes": entry["n_classes"],
            "content_hash": entry["content_hash"],
            "todo": "" if where else str(_missing(key, entries, source, store)),
        })
    return rows


def _present(entries, source, store):
    if entries[0]["format"] in MADE:
        return entries[0], MADE[entries[0]["format"]], ""
    folder = source or store / "raw"
    for entry in entries:
        if None not in _find(entry, folder):
            return entry, OFFLINE if source else DOWNLOAD, str(folder)
    return entries[0], "", ""


def _find(entry, folder):
    return [find(folder, f["name"]) for f in entry["files"]]


def _folder(source):
    source = source if source is not None else os.environ.get("MIXNET_DATA")
    return Path(source).expanduser() if source else None


def _cache_dir(cache_dir):
    return Path(cache_dir or os.environ.get("MIXNET_CACHE") or "~/.cache/mixnet").expanduser()


def _known(name, among, what):
    if name not in among:
        close = difflib.get_close_matches(str(name), list(among), n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(among)}"
        raise DatasetError(f"unknown {what} {name!r}{hint}")
    return among[name] if isinstance(among, dict) else name


def _missing(name, entries, source, store):
    """The error that says which files are missing and what to do."""
    folder = source or store / "raw"
    lines = [f"{entries[0]['title']} is not in {folder}" +
             ("" if Path(folder).is_dir() else " (there is no such folder)") + "."]
    files = []
    for entry in entries:
        absent = [f["name"] for f, path in zip(entry["files"], _find(entry, folder), strict=True)
                  if path is None]
        files += absent
        label = f" of variant {entry['chosen']!r}" if len(entries) > 1 else ""
        lines.append(f"Missing{label}: {', '.join(absent)}.")
    lines.append("Put them into one folder and give it with --data-source DIR or MIXNET_DATA=DIR"
                 + (f" (now {source})." if source else "."))
    online = [e for e in entries if all(f.get("urls") for f in e["files"])]
    if online:
        hosts = sorted({u.split("/")[2] for f in online[0]["files"] for u in f["urls"]})
        lines.append(f"Or give no such folder: they are then downloaded from {', '.join(hosts)}.")
    return DatasetMissing(" ".join(lines), name, files)


def _downloaded(entry, folder):
    try:
        return [_fetch.fetch(f, folder) for f in entry["files"]]
    except DownloadError as error:
        raise DownloadError(f"{entry['title']}: {error}", entry["name"], error.files) from error


def _cache_path(entry, store, paths):
    key = entry["content_hash"]
    if not key:  # no pinned content: the raw files and the recipe's code stand in for it
        marks = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in paths]
        marks.append(Path(lyrl2004.__file__).read_bytes())
        key = hashlib.sha256(repr(marks).encode()).hexdigest()
    return store / "parsed" / f"{entry['name']}-{entry['chosen']}-{key[:16]}.npz"


def _from_files(entry, paths, store, where):
    path = _cache_path(entry, store, paths)
    arrays = cache.load(path, entry["content_hash"] or None)
    if arrays is None:
        arrays = checked(entry, *PARSERS[entry["format"]](entry, paths), paths)
        cache.store(path, *arrays)
    return _dataset(entry, *arrays, where)


def _made(entry):
    X, y = PARSERS[entry["format"]](entry, [])
    return _dataset(entry, *checked(entry, X, y, []), MADE[entry["format"]])


def _dataset(entry, X, y, digest, where):
    return Dataset(
        name=entry["name"], title=entry["title"], variant=entry["chosen"], X=X, y=y,
        n_classes=entry["n_classes"], n_clusters=entry["n_clusters"], content_hash=digest,
        image=dict(entry["image"]) if "image" in entry else None, source=where,
    )
