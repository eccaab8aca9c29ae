"""Deep generative stochastic network with two hidden layers, trained by walkback.

Sources: Y. Bengio, E. Thibodeau-Laufer, G. Alain, J. Yosinski, "Deep generative stochastic networks
trainable by backprop", ICML 2014; its code, github.com/yaoli/GSN at 9f342de (run_gsn.py, model.py),
whose settings are the defaults here.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .chains import ChainModel, bernoulli, check_per_layer
from .cuda import generator_on, recorded, sgd
from .model import check_number
from .training import Batches, streams, train


def salt_and_pepper(x: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """x with each entry, at `rate`, replaced by 0 or 1 with equal chances."""
    u = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=generator.device)
    u = u.to(x.device)
    return torch.where(u < 1 - rate, x, (u >= 1 - rate / 2).to(x.dtype))


class Network(nn.Module):
    """x ↔ h1 ↔ h2 with weights W1 (d, n1) and W2 (n1, n2) used in both directions.

    A step of the chain updates h1 from both sides, then the input and h2 from h1::

        h1 = tanh(x W1 + h2 W2ᵀ + b1)
        P(X|h) = σ(h1 W1ᵀ + b0);  x = salt_and_pepper(draw of it)
        h2 = tanh(h1 W2 + b2 + noise) + noise

    Parameters
    ----------
    sizes : d, n1, n2
    rate : of the salt and pepper
    std : of the Gaussian noise before and after the activation of h2; h1 has none.
    """

    def __init__(self, sizes, rate: float, std: float, n_start: int):
        super().__init__()
        d, n1, n2 = sizes
        self.W1, self.W2 = nn.Parameter(torch.zeros(d, n1)), nn.Parameter(torch.zeros(n1, n2))
        self.b0, self.b1, self.b2 = (nn.Parameter(torch.zeros(size)) for size in sizes)
        self.rate, self.std = rate, std
        self.register_buffer("start", torch.zeros(n_start, d))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Published: U(±√(6 / (rows + columns))); biases 0."""
        for W in (self.W1, self.W2):
            bound = math.sqrt(6 / sum(W.shape))
            W.copy_(bound * (2 * torch.rand(W.shape, generator=generator) - 1))

    def corrupt(self, x: Tensor, generator) -> Tensor:
        return salt_and_pepper(x, self.rate, generator)

    def middle(self, x: Tensor, h2: Tensor | None) -> tuple[Tensor, Tensor]:
        """h1 (batch, n1) and the logits of P(X|h) (batch, d); h2 is None for zeros."""
        a = torch.addmm(self.b1, x, self.W1)
        h1 = (a if h2 is None else a.addmm_(h2, self.W2.T)).tanh_()
        return h1, torch.addmm(self.b0, h1, self.W1.T)

    def top(self, h1: Tensor, generator) -> tuple[Tensor, Tensor]:
        """The activation of h2 without and with the noise after it, (batch, n2) each."""
        activation = self._noisy(torch.addmm(self.b2, h1, self.W2), generator).tanh_()
        return activation, self._noisy(activation, generator)

    def _noisy(self, a: Tensor, generator) -> Tensor:
        noise = torch.randn(a.shape, generator=generator, dtype=a.dtype, device=generator.device)
        return torch.add(a, noise.to(a.device), alpha=self.std)

    def backpropagate(self, x: Tensor, steps: int, generator) -> tuple[Tensor, Tensor]:
        """Put the gradient of the walkback loss of images x (batch, d) into ``grad``.

        The loss is the sum over `steps` steps of the mean binary cross-entropy between P(X|h) and
        x, in nats a pixel. The draws are constants, so nothing flows back through the input.
        Written out, since all steps then share two products a weight matrix, not one a step.

        Returns
        -------
        The loss, and the part of the last step.
        """
        inputs, h1s, h2s, activations = [self.corrupt(x, generator)], [], [], []
        losses, errors = [], []  # errors: gradients of the loss at the logits
        for t in range(steps):
            h1, logits = self.middle(inputs[-1], h2s[-1] if h2s else None)
            losses.append(F.binary_cross_entropy_with_logits(logits, x))
            p = logits.sigmoid_()
            h1s.append(h1)
            if t < steps - 1:
                inputs.append(self.corrupt(bernoulli(p, generator), generator))
                activation, h2 = self.top(h1, generator)
                activations.append(activation)
                h2s.append(h2)
            errors.append((p - x).div_(x.numel()))
        d1s, d2s = [], []  # gradients of the loss at what is inside the tanh of h1 and of h2
        for t in reversed(range(steps)):
            d = errors[t] @ self.W1
            if t < steps - 1:
                d2s.append((d1s[-1] @ self.W2).mul_(1 - activations[t].square()))
                d.addmm_(d2s[-1], self.W2.T)
            d1s.append(d.mul_(1 - h1s[t].square()))
        errors, h1, d1 = torch.cat(errors), torch.cat(h1s), torch.cat(d1s[::-1])
        self.W1.grad = torch.addmm(torch.cat(inputs).T @ d1, errors.T, h1)
        self.b0.grad, self.b1.grad = errors.sum(0), d1.sum(0)
        if steps > 1:
            d2, later = torch.cat(d2s[::-1]), len(x)
            self.W2.grad = torch.addmm(h1[:-later].T @ d2, d1[later:].T, torch.cat(h2s))
            self.b2.grad = d2.sum(0)
        return sum(losses), losses[-1]


