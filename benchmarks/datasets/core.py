"""From a name to checked arrays: where the raw files are, reading, checking, cache.

Places are tried in this order. With an offline folder (argument, else ``MIXNET_DATA``): that folder
and nothing else; the network is never touched. Without one: the raw files downloaded earlier, then
the mirrors. Arrays read from either are cached.
"""

import difflib
import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import stanzas
from benchmarks.datasets import cache, check
from benchmarks.datasets.errors import DatasetError, DatasetMissing, DownloadError, printable
from benchmarks.stanzas import MADE, merge

log = logging.getLogger(__name__)
OFFLINE, DOWNLOAD = "offline folder", "download"


@dataclass(frozen=True)
class Dataset:
    """Checked arrays of one dataset.

    The order of the rows is part of the content, and so of the content hash; what is stored of
    every point (labels in records, codes) is in this order. It is that of the raw files, one after
    another in the stanza's order, but for USPS, whose copies in circulation order their rows
    differently: its rows are sorted by their pixels, the first pixel first, and the labels with
    them (``row_order = "sorted"`` in the stanza). Reuters-10K is in the order of DEC's permutation,
    or of its file. Sets that are drawn are shuffled by their generator, wine and digits as
    scikit-learn has them (wine by class), COIL-20, Yale B, the faces and the newsgroups by class.

    Attributes
    ----------
    name, title, variant : str
    X : ndarray of float32, C-contiguous, (n, d)
    y : ndarray of int64, (n,), 0..n_classes-1
    n_classes, n_clusters : int
        Classes in the data; components that the paper fits (they differ on Yale B).
    content_hash : str
        sha256, see `benchmarks.datasets.cache.content_hash`.
    image : dict or None
        ``height``, ``width``, ``order`` ("C" or "F": the argument of numpy's reshape).
    source : str
        "offline folder", "download", "generated" or "scikit-learn".
    scaling : str
        What was done to the published features: the stanza's field, see
        `benchmarks.datasets.check.scaled`.
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
    scaling: str = ""


def names():
    """Names of all datasets, in the order of datasets.toml."""
    return list(stanzas.datasets())


def stanza(name, variant=None):
    """Stanza of a dataset with the fields of one variant (default: the preferred one) merged in.

    Raises
    ------
    DatasetError
        Unknown dataset or variant.
    """
    known = _known(name, stanzas.datasets(), "dataset")
    return merge(known, _variant(known, variant))


def _entries(name, variant=None):
    """Stanzas of the variants of a dataset, or of one, in the order in which they are tried."""
    known = _known(name, stanzas.datasets(), "dataset")
    wanted = known["variants"] if variant is None else [_variant(known, variant)]
    return [merge(known, v) for v in wanted]


def _variant(known, variant):
    if variant is None:
        return known["variants"][0]
    _known(variant, dict.fromkeys(known["variants"]), f"variant of {known['name']}")
    return variant


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
        In the order of rows that is said there.

    Raises
    ------
    DatasetMissing
        Raw files are not there and may not, or could not, be downloaded.
    DatasetError
        Unknown name, malformed file, or other data than the stanza asserts.
    """
    entries = _entries(name, variant)
    if "loader" in entries[0]:
        raise DatasetError(f"{name} is read by {entries[0]['loader']}, not by benchmarks.datasets")
    if entries[0]["format"] in MADE:
        return _made(entries[0])
    source, store = _folder(source), _cache_dir(cache_dir)
    for entry in entries:
        paths = _find(entry, source or store / "raw")
        if None not in paths:
            return _from_files(entry, paths, store, OFFLINE if source else DOWNLOAD)
    if source is None:
        for entry in entries:
            if download and _online(entry):
                paths = _downloaded(entry, store / "raw")
                return _from_files(entry, paths, store, DOWNLOAD)
    raise _missing(name, entries, source, store)


def status(name=None, source=None, cache_dir=None, verify=False):
    """What there is of each dataset, without loading any of it.

    Parameters
    ----------
    name : str, optional
        One dataset; default all.
    source, cache_dir
        As for `load`.
    verify : bool
        Whether the files that are there are compared with their hashes and, where none agrees, the
        arrays in them with the content hash (`benchmarks.datasets.verify`).

    Returns
    -------
    list of dict
        ``name, title, state`` ("present", "missing", or with `verify` "altered"), ``source`` (as in
        `Dataset`, or ""), ``folder`` (where the files lie, or ""), ``variant, n, d, n_classes,
        content_hash, scaling`` (of the variant that would be loaded; "" where not pinned),
        ``files`` (names of the altered ones), ``todo`` (what to do when missing or altered).
    """
    source, store = _folder(source), _cache_dir(cache_dir)
    return [_status(key, source, store, verify) for key in (names() if name is None else [name])]


def _status(name, source, store, verify):
    entries = _entries(name)
    entry, where, folder = _present(entries, source, store)
    bad, todo = {}, ""
    if not where:
        todo = str(_missing(name, entries, source, store))
    elif verify and folder:
        from benchmarks.datasets.verify import altered

        bad = altered(entry, _find(entry, folder))
        todo = _repair(entry, bad, folder, where) if bad else ""
    return {
        "name": name,
        "title": entry["title"],
        "state": "altered" if bad else "present" if where else "missing",
        "source": where,
        "folder": printable(folder),
        "variant": entry["chosen"],
        "n": entry["n"],
        "d": entry["d"],
        "n_classes": entry["n_classes"],
        "content_hash": entry["content_hash"],
        "scaling": entry.get("scaling", ""),
        "files": list(bad),
        "todo": todo,
    }


