"""Bank and schedule against K separate networks, each with its own torch optimiser and inputs."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from mixnet_core.bank import DenseBank
from mixnet_core.em import (
    algorithm_1_epoch,
    algorithm_2_iteration,
    hard_batches,
    running_mean,
)
from mixnet_core.memberships import rearrange
from mixnet_core.mmd import mmd2
from mixnet_core.optimizers import PADDING, SGD, BankTrainer
from mixnet_core.training.adam import Adam

WIDTHS = [0.2, 0.6]
RULES = {
    "sgd": (
        lambda: SGD(lr=0.5, momentum=0.9, weight_decay=1e-2),
        lambda p: torch.optim.SGD(p, lr=0.5, momentum=0.9, weight_decay=1e-2),
    ),
    "plain sgd": (lambda: SGD(lr=0.5), lambda p: torch.optim.SGD(p, lr=0.5)),
    "adam": (
        lambda: Adam(lr=0.01, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    ),
}


def objective(x, y, mask):
    return mmd2(x, y, WIDTHS, mask)


def make_trainer(rule="sgd", k=4, structure="3-8-6-2", seed=0):
    bank = DenseBank(structure, k, torch.Generator().manual_seed(seed))
    generators = [torch.Generator().manual_seed(100 + j) for j in range(k)]
    return BankTrainer(bank, objective, RULES[rule][0](), generators)


class Separate:
    """One network, one torch optimiser, one generator: the paper's pseudo-code, batch by batch."""

    def __init__(self, bank, j, rule):
        layers = []
        for weight, bias in zip(bank.weights, bank.biases, strict=True):
            layer = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[2])
            layer.weight.data.copy_(weight[j].T)
            layer.bias.data.copy_(bias[j, 0])
            layers += [layer, nn.ReLU()]
        self.net = nn.Sequential(*layers[:-1], nn.Sigmoid())
        self.optimizer, self.rule = RULES[rule][1](self.net.parameters()), rule
        (self.group,) = self.optimizer.param_groups
        self.lr, self.decay = self.group["lr"], self.group["weight_decay"]
        self.generator = torch.Generator().manual_seed(100 + j)
        self.steps = 0

    def step(self, x, batch_size, membership=1.0):
        n_inputs = self.net[0].in_features
        z = torch.rand(batch_size, n_inputs, generator=self.generator) * 2 - 1
        loss = mmd2(x[None], self.net(z)[None], WIDTHS)[0]
        self.optimizer.zero_grad()
        loss.backward()
        if self.rule == "adam":  # its normalisation would undo a factor on the gradient
            self.group["lr"] = self.lr * membership
        else:  # eq. 7, before momentum
            self.group["weight_decay"] = 0
            for p in self.net.parameters():
                p.grad.add_(p.detach(), alpha=self.decay).mul_(membership)
        self.optimizer.step()
        self.steps += 1

    def tensors(self):
        linear = [layer for layer in self.net if isinstance(layer, nn.Linear)]
        return [m.weight.detach().T for m in linear] + [m.bias.detach()[None] for m in linear]

    def momenta(self):
        """Optimiser state in the order of the bank's slots, or None before the first step."""
        linear = [layer for layer in self.net if isinstance(layer, nn.Linear)]
        state = self.optimizer.state
        if not state:
            return None
        names = (
            ["exp_avg", "exp_avg_sq"]
            if "exp_avg" in next(iter(state.values()))
            else ["momentum_buffer"]
        )
        return [
            [state[m.weight][name].T for m in linear] + [state[m.bias][name][None] for m in linear]
            for name in names
        ]


def assert_equal(trainer, networks, momenta=True):
    for j, network in enumerate(networks):
        for ours, theirs in zip(trainer.bank.tensors(), network.tensors(), strict=True):
            torch.testing.assert_close(ours[j], theirs, rtol=1e-4, atol=2e-5)
        assert int(trainer.counts[j]) == network.steps
        if momenta and network.steps:
            for slot, expected in zip(trainer.slots, network.momenta(), strict=True):
                for ours, theirs in zip(slot, expected, strict=True):
                    torch.testing.assert_close(ours[j], theirs, rtol=1e-3, atol=2e-5)
        assert torch.equal(trainer.generators[j].get_state(), network.generator.get_state())


