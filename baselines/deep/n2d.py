"""N2D: a Gaussian mixture on UMAP of an autoencoder's codes.

Source: R. McConville, R. Santos-Rodríguez, R. Piechocki, I. Craddock, "N2D: (not too) deep
clustering via clustering the local manifold of an autoencoded embedding", ICPR 2020; its code,
rymc/n2d. UMAP: L. McInnes, J. Healy, J. Melville, arXiv:1802.03426, in the package umap-learn.
"""

from __future__ import annotations

from numbers import Integral

import numpy as np
import sklearn.mixture
import torch

from ..generative.training import Batches, streams
from ..inputs import check_number
from ..torch_state import own_switches
from .autoencoder import Autoencoder, in_blocks, pretrain
from .base import DeepClustering


def umap_module():
    """The package umap, or ImportError that says how to get it."""
    try:
        import umap
    except ImportError as error:
        raise ImportError(
            "N2D needs umap-learn, which is not installed: pip install 'mixnet[n2d]', in a "
            "checkout pip install -e '.[n2d]'"
        ) from error
    return umap


class N2D(DeepClustering):
    """Autoencoder, UMAP of its codes, Gaussian mixture with full covariances on that.

    Published accuracies (McConville et al., Table 1): MNIST 97.9, USPS 95.8.

    Parameters
    ----------
    n_clusters : int
    hidden : widths of the encoder. Published: (500, 500, 2000).
    code_dim, n_components : features of the code, and of UMAP of it; None: as many as clusters.
        Published: as many as clusters, so 10 for digits.
    lr : of Adam. Published: 0.001.
    batch_size : Published: 256.
    epochs : passes. Published: 1000.
    max_updates : budget of these passes; None for no other limit.
    n_neighbors, min_dist : of UMAP. Published: 20 and 0. There are at most n − 1 neighbours.
    random_state, device : seed of all draws; where the autoencoder is trained. UMAP runs in one
        thread: several would not repeat themselves.

    Attributes
    ----------
    labels_ : (n,) int64, component of the largest posterior.
    embedding_ : (n, n_components) float64, what UMAP made of the codes.
    network_, reducer_, mixture_ : the three stages.
    values_ : ``updates``, ``stopped_by`` ("length" or "budget"), ``pretraining_loss`` (of the
        autoencoder, a feature), ``converged`` (1 if EM did), ``mixture_log_likelihood`` (nats a
        point, of the embedding, not of X), ``umap_version``.
    history_ : ``autoencoder update``, ``autoencoder`` (loss).

    Raises
    ------
    ImportError
        By ``fit``, where umap-learn is not installed.
    """

    def __init__(
        self,
        n_clusters=8,
        *,
        hidden=(500, 500, 2000),
        code_dim=None,
        n_components=None,
        lr=1e-3,
        batch_size=256,
        epochs=1000,
        max_updates=None,
        n_neighbors=20,
        min_dist=0.0,
        random_state=None,
        device="cpu",
    ):
        self.n_clusters = n_clusters
        self.hidden = hidden
        self.code_dim = code_dim
        self.n_components = n_components
        self.lr = lr
        self.batch_size = batch_size
        self.epochs = epochs
        self.max_updates = max_updates
        self.n_neighbors = n_neighbors
        self.min_dist = min_dist
        self.random_state = random_state
        self.device = device

    least_points = 3  # UMAP of two has no edges

    def _check(self) -> None:
        self._check_numbers(("batch_size", "epochs"), ("lr",), ("min_dist",))
        check_number("n_neighbors", self.n_neighbors, Integral, 2)
        for name in ("code_dim", "n_components", "max_updates"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), Integral, 1)
        self._check_architecture()
        umap_module()  # before an hour of training, not after

    def _fit(self, X, seed, checkpoint, progress):
        weights, starts, *others = streams(seed, 2 + 2 * (len(self.hidden) + 2))
        network = Autoencoder([X.shape[1], *self.hidden, self.code_dim or self.n_clusters])
        network.initialise(weights)
        self.network_ = network.to(self.device)
        length = self.epochs * Batches(len(X), self.batch_size, torch.Generator()).per_pass
        updates = min(length, self.max_updates or length)
        self.history_ = pretrain(
            network,
            X,
            layer_updates=0,
            corruption=0.0,
            updates=updates,
            lr=self.lr,
            batch_size=self.batch_size,
            generators=others,
            checkpoint=checkpoint,
            progress=progress,
            whole=updates,
        )
        first, second = torch.randint(2**31, (2,), generator=starts).tolist()
        umap, dimensions = umap_module(), self.n_components or self.n_clusters
        self.reducer_ = umap.UMAP(
            n_neighbors=max(2, min(self.n_neighbors, len(X) - 1)),
            n_components=dimensions,
            min_dist=self.min_dist,
            # there are not eigenvectors enough of fewer points
            init="spectral" if len(X) > dimensions + 1 else "random",
            random_state=first,
            n_jobs=1,
        )
        codes = in_blocks(network.encode, X).cpu().numpy()
        self.embedding_ = np.asarray(self.reducer_.fit_transform(codes), dtype=np.float64)
        self.mixture_ = sklearn.mixture.GaussianMixture(self.n_clusters, random_state=second)
        labels = self.mixture_.fit_predict(self.embedding_)
        self.values_ = {
            "updates": updates,
            "stopped_by": "length" if updates == length else "budget",
            "pretraining_loss": self.history_["autoencoder"][-1],
            "converged": int(self.mixture_.converged_),
            "mixture_log_likelihood": float(self.mixture_.score(self.embedding_)),
            "umap_version": str(umap.__version__),
        }
        return labels

    @own_switches()
    def predict_proba(self, X) -> np.ndarray:
        """Posterior of each component for X (n, d), placed among the training points: (n, K)."""
        codes = self.encode(X)
        moved = self.reducer_.transform(codes)
        return self.mixture_.predict_proba(np.asarray(moved, dtype=np.float64))

    def predict(self, X) -> np.ndarray:
        """Component of the largest posterior of each row of X (n, d): (n,) int64."""
        return self.predict_proba(X).argmax(1)
