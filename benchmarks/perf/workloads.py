"""Data and trainings of the sizes that are measured: codes of MNIST's size, one large cluster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks import registry
from mixnet_core.bank import DenseBank
from mixnet_core.em import hard_batches
from mixnet_core.mmd import GaussianMMD
from mixnet_core.networks.structure import parse_structure
from mixnet_core.optimizers import SGD, BankTrainer

STRUCTURE = "12-64-256-256-512-32"  # of MNIST in datasets.toml
BATCH, THRESHOLD = 100, 0.001  # §4.2.1, §3.3
WIDTH = 0.2  # of eq. 4, and about that of the codes of MNIST


@dataclass
class Workload:
    """Codes in clusters, a trainer on them, and the log-likelihoods that Algorithm 2 sorts by."""

    x: Tensor
    labels: Tensor
    log_lik: Tensor
    priors: Tensor
    trainer: BankTrainer

    @property
    def counts(self) -> Tensor:
        return torch.bincount(self.labels, minlength=len(self.priors))


def settings() -> dict:
    """lr, momentum, weight_decay and widths of the paper's recipe, as registered."""
    params = registry.methods()["mixnet"]["params"]
    return {
        name: params[name]["value"] for name in ("lr", "momentum", "weight_decay", "mmd_widths")
    }


def sizes(n: int, k: int) -> list[int]:
    """Cluster sizes: the first holds a quarter, the others share the rest equally."""
    if k == 1:
        return [n]
    first = n // 4
    rest, more = divmod(n - first, k - 1)
    return [first, *(rest + (j < more) for j in range(k - 1))]


def workload(n: int, k: int, device: str = "cpu", structure: str = STRUCTURE) -> Workload:
    """n codes in k clusters around random centres; the same for the same n and k."""
    generator = torch.Generator().manual_seed(0)
    p, how = parse_structure(structure)[-1], settings()
    labels = torch.repeat_interleave(torch.arange(k), torch.tensor(sizes(n, k)))
    labels = labels[torch.randperm(n, generator=generator)]
    centres = torch.rand(k, p, generator=generator)
    x = (centres[labels] + 0.1 * torch.randn(n, p, generator=generator)).clamp_(0, 1)
    log_lik = -50.0 * (1 - torch.nn.functional.one_hot(labels, k).float())
    objective = GaussianMMD(how["mmd_widths"])
    objective.prepare(k, p, 0.8, torch.Generator().manual_seed(1), device)
    trainer = BankTrainer(
        DenseBank(structure, k, torch.Generator().manual_seed(2)).to(device),
        objective,
        SGD(how["lr"], how["momentum"], how["weight_decay"]),
        [torch.Generator().manual_seed(3 + j) for j in range(k)],
    )
    priors = torch.full((k,), 1.0 / k, device=device)
    return Workload(x.to(device), labels, log_lik.to(device), priors, trainer)


def queues(work: Workload) -> tuple[list[Tensor], list[Tensor]]:
    """The batches of one epoch, none skipped that the algorithms would not skip, and factors."""
    found = hard_batches(work.labels, len(work.priors), BATCH, torch.Generator().manual_seed(9))
    return found, [torch.ones(len(queue)) for queue in found]


def step_flops(structure: str = STRUCTURE, batch: int = BATCH) -> int:
    """Operations of the matrix products of one batch: forward, backward, and the MMD's."""
    sizes = parse_structure(structure)
    layers = [a * b for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    return 2 * batch * (3 * sum(layers) - layers[0]) + mmd_flops(sizes[-1], batch)


def mmd_flops(p: int, batch: int = BATCH) -> int:
    """Of eq. 9 without its constant term: both distance products, and their gradients by y."""
    return 2 * batch * batch * p * (2 + 3)


def made_points(n: int, d: int, k: int = 10, seed: int = 0) -> np.ndarray:
    """n points on k curved sheets of 8 dimensions in d, float32: neighbours as of images."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((k, 8))[rng.integers(k, size=n)] + 0.5 * rng.standard_normal((n, 8))
    hidden = np.tanh(z @ rng.standard_normal((8, 64)) / 3)
    return (hidden @ rng.standard_normal((64, d)) / 8).astype(np.float32)
