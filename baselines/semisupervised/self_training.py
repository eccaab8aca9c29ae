"""Self-training: a classifier that learns from its own confident answers (Yarowsky, ACL 1995)."""

from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier


class SelfTraining(ClassifierMixin, BaseEstimator):
    """scikit-learn's self-training around logistic regression on standardised features.

    Parameters
    ----------
    threshold : float
        Probability above which an answer is taken for a label.
    C : float
        Inverse strength of the L2 penalty.
    max_iter : int
        Rounds of self-training.
    random_state : ignored
        The method is deterministic.

    Attributes
    ----------
    labels_ : ndarray of int64, shape (n,)
        Of all points that were fitted; labelled points keep theirs.
    """

    def __init__(self, threshold=0.75, C=1.0, max_iter=10, random_state=None):
        self.threshold = threshold
        self.C = C
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X, y):
        """Learn from X (n, p) and `y` (n,), -1 where unknown."""
        base = make_pipeline(StandardScaler(), LogisticRegression(C=self.C, max_iter=1000))
        self.model_ = SelfTrainingClassifier(
            base, threshold=self.threshold, max_iter=self.max_iter
        ).fit(X, y)
        self.classes_ = self.model_.classes_
        self.labels_ = self.model_.predict(X).astype("int64")
        self.labels_[y != -1] = y[y != -1]
        return self

    def predict(self, X):
        """Labels of further points."""
        return self.model_.predict(X)
