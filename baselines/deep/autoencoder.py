"""The autoencoder of the deep clusterings, d-500-500-2000-p, and how it is trained.

Sources: J. Xie, R. Girshick, A. Farhadi, "Unsupervised deep embedding for clustering analysis",
ICML 2016 (layers, denoising, lengths); X. Guo's code, DEC-keras (Adam in place of the SGD of the
paper).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, relu

from ..generative.model import linear
from ..generative.training import Batches, part_of, train

BLOCK = 4096  # rows that are encoded at once


class Autoencoder(nn.Module):
    """Layers of ReLUs, but for the code and the output, which are linear.

    Parameters
    ----------
    sizes : sequence of int
        From the features to the code; the decoder mirrors them.
    output : {"gaussian", "bernoulli"}
        What the output stands for: means, or logits of values in [0, 1].
    """

    def __init__(self, sizes, output: str = "gaussian"):
        super().__init__()
        pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.encoder = nn.ModuleList(linear(n_in, n_out) for n_in, n_out in pairs)
        self.decoder = nn.ModuleList(linear(n_out, n_in) for n_in, n_out in pairs[::-1])
        self.output = output

    def initialise(self, generator: torch.Generator) -> None:
        """Weights U(±√(6/(m + n))) (Glorot and Bengio 2010), biases 0; `generator` on the CPU."""
        for layer in (*self.encoder, *self.decoder):
            glorot(layer, generator)

    def hidden(self, x: Tensor, depth: int | None = None) -> Tensor:
        """Output of the encoder's first `depth` layers, all but the last by default; ReLUs."""
        for layer in self.encoder[: len(self.encoder) - 1 if depth is None else depth]:
            x = relu(layer(x))
        return x

    def encode(self, x: Tensor) -> Tensor:
        """Codes of x (n, d): (n, p)."""
        return self.encoder[-1](self.hidden(x))

    def decode(self, h: Tensor) -> Tensor:
        """Outputs of codes h (n, p), before the sigmoid where there is one: (n, d)."""
        for layer in self.decoder[:-1]:
            h = relu(layer(h))
        return self.decoder[-1](h)

    def reconstruction(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Loss of `outputs` for x, both (n, d), summed over features: (n,).

        Squared distance, or cross-entropy in nats.
        """
        if self.output == "bernoulli":
            return binary_cross_entropy_with_logits(outputs, x, reduction="none").sum(1)
        return (outputs - x).square().sum(1)

    def loss(self, x: Tensor) -> Tensor:
        """Mean of the reconstruction loss over points and features."""
        return self.reconstruction(self.decode(self.encode(x)), x).mean() / x.shape[1]

    def layer_loss(self, x: Tensor, i: int, corruption: float, noise: torch.Generator) -> Tensor:
        """Loss of layer i alone, 0 the lowest, as a denoising autoencoder of what is below it.

        Its input and its hidden units are dropped with probability `corruption` (section 3.2 of
        Xie et al.). Only the code and the output of the lowest layer are linear.
        """
        top = i == len(self.encoder) - 1
        with torch.no_grad():
            below = self.hidden(x, i)
        h = self.encoder[i](dropped(below, corruption, noise))
        h = dropped(h if top else relu(h), corruption, noise)
        outputs = self.decoder[-1 - i](h)
        if i == 0:
            return self.reconstruction(outputs, x).mean() / x.shape[1]
        return (relu(outputs) - below).square().mean()


def glorot(layer: nn.Linear, generator: torch.Generator) -> None:
    """Draw the weights of a layer; its biases are 0."""
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)


def dropped(x: Tensor, share: float, noise: torch.Generator) -> Tensor:
    """x with that share of its entries 0, the others divided by 1 − share; `noise` on the CPU."""
    if not share:
        return x
    kept = torch.rand(x.shape, generator=noise).to(x.device) >= share
    return x * kept / (1 - share)


def in_blocks(function, X: Tensor) -> Tensor:
    """`function` of blocks of rows of X, one below the other, without gradients."""
    with torch.no_grad():
        return torch.cat([function(x) for x in X.split(BLOCK)])


def pretrain(
    network: Autoencoder,
    X: Tensor,
    *,
    layer_updates: int,
    corruption: float,
    updates: int,
    lr: float,
    batch_size: int,
    generators,
    checkpoint=None,
    progress=None,
    whole: int,
) -> dict:
    """Train each layer as a denoising autoencoder, then all together; Adam.

    Parameters
    ----------
    layer_updates, updates : int
        Mini-batches of each layer (0: none is trained alone) and of the whole.
    generators : list of torch.Generator
        Two for each layer and two for the whole: order of the batches, dropped entries (CPU).
    whole : int
        Updates of the training of which this is the beginning, for `progress`.

    Returns
    -------
    dict of list
        ``layer 1 …`` and ``autoencoder``: mean losses since the entry before, and ``… update``.
    """
    phases = [*range(len(network.encoder)), None]
    history, done = {}, 0
    for i, order, noise in zip(phases, generators[::2], generators[1::2], strict=True):
        if i is not None and not layer_updates:
            continue
        batches = Batches(len(X), batch_size, order, X.device)
        layers = [network] if i is None else [network.encoder[i], network.decoder[-1 - i]]
        parameters = nn.ModuleList(layers).parameters()
        optimizer = torch.optim.Adam(parameters, lr=lr, fused=True)
        length = updates if i is None else layer_updates
        name = "autoencoder" if i is None else f"layer {i + 1}"

        def step(update, i=i, batches=batches, noise=noise, optimizer=optimizer):
            x = X[batches.next()]
            loss = network.loss(x) if i is None else network.layer_loss(x, i, corruption, noise)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss.detach()

        curves, values = train(
            step,
            length=length,
            max_updates=None,
            network=network,
            optimizers=[optimizer],
            streams=[batches, noise],
            checkpoint=checkpoint,
            phase=name,
            progress=part_of(progress, done, whole),
        )
        done += values["updates"]
        history |= {f"{name} update": curves["update"], name: curves["loss"]}
    return history
