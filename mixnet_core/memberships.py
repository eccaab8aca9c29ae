"""Memberships of points and of mini-batches (eqs. 5-6), and the rearrangement of Algorithm 2.

All of it in the log domain: eq. 6 multiplies B likelihoods, which underflows in any float.
"""

import torch
from torch import Tensor


def log_joint(log_lik: Tensor, priors: Tensor) -> Tensor:
    """log(π_j ℓ_ij), shape (N, K); -inf where a prior is zero."""
    return log_lik + priors.log()


def memberships(log_lik: Tensor, priors: Tensor) -> Tensor:
    """Membership probabilities m_ij of eq. 5, shape (N, K), rows summing to one."""
    return log_joint(log_lik, priors).softmax(1)


def mixture_log_likelihood(log_lik: Tensor, priors: Tensor) -> Tensor:
    """log Σ_j π_j ℓ_ij, the log density of each point, shape (N,), in nats."""
    return log_joint(log_lik, priors).logsumexp(1)


def batch_memberships(log_lik: Tensor, priors: Tensor, batches: Tensor) -> Tensor:
    """Mini-batch memberships m_{b,j} of eq. 6.

    Parameters
    ----------
    log_lik : Tensor, shape (N, K)
    priors : Tensor, shape (K,)
    batches : Tensor of int64, shape (n_batches, B)
        Row numbers of the points of each batch.

    Returns
    -------
    Tensor, shape (n_batches, K)
    """
    return (log_lik[batches].sum(1, dtype=torch.float64) + priors.double().log()).softmax(1)


def rearrange(log_lik: Tensor, generator: torch.Generator) -> Tensor:
    """Order of the points in which those most likely under one network stand together (§3.1).

    The paper fixes neither the order of the points of one network nor that of the networks. Both
    are drawn at random (ours): files are often sorted by class, so their order would let labels
    in, and a fixed order of networks would always leave the same one the last, incomplete batch.

    Returns
    -------
    Tensor of int64, shape (N,)
    """
    n_points, n_networks = log_lik.shape
    shuffled = torch.randperm(n_points, generator=generator)
    rank = torch.randperm(n_networks, generator=generator)
    return shuffled[rank[log_lik.argmax(1).cpu()[shuffled]].argsort(stable=True)]