def points_and_labels(sizes, g, p=2):
    labels = torch.cat([torch.full((n,), j) for j, n in enumerate(sizes)])
    labels = labels[torch.randperm(len(labels), generator=g)]
    x = torch.rand(len(labels), p, generator=g) * 0.3 + labels[:, None] * 0.1
    return x, labels


@pytest.mark.parametrize("rule", RULES)
def test_algorithm_1_equals_separate_networks(rule, g):
    """Clusters of 1 point, fewer than B, exactly B, several B and a rest, and none at all."""
    size = 5
    x, labels = points_and_labels([1, 3, 5, 23, 0, 12], g)
    trainer = make_trainer(rule, k=6)
    networks = [Separate(trainer.bank, j, rule) for j in range(6)]
    for epoch in range(4):
        algorithm_1_epoch(trainer, x, labels, size, torch.Generator().manual_seed(epoch))
        queues = hard_batches(labels, 6, size, torch.Generator().manual_seed(epoch))
        for network, queue in zip(networks, queues, strict=True):
            for batch in queue:
                network.step(x[batch[batch != PADDING]], size)
    assert [network.steps for network in networks] == [4, 4, 4, 16, 0, 8]
    assert_equal(trainer, networks, momenta=rule != "plain sgd")


def naive_batch_memberships(log_lik, priors, batches):
    """Eq. 6 in float64 by the definition, relative to the largest product."""
    logs = np.array(
        [
            [
                sum(float(log_lik[r, j]) for r in b.tolist()) + np.log(float(priors[j]))
                for j in range(len(priors))
            ]
            for b in batches
        ]
    )
    products = np.exp(logs - logs.max(1, keepdims=True))
    return products / products.sum(1, keepdims=True)


