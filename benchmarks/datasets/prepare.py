"""From the arrays of a raw file to scaled X and labels from 0, and what is asserted of them.

Scaling is one rule: features with a published bounded range are mapped affinely to [0, 1] by that
range; tf-idf rows keep norm 1; the toy sets are used as generated.
"""

import numpy as np

from benchmarks.datasets import cache, formats, lyrl2004, toys
from benchmarks.datasets.errors import DatasetError


def checked(entry, X, y, paths):
    """Final dtypes and the stanza's assertions. Returns X, y and the content hash."""
    where = ", ".join(str(p) for p in paths) or entry["name"]
    if X.ndim != 2 or X.shape != (entry["n"], entry["d"]):
        raise DatasetError(f"{where}: array of shape {X.shape}, "
                           f"{entry['name']} has ({entry['n']}, {entry['d']})")
    labels = np.asarray(y)
    y = labels.astype(np.int64)
    if y.shape != (entry["n"],) or not np.array_equal(y, labels):
        raise DatasetError(f"{where}: labels are not {entry['n']} whole numbers")
    if not np.array_equal(np.unique(y), np.arange(entry["n_classes"])):
        raise DatasetError(f"{where}: labels {np.unique(y)[:5] + entry.get('first_label', 0)}…, "
                           f"{entry['name']} has {entry['n_classes']} consecutive classes "
                           f"from {entry.get('first_label', 0)}")
    X = np.ascontiguousarray(X, dtype=np.float32)
    if not np.isfinite(X).all():
        raise DatasetError(f"{where}: holds values that are not finite numbers")
    if X.min() < 0 or X.max() > 1:
        raise DatasetError(f"{where}: values from {X.min():g} to {X.max():g} after scaling, "
                           f"must lie in [0, 1] ({entry['scaling']})")
    digest = cache.content_hash(X, y)
    if entry["content_hash"] and digest != entry["content_hash"]:
        raise DatasetError(
            f"{where}: the content is not that of {entry['name']} (content hash {digest[:16]}…, "
            f"expected {entry['content_hash'][:16]}…): another version or a damaged file; "
            "delete it and get it again"
        )
    return X, y, digest


def _rows(path, X, y, expected):
    if len(X) != expected or len(y) != expected:
        raise DatasetError(f"{path}: {len(X)} rows and {len(y)} labels, must be {expected}")


def _idx(entry, paths):
    images, labels = (formats.idx(p) for p in paths)
    if images.ndim != 3 or labels.ndim != 1:
        raise DatasetError(f"{paths[0]}: images of shape {images.shape}, labels of {labels.shape}")
    _rows(paths[0], images, labels, entry["n"])
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255), labels


def _libsvm(entry, paths):
    """USPS. Publishers order the rows differently: decimals as published (3), rows in the order of
    their pixels, so that the content does not depend on whose copy it is."""
    parts = [formats.libsvm(p, entry["d"]) for p in paths]
    for path, file, (X, y) in zip(paths, entry["files"], parts, strict=True):
        _rows(path, X, y, file["rows"])
    X = np.round(np.concatenate([X for X, _ in parts]), 3)
    y = np.concatenate([y for _, y in parts]) - entry["first_label"]
    order = np.lexsort((y, *X.T[::-1]))
    return (X[order] + 1) / 2, y[order]


def _mat(entry, paths):
    X, y = formats.mat(paths[0])
    y = y.astype(np.float64) - entry["first_label"]
    return (X.astype(np.float32) / np.float32(255) if X.dtype == np.uint8 else X), y


def _csv(entry, paths):
    parts = [formats.csv(p) for p in paths]
    for path, file, (X, y) in zip(paths, entry["files"], parts, strict=True):
        _rows(path, X, y, file["rows"])
        if X.shape[1] != entry["d"]:
            raise DatasetError(f"{path}: {X.shape[1]} features a row, must be {entry['d']}")
    X = np.concatenate([X for X, _ in parts])
    return (X + 1) / 2, np.concatenate([y for _, y in parts]) - entry["first_label"]


def _lyrl(entry, paths):
    return lyrl2004.dec_subset(paths[:-1], paths[-1], entry["n"], entry["d"],
                               n_kept=entry["n_kept"])


def _digits(entry, paths):
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return X / 16, y


def _toy(entry, paths):
    return toys.generate(entry["name"])


PARSERS = {"idx": _idx, "libsvm": _libsvm, "mat": _mat, "csv": _csv, "lyrl2004": _lyrl,
           "csr_npz": lambda entry, paths: formats.csr_npz(paths[0]),
           "digits": _digits, "toy": _toy}
