"""Update rules for a bank of networks, with a learning-rate factor for each network.

The membership of a mini-batch multiplies the *update* (eq. 7). Scaling the loss instead would be
undone by Adam's normalisation. All state is stacked like the weights, so that a network that sits
out a step keeps its momentum, its step count and its weights untouched.
"""

import torch
from torch import Tensor
from torch.optim.sgd import sgd


class SGD:
    """Stochastic gradient descent with heavy-ball momentum and L2 weight decay.

    v ← μ v + g + λ w,  w ← w - m · lr · v, with m the factor of the network.

    Parameters
    ----------
    lr, momentum, weight_decay : float
    """

    n_slots = 1

    def __init__(self, lr: float, momentum: float = 0.0, weight_decay: float = 0.0):
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay

    def step(self, weights, gradients, slots, counts: Tensor, factors: Tensor) -> None:
        """Update in place.

        Parameters
        ----------
        weights, gradients : list of Tensor, each (A, ...)
        slots : list of `n_slots` lists of Tensor like the weights
        counts : Tensor, shape (A,)
            Steps made by each network, this one included.
        factors : Tensor, shape (A,)
            Multiplies the update of each network.
        """
        (velocity,) = slots
        if bool((factors == 1).all()):  # the usual case, in one pass over the memory
            sgd(
                weights,
                [g.contiguous() for g in gradients],  # it goes by memory, whatever the strides
                velocity,
                fused=True,
                weight_decay=self.weight_decay,
                momentum=self.momentum,
                lr=self.lr,
                dampening=0.0,
                nesterov=False,
                maximize=False,
            )
            return
        if self.weight_decay:
            torch._foreach_add_(gradients, weights, alpha=self.weight_decay)
        torch._foreach_mul_(velocity, self.momentum)
        torch._foreach_add_(velocity, gradients)
        for weight, v in zip(weights, velocity, strict=True):
            weight.addcmul_(v, _like(factors, v), value=-self.lr)


class Adam:
    """Adam with decoupled weight decay, and the membership scaling the whole update.

    Parameters
    ----------
    lr, weight_decay : float
    betas : (float, float)
    eps : float
    """

    n_slots = 2

    def __init__(self, lr: float, weight_decay: float = 0.0, betas=(0.9, 0.999), eps: float = 1e-8):
        self.lr, self.weight_decay, self.betas, self.eps = lr, weight_decay, betas, eps

    def step(self, weights, gradients, slots, counts: Tensor, factors: Tensor) -> None:
        """Update in place; parameters as in :meth:`SGD.step`."""
        first, second = slots
        beta1, beta2 = self.betas
        torch._foreach_lerp_(first, gradients, 1 - beta1)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, gradients, gradients, value=1 - beta2)
        size = factors * self.lr / (1 - beta1**counts)
        correction = (1 - beta2**counts).sqrt()
        for weight, m, v in zip(weights, first, second, strict=True):
            denominator = v.sqrt().div_(_like(correction, v)).add_(self.eps)
            if self.weight_decay:
                weight.mul_(1 - _like(factors, v) * (self.lr * self.weight_decay))
            weight.sub_(denominator.reciprocal_().mul_(m).mul_(_like(size, v)))


OPTIMIZERS = {"sgd": SGD, "adam": Adam}


def _like(per_network: Tensor, tensor: Tensor) -> Tensor:
    """Shape (A,) made broadcastable with (A, ...)."""
    return per_network.view(-1, *[1] * (tensor.dim() - 1))
