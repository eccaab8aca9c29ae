"""The data as the networks see them: rows in units, from memory or from disk."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

LIMITS = (0.05, 0.95)  # of the box: a sigmoid reaches 0 and 1 only at infinity
BLOCK_ROWS = 1 << 16  # rows that are in memory at once where the data are on disk
UNITS = ("w", "box")
SMALLEST_RANGE = 1e-300  # its reciprocal is finite


@dataclass(frozen=True)
class Units:
    """What the networks see of a point x: ((x - origin) - shift) · scale + offset, in float32.

    All is computed in float64 and rounded once, at the end. `origin` is a row of the data or their
    smallest values, so that the first difference is exact: data far from zero lose nothing, and
    the same data elsewhere or in other units give the same float32 numbers.

    Parameters
    ----------
    origin, shift : ndarray of float64, shape (p,)
    scale : float
        What a length in the units of the data is multiplied by.
    offset : float
    dtype : numpy dtype
        Of the data, and of what :meth:`back` gives: float32 or float64.
    """

    origin: np.ndarray
    shift: np.ndarray
    scale: float
    offset: float
    dtype: np.dtype

    @classmethod
    def spread(cls, X: np.ndarray, rows: np.ndarray | None = None) -> "Units":
        """Mean 0, and variance 1 a feature on average, of all rows or some.

        Raises
        ------
        ValueError
            If a value of X is not finite, or the range of X is beyond float64.
        """
        low, span = _range(X)
        origin = np.asarray(X[0 if rows is None else rows[0]], dtype=np.float64)
        n, total, square = 0, 0.0, 0.0
        for block in blocks(X, rows):  # in units of the range: no square can overflow
            part = (block - origin) / span
            n, total, square = n + len(part), total + part.sum(0), square + np.square(part).sum(0)
        mean = total / n
        variance = float(np.maximum(square / n - mean**2, 0).mean())
        deviation = math.sqrt(variance) * span if variance > 0 else span
        return cls(origin, mean * span, 1.0 / deviation, 0.0, _kind(X))

    @classmethod
    def box(cls, X: np.ndarray) -> "Units":
        """The data in [0.05, 0.95]^p: the smallest values shifted, one scale for all features."""
        low, span = _range(X)
        scale = (LIMITS[1] - LIMITS[0]) / span
        return cls(low, np.zeros_like(low), scale, LIMITS[0], _kind(X))

    def times(self, factor: float) -> "Units":
        """The same with lengths multiplied by `factor` once more."""
        return Units(self.origin, self.shift, self.scale * factor, self.offset, self.dtype)

    def put(self, X: np.ndarray) -> Tensor:
        """Rows of data as a float32 tensor in these units."""
        out = np.empty(X.shape, dtype=np.float32)
        with np.errstate(over="ignore"):  # far away: infinite, and found by its user
            for start in range(0, len(X), BLOCK_ROWS):
                part = np.asarray(X[start : start + BLOCK_ROWS], dtype=np.float64) - self.origin
                out[start : start + BLOCK_ROWS] = (part - self.shift) * self.scale + self.offset
        return torch.from_numpy(out)

    def back(self, x: np.ndarray) -> np.ndarray:
        """Rows in these units in the units and the precision of the data."""
        x = (np.asarray(x, dtype=np.float64) - self.offset) / self.scale
        return (x + self.shift + self.origin).astype(self.dtype)


def _kind(X: np.ndarray) -> np.dtype:
    return np.dtype(np.float32 if X.dtype == np.float32 else np.float64)


def _range(X: np.ndarray) -> tuple[np.ndarray, float]:
    """Smallest value of each feature, and the largest range of one (1 where all are constant)."""
    parts = [(b.min(0), b.max(0)) for b in blocks(X)]
    low = np.minimum.reduce([part[0] for part in parts])
    high = np.maximum.reduce([part[1] for part in parts])
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ValueError("X must be finite; it has NaN or infinite values")
    with np.errstate(over="ignore"):
        span = float((high - low).max())
    if not math.isfinite(span) or 0 < span < SMALLEST_RANGE:
        raise ValueError(
            f"X must have features whose range float64 can hold, and divide by; got {span:g}"
        )
    return low, span if span > 0 else 1.0


class Points:
    """Rows of a matrix as tensors in units; ``points[rows]`` gathers some.

    A matrix in memory is moved into the units once; of one on disk (a memory map) only the rows
    that are asked for are ever read.

    Parameters
    ----------
    X : ndarray or memmap, shape (n, p)
    units : Units
    device : str
    """

    def __init__(
        self, X: np.ndarray, units: Units, device: str = "cpu", rows: np.ndarray | None = None
    ):
        self.X, self.units, self.device, self.rows = X, units, torch.device(device), rows
        self.x = None
        if not on_disk(X):
            self.x = units.put(X if rows is None else X[rows]).to(device)

    def __len__(self) -> int:
        return len(self.X) if self.rows is None else len(self.rows)

    @property
    def n_features(self) -> int:
        return self.X.shape[1]

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Rows by a tensor of indices of any shape, shape (*rows.shape, p), on the device."""
        if self.x is not None:
            return self.x[rows]
        index = rows.cpu().numpy()
        return self.units.put(self.X[index if self.rows is None else self.rows[index]]).to(
            self.device
        )

    def subset(self, rows: Tensor) -> "Points":
        """Some of the rows, as points of their own."""
        index = rows.cpu().numpy()
        return Points(
            self.X, self.units, self.device, index if self.rows is None else self.rows[index]
        )

    def blocks(self):
        """All rows as tensors, in order: one where they are in memory, else many."""
        if self.x is not None:
            yield self.x
            return
        for start in range(0, len(self), BLOCK_ROWS):
            yield self[torch.arange(start, min(start + BLOCK_ROWS, len(self)))]


def blocks(X: np.ndarray, rows: np.ndarray | None = None):
    """All rows of a matrix, or some, in float64, `BLOCK_ROWS` at a time."""
    for start in range(0, len(X) if rows is None else len(rows), BLOCK_ROWS):
        here = slice(start, start + BLOCK_ROWS)
        yield np.asarray(X[here if rows is None else rows[here]], dtype=np.float64)


def on_disk(X) -> bool:
    """Whether X is a memory map, or a view of one."""
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap):
            return True
        X = X.base
    return False
