"""Label spreading over a neighbour graph (Zhou et al., NIPS 2004)."""

from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.semi_supervised import LabelSpreading as Spreading


class LabelSpreading(ClassifierMixin, BaseEstimator):
    """scikit-learn's label spreading with a k-nearest-neighbour graph.

    Parameters
    ----------
    n_neighbors : int
    alpha : float
        Share of a point's label that comes from its neighbours.
    max_iter : int
    random_state : ignored
        The method is deterministic.

    Attributes
    ----------
    labels_ : ndarray of int64, shape (n,)
        Of all points that were fitted, labelled or not.
    """

    def __init__(self, n_neighbors=7, alpha=0.2, max_iter=200, random_state=None):
        self.n_neighbors = n_neighbors
        self.alpha = alpha
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X, y):
        """Spread the labels `y` (n,), -1 where unknown, over the points X (n, p)."""
        self.model_ = Spreading(
            kernel="knn", n_neighbors=self.n_neighbors, alpha=self.alpha, max_iter=self.max_iter
        ).fit(X, y)
        self.classes_ = self.model_.classes_
        self.labels_ = self.model_.transduction_.astype("int64")
        return self

    def predict(self, X):
        """Labels of further points."""
        return self.model_.predict(X)
