"""Points and labels out of a file that nobody prepared: csv, parquet, .npy, .npz, .mat.

What a file does not say for certain is asked for, by an error that names the option; nothing is
scaled here. Imported by `mixnet data add` only: no cell reads data this way.
"""

from __future__ import annotations

import csv
import io
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.datasets import mat5
from benchmarks.datasets.errors import DatasetError
from benchmarks.datasets.rawfile import read
from benchmarks.records.wellformed import load_array, load_arrays

LABELS = ("label", "labels", "class", "classes", "target", "targets", "y", "gnd", "species")
FEATURES = ("x", "fea", "features", "data", "feature")
SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".npy", ".npz", ".mat")
MISSING = ("", "na", "nan", "n/a", "null", "none", "?")


@dataclass
class Found:
    """What a file holds.

    Attributes
    ----------
    X : ndarray (n, d)
        Features as they stand in the file.
    y : ndarray (n,) or None
        Labels: numbers or texts.
    names : list of str
        Of the features; [] where the file has none.
    image : dict or None
        ``height``, ``width``, ``order`` where each point was a matrix.
    said : list of str
        What was found or supposed, a line each.
    """

    X: np.ndarray
    y: np.ndarray | None
    names: list[str]
    image: dict | None = None
    said: list[str] = field(default_factory=list)


def points(path, labels=None, features=None, drop=(), header="auto") -> Found:
    """Features and labels of a file.

    Parameters
    ----------
    path : path-like
        Dense points: ``.csv``, ``.tsv``, ``.txt`` (one a line; also compressed by gzip or bzip2),
        ``.parquet``, ``.npy``, ``.npz`` or ``.mat`` (MATLAB 5).
    labels : str, optional
        A file of labels, or the column or array of `path` that holds them: a name, or the number of
        a column from 0, from the end where it is below 0. Default: what is called so (`LABELS`), or
        else the last column where it alone is text.
    features : str, optional
        The array of a ``.npz`` or ``.mat`` with the points; default: the only one that can be.
    drop : collection of str
        Columns that are no features, by name or number.
    header : {"auto", "yes", "no"}
        Whether the first line of a text names the columns.

    Raises
    ------
    DatasetError
        A file that cannot be read, or of which it is not clear what is what; names the option.
    """
    path = Path(path).expanduser()
    beside = Path(labels).expanduser() if labels is not None else None
    beside = beside if beside is not None and beside.is_file() else None
    kind = _kind(path)
    if kind in (".npz", ".mat", ".npy"):
        if drop:
            raise DatasetError(
                f"--drop is {', '.join(drop)}: {path} has no columns with names; "
                "leave them out of the array"
            )
        found = _from_arrays(path, _arrays(path), labels, features, beside is not None)
    else:
        if features is not None:
            raise DatasetError(
                f"--features is {features!r}, an array of a .npz or .mat; {path} "
                "is a table: its features are the columns that --labels and --drop "
                "leave"
            )
        found = _from_table(path, _table(path, header), labels, drop, beside is not None)
    if beside is not None:
        found.y = vector(beside, header)
        found.said.append(f"labels: {beside}")
    return found


def vector(path, header="auto") -> np.ndarray:
    """The only column or array of a file: labels (n,)."""
    path = Path(path).expanduser()
    if _kind(path) in (".npz", ".mat", ".npy"):
        arrays = {name: a for name, a in _arrays(path).items() if a.size == max(a.shape, default=1)}
        if len(arrays) > 1:
            arrays = {name: a for name, a in arrays.items() if name.lower() in LABELS}
        if len(arrays) != 1:
            raise DatasetError(
                f"--labels is {path}, needs one array of labels there; it has "
                f"{_listed(_arrays(path))}"
            )
        return next(iter(arrays.values())).ravel()
    _, columns = _table(path, header)
    if len(columns) != 1:
        raise DatasetError(f"--labels is {path} with {len(columns)} columns, needs one")
    return columns[0]


def _kind(path: Path) -> str:
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no file"
        raise DatasetError(
            f"FILE is {path}, which is {what}; needs one of points: {', '.join(SUFFIXES)}"
        )
    name = path.name.lower()
    for end in (".gz", ".bz2"):
        name = name.removesuffix(end)
    kind = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)
    if kind is None:
        raise DatasetError(f"FILE is {path}, needs one that ends in {', '.join(SUFFIXES)}")
    return kind


# -- arrays by name ---------------------------------------------------------------------------


