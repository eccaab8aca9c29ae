"""Memberships of points and of mini-batches (eqs. 5-6), priors, the rearrangement of Algorithm 2.

All of it in the log domain: eq. 6 multiplies B likelihoods, which underflows in any float.
"""

import torch
from torch import Tensor

ORDERS = ("columns", "random")


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

    B likelihoods together decide: with B = 100 nearly every m is 0 or 1, so the "soft" step of the
    paper is close to hard EM.

    Parameters
    ----------
    log_lik : Tensor, shape (N, K)
    priors : Tensor, shape (K,)
    batches : Tensor of int64, shape (n_batches, B)
        Row numbers of the points of each batch.

    Returns
    -------
    Tensor of float64, shape (n_batches, K)
    """
    return (log_lik[batches].sum(1, dtype=torch.float64) + priors.double().log()).softmax(1)


def update_priors(log_lik: Tensor, priors: Tensor, floor: float = 1.0) -> Tensor:
    """π_j = (1/N) Σ_i m_ij (§3.1), but never less than the share of `floor` points.

    A prior of zero would be final: no likelihood could bring the component back. The paper has no
    such floor (0).
    """
    new = memberships(log_lik, priors).mean(0).clamp_min(floor / len(log_lik))
    return new / new.sum()


def rearrange(log_lik: Tensor, generator: torch.Generator, order: str = "columns") -> Tensor:
    """Order of the points in which those most likely under one network stand together (§3.1).

    Parameters
    ----------
    log_lik : Tensor, shape (N, K)
    generator : torch.Generator
        Draws the order of the points of one network, which the paper leaves open: files are often
        sorted by class, so their order would let labels in.
    order : {"columns", "random"}
        Of the networks. The paper has columns 1, 2, … K; then the last, incomplete batch, which is
        left out, always has points of network K. At random it is another one each time (ours).

    Returns
    -------
    Tensor of int64, shape (N,)
    """
    n_points, n_networks = log_lik.shape
    shuffled = torch.randperm(n_points, generator=generator)
    column = log_lik.argmax(1).cpu()[shuffled]
    if order == "random":
        column = torch.randperm(n_networks, generator=generator)[column]
    return shuffled[column.argsort(stable=True)]
