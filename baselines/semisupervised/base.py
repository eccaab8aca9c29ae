"""What the semi-supervised methods share: checks, and names of classes."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from ..inputs import UNLABELLED, centre_if_far, check_matrix, check_partial_labels, encode


class SemiSupervised(ClassifierMixin, BaseEstimator):
    """Base: a derived class writes ``_fitted(X, y)``, a fitted classifier of integers, -1 unknown.

    Attributes
    ----------
    labels_ : (n,) int64, or str where `y` has names: of all points that were fitted.
    classes_ : (c,) the labels that were known, sorted.
    n_iter_ : rounds that scikit-learn's method made; 1 where all was known at once.
    """

    def fit(self, X, y):
        """Learn from X (n, d) and `y` (n,), integers or names, -1 where unknown.

        Raises
        ------
        ValueError, TypeError
            If X is not a finite matrix, or y not one label a point, -1 where it is unknown (NaN,
            None and pd.NA are refused), with one known at least.
        """
        X = check_matrix(self, X)
        y = check_partial_labels(y, len(X))
        self.classes_, index = encode(y)
        self.centre_ = centre_if_far(X)
        self.model_ = self._fitted(self._moved(X), index)
        self.n_iter_ = max(1, int(self.model_.n_iter_))
        self.labels_ = self._labels(self._moved(X), index)
        return self

    def predict(self, X) -> np.ndarray:
        """Labels of further points X (m, d): (m,), as of ``classes_``."""
        check_is_fitted(self)
        X = self._moved(check_matrix(self, X, reset=False))
        return self.classes_[self.model_.predict(X)]

    def _moved(self, X: np.ndarray) -> np.ndarray:
        return X - self.centre_ if self.centre_.any() else X

    def _labels(self, X: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Labels of the points of the fit; known ones are kept."""
        return self.classes_[np.where(index == UNLABELLED, self.model_.predict(X), index)]
