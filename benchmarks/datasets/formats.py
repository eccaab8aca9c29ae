"""One reader for each raw format: path in, arrays in their published scale and order out.

Each returns ``(X, y)`` or one array, labels as published; scaling, label offsets and the checks of
n, d, classes and content are done once for all in `benchmarks.datasets.check`. A file that is not
what it should be raises `DatasetError` naming the file; never a traceback from a library.
"""

import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from benchmarks.datasets import mat5
from benchmarks.datasets.errors import DatasetError
from benchmarks.datasets.rawfile import read
from benchmarks.records.wellformed import load_arrays

MOST_VALUES = 1 << 28  # of sparse rows made dense; Reuters-10K has a tenth


def idx(path):
    """IDX file of unsigned bytes (MNIST).

    Returns
    -------
    ndarray of uint8, of the shape that the header states
    """
    data = read(path)
    if len(data) < 4 or data[:3] != b"\x00\x00\x08" or not 1 <= data[3] <= 4:
        raise DatasetError(f"{path}: not an IDX file of unsigned bytes")
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise DatasetError(f"{path}: IDX header is truncated")
    shape = struct.unpack(f">{data[3]}I", data[4:start])
    if len(data) - start != math.prod(shape):
        raise DatasetError(
            f"{path}: {len(data) - start} bytes of data, the header promises {math.prod(shape)}"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def libsvm(path, n_features):
    """LIBSVM text: ``label index:value ...``, indices from 1, absent values zero.

    Returns
    -------
    X : ndarray of float64, (n, n_features)
    y : ndarray of float64, (n,)
    """
    from sklearn.datasets import load_svmlight_file

    data = read(path)
    try:
        X, y = load_svmlight_file(io.BytesIO(data), n_features=n_features, zero_based=False)
    except (ValueError, IndexError, OverflowError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: not LIBSVM text of {n_features} features ({error})") from error
    return X.toarray(), y


def mat(path, features="fea", labels="gnd"):
    """MATLAB 5 file with numeric variables for features (n x d) and labels (n x 1).

    Parameters
    ----------
    path : path-like
    features, labels : str
        Names of the variables; the defaults are those of Deng Cai's files.

    Returns
    -------
    X : ndarray (n, d), dtype as stored
    y : ndarray (n,)
    """
    data = read(path)
    try:
        stored = mat5.matrices(data, (features, labels))
    except (ValueError, struct.error, zlib.error) as error:
        raise DatasetError(f"{path}: truncated or not a MATLAB 5 file ({error})") from error
    for key in (features, labels):
        if key not in stored:
            raise DatasetError(f"{path}: has no numeric matrix {key!r}")
    X, y = stored[features], stored[labels].ravel()
    if len(X) != len(y):
        raise DatasetError(f"{path}: {features!r} has {len(X)} rows, {labels!r} {len(y)}")
    return X, y


def csv(path, delimiter=",", skip_rows=0, skip_columns=0, label_first=False, classes=None):
    """Text, one point a line: features and the label, such as UCI's Isolet (``…, 1.``).

    Parameters
    ----------
    path : path-like
    delimiter : str
        One character, or "" for any white space. Fields may be quoted (").
    skip_rows : int
        Lines of a head.
    skip_columns : int
        Columns before the first feature, such as row numbers.
    label_first : bool
        The label stands before the features, not after them.
    classes : sequence of str, optional
        Labels are names: theirs, in this order, become 0, 1, …

    Returns
    -------
    X : ndarray of float64, (n, d)
    y : ndarray of float64, (n,)
    """
    data = read(path)
    if not data.endswith(b"\n"):
        raise DatasetError(f"{path}: the last line is truncated")
    at = skip_columns if label_first else -1
    numbers = {name: float(i) for i, name in enumerate(classes or ())}
    try:
        table = np.loadtxt(
            io.BytesIO(data),
            delimiter=delimiter or None,
            ndmin=2,
            encoding="ascii",
            comments=None,
            quotechar='"',
            skiprows=skip_rows,
            converters={at: lambda word: numbers[word.strip()]} if classes else None,
        )
    except KeyError as error:
        raise DatasetError(
            f"{path}: {error.args[0]!r:.40} is none of the {len(numbers)} classes"
        ) from error
    except (ValueError, IndexError) as error:  # bad number, ragged rows, not ASCII
        if isinstance(error.__cause__, KeyError):
            error = f"a label is none of the {len(numbers)} classes: {error}"
        raise DatasetError(f"{path}: not a table of numbers ({error})") from None
    if table.shape[0] == 0 or table.shape[1] < skip_columns + 2:
        raise DatasetError(f"{path}: holds no rows of features and a label")
    features = table[:, skip_columns + 1 :] if label_first else table[:, skip_columns:-1]
    return features, table[:, at]


def csr_npz(path):
    """Sparse rows in an .npz: ``data``, ``indices``, ``indptr``, ``shape``, ``labels``.

    Nothing pickled is ever read.

    Returns
    -------
    X : ndarray of float32, (n, d), dense
    y : ndarray (n,)
    """
    from scipy.sparse import csr_matrix

    path = Path(path)
    try:
        stored = load_arrays(path)
        parts = {k: stored[k] for k in ("data", "indices", "indptr", "shape", "labels")}
        if any(part.dtype.kind not in "uif" for part in parts.values()):
            raise ValueError("an array that is not of numbers")
        shape = tuple(int(s) for s in parts["shape"])
        if math.prod(shape) > MOST_VALUES:
            raise ValueError(f"{shape} values, needs at most {MOST_VALUES}")
        X = csr_matrix((parts["data"], parts["indices"], parts["indptr"]), shape=shape)
        # check_format looks at the rows' starts only where the last of them is above 0
        if np.any(X.indptr[1:] < X.indptr[:-1]):
            raise ValueError("indptr decreases")
        X.check_format(full_check=True)
        X = X.toarray().astype(np.float32, copy=False)
    except KeyError as error:
        raise DatasetError(f"{path}: array {error} is missing") from error
    except Exception as error:  # numpy, zipfile, zlib and scipy each raise their own
        raise DatasetError(f"{path}: truncated or not sparse rows in .npz ({error})") from error
    y = parts["labels"]
    if y.shape != (len(X),):
        raise DatasetError(f"{path}: {len(X)} rows but labels of shape {y.shape}")
    return X, y