def renew(name, cache_dir=None):
    """Delete downloaded files of a dataset that are not what they should be; `load` gets them anew.

    Files of an offline folder are never touched.

    Returns
    -------
    list of str
        Names of the files that were deleted.
    """
    store = _cache_dir(cache_dir)
    row = _status(name, None, store, True)
    if row["state"] != "altered" or row["source"] != DOWNLOAD:
        return []
    from benchmarks.datasets.rawfile import find

    for file in row["files"]:
        find(store / "raw", file).unlink(missing_ok=True)
    return row["files"]


def _present(entries, source, store):
    if "loader" in entries[0]:
        return entries[0], entries[0]["loader"], ""
    if entries[0]["format"] in MADE:
        return entries[0], MADE[entries[0]["format"]], ""
    folder = source or store / "raw"
    for entry in entries:
        if None not in _find(entry, folder):
            return entry, OFFLINE if source else DOWNLOAD, folder
    return entries[0], "", ""


def _find(entry, folder):
    from benchmarks.datasets.rawfile import find

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
    return among[name]


def _online(entry):
    """Whether every file of a variant has an address."""
    return all(f.get("urls") for f in entry["files"])


def _missing(name, entries, source, store):
    """The error that says which files are missing and what to do."""
    folder = source or store / "raw"
    lines = [
        f"{entries[0]['title']} is not in {folder}"
        + ("" if Path(folder).is_dir() else " (there is no such folder)")
        + "."
    ]
    files = []
    for entry in entries:
        absent = [
            f["name"]
            for f, path in zip(entry["files"], _find(entry, folder), strict=True)
            if path is None
        ]
        files += absent
        label = f" of variant {entry['chosen']!r}" if len(entries) > 1 else ""
        lines.append(f"Missing{label}: {', '.join(absent)}.")
    lines.append(
        "Put them into one folder and give it with --data-source DIR or MIXNET_DATA=DIR"
        + (f" (now {source})." if source else ".")
    )
    online = [e for e in entries if _online(e)]
    if online:
        hosts = sorted({u.split("/")[2] for f in online[0]["files"] for u in f["urls"]})
        lines.append(f"Or give no such folder: they are then downloaded from {', '.join(hosts)}.")
    else:
        lines.append("No address is known to download them from.")
    return DatasetMissing(" ".join(lines), name, files)


def _repair(entry, bad, folder, where):
    """What is wrong with files that are there, and how to get the right ones."""
    lines = [f"{', '.join(bad)} in {folder}: {'; '.join(dict.fromkeys(bad.values()))}."]
    urls = [url for file in entry["files"] if file["name"] in bad for url in file.get("urls", ())]
    if where == DOWNLOAD and _online(entry):
        lines.append(
            f"`mixnet data {entry['name']} --fetch` deletes what was downloaded and gets it again."
        )
    else:
        lines.append(
            "Replace "
            + ("it" if len(bad) == 1 else "them")
            + " by the published "
            + ("file" if len(bad) == 1 else "files")
            + (f": {' or '.join(urls)}." if urls else "; no address is known.")
        )
    return printable(" ".join(lines))


def _downloaded(entry, folder):
    from benchmarks.datasets import fetch

    try:
        return [fetch.fetch(f, folder) for f in entry["files"]]
    except DownloadError as error:
        raise DownloadError(f"{entry['title']}: {error}", entry["name"], error.files) from error


def _cache_path(entry, store, paths):
    key = entry["content_hash"]
    if not key:  # no pinned content: the raw files, the stanza and the readers stand in for it
        marks = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in paths]
        marks.append({k: v for k, v in sorted(entry.items()) if k not in ("title", "citation")})
        marks += [p.read_bytes() for p in sorted(Path(__file__).parent.glob("*.py"))]
        key = hashlib.sha256(repr(marks).encode("utf-8", "surrogateescape")).hexdigest()
    return store / "parsed" / f"{entry['name']}-{entry['chosen']}-{key[:16]}.npz"


def _from_files(entry, paths, store, where):
    path = _cache_path(entry, store, paths)
    arrays = cache.load(path, entry["content_hash"] or None)
    if arrays is None:
        from benchmarks.datasets import prepare

        X, y = check.finished(entry, *prepare.read(entry, paths), paths)
        arrays = X, y, cache.pinned(entry, X, y, paths)
        log.info("%s: scaling %s", entry["name"], entry["scaling"])
        cache.store(path, *arrays)
    return _dataset(entry, *arrays, where)


def _made(entry):
    if entry["format"] == "toy":
        from benchmarks.datasets import toys

        X, y = toys.generate(entry["name"])
    else:
        from benchmarks.datasets import made

        X, y = (
            made.digits()
            if entry["format"] == "digits"
            else made.generate(entry["made"], entry.get("params", {}))
        )
    X, y = check.finished(entry, X, y)
    return _dataset(entry, X, y, cache.pinned(entry, X, y), MADE[entry["format"]])


def _dataset(entry, X, y, digest, where):
    return Dataset(
        name=entry["name"],
        title=entry["title"],
        variant=entry["chosen"],
        X=X,
        y=y,
        n_classes=entry["n_classes"],
        n_clusters=entry["n_clusters"],
        content_hash=digest,
        image=dict(entry["image"]) if "image" in entry else None,
        source=where,
        scaling=entry["scaling"],
    )
