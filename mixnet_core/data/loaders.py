"""Data that come in blocks of rows: written to one file and read as a memory map."""

import contextlib
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, SequentialSampler


def as_matrix(X, name: str = "X"):
    """What a user hands in as something that scikit-learn's checks take.

    A torch tensor becomes an array (without a copy on the CPU); anything else is left alone.

    Raises
    ------
    ValueError
        For a masked array with masked entries: NumPy would silently use what lies under the mask.
    """
    if isinstance(X, Tensor):
        X = X.detach()
        return (X.float() if X.dtype in (torch.bfloat16, torch.float16) else X).numpy(force=True)
    if isinstance(X, np.ma.MaskedArray):
        if np.ma.is_masked(X):
            raise ValueError(
                f"{name} must not have masked entries; got {int(np.ma.count_masked(X))} of them"
            )
        return X.data
    return X


def is_loader(X) -> bool:
    """Whether X hands out blocks of rows: a DataLoader or an iterator."""
    return isinstance(X, DataLoader) or hasattr(X, "__next__")


def in_order(X) -> bool:
    """Whether X certainly hands out its rows in the order in which they lie.

    An iterator does by definition. Of a DataLoader only torch's own sequential samplers are known
    to: a sampler or batch sampler of one's own may draw rows in any order.
    """
    if not isinstance(X, DataLoader):
        return True
    if isinstance(X.dataset, IterableDataset):
        return X.num_workers < 2
    batches = X.batch_sampler
    if batches is not None and type(batches) is not BatchSampler:
        return False
    samplers = [X.sampler] if batches is None else [X.sampler, batches.sampler]
    return all(type(s) is SequentialSampler for s in samplers) and getattr(X, "in_order", True)


@contextlib.contextmanager
def as_rows(X, labelled: bool):
    """X itself or, of a loader, its rows as a memory map of a file that is there for the while.

    Raises
    ------
    ValueError
        For a loader that may mix up its rows where there are labels of them (`labelled`).
    """
    if not is_loader(X):
        yield X
        return
    if labelled and not in_order(X):
        raise ValueError(
            "X must hand out its rows in order where y or init_labels is given: they would "
            "not be those of the labels; got a DataLoader with shuffle=True or with a "
            "sampler or batch_sampler of its own"
        )
    with Spool(X) as rows:
        yield rows


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