def _arrays(path: Path) -> dict[str, np.ndarray]:
    kind = _kind(path)
    try:
        if kind == ".npy":
            return {"": load_array(path)}
        if kind == ".npz":
            return load_arrays(path)
        data = read(path)
        if data[:8] == b"\x89HDF\r\n\x1a\n" or data[:10] == b"MATLAB 7.3":
            raise DatasetError(f"{path}: a MATLAB 7.3 file; save it again by save(…, '-v7')")
        return mat5.matrices(data)
    except (ValueError, struct.error, zlib.error) as error:
        raise DatasetError(
            f"{path}: cannot be read: {error}. What is pickled, as arrays of "
            "objects are, is never read"
            if kind != ".mat"
            else f"{path}: truncated or not a MATLAB 5 file ({error})"
        ) from error


def _listed(arrays) -> str:
    return ", ".join(f"{name or 'one array'} {a.shape}" for name, a in arrays.items()) or "none"


def _from_arrays(path, arrays, labels, features, beside) -> Found:
    if features is not None and features not in arrays:
        raise DatasetError(f"--features is {features!r}, {path} has {_listed(arrays)}")
    if labels is not None and not beside and labels not in arrays:
        raise DatasetError(
            f"--labels is {labels!r}, which is no file, and {path} has {_listed(arrays)}"
        )

    def can_be_points(a):
        return a.ndim in (2, 3) and min(a.shape) > 1 and a.dtype.kind in "buif"

    taken = None if beside else labels
    wide = {name: a for name, a in arrays.items() if can_be_points(a) and name != taken}
    if features is None and len(wide) > 1:
        called = {name: a for name, a in wide.items() if name.lower() in FEATURES}
        wide = called if len(called) == 1 else wide
    if features is None and len(wide) != 1:
        raise DatasetError(
            f"{path} has {_listed(arrays)}: needs --features NAME, the array of points (n × d)"
        )
    name = features if features is not None else next(iter(wide))
    X, y, image, said = arrays[name], None, None, []
    if X.ndim not in (2, 3) or X.dtype.kind not in "buif":
        raise DatasetError(
            f"--features is {name!r} of shape {X.shape} and type {X.dtype}, needs "
            "numbers, n × d, or n × height × width"
        )
    said.append(f"features: {name or 'the array'} {X.shape}, {X.dtype}")
    if X.ndim == 3:
        image = {"height": X.shape[1], "width": X.shape[2], "order": "C"}
        X = X.reshape(len(X), -1)
    if not beside:
        flat = {key: a for key, a in arrays.items() if key != name and a.size == len(X)}
        if labels is None and len(flat) > 1:
            flat = {key: a for key, a in flat.items() if key.lower() in LABELS}
        chosen = labels if labels is not None else next(iter(flat)) if len(flat) == 1 else None
        if chosen is not None:
            y = arrays[chosen].ravel()
            said.append(f"labels: {chosen}")
    return Found(X, y, [], image, said)


# -- tables -----------------------------------------------------------------------------------


def _table(path: Path, header: str):
    """Names (None where there are none) and columns, each of floats or of texts."""
    if _kind(path) == ".parquet":
        return _parquet(path)
    try:
        text = read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not UTF-8 text ({error})") from error
    rows = _rows(path, text)
    head = _has_head(path, rows, header)
    names = [word.strip() for word in rows[0]] if head else None
    body = rows[1:] if head else rows
    if not body:
        raise DatasetError(f"{path}: holds no points")
    if names is not None and len(set(names)) != len(names):
        raise DatasetError(f"{path}: two columns have one name, needs different ones: {names}")
    return names, [_column(list(words)) for words in zip(*body, strict=True)]


def _rows(path, text) -> list[list[str]]:
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = next((mark for mark in ("\t", ";", ",") if mark in first), None)
    try:
        lines = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=delimiter or " ",
            skipinitialspace=True,
            strict=True,
        )
        rows = [row if delimiter else [word for word in row if word] for row in lines]
    except csv.Error as error:
        raise DatasetError(f"{path}: not a table ({error})") from error
    rows = [row for row in rows if any(word.strip() for word in row)]
    if not rows:
        raise DatasetError(f"{path}: holds no points")
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise DatasetError(
                f"{path}: row {number} has {len(row)} columns, the first {len(rows[0])}"
            )
    return rows


