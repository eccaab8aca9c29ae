"""The two published protocols of the Parzen-window score on MNIST: how the width is chosen."""

from dataclasses import dataclass

import numpy as np

MNIST_TRAINING_IMAGES = 60_000


@dataclass(frozen=True)
class Protocol:
    """How a published evaluation chooses the width.

    Attributes
    ----------
    name : str
    widths : tuple of float
        The grid, in units of a pixel in [0, 1].
    seed : int or None
        Of the permutation of the 60,000 MNIST training images; None for the published order.
    train, validation : slice
        Of that order. What a model trains on, and what the width is chosen on.
    fresh_samples : bool
        Whether the test points are scored by other samples than the width was chosen with:
        ``ParzenWindow(width=window.width_).fit(fresh)``.
    source : str
    """

    name: str
    widths: tuple
    seed: int | None
    train: slice
    validation: slice
    fresh_samples: bool
    source: str

    def split(self, n: int = MNIST_TRAINING_IMAGES) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the training images (n, d) to train on, and those to choose the width on.

        Raises ValueError unless n is 60,000: the protocols name rows of MNIST.
        """
        if n != MNIST_TRAINING_IMAGES:
            raise ValueError(
                f"n must be {MNIST_TRAINING_IMAGES}, all training images of MNIST in their order, "
                f"for protocol {self.name!r}; got {n!r}"
            )
        order = np.arange(n)
        if self.seed is not None:
            order = np.random.RandomState(self.seed).permutation(n)
        return order[self.train], order[self.validation]


GOODFELLOW = Protocol(
    name="goodfellow",
    widths=tuple(np.logspace(-1, 0, 10).tolist()),
    seed=None,
    train=slice(50_000),
    validation=slice(50_000, 51_000),
    fresh_samples=False,
    source="goodfeli/adversarial, parzen_ll.py: its defaults for MNIST",
)
GMMN = Protocol(
    name="gmmn",
    widths=tuple(np.arange(0.1, 0.3, 0.01).tolist()),
    seed=0,
    train=slice(5000, None),
    validation=slice(5000),
    fresh_samples=True,
    source="yujiali/gmmn, eval_mmd_generative_model.py and dataio/mnist.py",
)
PROTOCOLS = {protocol.name: protocol for protocol in (GOODFELLOW, GMMN)}