@pytest.mark.parametrize("rule", RULES)
def test_algorithm_2_equals_separate_networks(rule, g):
    """Eq. 7 one network after the other, as printed; skipped batches leave all state alone."""
    size, n, k, threshold = 4, 46, 4, 0.001
    x = torch.rand(n, 2, generator=g)
    log_lik = torch.randn(n, k, generator=g) * 1.5
    log_lik[:, 3] -= 8  # hardly ever wins a batch
    priors = torch.tensor([0.4, 0.3, 0.2, 0.1])
    trainer = make_trainer(rule, k=k)
    networks = [Separate(trainer.bank, j, rule) for j in range(k)]
    skipped, scales = 0, []
    for t in range(3):
        algorithm_2_iteration(
            trainer, x, log_lik, priors, size, threshold, torch.Generator().manual_seed(t)
        )
        order = rearrange(log_lik, torch.Generator().manual_seed(t))
        batches = order[: n // size * size].view(-1, size)
        m = naive_batch_memberships(log_lik, priors, batches)
        for j, network in enumerate(networks):
            for i, batch in enumerate(batches):
                if m[i, j] < threshold:
                    skipped += 1
                    continue
                network.step(x[batch], size, float(m[i, j]))
                scales.append(m[i, j])
    assert skipped > 10 and min(scales) < 0.1 and max(scales) > 0.9  # the case tells something
    assert len({network.steps for network in networks}) > 2
    assert_equal(trainer, networks, momenta=rule != "plain sgd")


class Recorder:
    """Stands in for a trainer and keeps what it is told to train on."""

    def __init__(self, k):
        self.bank = type("Bank", (), {"n_components": k})()

    def run(self, x, queues, factors):
        self.queues, self.factors = queues, factors


@pytest.mark.parametrize("threshold", [0.0, 0.001, 0.3])
def test_algorithm_2_drops_only_batches_under_the_threshold(threshold, g):
    size, n, k = 6, 100, 3
    log_lik, priors = torch.randn(n, k, generator=g), torch.tensor([0.6, 0.3, 0.1])
    recorder = Recorder(k)
    algorithm_2_iteration(
        recorder, torch.zeros(n, 2), log_lik, priors, size, threshold, g.manual_seed(3)
    )
    order = rearrange(log_lik, torch.Generator().manual_seed(3))
    batches = order[: n // size * size].view(-1, size)
    m = naive_batch_memberships(log_lik, priors, batches)
    for j in range(k):
        kept = m[:, j] >= threshold
        assert recorder.queues[j].tolist() == batches[torch.from_numpy(kept)].tolist()
        np.testing.assert_allclose(recorder.factors[j], m[kept, j], rtol=1e-6)
    used = sum(len(queue) for queue in recorder.queues)
    assert used == int((m >= threshold).sum())
    assert (used < m.size) == (threshold > 0)


@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_a_skipped_network_keeps_everything(rule, g):
    trainer = make_trainer(rule, k=3)
    x = torch.rand(40, 2, generator=g)
    batches = torch.arange(40).view(10, 4)
    ones = torch.ones(10)
    trainer.run(x, [batches, batches[:6], batches[:2]], [ones, ones[:6], ones[:2]])
    before = copy.deepcopy(trainer.state())
    trainer.run(x, [batches[:3], batches[:0], batches[:1]], [ones[:3], ones[:0], ones[:1]])
    after = trainer.state()
    for old, new in zip(before["weights"], after["weights"], strict=True):
        assert torch.equal(old[1], new[1])
        assert not torch.equal(old[0], new[0]) and not torch.equal(old[2], new[2])
    for old_slot, new_slot in zip(before["slots"], after["slots"], strict=True):
        for old, new in zip(old_slot, new_slot, strict=True):
            assert torch.equal(old[1], new[1])
    assert before["counts"].tolist() == [10, 6, 2]
    assert after["counts"].tolist() == [13, 6, 3]
    assert torch.equal(before["generators"][1], after["generators"][1])


def test_nothing_to_do_is_no_step(g):
    trainer = make_trainer(k=2)
    before = copy.deepcopy(trainer.state())
    empty = torch.empty(0, 4, dtype=torch.int64)
    trainer.run(torch.rand(8, 2, generator=g), [empty, empty], [torch.ones(0)] * 2)
    after = trainer.state()
    assert all(torch.equal(a, b) for a, b in zip(before["weights"], after["weights"], strict=True))
    assert not after["counts"].any()


@pytest.mark.parametrize("rule", ["sgd", "plain sgd", "adam"])
@pytest.mark.parametrize("membership", [0.0, 0.25, 0.001])
def test_membership_scales_the_first_step(rule, membership, g):
    """Eq. 7. Under Adam a scaled gradient would leave the step as it is, so the step is scaled."""
    x, batches = torch.rand(20, 2, generator=g), torch.arange(4).view(1, 4)
    moved = {}
    for m in (1.0, membership):
        trainer = make_trainer(rule, k=1)
        start = [t.clone() for t in trainer.bank.tensors()]
        trainer.run(x, [batches], [torch.tensor([m])])
        moved[m] = [t - s for t, s in zip(trainer.bank.tensors(), start, strict=True)]
    for full, scaled in zip(moved[1.0], moved[membership], strict=True):
        assert full.abs().max() > 1e-4
        torch.testing.assert_close(scaled, membership * full, rtol=1e-3, atol=3e-7)


def test_a_batch_that_counts_little_leaves_little_in_the_velocity(g):
    """m = 0.001, then m = 1: the second step is its own, not that of the first in full."""
    x = torch.rand(20, 2, generator=g)
    batches = torch.arange(8).view(2, 4)
    runs = []
    for queue, m in ((batches, [0.001, 1.0]), (batches[1:], [1.0])):
        trainer = make_trainer("sgd", k=1)
        if len(m) == 1:
            trainer.generators[0].manual_seed(100)
            trainer.bank.draw_inputs(1, 4, generator=trainer.generators[0])  # those of the other
        start = [t.clone() for t in trainer.bank.tensors()]
        trainer.run(x, [queue], [torch.tensor(m)])
        runs.append([t - s for t, s in zip(trainer.bank.tensors(), start, strict=True)])
    for both, alone in zip(*runs, strict=True):
        torch.testing.assert_close(both, alone, rtol=0.05, atol=2e-3 * float(alone.abs().max()))


def test_a_network_does_not_depend_on_the_others(g):
    x = torch.rand(60, 2, generator=g)
    batches = torch.arange(60).view(15, 4)
    results = []
    for other in (batches, batches[:2], batches.flip(0)[:9]):
        trainer = make_trainer("adam", k=3)
        queues = [other, batches[:7], other[:1]]
        trainer.run(x, queues, [torch.full((len(q),), 0.5) for q in queues])
        results.append([t[1].clone() for t in trainer.bank.tensors()])
    for result in results[1:]:
        for a, b in zip(results[0], result, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_hard_batches(g):
    sizes, size = [1, 4, 5, 17, 0], 5
    _, labels = points_and_labels(sizes, g)
    queues = hard_batches(labels, 5, size, g)
    assert [queue.shape for queue in queues] == [(1, 5), (1, 5), (1, 5), (3, 5), (0, 5)]
    for j, queue in enumerate(queues):
        rows = queue[queue != PADDING]
        assert len(rows.unique()) == len(rows) == [1, 4, 5, 15, 0][j]
        assert (labels[rows] == j).all()
    # Other batches, and another rest that is left out, in each epoch: every point has its turn.
    seen = {tuple(hard_batches(labels, 5, size, g)[3].flatten().tolist()) for _ in range(30)}
    assert len(seen) == 30
    assert set().union(*seen) == set(torch.nonzero(labels == 3).flatten().tolist())


@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_restored_state_goes_on_exactly(rule, g):
    x, labels = points_and_labels([9, 3, 14], g)
    epochs = [torch.Generator().manual_seed(s) for s in (1, 2)]
    whole = make_trainer(rule, k=3)
    algorithm_1_epoch(whole, x, labels, 4, epochs[0])
    kept = copy.deepcopy(whole.state())
    algorithm_1_epoch(whole, x, labels, 4, torch.Generator().manual_seed(2))
    other = make_trainer(rule, k=3, seed=99)
    other.restore(kept)
    algorithm_1_epoch(other, x, labels, 4, epochs[1])
    for a, b in zip(whole.state()["weights"], other.state()["weights"], strict=True):
        assert torch.equal(a, b)
    assert torch.equal(whole.counts, other.counts)


def test_state_is_a_copy(g):
    x, labels = points_and_labels([9, 8], g)
    trainer = make_trainer(k=2)
    kept = trainer.state()
    copied = copy.deepcopy(kept)
    algorithm_1_epoch(trainer, x, labels, 4, g)
    assert all(torch.equal(a, b) for a, b in zip(kept["weights"], copied["weights"], strict=True))
    assert torch.equal(kept["counts"], copied["counts"])


def test_training_brings_the_samples_to_the_cluster(g):
    """A network of the bank, trained by Algorithm 1, draws what its cluster is like."""
    centres = torch.tensor([[0.2, 0.3], [0.7, 0.8]])
    labels = torch.arange(400) % 2
    x = centres[labels] + 0.04 * torch.randn(400, 2, generator=g)
    trainer = make_trainer("sgd", k=2, structure="2-16-16-2")
    for _ in range(40):
        algorithm_1_epoch(trainer, x, labels, 50, g)
    samples = trainer.bank.sample(500, g)
    for j in range(2):
        np.testing.assert_allclose(samples[j].mean(0), centres[j], atol=0.04)


def test_the_running_mean_is_of_likelihoods(g):
    old, new = torch.randn(5, 2, generator=g), torch.randn(5, 2, generator=g)
    torch.testing.assert_close(running_mean(old, new, 0.8).exp(), 0.8 * old.exp() + 0.2 * new.exp())
    assert running_mean(old, new, 0) is new
