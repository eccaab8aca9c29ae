"""The classifier of digits whose features samples are compared in, trained on the labels of MNIST.

Its record has the weights; `baselines.feature_measures` measures with a copy of them, so that all
machines measure with the same ones.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from baselines.digit_network import DigitNetwork, draw_weights
from baselines.protocols import PROTOCOLS

BLOCK = 1000  # images of an evaluation at once


def digit_classifier(
    dataset,
    inputs: dict,
    seed: int,
    progress=None,
    *,
    n_features: int,
    epochs: int,
    batch_size: int,
    lr: float,
) -> tuple[dict, dict]:
    """Train on the images that models train on, and judge by the rest of the 60,000.

    Parameters
    ----------
    dataset
        Has ``X`` (60,000, 784) in [0, 1] and the classes ``y``, 0 to 9.
    inputs : ignored
    seed : int
        Of weights and batches.
    progress : callable or None
    n_features, epochs, batch_size : int
    lr : float
        Of Adam at the start; it falls to zero linearly.

    Returns
    -------
    arrays : dict of ndarray of float16
        The weights, by name.
    values : dict
        ``accuracy``, in percent, of the rounded weights on the ``n_held_out`` images that were not
        trained on; ``n_trained_on``, ``updates``.
    """
    train, held_out = PROTOCOLS["goodfellow"].split(len(dataset.X))
    held_out = np.setdiff1d(np.arange(len(dataset.X)), train)
    X, y = torch.from_numpy(dataset.X), torch.from_numpy(dataset.y.astype(np.int64))
    generator = torch.Generator().manual_seed(seed)
    network = DigitNetwork(n_features)
    draw_weights(network, generator)
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    batches = -(-len(train) // batch_size)
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, epochs * batches)
    for epoch in range(epochs):
        order = torch.from_numpy(train)[torch.randperm(len(train), generator=generator)]
        for rows in order.split(batch_size):
            loss = cross_entropy(network(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            falling.step()
        if progress is not None:
            progress(epoch + 1, epochs, "classifier")
    weights = {name: value.half() for name, value in network.state_dict().items()}
    network.load_state_dict(weights)
    with torch.no_grad():
        found = [network(X[rows]).argmax(1) for rows in torch.from_numpy(held_out).split(BLOCK)]
    values = {
        "accuracy": 100 * float((torch.cat(found).numpy() == dataset.y[held_out]).mean()),
        "n_held_out": len(held_out),
        "n_trained_on": len(train),
        "updates": epochs * batches,
    }
    return {name: value.numpy() for name, value in weights.items()}, values
