"""What the deep clusterings share: the estimator, with its checks, its units and its checkpoint."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..generative.checkpoints import Checkpoint
from ..generative.model import fingerprint
from ..inputs import check_matrix, check_number, check_seed
from ..torch_state import own_switches
from .autoencoder import in_blocks, pretrain

LARGEST = 1e30  # an entry whose square float64 holds with room for all features


class DeepClustering(ClusterMixin, BaseEstimator):
    """Base of the deep clusterings.

    A derived class writes ``_check()``, which raises for settings out of range, and
    ``_fit(X, seed, checkpoint, progress)``, which sets ``network_``, ``values_`` and ``history_``
    and returns the labels; X is a tensor in the units of :meth:`_units`, on the device.
    """

    least_points = 2

    @own_switches()
    def fit(self, X, y=None, checkpoint=None, progress=None):
        """Train on the points and label them.

        Parameters
        ----------
        X : array of float, shape (n, d)
        y : ignored
        checkpoint : path, optional
            Where to keep the state of the training; an interrupted one goes on from there, on the
            CPU to the bit-identical result.
        progress : callable, optional
            Called as ``progress(done, total, text)``.

        Raises
        ------
        ValueError, TypeError
            If X or a setting is not as needed.
        FloatingPointError
            If the training diverges.
        """
        X = check_matrix(self, X, min_samples=self.least_points).astype(np.float64)
        check_number("n_clusters", self.n_clusters, Integral, 1)
        if self.n_clusters > len(X):
            raise ValueError(
                f"n_clusters={self.n_clusters} is more than the number of points in X, "
                f"n_samples={len(X)}."
            )
        if (largest := float(np.abs(X).max())) > LARGEST:
            raise ValueError(f"X must have entries below {LARGEST:g}, got {largest:g}")
        self._check()
        seed = check_seed(self.random_state)
        if checkpoint is not None:
            checkpoint = Checkpoint(checkpoint, fingerprint(self, X, np.array([seed])))
        self.centre_, self.scale_ = self._units(X)
        labels = self._fit(self._tensor(X), seed, checkpoint, progress)
        self.network_.requires_grad_(False)
        self.labels_ = np.asarray(labels).astype(np.int64)
        return self

    def _units(self, X: np.ndarray) -> tuple[float, float]:
        """Number that is subtracted, number that is divided by: the mean square of X becomes 1.

        So DEC scales every dataset (section 4.3), "such that the mean of ||x||² / d is about 1".
        """
        return 0.0, float(np.sqrt(np.square(X).mean())) or 1.0

    def _tensor(self, X: np.ndarray) -> Tensor:
        units = ((X - self.centre_) / self.scale_).astype(np.float32)
        return torch.from_numpy(np.ascontiguousarray(units)).to(self.device)

    def _moved(self, X) -> Tensor:
        """Points of a call after the fit, checked, in the units of the network."""
        check_is_fitted(self, "network_")
        return self._tensor(check_matrix(self, X, reset=False).astype(np.float64))

    @own_switches()
    def encode(self, X) -> np.ndarray:
        """Codes of X (n, d): (n, p) float32."""
        X = self._moved(X)
        return in_blocks(self.network_.encode, X).cpu().numpy()

    def _check_architecture(self) -> None:
        if not isinstance(self.hidden, tuple | list):
            raise TypeError(f"hidden must be a tuple of widths, got {self.hidden!r}")
        for width in self.hidden:
            check_number("each of hidden", width, Integral, 1)

    def _check_numbers(self, whole=(), positive=(), from_zero=()) -> None:
        """Raise unless settings of these names are whole from 1, above 0, at least 0."""
        for name in whole:
            check_number(name, getattr(self, name), Integral, 1)
        for name in positive:
            check_number(name, getattr(self, name), Real, 0, open_left=True)
        for name in from_zero:
            check_number(name, getattr(self, name), Real, 0)

    def _check_pretraining(self) -> None:
        """Raise unless the settings of :func:`autoencoder.pretrain` are in range."""
        self._check_numbers(
            ("code_dim", "finetune_updates", "batch_size"), ("pretrain_lr",), ("corruption",)
        )
        check_number("layer_updates", self.layer_updates, Integral, 0)
        if self.corruption >= 1:
            raise ValueError(f"corruption must be below 1, got {self.corruption!r}.")
        self._check_architecture()

    def _pretraining_length(self) -> int:
        return (len(self.hidden) + 1) * self.layer_updates + self.finetune_updates

    def _pretrain(self, X: Tensor, generators, checkpoint, progress, whole: int) -> None:
        """Pretrain ``network_`` (see :func:`autoencoder.pretrain`); ``history_`` has its losses."""
        self.history_ = pretrain(
            self.network_,
            X,
            layer_updates=self.layer_updates,
            corruption=self.corruption,
            updates=self.finetune_updates,
            lr=self.pretrain_lr,
            batch_size=self.batch_size,
            generators=generators,
            checkpoint=checkpoint,
            progress=progress,
            whole=whole,
        )
