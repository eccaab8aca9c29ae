"""Generative adversarial network: a generator against a maxout discriminator.

Goodfellow et al., "Generative Adversarial Nets", NIPS 2014. The settings are those of its code for
MNIST (goodfeli/adversarial, ``mnist.yaml`` and ``AdversaryCost2``; the learning rules: pylearn2).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ..parzen import ParzenWindow
from .cuda import generator_on, recorded, sgd
from .model import GenerativeModel, check_number, check_sizes, generator_network, linear
from .training import Batches, set_sgd, streams, train

LATENT_BOUND = math.sqrt(3.0)  # published: uniform noise of unit variance
LR_DECAY = 1.000004  # published: lr is divided by this after each update
MIN_LR = 1e-6  # published
WATCHED = 1000  # samples, and validation points, of the watched density (published: 100 samples)


class Maxout(nn.Module):
    """Units that are the largest of `pieces` linear functions of the input."""

    def __init__(self, n_in: int, n_units: int, pieces: int):
        super().__init__()
        self.pieces, self.linear = pieces, linear(n_in, n_units * pieces)

    def forward(self, x: Tensor) -> Tensor:
        # Piece by piece, not unit by unit: the maximum then runs along contiguous memory.
        return self.linear(x).unflatten(1, (self.pieces, -1)).amax(1)


class Discriminator(nn.Module):
    """Maxout layers and one logit: log P(data) / P(sample); dropout at the input of each layer.

    Dropout is pylearn2's: a unit is kept with its probability and then multiplied by a scale.
    Published: kept with 0.8, × 1.25, at the first layer; with 0.5, × 2, at the others.
    """

    def __init__(self, n_in: int, units, pieces: int, keep_input: float, keep_hidden: float):
        super().__init__()
        sizes = [n_in, *units]
        pairs = zip(sizes[:-1], sizes[1:], strict=True)
        self.layers = nn.ModuleList(
            [*(Maxout(a, b, pieces) for a, b in pairs), linear(sizes[-1], 1)]
        )
        self.keep = [keep_input] + [keep_hidden] * len(units)

    def forward(self, x: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """Logits, shape (n,); with dropout if there is `noise`."""
        for layer, keep in zip(self.layers, self.keep, strict=True):
            if noise is not None and keep < 1:
                mask = torch.empty(x.shape, device=noise.device).bernoulli_(keep, generator=noise)
                x = x * mask.div_(keep).to(x.device)
            x = layer(x)
        return x.squeeze(1)


def learning_rate(update: int, lr: float) -> float:
    """Learning rate of update 0, 1 and so on."""
    return max(MIN_LR, lr / LR_DECAY**update)


def momentum_of_epoch(epoch: int, first: float, last: float, saturate: int) -> float:
    """Of epoch 0, 1, …: `first` in the first, then linearly to `last` in the epoch `saturate`."""
    share = min(1.0, epoch / max(1, saturate - 1))
    return (1 - share) * first + share * last


class GAN(GenerativeModel):
    """Generative adversarial network on [0, 1]^d.

    Both networks take their step from the same forward pass and the same dropout masks: the
    discriminator down ``(BCE(D(x), 1) + BCE(D(G(z)), 0)) / 2``, the generator down
    ``BCE(D(G(z)), 1)``, the form that does not saturate.

    Parameters
    ----------
    latent_dim : size of z, uniform in [-√3, √3]. Published: 100.
    generator_hidden : ReLU layers; sigmoid output. Published: (1200, 1200).
    units, pieces : of the discriminator's maxout layers. Published: (240, 240) of 5.
    keep_input, keep_hidden : dropout's kept shares. Published: 0.8 and 0.5.
    generator_range, discriminator_range : weights start uniform in ± this. Published: 0.05 and
        0.005. Biases start at 0, the generator's output biases at the logits of the means of X:
        published (``init_sigmoid_bias_from_marginals`` in mnist.yaml).
    lr : of SGD, divided by 1.000004 at each update, to 1e-6 at least. Published: 0.1.
    momentum, final_momentum, saturate : from the first (0.5) in the first epoch to the last (0.7)
        in the epoch number `saturate` (250), all published; learning rate in the velocity.
    batch_size : points, and samples, an update. Published: 100.
    updates : length of the training. Ours: 125,000, the epochs until the momentum saturates for
        50,000 points; the published settings have no end, it was stopped by hand.
    max_updates : budget; None for no other limit.
    random_state, device : seed of all draws; where to compute. On a CUDA device the noise of the
        training is drawn there, other numbers from the same seed; that of samples on the CPU.

    The published training watches the density that a Parzen window on samples gives to validation
    images. With validation data, so does this one, on the first 1000 of them, and keeps the weights
    of the highest: that they are kept is ours, since adversaries do not settle.

    Attributes
    ----------
    values_ : ``updates``, ``stopped_by``, ``final_discriminator``, ``final_generator``; with
        validation ``best_update``, ``best_validation``.
    history_ : ``update``, ``discriminator``, ``generator`` (the two losses, nats); with validation
        ``validation`` (minus the mean log density, nats).
    """

    def __init__(
        self,
        latent_dim=100,
        generator_hidden=(1200, 1200),
        units=(240, 240),
        pieces=5,
        keep_input=0.8,
        keep_hidden=0.5,
        generator_range=0.05,
        discriminator_range=0.005,
        lr=0.1,
        momentum=0.5,
        final_momentum=0.7,
        saturate=250,
        batch_size=100,
        updates=125_000,
        max_updates=None,
        random_state=0,
        device="cpu",
    ):
        self.latent_dim = latent_dim
        self.generator_hidden = generator_hidden
        self.units = units
        self.pieces = pieces
        self.keep_input = keep_input
        self.keep_hidden = keep_hidden
        self.generator_range = generator_range
        self.discriminator_range = discriminator_range
        self.lr = lr
        self.momentum = momentum
        self.final_momentum = final_momentum
        self.saturate = saturate
        self.batch_size = batch_size
        self.updates = updates
        self.max_updates = max_updates
        self.random_state = random_state
        self.device = device

    def _check(self):
        for name in ("latent_dim", "pieces", "saturate", "batch_size", "updates"):
            check_number(name, getattr(self, name), 1, whole=True)
        for name in ("generator_range", "discriminator_range", "lr"):
            check_number(name, getattr(self, name), above=True)
        for name in ("momentum", "final_momentum"):
            check_number(name, getattr(self, name), 0, 1)
        for name in ("keep_input", "keep_hidden"):
            check_number(name, getattr(self, name), 0, 1, above=True)
        check_sizes("generator_hidden", self.generator_hidden)
        check_sizes("units", self.units)

    def _network(self, n_features: int) -> nn.Module:
        sizes = [self.latent_dim, *self.generator_hidden, n_features]
        return nn.ModuleDict(
            {
                "generator": generator_network(sizes),
                "discriminator": Discriminator(
                    n_features, self.units, self.pieces, self.keep_input, self.keep_hidden
                ),
            }
        )

    def _fit(self, X, validation, checkpoint, progress):
        weights, order, noise, watch = streams(self.random_state, 4)
        network = self._network(X.shape[1])
        for name, bound in (
            ("generator", self.generator_range),
            ("discriminator", self.discriminator_range),
        ):
            for layer in network[name].modules():
                if isinstance(layer, nn.Linear):
                    nn.init.uniform_(layer.weight, -bound, bound, generator=weights)
                    nn.init.zeros_(layer.bias)
        network["generator"][-2].bias.data.copy_(X.mean(0).clamp(1e-7, 1 - 1e-7).logit())
        self.network_ = network.to(self.device)
        batches = Batches(len(X), self.batch_size, order, self.device)
        noise = generator_on(self.device, noise)
        optimizer = sgd(network.parameters(), self.lr)

        def update(x: Tensor) -> dict[str, Tensor]:
            optimizer.zero_grad()
            losses = self._backward(x, noise)
            optimizer.step()
            return losses

        make = recorded(update, optimizer, noise)

        def step(number: int) -> dict[str, Tensor]:
            epoch = number // batches.per_pass
            momentum = momentum_of_epoch(epoch, self.momentum, self.final_momentum, self.saturate)
            set_sgd(optimizer, learning_rate(number, self.lr), momentum)
            return make(X[batches.next()])

        draws = watch.get_state()

        def validate() -> float:
            watch.set_state(draws)  # the same latent points at every evaluation
            samples = self._sample(WATCHED, watch).numpy(force=True)
            window = ParzenWindow(device=self.device)
            return -float(window.fit(samples, validation=watched).validation_scores_.max())

        watched = None if validation is None else validation[:WATCHED].numpy(force=True)
        self.history_, self.values_ = train(
            step,
            length=self.updates,
            max_updates=self.max_updates,
            network=network,
            optimizers=[optimizer],
            streams=[batches, noise],
            validate=None if validation is None else validate,
            checkpoint=checkpoint,
            phase="adversaries",
            progress=progress,
        )
        for name in ("discriminator", "generator"):
            self.values_[f"final_{name}"] = self.history_[name][-1]

    def _backward(self, x: Tensor, noise: torch.Generator) -> dict[str, Tensor]:
        """Leave each network's gradient of its own loss; the losses on points x and new samples."""
        discriminator = self.network_["discriminator"]
        made = self.network_["generator"](self._latent(len(x), noise))
        samples = made.detach().requires_grad_()
        real, fake = discriminator(x, noise), discriminator(samples, noise)
        loss = 0.5 * (softplus(-real).mean() + softplus(fake).mean())
        generator_loss = softplus(-fake).mean()
        # Only as far as needed: to the samples for the one, to the weights for the other.
        (slope,) = torch.autograd.grad(generator_loss, samples, retain_graph=True)
        loss.backward(inputs=list(discriminator.parameters()))
        made.backward(slope)
        return {"discriminator": loss.detach(), "generator": generator_loss.detach()}

    def _latent(self, n: int, generator: torch.Generator) -> Tensor:
        z = torch.rand(n, self.latent_dim, generator=generator, device=generator.device)
        return z.mul_(2).sub_(1).mul_(LATENT_BOUND).to(self.device)

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self.network_["generator"](self._latent(n, generator))
