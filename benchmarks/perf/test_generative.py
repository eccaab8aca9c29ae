"""Updates of the deep GSN and of the GAN at their published sizes, of 784 pixels.

On a GPU a recorded update against the same launched kernel by kernel. ``--full`` times more of
them. Seconds are those of a short training, its set-up included.
"""

import numpy as np
import pytest

from baselines.generative import cuda
from baselines.generative.gan import GAN
from baselines.generative.gsn import GSN

PIXELS, BATCH = 784, 100


def gsn_operations(model) -> int:
    """Of an update: steps t share products with W1 forward, back and for the gradient, and W2."""
    (n1, n2), steps = model.hidden, model.walkback
    return 2 * BATCH * (5 * steps * PIXELS * n1 + 6 * (steps - 1) * n1 * n2)


def gan_operations(model) -> int:
    """Of an update: what leads to an input is left out where nothing needs its gradient."""

    def products(sizes):
        return [a * b for a, b in zip(sizes[:-1], sizes[1:], strict=True)]

    g = products([model.latent_dim, *model.generator_hidden, PIXELS])
    inputs = [PIXELS, *model.units]
    first, *later = [a * b * model.pieces for a, b in zip(inputs, model.units, strict=False)]
    later = sum(later) + inputs[-1]
    return 2 * BATCH * (3 * sum(g) - g[0] + 5 * first + 7 * later)


@pytest.mark.parametrize(
    ("name", "kind", "operations"),
    [("deep GSN", GSN, gsn_operations), ("GAN", GAN, gan_operations)],
    ids=["gsn", "gan"],
)
def test_updates(compare, full, device, monkeypatch, name, kind, operations):
    updates = (20 if device == "cpu" else 500) * (4 if full else 1)
    X = np.random.default_rng(0).random((5000, PIXELS), dtype=np.float32)
    model = kind(max_updates=updates, device=device)

    def launched():
        with monkeypatch.context() as patch:
            patch.setattr(cuda, "WARM_UP", updates)
            model.fit(X)

    others = {} if device == "cpu" else {"kernels launched one by one": (launched, 1, 1.0)}
    compare(
        f"{name}, {updates} updates",
        lambda: model.fit(X),
        flops=updates * operations(model),
        others=others,
        updates=updates,
    )
