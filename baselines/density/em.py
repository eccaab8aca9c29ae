"""EM for mixtures of Gaussians with a prior on their covariances; what a component is, is derived.

Maximum likelihood is of no use where a cluster has few points: a covariance of 65 points in 1024
dimensions is singular, and its density infinite on a plane. So each covariance has the conjugate
(inverse Wishart) prior of Fraley and Raftery, "Bayesian regularization for normal mixture
estimation and model-based clustering", J. Classification 24, 2007, with two changes that are ours:
its scale is the covariance *within* the starting clusters, pooled over them (as in regularised
discriminant analysis, Friedman, JASA 84, 1989), and it is written as points: ``nu`` points whose
covariance is that scale. The M-step then maximises exactly, and EM never lowers

    sum_n log sum_k pi_k N(x_n; mu_k, C_k) - nu/2 sum_k (log |C_k| + tr(C_k^-1 T)).

How many points the prior is worth, is chosen among ``STRENGTHS`` unless it is given: by the
likelihood of a fifth of the training points under the starting clusters of the others (so neither
by labels nor by the points that are held out).

All in float64, on points moved to their mean and divided by one length, so that neither the origin
nor the units of X matter.
"""

from __future__ import annotations

import warnings
from numbers import Integral, Real

import numpy as np
import sklearn.cluster
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClusterMixin, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from ..clustering.graph import check_points
from ..inputs import check_matrix, check_number, check_seed
from .held_out import check_held_out, draw_held_out, held_out_count

RIDGE = 1e-3  # of the prior's variances, as a share of a feature's mean variance; ours
ROWS = 4096  # points of a density at a time
KMEANS_STARTS = 10
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # in units of d; ours
JUDGES = 0.2  # share of the training points by which a strength is chosen
DEAD = 1e-8  # points: below it a component's mean and covariance are no longer estimated