class GSN(ChainModel):
    """Deep GSN as published: its settings are the defaults, and marked where they are not.

    Samples: consecutive steps of one chain, each giving P(X|h), not a draw from it. The published
    chain starts at the first *test* image, which is also its first sample. Here it starts at a
    training image, or one handed to ``sample``, with salt and pepper, and the image is no sample.
    Validation data is not used: the published training has a fixed length (and adds them to X).

    Parameters
    ----------
    hidden : tuple of two ints
        Tanh units.
    walkback : int
        Steps of the chain in training.
    salt_and_pepper : float
        Share of the pixels that are replaced, in [0, 1].
    noise_std : float
        Of the noise before and after the activation of the second layer. Both noises are for 784
        pixels: of the 64 of scikit-learn's digits they leave little, and the chain stays at the
        mean image; with less noise a single chain stays at one digit.
    lr, decay, momentum : float
        SGD with buffer ← m·buffer + (1 - m)·gradient; the rate is lr·decay^epoch.
    batch_size : int
        In a new order every pass; published, one order for all.
    epochs : int
        Of 600 updates, published. Of few points an epoch is few updates, and the rate has fallen
        before the network has learnt: give a decay nearer to 1 and more epochs.
    n_chains, burn_in, thin : int
        Published: one chain, of which every step is a sample.
    max_updates : int, optional
        Budget.
    random_state : int
    device : str or torch.device
        On a CUDA device the noise of the training is drawn there, other numbers from the same seed;
        that of samples on the CPU.
    """

    def __init__(
        self,
        hidden=(1500, 1500),
        *,
        walkback=4,
        salt_and_pepper=0.4,
        noise_std=2.0,
        lr=0.25,
        decay=0.995,
        momentum=0.5,
        batch_size=100,
        epochs=1000,
        n_chains=1,
        burn_in=0,
        thin=1,
        max_updates=None,
        random_state=0,
        device="cpu",
    ):
        self.hidden = hidden
        self.walkback = walkback
        self.salt_and_pepper = salt_and_pepper
        self.noise_std = noise_std
        self.lr = lr
        self.decay = decay
        self.momentum = momentum
        self.batch_size = batch_size
        self.epochs = epochs
        self.n_chains = n_chains
        self.burn_in = burn_in
        self.thin = thin
        self.max_updates = max_updates
        self.random_state = random_state
        self.device = device

    def _check(self) -> None:
        check_per_layer("hidden", self.hidden, 2, 1, whole=True)
        for name in ("walkback", "batch_size", "epochs"):
            check_number(name, getattr(self, name), 1, whole=True)
        check_number("salt_and_pepper", self.salt_and_pepper, 0, 1)
        check_number("noise_std", self.noise_std)
        check_number("lr", self.lr, above=True)
        check_number("decay", self.decay, 0, 1, above=True)
        check_number("momentum", self.momentum, 0, 1)
        self._check_chains()

    def _network(self, n_features: int) -> Network:
        sizes = (n_features, *self.hidden)
        return Network(sizes, self.salt_and_pepper, self.noise_std, self.n_chains)

    def _fit(self, X, validation, checkpoint, progress) -> None:
        first, weights, order, noise = streams(self.random_state, 4)
        self.network_ = self._network(X.shape[1]).to(self.device)
        self._draw_start(X, first)
        self.network_.initialise(weights)
        batches = Batches(len(X), self.batch_size, order, X.device)
        noise = generator_on(X.device, noise)
        # Equal to the published form: its buffer is (1 - m) times torch's, both from zero.
        optimizer = sgd(self.network_.parameters(), self.lr, self.momentum)

        @torch.no_grad()
        def update(x):
            loss, last = self.network_.backpropagate(x, self.walkback, noise)
            optimizer.step()
            return {"loss": loss, "last_step": last}

        make = recorded(update, optimizer, noise)

        def step(number):
            rate = self.lr * self.decay ** (number // batches.per_pass)
            optimizer.param_groups[0]["lr"] = rate * (1 - self.momentum)
            return make(X[batches.next()])

        self.history_, self.values_ = train(
            step,
            length=self.epochs * batches.per_pass,
            max_updates=self.max_updates,
            network=self.network_,
            optimizers=[optimizer],
            streams=[batches, noise],
            checkpoint=checkpoint,
            phase="gsn",
            progress=progress,
        )

    def _begin(self, x, generator):
        return self.network_.corrupt(x, generator), None, None

    def _move(self, state, generator):
        x, h2, _ = state
        h1, logits = self.network_.middle(x, h2)
        p = logits.sigmoid_()
        x = self.network_.corrupt(bernoulli(p, generator), generator)
        return x, self.network_.top(h1, generator)[1], p

    def _emit(self, state):
        return state[2]
