"""What every objective of the library promises."""

import copy
import pickle

import pytest
import torch

from mixnet_core.bank import DenseBank
from mixnet_core.em import algorithm_1_epoch
from mixnet_core.files.checkpoints import load_checkpoint, save_checkpoint
from mixnet_core.objectives.registry import OBJECTIVES, make_objective
from mixnet_core.optimizers import BankTrainer
from mixnet_core.training.adam import Adam

K, P, SCALE = 4, 3, 0.7
every_objective = pytest.mark.parametrize("name", OBJECTIVES)


def prepared(objective, k=K, p=P, scale=SCALE, seed=0):
    objective = make_objective(objective)
    objective.prepare(k, p, scale, torch.Generator().manual_seed(seed))
    return objective


def batch(g, a=3, n=6):
    return torch.rand(a, n, P, generator=g), torch.rand(a, n, P, generator=g) + 0.3


def loss_and_gradient(objective, x, y, mask, networks):
    leaf = y.clone().requires_grad_()
    loss = objective(x, leaf, mask, torch.tensor(networks))
    return loss.detach(), torch.autograd.grad(loss.sum(), leaf)[0]


def assert_close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


@every_objective
def test_loss_and_gradient_are_there(name, g):
    x, y = batch(g)
    loss, gradient = loss_and_gradient(prepared(name), x, y, None, [0, 1, 2])
    assert loss.shape == (3,) and bool(gradient.isfinite().all())
    assert bool((gradient.abs().amax((1, 2)) > 1e-3).all())


@every_objective
def test_a_mask_is_a_shorter_batch(name, g):
    x, y = batch(g)
    mask = torch.tensor([[True] * 6, [False, True] * 3, [True] + [False] * 5])
    x[~mask] = 1e3  # what lies under the mask is never looked at
    loss, gradient = loss_and_gradient(prepared(name), x, y, mask, [0, 1, 2])
    for a in range(3):
        short = x[a][mask[a]][None]
        alone = loss_and_gradient(prepared(name), short, y[a : a + 1], None, [a])
        assert_close(loss[a : a + 1], alone[0])
        assert_close(gradient[a : a + 1], alone[1])
    whole = torch.ones(3, 6, dtype=torch.bool)
    x[~mask] = 0.5
    assert_close(
        loss_and_gradient(prepared(name), x, y, whole, [0, 1, 2]),
        loss_and_gradient(prepared(name), x, y, None, [0, 1, 2]),
    )


@every_objective
def test_units_and_place_of_the_data_do_not_matter(name, g):
    x, y = batch(g)
    loss, gradient = loss_and_gradient(prepared(name), x, y, None, [0, 1, 2])
    other = prepared(name, scale=8 * SCALE)
    moved = loss_and_gradient(other, 8 * x + 3, 8 * y + 3, None, [0, 1, 2])
    assert_close(loss, moved[0])
    assert_close(gradient, 8 * moved[1])


@every_objective
def test_networks_keep_apart_in_whatever_order_they_come(name, g):
    straight, other = prepared(name), prepared(name)
    for _ in range(3):
        x, y = batch(g)
        loss, gradient = loss_and_gradient(straight, x, y, None, [0, 1, 3])
        x[1], y[1] = 0.1, y[1] * 0.5  # the last network's business only
        swapped = loss_and_gradient(other, x[[2, 0, 1]], y[[2, 0, 1]], None, [3, 0, 1])
        assert_close(loss[[2, 0]], swapped[0][:2])
        assert_close(gradient[[2, 0]], swapped[1][:2])


def trainer(name, seed=0):
    bank = DenseBank("2-6-2", 3, torch.Generator().manual_seed(seed))
    generators = [torch.Generator().manual_seed(seed + j) for j in range(3)]
    return BankTrainer(bank, prepared(name, 3, 2, 0.3, seed), Adam(lr=0.01), generators)


def leaves(state):
    if isinstance(state, torch.Tensor | float):
        return [torch.as_tensor(state)]
    values = state.values() if isinstance(state, dict) else state
    return [leaf for value in values for leaf in leaves(value)]


@every_objective
def test_a_restored_training_goes_on_to_the_bit(name, g, tmp_path):
    x, labels = torch.rand(40, 2, generator=g), torch.arange(40) % 7 % 3
    whole = trainer(name)
    algorithm_1_epoch(whole, x, labels, 15, torch.Generator().manual_seed(1))
    save_checkpoint(tmp_path / "kept", whole.state())  # read without pickle
    algorithm_1_epoch(whole, x, labels, 15, torch.Generator().manual_seed(2))
    other = trainer(name, seed=99)
    kept = load_checkpoint(tmp_path / "kept")
    other.restore(kept)
    algorithm_1_epoch(other, x, labels, 15, torch.Generator().manual_seed(2))
    ours, theirs = leaves(whole.state()), leaves(other.state())
    assert len(ours) == len(theirs)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert not torch.equal(ours[0], leaves(kept)[0])
    again = load_checkpoint(tmp_path / "kept")  # restoring kept no hold of what it was given
    assert all(torch.equal(a, b) for a, b in zip(leaves(kept), leaves(again), strict=True))


