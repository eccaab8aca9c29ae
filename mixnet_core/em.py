"""Algorithms 1 and 2 of the paper (§3.1).

The whole loop is :func:`train`; of the paper's two listings, :func:`algorithm_1_epoch` and
:func:`algorithm_2_iteration` are the inner part. When Algorithm 2 has saturated (§4) is for
:class:`mixnet_core.training.watch.Watch` to say.
"""

import math

import torch
from torch import Tensor

from mixnet_core.memberships import batch_memberships, memberships, rearrange, update_priors
from mixnet_core.optimizers import PADDING, BankTrainer
from mixnet_core.training.drawn import drawn_epoch


def train(session) -> None:
    """Algorithm 1, then Algorithm 2 until held-out likelihood saturates (§4) or T2 is reached.

    Parameters
    ----------
    session : mixnet_core.training.session.Session
        Bank, data and settings; all that a checkpoint keeps. It may be in the middle of a training.
    """
    s, settings = session, session.settings
    s.begin()
    while s.epoch < s.t1 and not s.stopped:  # Algorithm 1: each network on its own hard cluster
        s.trainer.optimizer.lr = s.rate_of_algorithm_1()
        if settings.batches == "drawn":
            drawn_epoch(s.trainer, s.trained, s.hard, s.batch_size_1, settings.updates, s.order)
        else:
            algorithm_1_epoch(s.trainer, s.trained, s.labels, s.batch_size_1, s.order)
        s.fit_kernels(s.hard)
        s.epoch += 1
        s.report(1)

    if s.log_lik is None:  # the likelihood matrix as Algorithm 1 left the networks
        s.trainer.optimizer.lr = settings.lr
        samples = s.sample()
        s.choose_noise(samples)
        s.log_lik = s.likelihood(samples)
        s.record(samples)
        s.watch.begin(s)

    while s.iteration < settings.t2 and not s.stopped and not s.watch.saturated:  # Algorithm 2
        log_lik = s.training_rows(s.log_lik)
        m = memberships(log_lik, s.priors)
        if settings.batches == "drawn":
            drawn_epoch(s.trainer, s.trained, m, s.batch_size_2, settings.updates, s.order)
        else:
            algorithm_2_iteration(
                s.trainer,
                s.trained,
                log_lik,
                s.priors,
                s.batch_size_2,
                settings.threshold,
                s.order,
                settings.order,
            )
        s.fit_kernels(m)
        s.iteration += 1
        samples = s.sample()
        s.log_lik = running_mean(s.log_lik, s.likelihood(samples), settings.memory)
        s.priors = update_priors(s.training_rows(s.log_lik), s.priors, settings.prior_floor)
        s.record(samples)
        s.watch.look(s)
        s.report(2)


def algorithm_1_epoch(trainer: BankTrainer, x, labels: Tensor, batch_size: int, generator) -> None:
    """One epoch of Algorithm 1: every network on its own hard cluster, by eq. 3.

    Parameters
    ----------
    x : Tensor or Points, shape (N, p)
    labels : Tensor of int64, shape (N,)
    """
    queues = hard_batches(labels, trainer.bank.n_components, batch_size, generator)
    trainer.run(x, queues, [torch.ones(len(queue), dtype=torch.float32) for queue in queues])


def algorithm_2_iteration(
    trainer: BankTrainer,
    x,
    log_lik: Tensor,
    priors: Tensor,
    batch_size: int,
    threshold: float,
    generator: torch.Generator,
    order: str = "columns",
) -> None:
    """One iteration of Algorithm 2 by eq. 7, without the update of the likelihood matrix.

    Parameters
    ----------
    x : Tensor or Points, shape (N, p)
    log_lik : Tensor, shape (N, K)
        Log of the likelihood matrix L.
    priors : Tensor, shape (K,)
    threshold : float
        Batches with a smaller membership are skipped (0.001 in the paper, §3.3).
    order : {"columns", "random"}
        Of the networks in the rearrangement; see :func:`mixnet_core.memberships.rearrange`.
    """
    rows = rearrange(log_lik, generator, order)
    n_batches = len(rows) // batch_size
    batches = rows[: n_batches * batch_size].view(n_batches, batch_size)
    m = batch_memberships(log_lik, priors, batches.to(log_lik.device)).cpu()
    queues, factors = [], []
    for j in range(trainer.bank.n_components):
        used = m[:, j] >= threshold
        queues.append(batches[used])
        factors.append(m[used, j])
    trainer.run(x, queues, factors)


def hard_batches(labels: Tensor, n_components: int, batch_size: int, generator: torch.Generator):
    """Random mini-batches of each cluster, one list of batches a network (Algorithm 1).

    A cluster smaller than the batch size is one batch, filled up with padding; of a larger one the
    last, incomplete batch of the epoch is left out (another random one each epoch).
    """
    queues = []
    for j in range(n_components):
        members = torch.nonzero(labels == j).flatten()
        members = members[torch.randperm(len(members), generator=generator)]
        if 0 < len(members) < batch_size:
            queue = torch.full((1, batch_size), PADDING)
            queue[0, : len(members)] = members
        else:
            n_batches = len(members) // batch_size
            queue = members[: n_batches * batch_size].view(n_batches, batch_size)
        queues.append(queue)
    return queues


def running_mean(old: Tensor, new: Tensor, memory: float) -> Tensor:
    """Log of memory · exp(old) + (1 - memory) · exp(new), the likelihood matrix (ours).

    Fresh samples alone make L noisy, and points change sides by chance; stochastic approximation as
    in SAEM (Delyon et al. 1999). The paper has memory = 0.
    """
    if not memory:
        return new
    return torch.logaddexp(old + math.log(memory), new + math.log1p(-memory))