def _number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _has_head(path, rows, header) -> bool:
    """Whether the first line names the columns, where `header` leaves it open."""
    if header != "auto":
        return header == "yes"
    words = [word.strip() for word in rows[0]]
    numbers = [_number(word) for word in words]
    if not any(numbers):
        # names, or a point of texts only: a column of labels has words that come again
        below = {row[0].strip() for row in rows[1:]}
        return len(words) > 1 or words[0] not in below
    if all(numbers):
        counted = [str(i) for i in range(len(words))]
        if words in (counted, [str(i + 1) for i in range(len(words))]) and len(words) > 1:
            raise DatasetError(
                f"{path}: the first line counts the columns ({words[0]}, {words[1]} "
                "…): needs --header yes, or no where that is a point"
            )
        return False
    for i, is_number in enumerate(numbers):
        if not is_number and words[i].lower() not in MISSING:
            below = {row[i].strip() for row in rows[1:]}
            if all(_number(word) for word in below):
                return True
            if words[i] not in below:
                raise DatasetError(
                    f"{path}: the first line begins {', '.join(words[:3])!r}: needs "
                    "--header yes where it names the columns, or no where it is a "
                    "point"
                )
    return False


def _column(words: list[str]) -> np.ndarray:
    """Floats where every word is a number or missing, else texts."""
    words = [word.strip() for word in words]
    try:
        return np.array(
            [float("nan") if word.lower() in MISSING else float(word) for word in words]
        )
    except ValueError:
        return np.array(words)


def _parquet(path):
    import pandas

    try:
        frame = pandas.read_parquet(path)
    except ImportError as error:
        raise DatasetError(
            f"{path}: pandas needs pyarrow or fastparquet to read parquet (pip install pyarrow)"
        ) from error
    except Exception as error:  # of pyarrow and of fastparquet, each their own
        raise DatasetError(f"{path}: cannot be read as parquet: {error}") from error
    columns = []
    for _, column in frame.items():
        if pandas.api.types.is_numeric_dtype(column.dtype):
            columns.append(column.to_numpy(dtype=float, na_value=float("nan")))
        else:
            words = zip(column, column.isna(), strict=True)
            columns.append(np.array(["" if missing else str(value) for value, missing in words]))
    if not columns or not len(frame):
        raise DatasetError(f"{path}: holds no points")
    return [str(name) for name in frame], columns


def _from_table(path, table, labels, drop, beside) -> Found:
    names, columns = table
    called = names or [str(i) for i in range(len(columns))]
    said = [
        f"{len(columns[0])} rows of {len(columns)} columns, "
        + ("named by the first line" if names else "without names")
    ]
    out = {_place(path, word, names, len(columns), "--drop") for word in drop}
    at = None
    if labels is not None and not beside:
        at = _place(path, labels, names, len(columns), "--labels")
    elif labels is None:
        at = _labels_at(columns, names, out)
    if at is not None:
        said.append(f"labels: column {called[at]!r}")
    keep = [i for i in range(len(columns)) if i != at and i not in out]
    if not keep:
        raise DatasetError(f"{path}: no column is left for the features")
    for i in keep:
        if columns[i].dtype.kind not in "buif":
            raise DatasetError(
                f"{path}: column {called[i]!r} holds text "
                f"({str(columns[i][0])!r:.40}), needs numbers: --labels where it "
                "has the classes, --drop to leave it out"
            )
    for i in keep:
        if _counts_rows(columns[i]):
            said.append(
                f"note: column {called[i]!r} counts the rows; if it is no feature, give "
                f"--drop {called[i] or i}"
            )
    X = np.column_stack([columns[i] for i in keep])
    y = None if at is None else columns[at]
    return Found(X, y, [called[i] for i in keep] if names else [], None, said)


def _place(path, word, names, n, option) -> int:
    """Number of a column that is named, or counted from 0 or from the end."""
    if names and word in names:
        return names.index(word)
    try:
        at = int(word)
    except ValueError:
        at = n
    if not -n <= at < n:
        there = ", ".join(names) if names else f"{n} columns without names, 0 to {n - 1}"
        raise DatasetError(
            f"{option} is {word!r}, which is no file and no column of {path}: it has {there}"
        )
    return at % n


def _labels_at(columns, names, out) -> int | None:
    """The column that is called like labels, else the only one of text where it is the last."""
    called = [i for i, name in enumerate(names or ()) if name.lower() in LABELS and i not in out]
    if len(called) == 1:
        return called[0]
    texts = [i for i, column in enumerate(columns) if column.dtype.kind == "U" and i not in out]
    return texts[0] if len(texts) == 1 and texts[0] in (0, len(columns) - 1) else None


def _counts_rows(column) -> bool:
    return (
        len(column) > 2
        and np.isfinite(column[0])
        and bool(np.array_equal(column, column[0] + np.arange(len(column))))
    )