class MixtureDensity(ClusterMixin, DensityMixin, BaseEstimator):
    """Base of the mixtures. A derived class writes ``_component(C)``, ``_log_density(Z, j)``.

    ``_component(C)`` is the component, a tuple of arrays, whose covariance maximises
    ``-log |C_k| - tr(C_k^-1 C)`` in the family; ``_penalty(j, T)`` is ``log |C_j| + tr(C_j^-1 T)``.
    """

    def fit(self, X, y=None, held_out=None):
        """Fit to the points that are not held out; label all.

        Parameters
        ----------
        X : array of float, shape (n, d)
        y : ignored
        held_out : array of int, shape (m,), optional
            Points to set aside, in place of those that `validation_size` and the seed would draw.

        Raises
        ------
        ValueError, TypeError
            If X or a setting is not as said.
        """
        X = np.asarray(check_points(self, X, min_samples=2), dtype=np.float64)
        n, k = len(X), self.n_clusters
        self._check(X.shape[1])
        seed = check_seed(self.random_state)
        if held_out is None:
            held_out = draw_held_out(seed, n, held_out_count(self.validation_size, n, k))
        else:
            held_out = check_held_out(held_out, n, k)
        train = np.setdiff1d(np.arange(n), held_out)
        centre, scale = _centre_and_scale(X[train])
        Z = (X - centre) / scale
        best = None
        strength = None
        for start in self._starts(Z, train, seed):
            if strength is None:  # one for all starts: their objectives are to be compared
                strength = self._strength(Z[train], start, seed)
            found = self._em(Z[train], start, strength)
            if best is None or found["objective"][-1] > best["objective"][-1]:
                best = found
        if not best["converged"]:
            warnings.warn(
                f"EM did not converge within max_iter={self.max_iter} steps; raise it or tol",
                ConvergenceWarning,
                stacklevel=2,
            )
        self.seed_, self.held_out_ = seed, held_out
        self.centre_, self.scale_ = centre, scale
        self.components_ = best["components"]
        self.weights_ = best["weights"]
        self.means_ = centre + scale * np.stack([mean for mean, *_ in best["components"]])
        self.n_iter_ = len(best["objective"]) - 1
        self.history_ = {"objective": best["objective"]}
        joint = self._joint(Z)
        self.labels_ = joint.argmax(1).astype(np.int64)
        self.log_likelihood_ = logsumexp(joint, axis=1) - X.shape[1] * np.log(scale)
        self.values_ = {
            "train_log_likelihood": float(self.log_likelihood_[train].mean()),
            "n_held_out": len(held_out),
            "iterations": self.n_iter_,
            "converged": int(best["converged"]),
            "smallest_weight": float(self.weights_.min()),
            "prior_strength": strength,
        }
        if len(held_out):
            held = float(self.log_likelihood_[held_out].mean())
            self.values_ = {"heldout_log_likelihood": held} | self.values_
        return self

    def predict(self, X) -> np.ndarray:
        """Component of the largest posterior of each row of X (n, d): (n,) int64."""
        return self._joint(self._moved(X)).argmax(1)

    def predict_proba(self, X) -> np.ndarray:
        """Posterior of each component for each row of X (n, d): (n, n_clusters)."""
        joint = self._joint(self._moved(X))
        return np.exp(joint - logsumexp(joint, axis=1, keepdims=True))

    def score_samples(self, X) -> np.ndarray:
        """Log density of each row of X (n, d) in nats, in the units of X: (n,)."""
        Z = self._moved(X)
        return logsumexp(self._joint(Z), axis=1) - Z.shape[1] * np.log(self.scale_)

    def score(self, X, y=None) -> float:
        """Mean of :meth:`score_samples`, in nats a point; y is ignored."""
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1, component: int | None = None, random_state=None):
        """Draw points, from components chosen by their weights or from one chosen by hand.

        Parameters
        ----------
        random_state : int, RandomState or None
            None: the seed of the fit, so the same points at every call.

        Returns
        -------
        X : (n_samples, d) float64, in the units of the training data.
        components : (n_samples,) int64.

        Raises
        ------
        ValueError, TypeError
            If n_samples is not a whole number from 1, or component not one of 0..n_clusters-1.
        """
        check_is_fitted(self)
        check_number("n_samples", n_samples, Integral, 1)
        rng = np.random.default_rng(
            self.seed_ if random_state is None else check_seed(random_state)
        )
        k = len(self.components_)
        if component is None:
            components = rng.choice(k, size=n_samples, p=self.weights_)
        else:
            check_number("component", component, Integral, 0)
            if component >= k:
                raise ValueError(f"component must be below n_clusters = {k}, got {component!r}.")
            components = np.full(n_samples, component)
        Z = np.empty((n_samples, len(self.centre_)))
        for j in np.unique(components):
            rows = components == j
            Z[rows] = self._draw(self.components_[j], int(rows.sum()), rng)
        return self.centre_ + self.scale_ * Z, components.astype(np.int64)

    def _check(self, d: int) -> None:
        check_number("n_init", self.n_init, Integral, 1)
        check_number("max_iter", self.max_iter, Integral, 1)
        check_number("tol", self.tol, Real, 0)
        if not isinstance(self.prior_strength, str):
            check_number("prior_strength", self.prior_strength, Real, 0, open_left=True)
        elif self.prior_strength != "auto":
            raise ValueError(
                f"prior_strength must be 'auto' or a number > 0, got {self.prior_strength!r}"
            )

    def _moved(self, X) -> np.ndarray:
        check_is_fitted(self)
        X = check_matrix(self, X, reset=False).astype(np.float64)
        return (X - self.centre_) / self.scale_

    def _starts(self, Z, train, seed: int):
        """Starting labels of the training points: given ones, or k-means, the best of ten."""
        if isinstance(self.init, str) and self.init == "kmeans":
            rng = np.random.RandomState(seed % 2**32)
            for _ in range(self.n_init):
                yield (
                    sklearn.cluster.KMeans(
                        self.n_clusters, n_init=KMEANS_STARTS, random_state=rng.randint(2**31)
                    )
                    .fit(Z[train])
                    .labels_
                )
            return
        labels = np.asarray(self.init)
        if labels.shape != (len(Z),) or labels.dtype.kind not in "iu":
            raise ValueError(
                f"init must be 'kmeans' or {len(Z)} labels of type int; got {self.init!r:.80}"
            )
        if not 0 <= labels.min() <= labels.max() < self.n_clusters:
            raise ValueError(
                f"init must have labels in 0..{self.n_clusters - 1}; "
                f"got {labels.min()}..{labels.max()}"
            )
        yield labels[train]

    def _strength(self, Z: np.ndarray, labels: np.ndarray, seed: int) -> float:
        """The prior's weight, given or chosen (see the module)."""
        if self.prior_strength != "auto":
            return float(self.prior_strength)
        order = np.random.default_rng(seed).permutation(len(Z))
        n_judges = int(JUDGES * len(Z))
        judges, rest = order[:n_judges], order[n_judges:]
        if not n_judges:
            return STRENGTHS[-1]
        prior = _prior(Z[rest], labels[rest])
        hard = _one_hot(labels[rest], self.n_clusters)
        scores = []
        for strength in STRENGTHS:
            components, weights = self._maximise(Z[rest], hard, prior, strength * Z.shape[1])
            joint = _joint(self._log_density, Z[judges], components, weights)
            scores.append(float(logsumexp(joint, axis=1).mean()))
        if not np.isfinite(scores).all():
            raise FloatingPointError(f"no prior_strength can be chosen: scores are {scores}")
        return STRENGTHS[int(np.argmax(scores))]

    def _maximise(self, Z, responsibilities, prior, nu: float, components=None):
        """The M-step: components and weights (k,); one with no points stays as it was."""
        if components is None:  # the mean of all, and the prior's covariance
            components = [(Z.mean(0), *self._component(prior))] * self.n_clusters
        components, weights = list(components), responsibilities.sum(0)
        for j in np.flatnonzero(weights > DEAD):
            rows = np.flatnonzero(responsibilities[:, j])
            share = responsibilities[rows, j]
            mean = share @ Z[rows] / weights[j]
            gap = (Z[rows] - mean) * np.sqrt(share)[:, None]
            C = (gap.T @ gap + nu * prior) / (weights[j] + nu)
            components[j] = (mean, *self._component(C))
        return components, weights / weights.sum()

    def _em(self, Z: np.ndarray, labels: np.ndarray, strength: float) -> dict:
        prior, nu = _prior(Z, labels), strength * Z.shape[1]
        responsibilities = _one_hot(labels, self.n_clusters)
        components, objective, converged = None, [], False
        for _ in range(self.max_iter + 1):
            components, weights = self._maximise(Z, responsibilities, prior, nu, components)
            joint = _joint(self._log_density, Z, components, weights)
            density = logsumexp(joint, axis=1, keepdims=True)
            penalty = sum(self._penalty(component, prior) for component in components)
            objective.append(float(density.mean() - nu / 2 * penalty / len(Z)))
            if not np.isfinite(objective[-1]):
                raise FloatingPointError(
                    f"EM diverged: the log-likelihood is {objective[-1]} after step "
                    f"{len(objective)}; a larger prior_strength than {strength} may help"
                )
            if len(objective) > 1 and objective[-1] - objective[-2] <= self.tol:
                converged = True
                break
            responsibilities = np.exp(joint - density)
        return {
            "components": components,
            "weights": weights,
            "objective": objective,
            "converged": converged,
        }

    def _joint(self, Z: np.ndarray) -> np.ndarray:
        return _joint(self._log_density, Z, self.components_, self.weights_)


