"""The autoencoder of GMMN+AE (Li, Swersky and Zemel 2015; yujiali/pynn): layers and loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from .model import linear


class SigmoidAutoencoder(nn.Module):
    """d-hidden…-d, every layer sigmoid, weights not tied, dropout at the encoder's inputs.

    Dropout is that of the period: in training a unit is set to 0, in use it is multiplied by the
    share that was kept.
    """

    def __init__(self, sizes, dropout):
        super().__init__()
        self.dropout = dropout
        pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.encoder = nn.ModuleList(linear(n_in, n_out) for n_in, n_out in pairs)
        self.decoder = nn.ModuleList(linear(n_out, n_in) for n_in, n_out in pairs[::-1])

    def encode(self, x: Tensor, noise: torch.Generator | None = None, first=0, last=None) -> Tensor:
        """Output of the encoder's layers first..last-1; with dropout if there is `noise`."""
        for layer, rate in list(zip(self.encoder, self.dropout, strict=True))[first:last]:
            if noise is not None and rate:
                mask = torch.empty(x.shape).bernoulli_(1 - rate, generator=noise)
                x = x * mask.to(x.device)
            elif rate:
                x = x * (1 - rate)
            x = layer(x).sigmoid()
        return x

    def decode_logits(self, h: Tensor, first: int = 0, last: int | None = None) -> Tensor:
        """Output of the decoder's layers first..last-1, before the last sigmoid."""
        for i, layer in enumerate(self.decoder[first:last]):
            h = layer(h if i == 0 else h.sigmoid())
        return h

    def decode(self, h: Tensor) -> Tensor:
        return self.decode_logits(h).sigmoid()

    def loss(self, x: Tensor, noise=None, layer: int | None = None) -> Tensor:
        """Binary cross-entropy of x in nats, summed over features, mean over rows.

        Of the whole autoencoder, or of one layer of it (greedy pre-training), whose input x is.
        """
        if layer is None:
            logits = self.decode_logits(self.encode(x, noise))
        else:
            i = len(self.decoder) - 1 - layer
            logits = self.decode_logits(self.encode(x, noise, layer, layer + 1), i, i + 1)
        return binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
