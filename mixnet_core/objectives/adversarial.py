"""Adversarial objective: a small critic for each network, all of them one stacked bank."""

import math

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu, softplus

from mixnet_core.objectives.base import Objective, positive
from mixnet_core.training.adam import Adam

SLOPE = 0.2  # of the leaky ReLU below zero


class Adversarial(Objective):
    """Non-saturating adversarial loss (Goodfellow et al. 2014, §3).

    Critic D_j, a network p-hidden-hidden-1 with leaky ReLUs, tells data of component j from points
    that network j draws. Each call makes one step of Adam of each critic on
    E softplus(-D(x)) + E softplus(D(y)) and then returns E softplus(-D(y)), which the network
    minimises: a call to look at the value is a step, too. Critics of absent networks keep weights,
    moments and step counts. A critic sees points relative to the mean of its first batch, in units
    of w / √(2p), the standard deviation of a feature in a Gaussian cluster of scale w (ours), so
    that neither place nor scale of the data matters. Memberships scale the step of the network
    only.

    Parameters
    ----------
    hidden : int
        Width of both hidden layers.
    lr : float
        Learning rate of the critics.
    betas : (float, float)
        Decay of Adam's moments; 0.5 for the first follows Radford et al. 2016.
    weight_decay : float
        Decoupled weight decay of the critics.
    """

    name, settings = "adversarial", ("hidden", "lr", "betas", "weight_decay")

    def __init__(self, hidden=128, lr=1e-3, betas=(0.5, 0.999), weight_decay=0.0):
        positive("hidden", hidden)
        positive("lr", lr)
        if int(hidden) != hidden:
            raise ValueError(f"hidden must be a whole number; got {hidden!r}")
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas must be two numbers, each 0 or more and below 1; got {betas}")
        if not 0 <= weight_decay < math.inf:
            raise ValueError(f"weight_decay must be zero or more; got {weight_decay!r}")
        self.hidden, self.lr, self.betas = int(hidden), lr, tuple(betas)
        self.weight_decay = weight_decay

    def prepare(self, n_components, n_features, scale, generator, device="cpu") -> None:
        """New critics with weights N(0, 2 / ((1 + 0.2²) fan_in)) and zero biases."""
        super().prepare(n_components, n_features, scale, generator, device)
        k, sizes = self.n_components, [self.n_features, self.hidden, self.hidden, 1]
        weights, biases = [], []
        for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True):
            gain = math.sqrt(2 / ((1 + SLOPE**2) * fan_in))
            weight = torch.randn(k, fan_in, fan_out, generator=generator, dtype=torch.float32)
            weights.append((weight * gain).to(device))
            biases.append(torch.zeros(k, 1, fan_out, device=device, dtype=torch.float32))
        self.tensors = [*weights, *biases]
        self.optimizer = Adam(self.lr, self.weight_decay, self.betas)
        self.slots = [[torch.zeros_like(t) for t in self.tensors] for _ in range(2)]
        self.counts = torch.zeros(k, device=device, dtype=torch.float32)
        self.centres = torch.zeros(k, 1, self.n_features, device=device, dtype=torch.float32)

    def __call__(self, x, y, mask, networks) -> Tensor:
        """One step of the critics of `networks`, then the losses of the networks, shape (A,)."""
        self._check_prepared()
        weight = torch.ones_like(x[:, :, 0]) if mask is None else mask.to(x.dtype)
        weight = (weight / weight.sum(1, keepdim=True)).to(self.tensors[0].dtype)
        self._step(x.detach(), y.detach(), weight, networks)
        return self.loss(y, networks)

    def loss(self, y: Tensor, networks: Tensor) -> Tensor:
        """E softplus(-D(y)) under the critics as they are, shape (A,)."""
        return softplus(-self.critics(y, networks)).mean(1)

    def critics(self, points: Tensor, networks: Tensor) -> Tensor:
        """Logits (A, n) that the critics of `networks` (A,) give to points (A, n, p)."""
        tensors = [t[networks] for t in self.tensors]
        return _logits(tensors, self._inputs(points, networks))

    @torch.no_grad()
    def _step(self, x: Tensor, y: Tensor, weight: Tensor, networks: Tensor) -> None:
        counts = self.counts[networks]
        mean = (x * weight.unsqueeze(2)).sum(1, keepdim=True).to(self.centres.dtype)
        new = (counts == 0).view(-1, 1, 1)
        self.centres[networks] = torch.where(new, mean, self.centres[networks])
        stacks = [self.tensors, *self.slots]
        tensors, *slots = [[t[networks] for t in stack] for stack in stacks]
        with torch.enable_grad():
            leaves = [t.detach().requires_grad_() for t in tensors]
            real = softplus(-_logits(leaves, self._inputs(x, networks)))
            false = softplus(_logits(leaves, self._inputs(y, networks)))
            loss = (real * weight).sum(1) + false.mean(1)
            gradients = list(torch.autograd.grad(loss.sum(), leaves))
        counts += 1
        self.optimizer.step(tensors, gradients, slots, counts, None)
        for stack, values in zip(stacks, [tensors, *slots], strict=True):
            for t, value in zip(stack, values, strict=True):
                t[networks] = value
        self.counts[networks] = counts

    def _inputs(self, points: Tensor, networks: Tensor) -> Tensor:
        unit = self.scale / math.sqrt(2 * self.n_features)
        return ((points - self.centres[networks]) / unit).to(self.tensors[0].dtype)

    def state(self) -> dict:
        """Weights, moments, step counts and centres of all critics."""
        self._check_prepared()
        return {
            "tensors": [t.clone() for t in self.tensors],
            "slots": [[t.clone() for t in slot] for slot in self.slots],
            "counts": self.counts.clone(),
            "centres": self.centres.clone(),
        }

    def restore(self, state: dict) -> None:
        """Go on with the critics of `state`."""
        ours = [*self.tensors, *sum(self.slots, []), self.counts, self.centres]
        kept = [*state["tensors"], *sum(state["slots"], []), state["counts"], state["centres"]]
        for t, value in zip(ours, kept, strict=True):
            t.copy_(value)


def _logits(tensors: list[Tensor], h: Tensor) -> Tensor:
    """Logits (A, n) of stacked critics: all weights (A, n_in, n_out), then biases (A, 1, n_out)."""
    n_layers = len(tensors) // 2
    layers = list(zip(tensors[:n_layers], tensors[n_layers:], strict=True))
    for weight, bias in layers[:-1]:
        h = leaky_relu(torch.baddbmm(bias, h, weight), SLOPE)
    return torch.baddbmm(layers[-1][1], h, layers[-1][0]).squeeze(2)
