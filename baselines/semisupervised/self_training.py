"""Self-training: a classifier that learns from its own confident answers (Yarowsky, ACL 1995)."""

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from .base import SemiSupervised


class SelfTraining(SemiSupervised):
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
    labels_ : ndarray, shape (n,)
        Of all points that were fitted, int64 or names as in `y`; labelled points keep theirs.
    classes_ : ndarray, shape (c,)
    """

    def __init__(self, threshold=0.75, C=1.0, max_iter=10, random_state=None):
        self.threshold = threshold
        self.C = C
        self.max_iter = max_iter
        self.random_state = random_state

    def _fitted(self, X, y):
        base = make_pipeline(StandardScaler(), LogisticRegression(C=self.C, max_iter=1000))
        return SelfTrainingClassifier(base, threshold=self.threshold, max_iter=self.max_iter).fit(
            X, y
        )
