"""The data as the networks see them: rows in a box, from memory or from disk."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

LIMITS = (0.05, 0.95)  # where the data are put: a sigmoid reaches 0 and 1 only at infinity
SMALLEST, LARGEST = 1e-36, 1e37  # ranges of a feature that can be scaled in float32
BLOCK_ROWS = 1 << 16  # rows that are in memory at once where the data are on disk


class Box:
    """One shift a feature and one scale for all, that move the data into [0.05, 0.95]^p.

    Parameters
    ----------
    low : ndarray, shape (p,)
        Smallest value of each feature, in the precision of the data: a shift in float32 would lose
        what small differences between large numbers say.
    span : float
        Largest range of a feature; it becomes 0.9.
    """

    def __init__(self, low: np.ndarray, span: float):
        self.low, self.span = low, span

    @classmethod
    def around(cls, X: np.ndarray) -> "Box":
        """The box of the rows of X, read in blocks.

        Raises
        ------
        ValueError
            If a value is not finite, or the range of X is beyond that of float32.
        """
        parts = [(b.min(0), b.max(0)) for b in blocks(X)]
        low = np.minimum.reduce([part[0] for part in parts])
        high = np.maximum.reduce([part[1] for part in parts])
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise ValueError("X must be finite; it has NaN or infinite values")
        with np.errstate(over="ignore"):
            span = float((high - low).max())
        if span and not SMALLEST < span < LARGEST:
            raise ValueError(
                f"X must have features whose range float32 can hold, between {SMALLEST:g} and "
                f"{LARGEST:g}; got a range of {span:g}"
            )
        return cls(low, span if span > 0 else 1.0)

    @property
    def scale(self) -> float:
        """What a length in the units of the data is multiplied by."""
        return (LIMITS[1] - LIMITS[0]) / self.span

    def put(self, X: np.ndarray) -> Tensor:
        """Rows of data as a float32 tensor in the box."""
        with np.errstate(over="ignore"):  # far outside the box: infinite, and found by its user
            shifted = (np.asarray(X) - self.low).astype(np.float32, copy=False)
            return torch.from_numpy(shifted * np.float32(self.scale) + np.float32(LIMITS[0]))

    def back(self, x: np.ndarray) -> np.ndarray:
        """Rows in the box in the units and the precision of the data."""
        scale = np.float32(self.span / (LIMITS[1] - LIMITS[0]))
        return (x - np.float32(LIMITS[0])) * scale + self.low


class Points:
    """Rows of a matrix as tensors in a box; ``points[rows]`` gathers some.

    A matrix in memory is moved into the box once; of one on disk (a memory map) only the rows that
    are asked for are ever read.

    Parameters
    ----------
    X : ndarray or memmap, shape (n, p)
    box : Box
    device : str
    """

    def __init__(
        self, X: np.ndarray, box: Box, device: str = "cpu", rows: np.ndarray | None = None
    ):
        self.X, self.box, self.device, self.rows = X, box, torch.device(device), rows
        self.x = None
        if not on_disk(X):
            self.x = box.put(X if rows is None else X[rows]).to(device)

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
        return self.box.put(self.X[index if self.rows is None else self.rows[index]]).to(
            self.device
        )

    def subset(self, rows: Tensor) -> "Points":
        """Some of the rows, as points of their own."""
        index = rows.cpu().numpy()
        return Points(
            self.X, self.box, self.device, index if self.rows is None else self.rows[index]
        )

    def blocks(self):
        """All rows as tensors, in order: one where they are in memory, else many."""
        if self.x is not None:
            yield self.x
            return
        for start in range(0, len(self), BLOCK_ROWS):
            yield self[torch.arange(start, min(start + BLOCK_ROWS, len(self)))]


def blocks(X: np.ndarray):
    """Rows of a matrix as floats, `BLOCK_ROWS` at a time: float32 as it is, else float64."""
    kind = np.float32 if X.dtype == np.float32 else np.float64
    for start in range(0, len(X), BLOCK_ROWS):
        yield np.asarray(X[start : start + BLOCK_ROWS], dtype=kind)


def on_disk(X) -> bool:
    """Whether X is a memory map, or a view of one."""
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap):
            return True
        X = X.base
    return False


def as_matrix(X):
    """What a user hands in as something that scikit-learn's checks take.

    A torch tensor becomes an array (without a copy on the CPU); anything else is left alone.
    """
    return X.detach().cpu().numpy() if isinstance(X, Tensor) else X


def is_loader(X) -> bool:
    """Whether X hands out blocks of rows: a DataLoader or an iterator."""
    return isinstance(X, torch.utils.data.DataLoader) or hasattr(X, "__next__")


def shuffles(X) -> bool:
    """Whether X is a DataLoader that may hand out rows in another order than they lie."""
    ordered = torch.utils.data.SequentialSampler
    return isinstance(X, torch.utils.data.DataLoader) and not isinstance(X.sampler, ordered)


class Spool:
    """Blocks of a loader, written to one temporary file and read as a memory map.

    Use as a context manager; the file is removed at its end.

    Parameters
    ----------
    loader : iterable
        Blocks of rows: tensors or arrays (n_i, p), or tuples whose first entry is one, as a
        DataLoader over a TensorDataset gives.

    Raises
    ------
    ValueError
        If there is no block, or the blocks differ in their number of columns.
    """

    def __init__(self, loader):
        self.loader = loader

    def __enter__(self) -> np.memmap:
        self.folder = tempfile.TemporaryDirectory(prefix="mixnet-")
        try:
            path = Path(self.folder.name) / "rows"
            # A DataLoader draws a seed from torch's global state, which is not ours to move.
            with path.open("wb") as file, torch.random.fork_rng(devices=[]):
                shape = self._write(file)
            return np.memmap(path, dtype=self.dtype, mode="r", shape=shape)
        except BaseException:
            self.folder.cleanup()
            raise

    def __exit__(self, *error) -> None:
        self.folder.cleanup()

    def _write(self, file) -> tuple[int, int]:
        n_rows, width, self.dtype = 0, None, None
        for block in self.loader:
            block = as_matrix(block[0] if isinstance(block, tuple | list) else block)
            if getattr(block, "ndim", 0) != 2 or width not in (None, block.shape[1]):
                raise ValueError(
                    f"X must hand out blocks (rows, {'features' if width is None else width}); "
                    f"got {getattr(block, 'shape', type(block).__name__)}"
                )
            self.dtype = self.dtype or np.dtype("f4" if block.dtype == np.float32 else "f8")
            width = block.shape[1]
            n_rows += len(block)
            file.write(np.ascontiguousarray(block, dtype=self.dtype).data)
        if not n_rows:
            raise ValueError("X hands out no rows; a loader or iterator must give a block at least")
        return n_rows, width
