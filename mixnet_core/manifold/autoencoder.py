"""An autoencoder whose codes keep the neighbours of the data (ours).

In the codes of an autoencoder that only reconstructs, points of one class may lie in several heaps
and heaps of two classes may touch: no density finds the classes there. Here neighbours are drawn
together and others apart, as in UMAP, by a network: it encodes new points, and it has a decoder.
"""

import copy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mixnet_core.autoencoder import Autoencoder, FittedAutoencoder, Network
from mixnet_core.data import checks
from mixnet_core.data.points import LIMITS, Units
from mixnet_core.manifold.graph import fuzzy_graph
from mixnet_core.manifold.training import Neighbours


class NeighbourAutoencoder(Autoencoder):
    """Autoencoder p-hidden-code-hidden-p with linear codes that keep the graph of neighbours.

    Parametric UMAP (Sainburg, McInnes & Gentner 2021) with the error of reconstructions beside
    its loss. It is meant for the codes of an :class:`~mixnet_core.autoencoder.Autoencoder`, and
    takes any features. After the training the codes are shifted and scaled, by one factor, into
    [0.05, 0.95].

    Parameters
    ----------
    code_dim : int
        Size of the code.
    hidden : sequence of int
        Sizes of the encoder's hidden layers, ReLU; the decoder mirrors them.
    n_neighbors : int
        Of each point in the graph; at most n - 1 are taken.
    negatives : int
        Points that repel the first end of an edge: without any, all codes fall together.
    reconstruction_weight : float
        Of the mean squared error (of features of mean 0 and mean variance 1) in the loss.
    lr, batch_size
        Of Adam, and edges of a mini-batch; the learning rate falls to zero on a half cosine.
    epochs, min_updates : int
        Length of the training: `epochs` edges a point, and at least `min_updates` mini-batches.
    random_state : int, RandomState or None
        Seeds the weights and the draws of edges; None: others every time.
    device : str

    Attributes
    ----------
    fitted_ : FittedAutoencoder
        All of the fitted state; those below are parts of it.
    network_ : torch.nn.Module
    history_ : dict of list
        Of mini-batches: ``neighbours`` (the loss of UMAP), ``reconstruction``.
    values_ : dict
        ``reconstruction_error`` (of all points), ``code_std``, ``updates``, ``edges``.
    n_features_in_ : int
    """

    def __init__(
        self,
        code_dim=10,
        hidden=(256, 256),
        n_neighbors=15,
        negatives=5,
        reconstruction_weight=0.5,
        lr=1e-3,
        batch_size=500,
        epochs=200,
        min_updates=1500,
        random_state=0,
        device="cpu",
    ):
        self.code_dim, self.hidden, self.n_neighbors = code_dim, hidden, n_neighbors
        self.negatives, self.reconstruction_weight = negatives, reconstruction_weight
        self.lr, self.batch_size = lr, batch_size
        self.epochs, self.min_updates = epochs, min_updates
        self.random_state, self.device = random_state, device

    def fit(self, X, y=None, checkpoint=None, progress=None):
        """Train on X, shape (n, p).

        Parameters
        ----------
        X : array of float, shape (n, p)
        y : ignored
        checkpoint : path, optional
            Where to keep the state of the training; an interrupted one goes on from there to the
            same result.
        progress : callable, optional
            Called as ``progress(done, total, text)``.

        Raises
        ------
        ValueError
            If X is not a finite matrix of at least two rows, or a parameter is out of range.
        FloatingPointError
            If the loss was not finite.
        """
        _check_settings(self)
        checked = copy.copy(self)  # a fit that fails leaves no trace
        X = checked._checked(X, minimum=2, reset=True)
        units, seed = Units.spread(X), checks.check_seed(self.random_state)
        generator = torch.Generator().manual_seed(seed)
        with checks.own_torch_modes():
            network = LinearCodes(X.shape[1], tuple(self.hidden), self.code_dim, generator)
            network.to(self.device)
            data = units.put(X)
            graph = fuzzy_graph(data.numpy(), self.n_neighbors)
            training = Neighbours(self, network, generator, checkpoint, (seed, X))
            training.run(data.to(self.device), graph, progress)
        checked.fitted_ = FittedAutoencoder(network, units, training.history, {})
        network.fill_box(torch.from_numpy(checked._by_blocks(network.encode, data)))
        codes, back = (checked._by_blocks(f, data) for f in (network.encode, network))
        checked.fitted_.values.update(
            reconstruction_error=float(np.square(back - data.numpy()).mean()),
            code_std=float(codes.std(0).mean()),
            updates=training.history["update"][-1],
            edges=int(graph.nnz) // 2,
        )
        vars(self).update(vars(checked))
        return self

    @classmethod
    def load(cls, path, **given):
        """Read what :meth:`save` wrote; see :meth:`Autoencoder.load`."""
        model = super().load(path, **given)
        weights = model.network_.state_dict()
        d, *hidden, code_dim = model.network_.sizes
        network = LinearCodes(d, tuple(hidden), code_dim, torch.Generator())
        network.load_state_dict(weights)
        model.fitted_ = replace(model.fitted_, network=network.to(model.device))
        return model


class LinearCodes(Network):
    """Encoder and decoder with linear outputs, both."""

    def encode(self, x: Tensor) -> Tensor:
        """Codes (n, p) of points (n, d)."""
        return self.encoder(x)

    def fill_box(self, codes: Tensor) -> None:
        """Change the layers at the code so that these codes (n, p) come to lie in the box.

        Distances keep their ratios, and reconstructions are the same.
        """
        low, span = codes.amin(0), float((codes.amax(0) - codes.amin(0)).max()) or 1.0
        scale = (LIMITS[1] - LIMITS[0]) / span
        last, first = self.encoder[-1], self.decoder[0]
        low = low.to(last.weight.device)
        with torch.no_grad():
            last.weight.mul_(scale)
            last.bias.sub_(low).mul_(scale).add_(LIMITS[0])
            first.bias.add_(first.weight @ (low - LIMITS[0] / scale))
            first.weight.div_(scale)


def _check_settings(model) -> None:
    """ValueError for a parameter that is out of range."""
    least = {"code_dim": 1, "n_neighbors": 1, "negatives": 1, "batch_size": 1}
    for name, smallest in (least | {"epochs": 0, "min_updates": 0}).items():
        checks.whole(name, getattr(model, name), smallest)
    listed = isinstance(model.hidden, tuple | list) and len(model.hidden) > 0
    checks.require(listed, "hidden", model.hidden, "one or more sizes")
    for size in model.hidden:
        checks.whole("every size in hidden", size, 1)
    checks.number("lr", model.lr, "positive", lambda v: v > 0)
    weight = model.reconstruction_weight
    checks.number("reconstruction_weight", weight, "0 or more", lambda v: v >= 0)
    checks.check_device(model.device)
