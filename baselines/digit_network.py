"""A small convolutional classifier of digits, whose features samples are compared in.

Made for measuring only: the labels of MNIST that it is trained on reach no model that is measured.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIDE = 28  # pixels of an image
CLASSES = 10
CHANNELS = (8, 16, 16)  # ours: about 27,000 weights, which a repository can hold


class DigitNetwork(nn.Module):
    """Three convolutions of 5 x 5, each halving the image; `n_features`; logits; ReLU between."""

    def __init__(self, n_features: int):
        super().__init__()
        layers, before, side = [], 1, SIDE
        for channels in CHANNELS:
            layers += [nn.Conv2d(before, channels, 5, stride=2, padding=2), nn.ReLU()]
            before, side = channels, (side + 1) // 2
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        self.hidden = nn.Linear(before * side**2, n_features)
        self.output = nn.Linear(n_features, CLASSES)

    def features(self, images: Tensor) -> Tensor:
        """What the last layer sees of images (n, 784) in [0, 1]: (n, n_features), from 0."""
        return self.hidden(self.convolutions(images.view(-1, 1, SIDE, SIDE))).relu()

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, 10)."""
        return self.output(self.features(images))


def draw_weights(network: DigitNetwork, generator: torch.Generator) -> None:
    """Weights of He et al. 2015 from `generator`, biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)
