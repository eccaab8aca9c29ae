"""Adam for networks side by side, in the place of eqs. 3 and 7 (ours)."""

import torch
from torch import Tensor

from mixnet_core.optimizers import like


class Adam:
    """Adam with decoupled weight decay; the membership scales the whole step.

    On the gradient it would be undone by the normalisation.

    Parameters
    ----------
    lr, weight_decay : float
    betas : (float, float)
    eps : float
    """

    n_slots = 2

    def __init__(self, lr: float, weight_decay: float = 0.0, betas=(0.9, 0.999), eps: float = 1e-8):
        self.lr, self.weight_decay, self.betas, self.eps = lr, weight_decay, betas, eps

    def step(self, weights, gradients, slots, counts: Tensor, factors: Tensor | None) -> None:
        """Update in place; parameters as in :meth:`SGD.step`."""
        first, second = slots
        beta1, beta2 = self.betas
        torch._foreach_lerp_(first, gradients, 1 - beta1)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, gradients, gradients, value=1 - beta2)
        rate = self.lr if factors is None else factors * self.lr
        size = rate / (1 - beta1**counts)
        correction = (1 - beta2**counts).sqrt()
        for weight, m, v in zip(weights, first, second, strict=True):
            denominator = v.sqrt().div_(like(correction, v)).add_(self.eps)
            if self.weight_decay:
                kept = 1 - rate * self.weight_decay
                weight.mul_(kept if factors is None else like(kept, v))
            weight.sub_(denominator.reciprocal_().mul_(m).mul_(like(size, v)))
