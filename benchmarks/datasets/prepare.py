"""From raw files to the arrays in them, one function for each format; `check` does the rest.

Imported only where a dataset with files is read.
"""

import numpy as np

from benchmarks.datasets import formats, lyrl2004
from benchmarks.datasets.errors import DatasetError


def read(entry, paths):
    """Features and labels as published, from the raw files of a dataset.

    Parameters
    ----------
    entry : dict
        Stanza of a variant, see `benchmarks.datasets.core.stanza`.
    paths : list of path-like
        One for each of the stanza's files, in their order, which is that of the rows.

    Returns
    -------
    X : ndarray (rows, d)
    y : ndarray (rows,)

    Raises
    ------
    DatasetError
        A malformed file, or one with another number of rows or features than the stanza says.
    """
    X, y = PARSERS[entry["format"]](entry, paths)
    if entry.get("image_transposed"):
        height, width = entry["image"]["height"], entry["image"]["width"]
        X = X.reshape(len(X), height, width).transpose(0, 2, 1).reshape(len(X), -1)
    used = entry.get("rows_used")
    if used is not None and len(X) >= used:
        X, y = X[:used], y[:used]
    return X, y


def _idx(entry, paths):
    images, labels = (formats.idx(p) for p in paths)
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise DatasetError(f"{paths[0]}: images of shape {images.shape}, labels of {labels.shape}")
    return images.reshape(len(images), -1), labels


def _joined(entry, paths, parse):
    """The rows of all files, the number in each asserted where the stanza gives it."""
    parts = [parse(path) for path in paths]
    for path, file, (X, y) in zip(paths, entry["files"], parts, strict=True):
        if len(X) != file.get("rows", len(X)) or len(y) != len(X):
            raise DatasetError(f"{path}: {len(X)} rows and {len(y)} labels, must be {file['rows']}")
        if X.shape[1] != entry["d"]:
            raise DatasetError(f"{path}: {X.shape[1]} features a row, must be {entry['d']}")
    return np.concatenate([X for X, _ in parts]), np.concatenate([y for _, y in parts])


def _libsvm(entry, paths):
    return _joined(entry, paths, lambda path: formats.libsvm(path, entry["d"]))


def _csv(entry, paths):
    def parse(path):
        return formats.csv(
            path,
            delimiter=entry.get("delimiter", ","),
            skip_rows=entry.get("skip_rows", 0),
            skip_columns=entry.get("skip_columns", 0),
            label_first=entry.get("label_first", False),
            classes=entry.get("classes"),
        )

    return _joined(entry, paths, parse)


def _mat(entry, paths):
    return formats.mat(paths[0], *entry.get("variables", ()))


def _lyrl(entry, paths):
    return lyrl2004.dec_subset(
        paths[:-1], paths[-1], entry["n"], entry["d"], n_kept=entry.get("n_kept")
    )


PARSERS = {
    "idx": _idx,
    "libsvm": _libsvm,
    "mat": _mat,
    "csv": _csv,
    "lyrl2004": _lyrl,
    "csr_npz": lambda entry, paths: formats.csr_npz(paths[0]),
}
