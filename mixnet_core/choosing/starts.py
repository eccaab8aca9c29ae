"""Which of several initial clusterings to start from, by held-out likelihood (ours)."""

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.model_selection import ShuffleSplit
from sklearn.utils.validation import validate_data

from mixnet_core.data import checks
from mixnet_core.data.loaders import as_matrix
from mixnet_core.data.points import Units
from mixnet_core.training.linear import linear_stage

N_RUNS = 5  # of k-means, where no candidates are given
MIN_GAIN = 0.01  # nats a point by which a later candidate must be better


class StartSelection(ClusterMixin, BaseEstimator):
    """The candidate partition from which a linear mixture explains held-out points best.

    From each candidate the linear stage of the mixture, EM of Gaussians of equal volume, is run as
    the mixture itself would run it; what counts is the log-likelihood of the points held out, a
    mean over random splits. Candidates of one cluster and crumbs are left out where there is
    another: fewer effective clusters (exp of the entropy of their sizes) than (1 + K) / 2. Of equal
    ones, within 0.01 nats, the first is taken. No label is seen, and no network is trained.

    Parameters
    ----------
    n_clusters : int
    n_splits : int
        Random divisions into points to fit and points held out.
    validation_size : float
        Share of the points that is held out.
    random_state : int
        Of the divisions.

    Attributes
    ----------
    labels_ : ndarray of int64, shape (n,)
        The chosen candidate.
    values_ : dict
        ``chosen`` (its column) and ``score_0``, ``score_1`` …: mean held-out log-likelihood from
        each candidate that was not left out, in nats a point, where a feature has variance 1 on
        average.
    """

    def __init__(self, n_clusters=8, n_splits=3, validation_size=0.1, random_state=0):
        self.n_clusters = n_clusters
        self.n_splits = n_splits
        self.validation_size = validation_size
        self.random_state = random_state

    def fit(self, X, y=None, candidates=None):
        """Choose among `candidates` on the points X.

        Parameters
        ----------
        X : array of float, shape (n, p)
        y : ignored
        candidates : array of int, shape (n, m), optional
            Column c holds the labels in 0..K-1 that candidate c gives to the n points. Five runs of
            k-means by default.

        Raises
        ------
        ValueError
            If X is not a finite matrix of rows that differ, or the candidates do not fit it.
        """
        checks.whole("n_clusters", self.n_clusters, 1)
        checks.whole("n_splits", self.n_splits, 1)
        X = validate_data(self, as_matrix(X), dtype="float64", ensure_min_samples=2)
        X = _standard(X)
        if candidates is None:
            candidates = self._k_means(X)
        candidates = np.asarray(as_matrix(candidates, "candidates"))
        if candidates.ndim != 2 or len(candidates) != len(X) or candidates.dtype.kind not in "iu":
            raise ValueError(
                f"candidates must be integers of shape ({len(X)}, m); "
                f"got shape {candidates.shape}, dtype {candidates.dtype}"
            )
        if candidates.size and (candidates.min() < 0 or candidates.max() >= self.n_clusters):
            raise ValueError(
                f"candidates must lie in 0..{self.n_clusters - 1}; "
                f"got {candidates.min()}..{candidates.max()}"
            )
        seed = checks.check_seed(self.random_state)
        splits = ShuffleSplit(self.n_splits, test_size=self.validation_size, random_state=seed)
        tried = _spread_out(candidates, self.n_clusters)
        scores, points = dict.fromkeys(tried, 0.0), torch.from_numpy(X)
        for train, held_out in splits.split(X):
            for c in tried:
                labels = torch.from_numpy(candidates[train, c].astype(np.int64))
                model = linear_stage(points[train], points[held_out], labels, self.n_clusters)
                found = model.log_joint(points[held_out]).logsumexp(1).mean()
                scores[c] += float(found) / self.n_splits
        if not np.isfinite(list(scores.values())).all():
            raise ValueError(f"candidates must have finite scores on X; got {scores}")
        best = tried[0]
        for c in tried:
            best = c if scores[c] > scores[best] + MIN_GAIN else best
        self.labels_ = candidates[:, best].astype(np.int64)
        self.values_ = {"chosen": best, **{f"score_{c}": value for c, value in scores.items()}}
        return self

    def _k_means(self, X) -> np.ndarray:
        seeds = np.random.SeedSequence(checks.check_seed(self.random_state)).generate_state(N_RUNS)
        runs = [
            KMeans(self.n_clusters, n_init=1, random_state=seed).fit_predict(X)
            for seed in seeds.tolist()
        ]
        return np.column_stack(runs)


def _standard(X: np.ndarray) -> np.ndarray:
    """X around its mean, in units in which a feature has variance 1 on average, in float64."""
    units = Units.spread(X)
    Z = (X - units.origin - units.shift) * units.scale
    if not Z.any():
        raise ValueError("X must have points that differ; all rows are equal")
    return Z


def _spread_out(candidates: np.ndarray, k: int) -> list[int]:
    """Columns that are not one cluster and crumbs; all where there is no other."""
    effective = []
    for labels in candidates.T:
        share = np.bincount(labels) / len(labels)
        share = share[share > 0]
        effective.append(np.exp(-(share * np.log(share)).sum()))
    kept = [c for c, number in enumerate(effective) if number >= (1 + k) / 2]
    return kept or list(range(len(effective)))