@every_objective
def test_the_state_is_a_copy(name, g):
    objective, (x, y) = prepared(name), batch(g)
    kept = objective.state()
    copied = copy.deepcopy(kept)
    loss_and_gradient(objective, x, y, None, [0, 1, 2])
    assert all(torch.equal(a, b) for a, b in zip(leaves(kept), leaves(copied), strict=True))


@every_objective
def test_a_second_preparation_forgets_the_first_training(name, g):
    objective, (x, y) = prepared(name), batch(g)
    first = loss_and_gradient(objective, x, y, None, [0, 1, 2])
    objective.prepare(K, P, SCALE, torch.Generator().manual_seed(0))
    again = loss_and_gradient(objective, x, y, None, [0, 1, 2])
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])


@every_objective
def test_copies_live_their_own_life(name, g):
    """What a user holds stays as it is, and a copy in the middle of a training goes on alike."""
    held, (x, y) = prepared(name), batch(g)
    loss_and_gradient(held, x, y, None, [0, 1, 2])
    before, used = copy.deepcopy(held.state()), make_objective(held)
    first = loss_and_gradient(used, x, y, None, [0, 1, 2])
    for a, b in zip(leaves(before), leaves(held.state()), strict=True):
        assert torch.equal(a, b)
    later = loss_and_gradient(held, x, y, None, [0, 1, 2])
    assert torch.equal(first[0], later[0]) and torch.equal(first[1], later[1])


@every_objective
def test_settings_survive_files_copies_and_words(name):
    objective = make_objective(name)
    plain = objective.plain()
    assert plain["name"] == name and set(plain) == {"name", *objective.settings}
    assert all(type(v) in (str, int, float, list) for v in plain.values())
    assert make_objective(plain).plain() == plain
    assert pickle.loads(pickle.dumps(objective)).plain() == plain
    assert repr(make_objective(plain)) == repr(objective)


@every_objective
def test_use_before_preparation_is_an_error(name, g):
    x, y = batch(g)
    with pytest.raises(RuntimeError, match=r"needs prepare\(\) before its first use"):
        make_objective(name)(x, y, None, torch.arange(3))


@every_objective
def test_networks_learn_two_clusters(name, g):
    """Mean and covariance of two correlated Gaussian clusters, by Algorithm 1."""
    labels = torch.arange(400) % 2
    centres = torch.tensor([[0.25, 0.3], [0.7, 0.75]])
    mix = torch.tensor([[[0.06, 0.0], [0.04, 0.03]], [[0.03, -0.03], [0.0, 0.06]]])
    x = centres[labels] + (torch.randn(400, 1, 2, generator=g) @ mix[labels])[:, 0]
    w = float(torch.pdist(x[labels == 0]).median())
    bank = DenseBank("2-24-24-2", 2, torch.Generator().manual_seed(3))
    generators = [torch.Generator().manual_seed(j) for j in range(2)]
    training = BankTrainer(bank, prepared(name, 2, 2, w, 5), Adam(lr=0.005), generators)

    def errors():
        """Distance of the means in units of w; relative error of the covariance."""
        samples = bank.sample(2000, torch.Generator().manual_seed(9))
        for j in range(2):
            ours, data = samples[j], x[labels == j]
            covariance = data.T.cov()
            yield float((ours.mean(0) - data.mean(0)).norm()) / w
            yield float((ours.T.cov() - covariance).norm() / covariance.norm())

    assert min(errors()) > 0.7
    for epoch in range(90):
        if epoch == 60:
            training.optimizer.lr /= 10
        algorithm_1_epoch(training, x, labels, 50, g)
    assert max(errors()) < (0.5 if name == "adversarial" else 0.3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@every_objective
def test_a_gpu_gives_the_same(name, g):
    x, y = batch(g)
    mask = torch.tensor([[True] * 6, [False, True] * 3, [True] + [False] * 5])
    there = make_objective(name)
    there.prepare(K, P, SCALE, torch.Generator().manual_seed(0), "cuda")
    for padding in (None, mask):
        here = loss_and_gradient(prepared(name), x, y, padding, [0, 1, 2])
        leaf = y.cuda().requires_grad_()
        there.prepare(K, P, SCALE, torch.Generator().manual_seed(0), "cuda")
        padding = None if padding is None else padding.cuda()
        loss = there(x.cuda(), leaf, padding, torch.arange(3, device="cuda"))
        assert_close(loss.detach().cpu(), here[0])
        assert_close(torch.autograd.grad(loss.sum(), leaf)[0].cpu(), here[1])
