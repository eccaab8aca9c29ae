"""Stacked contractive autoencoder, and the walk by which it is sampled.

Sources: S. Rifai, P. Vincent, X. Muller, X. Glorot, Y. Bengio, "Contractive auto-encoders: explicit
invariance during feature extraction", ICML 2011 (the objective); S. Rifai, Y. Bengio, Y. Dauphin,
P. Vincent, "A generative process for sampling contractive auto-encoders", ICML 2012 (the walk); the
figure of Table 2 is of Bengio, Mesnil, Dauphin, Rifai, ICML 2013, whose settings are not published.
"""

from __future__ import annotations

import math
from numbers import Real

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..parzen import ParzenWindow
from .chains import ChainModel, check_per_layer
from .model import check_number
from .training import Batches, streams, train

TRIAL = 2000  # samples by which a candidate of walk_std is judged; ours


class Layer(nn.Module):
    """f(x) = σ(Wx + b), g(h) = σ(Wᵀh + c): one autoencoder with tied weights.

    Attributes
    ----------
    W : (m, n), a row for each hidden unit; b : (m,); c : (n,).
    """

    def __init__(self, n_visible: int, n_hidden: int):
        super().__init__()
        self.W = nn.Parameter(torch.zeros(n_hidden, n_visible))
        self.b = nn.Parameter(torch.zeros(n_hidden))
        self.c = nn.Parameter(torch.zeros(n_visible))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """U(±√(6/(n + m))), biases 0.

        Four times as wide, as is usual for sigmoid units, the penalty starts 16 times as large, and
        the walk was worse on scikit-learn's digits.
        """
        bound = math.sqrt(6 / sum(self.W.shape))
        self.W.copy_(bound * (2 * torch.rand(self.W.shape, generator=generator) - 1))

    def encode(self, x: Tensor) -> Tensor:
        return torch.addmm(self.b, x, self.W.T).sigmoid()

    def decode(self, h: Tensor) -> Tensor:
        return torch.addmm(self.c, h, self.W).sigmoid()

    def losses(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means over the batch x (batch, n) of the cross-entropy, in nats, and of ||J_f(x)||²_F.

        J_f = diag(h(1 - h)) W, so the penalty is Σ_j (h_j(1 - h_j))² ||W_j||².
        """
        h = self.encode(x)
        logits = torch.addmm(self.c, h, self.W)
        entropy = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
        penalty = ((h - h * h).square().mean(0) * self.W.square().sum(1)).sum()
        return entropy, penalty

    def tangent(self, h: Tensor, noise: Tensor) -> Tensor:
        """J Jᵀ noise at codes h, both (batch, m): the noise, as far as moves of x can follow it."""
        slope = h - h * h
        return slope * ((slope * noise) @ self.W @ self.W.T)

    def walk(self, x: Tensor, noise: Tensor) -> Tensor:
        """One step x → g(f(x) + J Jᵀ noise) of the published walk, J taken at x (batch, n)."""
        h = self.encode(x)
        return self.decode(h + self.tangent(h, noise))


class StackedCAE(ChainModel):
    """Contractive autoencoders, each trained on the codes of the one below.

    Samples: the walk of the top autoencoder in the space of its input, passed down through the
    decoders of the others; all are means, nothing is drawn but the noise of the walk.

    Parameters
    ----------
    hidden : tuple of int
        Units of each layer. Ours: 1000 and 1000.
    contraction : tuple of float
        λ of each layer: the loss of an image is cross-entropy + λ ||J_f||²_F, both summed, not
        averaged, over units. Ours: 0.1, as the contractive autoencoder of the Theano tutorials;
        the sizes of walk_std that work depend on it. On MNIST the walk then leaves the data for a
        few fixed points; with 1 and 5 it stays near them (see methods.toml).
    lr : float
        Of Adam (ours); falls linearly to zero.
    batch_size : int
        Ours.
    epochs : tuple of int
        Passes of each layer. Ours.
    patience : int or None
        A layer ends after as many passes without a smaller loss on the validation data, if there
        are any, and has the weights of the smallest in any case. Ours.
    walk_std : float or tuple of float
        Standard deviation of the noise of the walk; not published (it may be set on a fitted model
        without new training). Of several, the one under whose samples a Parzen window gives the
        validation data the highest density is taken, the first of equals. 0.3 was best on
        scikit-learn's digits.
    n_chains, burn_in, thin : int
        Chains, steps before the first sample and between two of a chain. Ours. The chains start at
        training images.
    max_updates : int, optional
        Budget of all layers together; each is shortened in proportion, to one update at least.
    random_state : int
    device : str or torch.device

    Attributes
    ----------
    values_ : dict
        With ``walk_std``, where it was chosen; ``history_["walk_scores"]`` has the mean log
        densities of the candidates in nats.
    """

    def __init__(
        self,
        hidden=(1000, 1000),
        *,
        contraction=(0.1, 0.1),
        lr=1e-3,
        batch_size=100,
        epochs=(50, 50),
        patience=10,
        walk_std=0.3,
        n_chains=100,
        burn_in=100,
        thin=10,
        max_updates=None,
        random_state=0,
        device="cpu",
    ):
        self.hidden = hidden
        self.contraction = contraction
        self.lr = lr
        self.batch_size = batch_size
        self.epochs = epochs
        self.patience = patience
        self.walk_std = walk_std
        self.n_chains = n_chains
        self.burn_in = burn_in
        self.thin = thin
        self.max_updates = max_updates
        self.random_state = random_state
        self.device = device

    def _check(self) -> None:
        n = len(self.hidden) if isinstance(self.hidden, tuple | list) else 0
        check_per_layer("hidden", self.hidden, n, 1, whole=True)
        check_per_layer("contraction", self.contraction, n)
        check_per_layer("epochs", self.epochs, n, 1, whole=True)
        check_number("lr", self.lr, above=True)
        check_number("batch_size", self.batch_size, 1, whole=True)
        for std in self._candidates():
            check_number("walk_std", std)
        if self.patience is not None:
            check_number("patience", self.patience, 1, whole=True)
        self._check_chains()

    def _network(self, n_features: int) -> nn.Module:
        sizes = [n_features, *self.hidden]
        network = nn.Module()
        network.layers = nn.ModuleList(Layer(*sizes[i : i + 2]) for i in range(len(self.hidden)))
        network.register_buffer("start", torch.zeros(self.n_chains, n_features))
        return network

    def _candidates(self) -> tuple:
        several = isinstance(self.walk_std, tuple | list) and len(self.walk_std)
        return tuple(self.walk_std) if several else (self.walk_std,)

    def _fit(self, X, validation, checkpoint, progress) -> None:
        if validation is None and len(self._candidates()) > 1:
            raise ValueError(f"walk_std must be a number without validation; got {self.walk_std!r}")
        first, *others, trial = streams(self.random_state, 2 + 2 * len(self.hidden))
        self.network_ = self._network(X.shape[1]).to(self.device)
        self._draw_start(X, first)
        for layer, generator in zip(self.network_.layers, others[::2], strict=True):
            layer.initialise(generator)

        def fit_layer(i, **loop):
            return self._fit_layer(i, X, validation, others[1::2][i], checkpoint=checkpoint, **loop)

        per_pass = len(X) // min(self.batch_size, len(X))
        self._fit_layers([epochs * per_pass for epochs in self.epochs], fit_layer, progress)
        if len(self._candidates()) > 1:
            self._choose_walk(validation, trial)
        elif not isinstance(self.walk_std, Real):
            self.values_["walk_std"] = self._candidates()[0]

    def _choose_walk(self, validation: Tensor, generator: torch.Generator) -> None:
        """Put the best of the candidates into ``values_``; all walks have the same noise."""
        noise, scores = generator.get_state(), []
        for std in self._candidates():
            self.values_["walk_std"] = std
            generator.set_state(noise)
            window = ParzenWindow(device=self.device).fit(
                self.sample(TRIAL, generator), validation=validation[:1000].numpy(force=True)
            )
            scores.append(float(window.validation_scores_.max()))
        self.history_["walk_scores"] = scores
        self.values_["walk_std"] = self._candidates()[scores.index(max(scores))]

    def _fit_layer(self, i, X, validation, order, *, length, max_updates, **loop):
        below, layer = self.network_.layers[:i], self.network_.layers[i]
        batches = Batches(len(X), self.batch_size, order, X.device)
        optimizer = torch.optim.Adam(layer.parameters(), lr=self.lr, fused=True)
        total = min(length, max_updates)
        if validation is not None:
            validation = self._encode(validation, below)

        def step(update):
            optimizer.param_groups[0]["lr"] = self.lr * (1 - update / total)
            entropy, penalty = layer.losses(self._encode(X[batches.next()], below))
            optimizer.zero_grad()
            (entropy + self.contraction[i] * penalty).backward()
            optimizer.step()
            return {"reconstruction": entropy.detach(), "contraction": penalty.detach()}

        def validate():
            losses = 0.0
            for part in validation.split(4096):
                entropy, penalty = layer.losses(part)
                losses += len(part) * (entropy + self.contraction[i] * penalty)
            return losses / len(validation)

        return train(
            step,
            length=length,
            max_updates=max_updates,
            network=layer,
            optimizers=[optimizer],
            streams=[batches],
            validate=None if validation is None else validate,
            patience=self.patience,
            every=min(batches.per_pass, total),
            **loop,
        )

    @staticmethod
    @torch.no_grad()
    def _encode(x: Tensor, layers) -> Tensor:
        for layer in layers:
            x = layer.encode(x)
        return x

    def _begin(self, x, generator):
        return self._encode(x, self.network_.layers[:-1])

    def _move(self, state, generator):
        top = self.network_.layers[-1]
        std = self.walk_std if isinstance(self.walk_std, Real) else self.values_["walk_std"]
        noise = torch.randn(len(state), len(top.b), generator=generator).mul_(std)
        return top.walk(state, noise.to(state))

    def _emit(self, state):
        for layer in reversed(self.network_.layers[:-1]):
            state = layer.decode(state)
        return state
