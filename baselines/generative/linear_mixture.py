"""Mixtures of Gaussians that put out samples: the linear yardstick of the mixture of networks.

The densities are those of ``baselines.density``, fitted by the same EM from the same start; here
they have the contract of the generative models. On codes of an autoencoder they are the mixture of
networks with its networks made linear, and the decoder is the same.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..density.gaussian import GaussianMixture
from ..density.ppca import MixtureOfPPCA
from .model import GenerativeModel, check_number


class GaussianComponents(nn.Module):
    """``sum_k pi_k N(mu_k, R_k R_k^T)``, all in float64.

    Its buffers are ``weights`` (k,), ``means`` (k, d) and ``roots`` (k, d, d), the R_k.
    """

    def __init__(self, n_components: int, n_features: int):
        super().__init__()
        shape = (n_components, n_features, n_features)
        for name, ndim in (("weights", 1), ("means", 2), ("roots", 3)):
            self.register_buffer(name, torch.zeros(shape[:ndim], dtype=torch.float64))

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """n points (n, d); `generator` is on the CPU."""
        own = torch.multinomial(self.weights.cpu(), n, replacement=True, generator=generator)
        noise = torch.randn(n, self.means.shape[1], generator=generator, dtype=torch.float64)
        own, points = own.to(self.means.device), noise.to(self.means.device)
        for j in own.unique():
            rows = own == j
            points[rows] = self.means[j] + points[rows] @ self.roots[j].T
        return points


class LinearMixture(GenerativeModel):
    """Base: a derived class writes ``_mixture()``, the density, and ``_roots(mixture)``."""

    max_updates = None  # EM ends by itself, and max_iter is its cap

    def __init__(
        self,
        n_components=10,
        n_init=1,
        max_iter=500,
        tol=1e-3,
        prior_strength="auto",
        random_state=0,
        device="cpu",
    ):
        self.n_components = n_components
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.prior_strength = prior_strength
        self.random_state = random_state
        self.device = device

    def _check(self):
        for name in ("n_components", "n_init", "max_iter"):
            check_number(name, getattr(self, name), 1, whole=True)
        check_number("tol", self.tol)
        if self.prior_strength != "auto":
            check_number("prior_strength", self.prior_strength, above=True)

    def _settings(self) -> dict:
        """What the densities take alike. Nothing is held out: `fit` is given training points."""
        names = ("n_init", "max_iter", "tol", "prior_strength", "random_state")
        settings = {name: getattr(self, name) for name in names}
        return settings | {"n_clusters": self.n_components, "validation_size": 0}

    def _network(self, n_features: int) -> nn.Module:
        return GaussianComponents(self.n_components, n_features)

    def _fit(self, X, validation, checkpoint, progress):
        check_number("n_components", self.n_components, 1, len(X), whole=True)
        mixture = self._mixture().fit(X.numpy(force=True))
        found = {"weights": mixture.weights_, "means": mixture.means_}
        network = self._network(X.shape[1])
        for name, array in (found | {"roots": self._roots(mixture)}).items():
            getattr(network, name).copy_(torch.from_numpy(array))
        self.network_ = network.to(self.device)
        values = mixture.values_
        self.history_ = mixture.history_
        self.values_ = {
            "updates": values["iterations"],
            "stopped_by": "convergence" if values["converged"] else "length",
            **{k: values[k] for k in ("train_log_likelihood", "smallest_weight", "prior_strength")},
        }
        if validation is not None:
            self.values_["validation_log_likelihood"] = mixture.score(validation.numpy(force=True))
        if progress is not None:
            done = values["iterations"]
            progress(done, done, f"EM: {values['train_log_likelihood']:.2f} nats a point")

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self.network_.draw(n, generator).float()


class SampledGaussianMixture(LinearMixture):
    """:class:`~baselines.density.gaussian.GaussianMixture` that puts out samples.

    The samples are those of the density and so leave [0, 1] where it does; none is cut off.

    Parameters
    ----------
    n_components : int, at most as many as points.
    n_init : k-means starts of EM, each the best of ten.
    max_iter : EM steps of one start.
    tol : EM stops when the objective, in nats a point, rises by no more.
    prior_strength : > 0, points that the prior of a covariance counts for, in units of d; "auto":
        chosen on a fifth of the training points (``baselines.density.em``).
    random_state : seed of the starts and of that choice.
    device : where samples are computed; EM is numpy's. No checkpoint is written, since EM takes
        minutes at most.

    Attributes
    ----------
    network_ : :class:`GaussianComponents`.
    values_ : ``updates`` (EM steps), ``stopped_by`` ("convergence" or "length"),
        ``train_log_likelihood`` and, with validation points, ``validation_log_likelihood`` (means,
        nats a point; nothing is chosen by the latter), ``smallest_weight``, ``prior_strength``.
    history_ : ``objective``, nats a point, after each EM step.
    """

    def _mixture(self) -> GaussianMixture:
        return GaussianMixture(**self._settings())

    def _roots(self, mixture: GaussianMixture) -> np.ndarray:
        return np.linalg.cholesky(mixture.covariances_)


class SampledMixtureOfPPCA(LinearMixture):
    """:class:`~baselines.density.ppca.MixtureOfPPCA` that puts out samples.

    A component is a linear network of ``n_directions`` normal inputs, with noise: what a network
    of the mixture is without its hidden layers.

    Parameters
    ----------
    n_components, n_init, max_iter, tol, prior_strength, random_state, device : as of
        :class:`SampledGaussianMixture`, as are the attributes and what is said of samples.
    n_directions : whole number from 0, or the structure of a network, such as "10-64-32": as many
        directions as it has inputs.
    """

    def __init__(
        self,
        n_components=10,
        n_directions=10,
        n_init=1,
        max_iter=500,
        tol=1e-3,
        prior_strength="auto",
        random_state=0,
        device="cpu",
    ):
        super().__init__(n_components, n_init, max_iter, tol, prior_strength, random_state, device)
        self.n_directions = n_directions

    def _check(self):
        super()._check()
        q = self.n_directions
        if not (isinstance(q, str) and q.split("-")[0].isdecimal()):
            check_number("n_directions", q, whole=True)

    def _mixture(self) -> MixtureOfPPCA:
        return MixtureOfPPCA(n_directions=self.n_directions, **self._settings())

    def _roots(self, mixture: MixtureOfPPCA) -> np.ndarray:
        # The symmetric root of W W^T + sigma^2 I: the directions are its eigenvectors.
        noise = np.sqrt(mixture.noise_variances_)[:, None]
        V, along = mixture.directions_, np.sqrt(mixture.variances_) - noise
        beside = noise[:, :, None] * np.eye(V.shape[1])
        return (V * along[:, None]) @ V.transpose(0, 2, 1) + beside
