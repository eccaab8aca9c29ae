"""Generative moment matching network: a network whose samples have the data's moments.

Li, Swersky and Zemel, "Generative Moment Matching Networks", ICML 2015. The settings are those of
its code (yujiali/gmmn, ``train.py``, ``core/generative.py``; optimiser: yujiali/pyopt).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .model import GenerativeModel, check_number, check_sizes, generator_network
from .training import Batches, set_sgd, streams, train


class SqrtMMD(torch.autograd.Function):
    """``sqrt_mmd(y, x, variances)``: sqrt of the biased MMD² between the rows of y and of x.

    ``MMD² = mean k(x, x') + mean k(y, y') − 2 mean k(x, y)`` over *all* pairs, i = j included
    (V-statistic, never negative), with ``k(a, b) = Σ_v exp(−|a − b|² / (2 v))``: the published
    code's `sigma` is a variance. y (m, d), x (n, d); differentiable in y only.
    """

    @staticmethod
    def forward(ctx, y: Tensor, x: Tensor, variances) -> Tensor:
        m, n = len(y), len(x)
        yy, slope_yy = _kernel(y, y, variances)
        xy, slope_xy = _kernel(y, x, variances)
        xx, _ = _kernel(x, x, variances)
        squared = yy.sum() / m**2 + xx.sum() / n**2 - 2 * xy.sum() / (m * n)
        root = squared.clamp_min(0).sqrt()
        if ctx.needs_input_grad[0]:
            # ∂k(a, b)/∂a = −Σ_v k_v (a − b) / v, and y_i stands in two places of mean k(y, y').
            among = slope_yy.sum(1, keepdim=True) * y - slope_yy @ y
            across = slope_xy.sum(1, keepdim=True) * y - slope_xy @ x
            gradient = across.mul_(2 / (m * n)).sub_(among, alpha=2 / m**2)
            ctx.save_for_backward(gradient.div_(2 * root + 1e-10))  # 1e-10: published
        return root

    @staticmethod
    def backward(ctx, above: Tensor):
        return ctx.saved_tensors[0] * above, None, None


def _kernel(a: Tensor, b: Tensor, variances) -> tuple[Tensor, Tensor]:
    """Σ_v k_v and Σ_v k_v / v of all pairs, each of shape (len(a), len(b))."""
    half_a, half_b = (0.5 * t.square().sum(1, keepdim=True) for t in (a, b))
    one_a, one_b = torch.ones_like(half_a), torch.ones_like(half_b)
    # One product gives −|a − b|² / 2.
    exponent = torch.cat([a, -half_a, one_a], 1) @ torch.cat([b, one_b, -half_b], 1).T
    kernel, slope = 0.0, 0.0
    for variance in variances[:-1]:
        k = (exponent / variance).exp_()
        kernel, slope = kernel + k, slope + k / variance
    k = exponent.div_(variances[-1]).exp_()
    if len(variances) == 1:
        return k, k if variances[0] == 1 else k / variances[0]
    return kernel + k, slope + k / variances[-1]


sqrt_mmd = SqrtMMD.apply


def fan_in_normal(network: nn.Module, generator: torch.Generator) -> None:
    """Published initial weights: N(0, 1 / inputs); biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
            nn.init.zeros_(layer.bias)


def uniform_latent(n: int, size: int, generator: torch.Generator, device) -> Tensor:
    """z ~ U[−1, 1]^size, shape (n, size); drawn on the CPU."""
    return torch.rand(n, size, generator=generator).mul_(2).sub_(1).to(device)


def train_generator(model, network, X, generators, max_updates, checkpoint, progress):
    """Train `network` to match X (n, d) by the settings of `model`; as :func:`train` returns.

    `generators` draw the batches and the latent samples.
    """
    order, noise = generators
    batches = Batches(len(X), model.batch_size, order, model.device)
    optimizer = torch.optim.SGD(network.parameters(), lr=model.lr, fused=True)
    updates = min(model.updates, max_updates or model.updates)
    drop = round(model.drop_at * updates)

    def step(update: int) -> Tensor:
        set_sgd(optimizer, *schedule(update + 1, drop, model.lr, model.momentum))
        z = uniform_latent(model.batch_size, model.latent_dim, noise, model.device)
        loss = sqrt_mmd(network(z), X[batches.next()], model.variances)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return train(
        step,
        length=model.updates,
        max_updates=max_updates,
        network=network,
        optimizers=[optimizer],
        streams=[batches, noise],
        checkpoint=checkpoint,
        phase="moment matching",
        progress=progress,
    )


