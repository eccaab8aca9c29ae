"""Label spreading over a neighbour graph (Zhou et al., NIPS 2004)."""

from sklearn.semi_supervised import LabelSpreading as Spreading

from .base import SemiSupervised


class LabelSpreading(SemiSupervised):
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
    labels_ : ndarray, shape (n,)
        Of all points that were fitted, labelled or not: int64 or names as in `y`.
    classes_ : ndarray, shape (c,)
    """

    def __init__(self, n_neighbors=7, alpha=0.2, max_iter=200, random_state=None):
        self.n_neighbors = n_neighbors
        self.alpha = alpha
        self.max_iter = max_iter
        self.random_state = random_state

    def _fitted(self, X, y):
        return Spreading(
            kernel="knn", n_neighbors=self.n_neighbors, alpha=self.alpha, max_iter=self.max_iter
        ).fit(X, y)

    def _labels(self, X, index):
        return self.classes_[self.model_.transduction_]  # a labelled point may be overruled
