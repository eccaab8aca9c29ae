"""MMD step, one iteration of each algorithm, and the E-step, against plain torch.

Quick sizes have a tenth of MNIST's points; ``--full`` has all of them (60,000 x 32, K = 10, one
cluster with a quarter of the points).
"""

import pytest
import torch

from benchmarks.perf import plain, workloads
from benchmarks.perf.workloads import BATCH, STRUCTURE, THRESHOLD, WIDTH
from mixnet_core.em import algorithm_1_epoch, algorithm_2_iteration
from mixnet_core.likelihood import log_likelihood

K, CODE = 10, 32


@pytest.fixture(scope="module")
def work(full, device):
    return workloads.workload(60_000 if full else 12_000, K, device)


@pytest.fixture(scope="module")
def loop(work, device):
    how = workloads.settings()
    widths = [m * work.trainer.objective.scale for m in how.pop("mmd_widths")]
    return plain.PlainLoop(STRUCTURE, K, widths, device=device, **how)


def test_mmd_step(compare, work):
    """Loss and gradient for K networks at once, against one network after the other."""
    generator = torch.Generator().manual_seed(4)
    x = work.x[: K * BATCH].view(K, BATCH, CODE)
    y = torch.rand(K, BATCH, CODE, generator=generator).to(x.device)
    networks = torch.arange(K, device=x.device)

    def gradient(x, y, networks):
        leaf = y.detach().requires_grad_()
        loss = work.trainer.objective(x, leaf, None, networks).sum()
        return torch.autograd.grad(loss, leaf)[0]

    def one_by_one():
        return torch.cat([gradient(x[j : j + 1], y[j : j + 1], networks[:1]) for j in range(K)])

    torch.testing.assert_close(gradient(x, y, networks), one_by_one())
    compare(
        "MMD step",
        lambda: [gradient(x, y, networks) for _ in range(20)],
        flops=20 * K * workloads.mmd_flops(CODE),
        k=K,
        batch=BATCH,
        p=CODE,
        others={"a loop over networks": (lambda: [one_by_one() for _ in range(20)], 1, None)},
    )


def test_algorithm_1(compare, work, loop):
    """One epoch; the plain loop works through the same batches."""
    queues, factors = workloads.queues(work)
    steps = sum(map(len, queues))
    generator = torch.Generator().manual_seed(5)
    compare(
        "Algorithm 1, one epoch",
        lambda: algorithm_1_epoch(work.trainer, work.x, work.labels, BATCH, generator),
        flops=steps * workloads.step_flops(),
        n=len(work.x),
        k=K,
        others={"a plain loop": (lambda: loop.run(work.x, queues, factors), 1, None)},
    )


def test_algorithm_2(compare, work, loop):
    """The training part of one iteration; memberships are one-hot, so each batch trains once."""
    queues, factors = workloads.queues(work)
    steps = len(work.x) // BATCH
    generator = torch.Generator().manual_seed(6)
    compare(
        "Algorithm 2, training part of one iteration",
        lambda: algorithm_2_iteration(
            work.trainer, work.x, work.log_lik, work.priors, BATCH, THRESHOLD, generator
        ),
        flops=steps * workloads.step_flops(),
        n=len(work.x),
        k=K,
        target_share=0.4,
        others={"a plain loop": (lambda: loop.run(work.x, queues, factors), 1, 2.0)},
    )


def test_e_step(compare, work, full):
    """Log-likelihoods of all points under all networks, S = 1000."""
    n = len(work.x) if full else 6_000
    x, s = work.x[:n], 1000
    samples = work.trainer.bank.sample(s, torch.Generator().manual_seed(7))
    ours = log_likelihood(x[:100], samples, WIDTH)
    for theirs in (plain.log_likelihood, plain.log_likelihood_by_products):
        values = theirs(x[:100], samples, WIDTH)
        torch.testing.assert_close(ours - ours.mean(), values - values.mean(), atol=2e-3, rtol=1e-4)
    few = x[: n // 4]
    compare(
        "E-step",
        lambda: log_likelihood(x, samples, WIDTH),
        flops=2 * n * K * s * CODE,
        n=n,
        k=K,
        s=s,
        others={
            "a plain blocked log-sum-exp": (
                lambda: plain.log_likelihood(few, samples, WIDTH),
                len(few) / n,
                3.0,
            ),
            "one with the products written out": (
                lambda: plain.log_likelihood_by_products(few, samples, WIDTH),
                len(few) / n,
                None,
            ),
        },
    )