def _joint(log_density, Z, components, weights) -> np.ndarray:
    """log pi_k + log N(z; mu_k, C_k): (n, k); -inf for a component of weight 0."""
    joint = np.empty((len(Z), len(components)))
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights)
    for start in range(0, len(Z), ROWS):
        rows = slice(start, start + ROWS)
        for j, (mean, *rest) in enumerate(components):
            joint[rows, j] = log_density(Z[rows] - mean, *rest) + log_weights[j]
    return joint


def _one_hot(labels: np.ndarray, k: int) -> np.ndarray:
    return (labels[:, None] == np.arange(k)).astype(np.float64)


def _prior(Z: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Covariance of the points about the means of their clusters, and a ridge: (d, d)."""
    gap = Z.copy()
    for j in np.unique(labels):
        gap[labels == j] -= Z[labels == j].mean(0)
    # Where all points are one, no variance is left to take a share of.
    ridge = RIDGE * (float(np.square(Z).mean()) or 1.0)
    return gap.T @ gap / len(Z) + ridge * np.eye(Z.shape[1])


def _centre_and_scale(X: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean of X, and the root of a feature's mean variance (1 where all points are one)."""
    centre = X.mean(0)
    largest = float(np.abs(X - centre).max()) or 1.0
    return centre, largest * (float(np.square((X - centre) / largest).mean()) ** 0.5 or 1.0)
