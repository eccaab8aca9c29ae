"""The choice of a bank; every kind of bank trained beside K networks with torch's optimisers."""

import pytest
import torch
from torch import nn

from mixnet_core.bank import DenseBank
from mixnet_core.em import algorithm_1_epoch, algorithm_2_iteration, hard_batches
from mixnet_core.mmd import mmd2
from mixnet_core.networks.convolutional import ConvolutionalBank
from mixnet_core.networks.modules import ModuleBank
from mixnet_core.networks.registry import make_bank
from mixnet_core.optimizers import PADDING, SGD, BankTrainer
from mixnet_core.training.adam import Adam

WIDTHS = [0.3, 0.9]
RULES = {
    "sgd": (
        lambda: SGD(lr=0.5, momentum=0.9, weight_decay=1e-2),
        lambda p: torch.optim.SGD(p, lr=0.5, momentum=0.9, weight_decay=1e-2),
    ),
    "adam": (
        lambda: Adam(lr=0.01, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    ),
}


class Branching(nn.Sequential):
    """Asks for a value in Python, so that its copies must run one by one."""

    def forward(self, z):
        return super().forward(-z if float(z.sum()) > 1e9 else z)


class ChannelsLast(nn.Module):
    """Images (n, C, H, W) as rows in the order H, W, C."""

    def forward(self, images):
        return images.permute(0, 2, 3, 1).flatten(1)


def dense():
    return nn.Sequential(
        nn.Linear(3, 7), nn.ReLU(), nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 32), nn.Sigmoid()
    )


def convolutional():
    return nn.Sequential(
        nn.Linear(3, 7),
        nn.ReLU(),
        nn.Linear(7, 12),
        nn.Unflatten(1, (3, 2, 2)),
        nn.ReLU(),
        nn.ConvTranspose2d(3, 4, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 2, 3, padding=1),
        ChannelsLast(),
        nn.Sigmoid(),
    )


# What a bank is made of, and one of its networks in torch's own layers.
KINDS = {
    "dense": (lambda: "3-7-5-x", dense),
    "convolutional": (lambda: "3-7-2x2x3-4x4x4-4x4x2", convolutional),
    "module": (convolutional, convolutional),
    "looped module": (lambda: Branching(*dense()), dense),
    "factory": (lambda: lambda generator: convolutional(), convolutional),
}


def make(kind, k):
    """The bank, and K separate networks with its weights."""
    with torch.random.fork_rng(devices=[]):
        bank = make_bank(KINDS[kind][0](), k, 32, torch.Generator().manual_seed(1))
        nets = [KINDS[kind][1]() for _ in range(k)]
    for j, net in enumerate(nets):
        for p, t in zip(net.parameters(), tensors_like(net, bank, bank.tensors()), strict=True):
            p.data.copy_(t[j].T if is_transposed(bank, p) else t[j].reshape(p.shape))
    return bank, nets


def is_transposed(bank, parameter):
    return not isinstance(bank, ModuleBank) and parameter.dim() == 2


def tensors_like(net, bank, tensors):
    """The bank's tensors in the order of a module's parameters: weight, bias, weight, bias …"""
    if isinstance(bank, ModuleBank):
        return tensors
    half = len(tensors) // 2
    return [t for pair in zip(tensors[:half], tensors[half:], strict=True) for t in pair]


def test_kinds_are_those_that_were_asked_for():
    assert isinstance(make("dense", 2)[0], DenseBank)
    assert isinstance(make("convolutional", 2)[0], ConvolutionalBank)
    for kind in ("module", "looped module", "factory"):
        bank = make(kind, 2)[0]
        assert isinstance(bank, ModuleBank) and bank.stacked == (kind != "looped module")


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_and_an_iteration_equal_separate_networks(kind, rule, g):
    """Algorithm 1 with ragged and missing batches, then Algorithm 2 with one batch for all."""
    k, size, sizes = 4, 5, [3, 17, 0, 10]
    labels = torch.cat([torch.full((n,), j) for j, n in enumerate(sizes)])
    x = torch.rand(len(labels), 32, generator=g) * 0.5 + labels[:, None] * 0.1
    bank, nets = make(kind, k)
    start = [t.clone() for t in bank.tensors()]
    streams = [[torch.Generator().manual_seed(100 + j) for j in range(k)] for _ in range(2)]
    trainer = BankTrainer(
        bank, lambda x, y, mask: mmd2(x, y, WIDTHS, mask), RULES[rule][0](), streams[0]
    )
    optimizers = [RULES[rule][1](net.parameters()) for net in nets]

    def step(j, rows, factor=1.0):
        z = torch.rand(size, 3, generator=streams[1][j]) * 2 - 1
        optimizers[j].zero_grad()
        mmd2(x[rows][None], nets[j](z)[None], WIDTHS)[0].backward()
        (group,) = optimizers[j].param_groups
        kept = dict(group)
        if rule == "sgd":  # the factor is on the gradient and on its weight decay
            for p in nets[j].parameters():
                p.grad.add_(p.detach(), alpha=group["weight_decay"]).mul_(factor)
            group["weight_decay"] = 0
        else:
            group["lr"] *= factor
        optimizers[j].step()
        group.update(lr=kept["lr"], weight_decay=kept["weight_decay"])

    algorithm_1_epoch(trainer, x, labels, size, torch.Generator().manual_seed(7))
    queues = hard_batches(labels, k, size, torch.Generator().manual_seed(7))
    for j, queue in enumerate(queues):
        for batch in queue:
            step(j, batch[batch != PADDING])
    assert trainer.counts.tolist() == [1, 3, 0, 2]

    # One batch of all points, all likelihoods equal: its memberships are the priors.
    priors, n = torch.tensor([0.5, 0.3, 0.2, 0.0]), len(x)
    size = n
    algorithm_2_iteration(trainer, x, torch.zeros(n, k), priors, n, 0.001, g)
    for j in range(3):
        step(j, torch.arange(n), float(priors[j]))
    assert trainer.counts.tolist() == [2, 4, 1, 2]

    moved = [(t - s).flatten(1).abs().amax(1) for t, s in zip(bank.tensors(), start, strict=True)]
    assert all((m > 1e-5).all() for m in moved)
    ours = tensors_like(nets[0], bank, bank.tensors())
    for j, net in enumerate(nets):
        for t, p in zip(ours, net.parameters(), strict=True):
            expected = p.detach().T if is_transposed(bank, p) else p.detach()
            torch.testing.assert_close(t[j].reshape(expected.shape), expected, rtol=1e-4, atol=3e-5)
        assert torch.equal(streams[0][j].get_state(), streams[1][j].get_state())


def test_the_structure_must_fit_the_data(g):
    with pytest.raises(ValueError, match="features, 5"):
        make_bank("3-4", 2, 5, g)
    with pytest.raises(ValueError, match="features, 5"):
        make_bank("3-4x4", 2, 5, g)
    with pytest.raises(ValueError, match="features, 5; Sequential gave 32"):
        make_bank(lambda generator: dense(), 2, 5, g)


@pytest.mark.parametrize("bad", [None, 7, [3, 4]])
def test_anything_else_is_an_error(bad, g):
    with pytest.raises(ValueError, match="structure must be a string"):
        make_bank(bad, 2, 5, g)


def test_the_networks_input_is_known_before_the_bank(g):
    """A module without it says so, in terms of what the user can add."""
    with pytest.raises(ValueError, match="attribute n_inputs"):
        make_bank(nn.Sequential(nn.PReLU(), nn.Sigmoid()), 2, 5, g)