def schedule(iteration: int, drop: int, lr: float, momentum: float) -> tuple[float, float]:
    """Learning rate and momentum of an iteration (1, 2, …); both change at iteration `drop`."""
    if iteration >= drop:
        return lr / 10, 1 - (1 - momentum) / 10
    return lr, momentum


def check_gmmn(model) -> None:
    """ValueError for a setting of the moment matching out of range."""
    for name in ("latent_dim", "batch_size", "updates"):
        check_number(name, getattr(model, name), 1, whole=True)
    check_number("lr", model.lr, above=True)
    check_number("momentum", model.momentum, 0, 1)
    check_number("drop_at", model.drop_at, 0)
    check_sizes("hidden", model.hidden)
    if not isinstance(model.variances, tuple | list) or not model.variances:
        raise ValueError(f"variances must be a tuple of numbers; got {model.variances!r}")
    for variance in model.variances:
        check_number("each of variances", variance, above=True)


class GMMN(GenerativeModel):
    """Generative moment matching network on points in [0, 1]^d: codes, or pixels.

    SGD on the square root of the biased MMD², from the weights of :func:`fan_in_normal`; the last
    weights are kept; validation data is not used. All as published.

    Parameters
    ----------
    latent_dim : size of z ~ U[-1, 1]. Published: 10.
    hidden : ReLU layers. Published: (64, 256, 256, 1024).
    variances : of the Gaussian kernels, summed. Published: (1,) for 32-d codes of MNIST,
        (2, 5, 10, 20, 40, 80) for its pixels.
    lr, momentum : of SGD with the learning rate in the velocity. Published: 2 and 0.9.
    drop_at : share of the updates after which lr falls to lr / 10 and momentum rises to
        1 - (1 - momentum) / 10. Published: iteration 10,000 of 40,000; that a smaller budget
        shortens this in proportion is ours (at the first rate the network never settles).
    batch_size : points, and samples, an update. Published: 1000.
    updates : length of the training. Published: 40,000.
    max_updates : budget; None for no other limit.
    random_state, device : seed of all draws; where to compute.

    Attributes
    ----------
    values_ : ``updates``, ``stopped_by``, ``final_sqrt_mmd`` (mean over the last entry).
    history_ : ``update``, ``loss`` (sqrt of the biased MMD²).
    """

    def __init__(
        self,
        latent_dim=10,
        hidden=(64, 256, 256, 1024),
        variances=(1.0,),
        lr=2.0,
        momentum=0.9,
        drop_at=0.25,
        batch_size=1000,
        updates=40_000,
        max_updates=None,
        random_state=0,
        device="cpu",
    ):
        self.latent_dim = latent_dim
        self.hidden = hidden
        self.variances = variances
        self.lr = lr
        self.momentum = momentum
        self.drop_at = drop_at
        self.batch_size = batch_size
        self.updates = updates
        self.max_updates = max_updates
        self.random_state = random_state
        self.device = device

    def _check(self):
        check_gmmn(self)

    def _network(self, n_features: int) -> nn.Module:
        return generator_network([self.latent_dim, *self.hidden, n_features])

    def _fit(self, X, validation, checkpoint, progress):
        weights, *others = streams(self.random_state, 3)
        network = self._network(X.shape[1])
        fan_in_normal(network, weights)
        self.network_ = network.to(self.device)
        self.history_, self.values_ = train_generator(
            self, self.network_, X, others, self.max_updates, checkpoint, progress
        )
        self.values_["final_sqrt_mmd"] = self.history_["loss"][-1]

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self.network_(uniform_latent(n, self.latent_dim, generator, self.device))
