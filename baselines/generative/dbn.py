"""Deep belief network: a stack of restricted Boltzmann machines, sampled from the top one.

Sources: G. Hinton, S. Osindero, Y.-W. Teh, "A fast learning algorithm for deep belief nets", Neural
Computation 18, 2006 (greedy training; sampling by Gibbs steps in the top machine and a pass down);
Y. Bengio, G. Mesnil, Y. Dauphin, S. Rifai, "Better mixing via deep representations", ICML 2013 (the
figure of Table 2, of a DBN with two layers, whose settings are not published). More: `rbm`.
"""

from __future__ import annotations

import torch
from torch import nn

from .chains import ChainModel, check_per_layer
from .model import check_number
from .rbm import Machine, fit_machine
from .training import streams


class DBN(ChainModel):
    """Greedily trained stack of binary RBMs; with one layer, an RBM.

    Samples: chains of Gibbs steps in the top machine; the means of its visible units given the
    hidden ones pass down as means (mean field), and the means of the pixels are the sample.

    Parameters
    ----------
    hidden : tuple of int
        Units of each layer, from the data up. Ours: 500 and 2000 are the first and the top layer of
        the digit model of Hinton, Osindero & Teh (2006).
    k : tuple of int
        Gibbs steps of an update. Ours: CD-1 below, where features are sought, PCD-1 at the top.
    persistent : tuple of bool
        PCD in place of CD. Ours: at the top, since only that machine is sampled from, and CD says
        nothing of what is far from the data. It has `batch_size` chains.
    lr : tuple of float
        Falls linearly to zero, as in Tieleman (ICML 2008, PCD). Values ours; 0.1 is that of the
        code of Hinton & Salakhutdinov (Science 313, 2006), "the code" below.
    momentum : tuple of two floats
        Before and after `momentum_switch` passes (the code and the guide).
    momentum_switch : float
        5: the code.
    weight_decay : float
        Of the weights, not the biases. 2e-4: the code; the guide says 1e-5 to 0.01.
    batch_size : int
        100: the code; the most that the guide advises.
    epochs : tuple of int
        Passes of each layer. Ours.
    n_chains, burn_in, thin : int
        Chains, steps before the first sample and between two of a chain. Ours. The chains start at
        training images, which the burn-in is to make them forget.
    max_updates : int, optional
        Budget of all layers together; each is shortened in proportion, to one update at least.
    random_state : int
    device : str or torch.device

    Attributes
    ----------
    values_ : dict
        Also ``free_energy_gap_1``, ``_2`` ... if fitted with validation data: mean free energy of
        these less that of as many training points, in nats. It grows with over-fitting (the
        guide); nothing is chosen by it.
    """

    def __init__(
        self,
        hidden=(500, 2000),
        *,
        k=(1, 1),
        persistent=(False, True),
        lr=(0.1, 0.05),
        momentum=(0.5, 0.9),
        momentum_switch=5,
        weight_decay=2e-4,
        batch_size=100,
        epochs=(50, 100),
        n_chains=100,
        burn_in=1000,
        thin=20,
        max_updates=None,
        random_state=0,
        device="cpu",
    ):
        self.hidden = hidden
        self.k = k
        self.persistent = persistent
        self.lr = lr
        self.momentum = momentum
        self.momentum_switch = momentum_switch
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.epochs = epochs
        self.n_chains = n_chains
        self.burn_in = burn_in
        self.thin = thin
        self.max_updates = max_updates
        self.random_state = random_state
        self.device = device

    def _check(self) -> None:
        n = len(self.hidden) if isinstance(self.hidden, tuple | list) else 0
        check_per_layer("hidden", self.hidden, n, 1, whole=True)
        check_per_layer("k", self.k, n, 1, whole=True)
        check_per_layer("lr", self.lr, n, 0, above=True)
        check_per_layer("epochs", self.epochs, n, 1, whole=True)
        check_per_layer("momentum", self.momentum, 2, 0, 1)
        check_number("momentum_switch", self.momentum_switch)
        check_number("weight_decay", self.weight_decay)
        check_number("batch_size", self.batch_size, 1, whole=True)
        kept = self.persistent
        if not isinstance(kept, tuple | list) or [type(x) for x in kept] != [bool] * n:
            raise ValueError(f"persistent must be a tuple of bool, one a layer ({n}); got {kept!r}")
        self._check_chains()

    def _network(self, n_features: int) -> nn.Module:
        sizes = [n_features, *self.hidden]
        chains = [self.batch_size if kept else 0 for kept in self.persistent]
        network = nn.Module()
        network.layers = nn.ModuleList(
            Machine(*sizes[i : i + 2], chains[i]) for i in range(len(self.hidden))
        )
        network.register_buffer("start", torch.zeros(self.n_chains, n_features))
        return network

    def _fit(self, X, validation, checkpoint, progress) -> None:
        n_layers = len(self.hidden)
        first, *others = streams(self.random_state, 1 + 3 * n_layers)
        weights, order, noise = others[::3], others[1::3], others[2::3]
        self.network_ = self._network(X.shape[1]).to(self.device)
        self._draw_start(X, first)
        layers = self.network_.layers
        for layer, generator in zip(layers, weights, strict=True):
            layer.initialise(generator)

        def fit_layer(i, **loop):
            return fit_machine(
                layers[i],
                X,
                layers[:i],
                k=self.k[i],
                lr=self.lr[i],
                momentum=self.momentum,
                momentum_switch=self.momentum_switch,
                weight_decay=self.weight_decay,
                batch_size=self.batch_size,
                order=order[i],
                noise=noise[i],
                checkpoint=checkpoint,
                **loop,
            )

        per_pass = len(X) // min(self.batch_size, len(X))
        self._fit_layers([epochs * per_pass for epochs in self.epochs], fit_layer, progress)
        if validation is not None:
            self._free_energy_gaps(X[: len(validation)], validation)

    @torch.no_grad()
    def _free_energy_gaps(self, train, validation) -> None:
        for i, layer in enumerate(self.network_.layers):
            gap = layer.free_energy(validation).mean() - layer.free_energy(train).mean()
            self.values_[f"free_energy_gap_{i + 1}"] = float(gap)
            train, validation = layer.hidden(train), layer.hidden(validation)

    def _begin(self, x, generator):
        for layer in self.network_.layers:
            x = layer.hidden(x)
        return None, x

    def _move(self, state, generator):
        means, _, p = self.network_.layers[-1].gibbs(state[1], 1, generator)
        return means, p

    def _emit(self, state):
        x = state[0]
        for layer in reversed(self.network_.layers[:-1]):
            x = layer.visible(x)
        return x
