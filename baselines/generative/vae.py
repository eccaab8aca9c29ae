"""Variational autoencoder with a Gaussian posterior and a Bernoulli decoder.

Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014: section 5 and appendices B and C.
The paper that is reproduced here discusses it but has no row for it.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ..torch_state import own_switches
from .model import (
    GenerativeModel,
    check_generator,
    check_number,
    check_sizes,
    linear,
)
from .training import Batches, streams, train

BLOCK = 4096  # rows of an evaluation at once


class VAENetwork(nn.Module):
    """Encoder d-hidden-(mean, log variance) of z, decoder z-hidden-logits of d; tanh layers."""

    def __init__(self, n_features: int, hidden, latent_dim: int):
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = _tanh_layers([n_features, *hidden, 2 * latent_dim])
        self.decoder = _tanh_layers([latent_dim, *hidden[::-1], n_features])

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | x), each of shape (n, latent_dim)."""
        return self.encoder(x).chunk(2, dim=1)

    def negative_elbo(self, x: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction and divergence, nats a point: their sum is −ELBO, one draw a point.

        `draws` (n, latent_dim) are standard normal; z = mean + exp(log variance / 2) · draws.
        """
        mean, log_variance = self.posterior(x)
        z = torch.addcmul(mean, log_variance.mul(0.5).exp(), draws)
        loss = binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        return loss / len(x), divergence(mean, log_variance).mean()


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, diag exp(log variance)) ‖ N(0, I)) of each row, nats (appendix B)."""
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1)


def _tanh_layers(sizes) -> nn.Sequential:
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [linear(n_in, n_out), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


class VAE(GenerativeModel):
    """Variational autoencoder on [0, 1]^d; grey values count as probabilities of a 1.

    Parameters
    ----------
    latent_dim : size of z ~ N(0, I). Ours among theirs (3, 5, 10, 20, 200 on MNIST): 20.
    hidden : tanh layers of the encoder; the decoder mirrors them. Theirs for MNIST: (500,).
    init_std : of the initial weights. Theirs: 0.01, if N(0, 0.01) states a deviation; biases,
        which they draw alike, start at 0 (ours).
    lr : of Adam, which is ours (theirs: Adagrad, at a rate picked from {0.01, 0.02, 0.1} by its
        first updates, and a weak weight decay, left out here).
    batch_size : points an update, one draw of z each. Theirs: 100.
    updates : length of the training. Ours: 300,000.
    patience : evaluations of the validation points, one every `every` updates, without a better
        ELBO that end the training; the best weights are kept. Without validation points neither
        happens. Ours: 10 of 1000 updates.
    max_updates : budget; None for no other limit.
    random_state, device : seed of all draws; where to compute.

    Attributes
    ----------
    values_ : ``updates``, ``stopped_by``, ``final_elbo`` (nats a training point, mean over the last
        entry of the history) and, with validation points, ``validation_elbo``, ``best_update``.
    history_ : ``update``, ``reconstruction``, ``divergence``, ``validation`` (−ELBO, nats a point).
    """

    def __init__(
        self,
        latent_dim=20,
        hidden=(500,),
        init_std=0.01,
        lr=1e-3,
        batch_size=100,
        updates=300_000,
        every=1000,
        patience=10,
        max_updates=None,
        random_state=0,
        device="cpu",
    ):
        self.latent_dim = latent_dim
        self.hidden = hidden
        self.init_std = init_std
        self.lr = lr
        self.batch_size = batch_size
        self.updates = updates
        self.every = every
        self.patience = patience
        self.max_updates = max_updates
        self.random_state = random_state
        self.device = device

    def _check(self):
        for name in ("latent_dim", "batch_size", "updates", "every", "patience"):
            check_number(name, getattr(self, name), 1, whole=True)
        for name in ("init_std", "lr"):
            check_number(name, getattr(self, name), above=True)
        check_sizes("hidden", self.hidden)

    def _network(self, n_features: int) -> nn.Module:
        return VAENetwork(n_features, tuple(self.hidden), self.latent_dim)

    def _fit(self, X, validation, checkpoint, progress):
        weights, order, noise, judge = streams(self.random_state, 4)
        network = self._network(X.shape[1])
        for layer in network.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=self.init_std, generator=weights)
                nn.init.zeros_(layer.bias)
        self.network_ = network.to(self.device)
        batches = Batches(len(X), self.batch_size, order, self.device)
        optimizer = torch.optim.Adam(network.parameters(), lr=self.lr, fused=True)

        def step(update: int) -> dict[str, Tensor]:
            x = X[batches.next()]
            reconstruction, penalty = network.negative_elbo(x, self._normal(len(x), noise))
            optimizer.zero_grad()
            (reconstruction + penalty).backward()
            optimizer.step()
            return {"reconstruction": reconstruction.detach(), "divergence": penalty.detach()}

        validate = None
        if validation is not None:
            # The same draws at every evaluation: else chance would choose among the weights.
            draws = self._normal(len(validation), judge)

            def validate() -> float:
                return -self._elbo(validation, draws)

        self.history_, self.values_ = train(
            step,
            length=self.updates,
            max_updates=self.max_updates,
            network=network,
            optimizers=[optimizer],
            streams=[batches, noise],
            checkpoint=checkpoint,
            phase="variational bound",
            progress=progress,
            validate=validate,
            patience=self.patience,
            every=self.every,
        )
        last = [self.history_[name][-1] for name in ("reconstruction", "divergence")]
        self.values_["final_elbo"] = -sum(last)
        if validation is not None:
            self.values_["validation_elbo"] = -self.values_.pop("best_validation")

    def _normal(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, self.latent_dim, generator=generator).to(self.device)

    def _elbo(self, X: Tensor, draws: Tensor) -> float:
        """Mean over the rows of X, one draw each."""
        total = 0.0
        for x, e in zip(X.split(BLOCK), draws.split(BLOCK), strict=True):
            total -= float(sum(self.network_.negative_elbo(x, e))) * len(x)
        return total / len(X)

    @own_switches()
    @torch.no_grad()
    def elbo(self, X, generator: torch.Generator) -> float:
        """Evidence lower bound of X (n, d), nats a point, one draw each from `generator` (CPU)."""
        check_is_fitted(self, "network_")
        check_generator(generator)
        X = torch.tensor(self._unit("X", X), device=self.device)
        return self._elbo(X, self._normal(len(X), generator))

    @own_switches()
    @torch.no_grad()
    def reconstruct(self, X) -> np.ndarray:
        """Decoder means at the posterior means of X (n, d): (n, d) float32."""
        check_is_fitted(self, "network_")
        X = torch.tensor(self._unit("X", X), device=self.device)
        net = self.network_
        parts = [net.decoder(net.posterior(x)[0]).sigmoid().cpu() for x in X.split(BLOCK)]
        return torch.cat(parts).numpy()

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self.network_.decoder(
            self._normal(n, generator)
        ).sigmoid()  # means, not binary draws
