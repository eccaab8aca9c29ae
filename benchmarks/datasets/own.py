"""A user's own datasets: a stanza and the arrays, in a folder that is theirs.

`add` makes both from a file, once; `load` is the loader that such a stanza names, so that cells
read what was checked then, whatever has become of the file.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from benchmarks import stanzas
from benchmarks.datasets import check
from benchmarks.datasets.cache import content_hash
from benchmarks.datasets.core import Dataset
from benchmarks.datasets.errors import DatasetError, DatasetMissing, printable
from benchmarks.records.wellformed import load_arrays
from benchmarks.records.whole import write_atomic

LOADER = "benchmarks.datasets.own:load"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,40}")
UNEVEN = 0.9  # share of the variance from which on one feature decides all distances
ORDER = (
    "title", "n", "d", "n_classes", "n_clusters", "content_hash", "loader", "scaling", "embedding",
    "code_dim", "structure", "validation_size", "min_updates", "t1", "t2", "batch_size", "classes",
    "image", "licence", "citation",
)  # fmt: skip


def folder() -> Path:
    """Where own datasets lie; `DatasetError` where a variable says that there are none."""
    found = stanzas.own_folder()
    if found is None:
        raise DatasetError(
            "MIXNET_OWN is empty, needs the folder of your own datasets (or give "
            "no such variable: own/ of the checkout)"
        )
    return found


def load(name, source=None, cache_dir=None, download=True, variant=None):
    """Arrays of an own dataset, compared with the content hash of its stanza.

    The other arguments are those of `benchmarks.datasets.core.load`; none changes anything.

    Raises
    ------
    DatasetMissing
        The arrays are not there.
    DatasetError
        They are damaged, or others than the stanza says.
    """
    entry = stanzas.datasets().get(name)
    if entry is None:
        raise DatasetMissing(
            f"{name}: no stanza in {stanzas.own_folder()}; `mixnet data add {name} FILE` makes it",
            name,
        )
    entry, path = stanzas.merge(entry, entry["variants"][0]), folder() / f"{name}.npz"
    again = f"`mixnet data add {name} FILE --replace` makes it again from your file"
    try:
        stored = load_arrays(path)
        X, y = stored["X"], stored["y"]
    except FileNotFoundError:
        raise DatasetMissing(f"{path} is missing; {again}", name, [path.name]) from None
    except (ValueError, KeyError, OSError) as error:
        raise DatasetError(f"{path}: damaged ({error}); {again}") from error
    found = content_hash(X, y)
    if found != entry["content_hash"]:
        raise DatasetError(
            f"{path}: the content is not that of its stanza (content hash "
            f"{found[:16]}…, expected {entry['content_hash'][:16]}…); {again}"
        )
    return Dataset(
        name=name,
        variant=entry["chosen"],
        X=X,
        y=y,
        content_hash=found,
        **{key: entry[key] for key in ("title", "n_classes", "n_clusters")},
        image=entry.get("image"),
        source="own file",
        scaling=entry.get("scaling", ""),
    )


def state(name) -> dict:
    """Fields of `benchmarks.datasets.status` that hang on the arrays of an own dataset."""
    try:
        load(name)
    except DatasetError as error:
        missing = isinstance(error, DatasetMissing)
        return {
            "state": "missing" if missing else "altered",
            "source": "own file",
            "todo": str(error),
        }
    return {"state": "present", "source": "own file", "todo": ""}


def add(
    name,
    file,
    labels=None,
    features=None,
    drop=(),
    header="auto",
    scaling=None,
    title=None,
    n_clusters=None,
    embedding=None,
    replace=False,
) -> tuple[dict, list[str]]:
    """Make a dataset of a user's file: arrays and stanza.

    Parameters
    ----------
    name : str
        Of the stanza, of no other dataset.
    file, labels, features, drop, header
        See `benchmarks.datasets.anyfile.points`.
    scaling : str, optional
        As in datasets.toml; default ``"none"``: nothing is scaled unless it is asked for.
    title : str, optional
    n_clusters : int, optional
        Default: the number of classes.
    embedding : {"autoencoder", "none"}, optional
        Default: an autoencoder's codes where there are more than 32 features.
    replace : bool
        Whether an own dataset of that name may be replaced.

    Returns
    -------
    stanza : dict
    said : list of str
        What was found, what was done and what was not, a line each.

    Raises
    ------
    DatasetError
        Naming the argument, what it was and what it needs.
    """
    place = folder()
    _check_name(name, place, replace)
    from benchmarks.datasets import anyfile

    found = anyfile.points(file, labels, features, drop, header)
    where = str(Path(file).expanduser())
    X = _finite(found, where)
    y, classes = _classes(found, len(X), where)
    bounds = stanzas.scaling_range(scaling or "none")
    if scaling is not None and scaling not in stanzas.SCALINGS and bounds is None:
        raise DatasetError(
            f"--scaling is {scaling!r}, needs none, min-max, tf-idf or a range such "
            "as '0..255 to 0..1'"
        )
    entry = {
        "name": name,
        "title": title or name,
        "n": len(X),
        "d": X.shape[1],
        "n_classes": len(classes),
        "scaling": scaling or "none",
    }
    scaled, y = check.finished(entry, X, y, [where])
    stanza = {
        **entry,
        "n_clusters": n_clusters or len(classes),
        "loader": LOADER,
        "content_hash": content_hash(scaled, y),
        "classes": classes,
        "licence": "not stated",
        "citation": Path(where).name,
    }
    if found.image:
        stanza["image"] = found.image
    if embedding is not None:
        stanza["embedding"] = embedding
    stanza = {**stanzas.computed(stanza), **stanza}
    path = place / f"{name}.toml"
    stanzas.dataset_stanza(name, stanza, str(path))
    said = [
        f"{name}: n {stanza['n']}, d {stanza['d']}, {len(classes)} classes "
        f"({', '.join(classes[:5])}{', …' if len(classes) > 5 else ''}; "
        f"{_sizes(y)} points each)",
        *found.said,
        *_said_of_scaling(X, scaled, found, scaling),
    ]
    seen = "the features only (--embedding autoencoder adds codes)"
    if stanza["embedding"] == "autoencoder":
        seen = f"the features, and codes of an autoencoder of {stanza['code_dim']}"
    networks = f"networks {stanza['structure']}, {stanza['n_clusters']} clusters"
    said.append(f"methods see {seen}; {networks}")
    write_atomic(place / f"{name}.npz", lambda handle: np.savez_compressed(handle, X=scaled, y=y))
    text = _text(name, stanza)
    write_atomic(path, lambda handle: handle.write(text.encode()))
    said.append(f"wrote {printable(path)} (yours to change) and {name}.npz beside it")
    return stanza, said


def _check_name(name, place, replace):
    if not NAME.fullmatch(name) or name.endswith(".") or name == "add":
        raise DatasetError(
            f"NAME is {name!r}, needs small letters, digits, '-', '_' or '.', at "
            "most 41, the first a letter or a digit"
        )
    if (place / f"{name}.toml").exists() and replace:
        return
    if name in stanzas.datasets():
        why = "a dataset of the benchmark, needs another name"
        if (place / f"{name}.toml").exists():
            why = "which you have already: --replace puts the new one in its place"
        raise DatasetError(f"NAME is {name!r}, {why}")


def _finite(found, where):
    """Features as numbers, or an error that says where one is missing."""
    X = np.asarray(found.X)
    X = X.astype(np.uint8) if X.dtype.kind == "b" else X
    bad = ~np.isfinite(X)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        named = found.names[column] if found.names else str(column)
        raise DatasetError(
            f"{where}: {int(bad.sum())} features are missing or not finite, the "
            f"first in row {row} (from 0), column {named!r}: needs numbers; fill "
            "them or leave those rows out"
        )
    if X.shape[0] < 2 or X.shape[1] < 1:
        raise DatasetError(
            f"{where}: {X.shape[0]} points of {X.shape[1]} features, needs two of one at least"
        )
    return X


def _classes(found, n, where):
    """Labels 0, 1, … (n,) and the names of the classes."""
    y = found.y
    if y is None:
        raise DatasetError(
            f"{where}: which are the labels is not clear: needs --labels, a column "
            f"or array of it, or a file ({'; '.join(found.said)}). They score "
            "partitions, and no method sees them"
        )
    if y.shape != (n,):
        raise DatasetError(f"--labels has shape {y.shape}, needs {n}, one for each point")
    if y.dtype.kind not in "buifU":
        raise DatasetError(f"--labels has type {y.dtype}, needs whole numbers or texts")
    if y.dtype.kind == "f" and not (np.isfinite(y) & (y == np.floor(y))).all():
        raise DatasetError(
            f"--labels has {y[~np.isfinite(y) | (y != np.floor(y))][0]}, needs "
            "whole numbers or texts: classes, none missing"
        )
    if y.dtype.kind == "U" and (missing := [word for word in y if not word.strip()]):
        raise DatasetError(f"--labels has {len(missing)} empty ones, needs a class for each point")
    values, codes = np.unique(y, return_inverse=True)
    if not 2 <= len(values) <= n / 2:
        raise DatasetError(
            f"--labels has {len(values)} different values for {n} points, needs "
            f"classes: from 2 to {n // 2}"
        )
    words = [str(int(value)) if y.dtype.kind in "buif" else str(value) for value in values]
    return codes.reshape(-1).astype(np.int64), words


def _sizes(y):
    counts = np.bincount(y)
    return str(counts[0]) if (counts == counts[0]).all() else f"{counts.min()} to {counts.max()}"


def _said_of_scaling(X, scaled, found, scaling) -> list[str]:
    """What range there was, what was done, and what would be wise."""
    done = f"{scaling}, now from {scaled.min():g} to {scaled.max():g}"
    done = "none was done" if scaling in (None, "none") else done
    said = [f"values from {X.min():g} to {X.max():g}; scaling: {done}"]
    variance = scaled.astype(np.float64).var(axis=0)
    at, total = int(variance.argmax()), variance.sum()
    if total > 0 and len(variance) > 1 and variance[at] > UNEVEN * total:
        named = found.names[at] if found.names else str(at)
        said.append(
            f"note: feature {named!r} has {100 * variance[at] / total:.1f}% of the "
            "variance and decides all distances; --scaling min-max, unless that is meant"
        )
    elif scaling is None and X.dtype.kind in "ui" and X.min() >= 0 and 1 < X.max() <= 255:
        said.append(
            "note: whole numbers like the brightness of images; --scaling '0..255 to 0..1' "
            "brings them to [0, 1]"
        )
    if not variance.all():
        said.append(f"note: {int((variance == 0).sum())} features are constant")
    return said


def _text(name, stanza) -> str:
    """A stanza as TOML."""
    key = name if "." not in name else json.dumps(name)
    lines = [
        "# Made by `mixnet data add`. What each key means: benchmarks/datasets.toml. Change",
        "# what you like but n, d, n_classes and content_hash, which are asserted.",
        f"[{key}]",
    ]
    lines += [f"{field} = {_toml(stanza[field])}" for field in ORDER if field in stanza]
    return "\n".join(lines) + "\n"


def _toml(value) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):  # JSON's escapes are TOML's, but for one character
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
