"""RBM and DBN: against enumeration of every state, and on distributions small enough to know."""

import itertools
import math

import numpy as np
import pytest
import torch

from baselines.generative import checkpoints
from baselines.generative.dbn import DBN
from baselines.generative.rbm import Machine

SMALL = dict(hidden=(6, 5), epochs=(3, 4), batch_size=16, n_chains=8, burn_in=3, thin=2)
LAYER = dict(k=(1,), persistent=(False,), lr=(0.1,), epochs=(10,))  # of a single machine


class Killed(Exception):
    pass


@pytest.fixture(autouse=True)
def untouched_global_random_state():
    before = torch.random.get_rng_state()
    yield
    assert torch.equal(torch.random.get_rng_state(), before)


def g(seed=3):
    return torch.Generator().manual_seed(seed)


def states(n):
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=n)), dtype=torch.float64)


def machine(n, m, seed=0, scale=1.0, n_persistent=0):
    one = Machine(n, m, n_persistent).double()
    generator = g(seed)
    for parameter in one.parameters():
        draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.data.copy_(scale * draw)
    return one


def log_joint(rbm):
    """Normalised log p(v, h), shape (2^n, 2^m), every term written out."""
    v, h = states(len(rbm.b)), states(len(rbm.c))
    energy = v @ rbm.b[:, None] + (h @ rbm.c)[None] + v @ rbm.W @ h.T
    return energy - energy.flatten().logsumexp(0)


def log_likelihood(rbm, data):
    v = states(len(rbm.b))
    index = (data[:, None] == v[None]).all(2).double().argmax(1)
    return log_joint(rbm).logsumexp(1)[index].mean()


def bars_and_stripes(size=3):
    rows = [np.repeat(np.array(bits)[:, None], size, 1) for bits in states(size).int().tolist()]
    return np.unique([x.ravel() for r in rows for x in (r, r.T)], axis=0).astype(np.float32)


def test_conditionals_and_free_energy_are_those_of_the_joint():
    rbm = machine(4, 3)
    joint, v, h = log_joint(rbm).exp(), states(4), states(3)
    torch.testing.assert_close(rbm.hidden(v), (joint @ h) / joint.sum(1, keepdim=True))
    torch.testing.assert_close(rbm.visible(h), (joint.T @ v) / joint.sum(0)[:, None])
    log_p = -rbm.free_energy(v)
    torch.testing.assert_close(log_p - log_p.logsumexp(0), joint.sum(1).log())


@pytest.mark.parametrize("persistent", [True, False], ids=["pcd", "cd-30"])
def test_gradient_is_that_of_the_exact_likelihood(persistent):
    """PCD from chains in equilibrium, and CD with many steps, estimate it without bias."""
    n_chains = 100_000
    rbm = machine(4, 3, seed=5, scale=0.7)
    data = states(4)[[1, 1, 7, 12, 15]]
    (-log_likelihood(rbm, data)).backward()
    exact = {name: p.grad.clone() for name, p in rbm.named_parameters()}
    with torch.no_grad():
        if persistent:
            p_h = log_joint(rbm).exp().sum(0)
            rbm.chain = states(3)[torch.multinomial(p_h, n_chains, True, generator=g())]
            rbm.contrast(data, 1, g(8))
        else:
            rbm.contrast(data.repeat(n_chains // 5, 1), 30, g(8))
    for name, parameter in rbm.named_parameters():
        # Five standard errors of a mean of n_chains numbers in [0, 1].
        np.testing.assert_allclose(parameter.grad, exact[name], atol=2.5 / n_chains**0.5)


def test_cd_1_is_another_gradient_and_pcd_goes_on_from_its_chain():
    rbm = machine(4, 3, seed=5, scale=2.0, n_persistent=20)
    chain = rbm.chain
    with torch.no_grad():
        rbm.contrast(states(4), 1, g(1))
        _, v, p = rbm.gibbs(chain, 1, g(1))
    assert torch.equal(rbm.chain, p)
    up = rbm.hidden(states(4)).detach()
    expected = v.T @ p / 20 - states(4).T @ up / 16
    torch.testing.assert_close(rbm.W.grad, expected.detach())
    torch.testing.assert_close(rbm.b.grad, v.mean(0) - 0.5)


def tiny_dbn():
    model = DBN(hidden=(3, 2), n_chains=500, burn_in=100, thin=10)
    model.n_features_in_ = 4
    model.network_ = model._network(4)
    for layer, seed in zip(model.network_.layers, (1, 2), strict=True):
        source = machine(len(layer.b), len(layer.c), seed)
        for to, parameter in zip(layer.parameters(), source.parameters(), strict=True):
            to.data.copy_(parameter.data)
    return model


def test_samples_have_the_distribution_of_the_top_machine():
    """A sample is a function of the top machine's hidden units: these occur as they should."""
    model = tiny_dbn()
    below, top = (layer.double() for layer in model.network_.layers)
    with torch.no_grad():
        p_h = log_joint(top).exp().sum(0).numpy()
        images = below.visible(top.visible(states(2))).float().numpy()  # mean field, h by h
    model.network_.float()
    n = 50_000
    found = model.sample(n, g())
    assert found.shape == (n, 4) and found.dtype == np.float32
    distance = np.abs(found[:, None] - images[None]).max(2)
    assert distance.min(1).max() < 1e-5  # nothing else ever
    counts = np.bincount(distance.argmin(1), minlength=4) / n
    np.testing.assert_allclose(counts, p_h, atol=0.02)


def test_fewer_samples_are_the_first_of_more_and_the_generator_decides():
    model = tiny_dbn()
    model.set_params(burn_in=0, thin=1)
    many = model.sample(1200, g())
    assert np.array_equal(model.sample(700, g()), many[:700])
    assert not np.array_equal(model.sample(700, g(4)), many[:700])


def test_chains_start_at_what_is_handed_in_and_burn_in_and_thin_count_steps():
    model = tiny_dbn()
    start = np.eye(4, dtype=np.float32)
    model.set_params(burn_in=3, thin=2)
    found = model.sample(8, g(), start=start)
    below, top = model.network_.layers
    generator, expected = g(), []
    with torch.no_grad():
        p = top.hidden(below.hidden(torch.from_numpy(start)))
        for step in range(1, 8):
            means, _, p = top.gibbs(p, 1, generator)
            if step in (5, 7):
                expected.append(below.visible(means))
    np.testing.assert_array_equal(found, torch.cat(expected).numpy())


def test_updates_follow_rate_momentum_and_decay(X, monkeypatch):
    """v ← m v - lr (g + decay w), w ← w + v, the rate falling to zero, biases without decay."""

    def constant(self, data, k, generator):
        for parameter in self.parameters():
            parameter.grad = torch.ones_like(parameter)

    monkeypatch.setattr(Machine, "contrast", constant)
    settings = dict(batch_size=16, momentum=(0.3, 0.8), momentum_switch=2, weight_decay=0.1)
    model = DBN(hidden=(6,), **LAYER, **settings, max_updates=20).fit(X)
    start = DBN(hidden=(6,), **LAYER | {"lr": (1e-30,)}, **settings, max_updates=20).fit(X)
    w, c = start.network_.layers[0].W.data.clone(), 0.0
    v_w, v_c = torch.zeros(9, 6), 0.0
    for t in range(20):
        m, rate = (0.3, 0.8)[t >= 2 * 4], 0.1 * (1 - t / 20)
        v_w, v_c = m * v_w - rate * (1 + 0.1 * w), m * v_c - rate
        w, c = w + v_w, c + v_c
    torch.testing.assert_close(model.network_.layers[0].W.data, w)
    np.testing.assert_allclose(model.network_.layers[0].c, c, rtol=1e-5)


@pytest.mark.parametrize(
    ("epochs", "least"), [(600, -4.5), pytest.param(3000, -3.5, marks=pytest.mark.slow)]
)
def test_an_rbm_learns_bars_and_stripes(epochs, least):
    data = bars_and_stripes()
    assert len(data) == 14
    settings = LAYER | dict(persistent=(True,), epochs=(epochs,), batch_size=140)
    model = DBN(hidden=(20,), momentum=(0.9, 0.9), weight_decay=0, **settings)
    rbm = model.fit(np.tile(data, (10, 1))).network_.layers[0]
    with torch.no_grad():
        log_z = (-rbm.free_energy(states(9).float())).logsumexp(0)
        score = (-rbm.free_energy(torch.from_numpy(data)) - log_z).mean()
    # All of the mass on the data would give -log 14 = -2.64; independent pixels give -6.2.
    assert least < score < -2.64


def test_pixels_are_means_of_binary_images():
    X = np.tile(np.float32([0.2, 0.7, 0.0, 1.0]), (400, 1))
    rbm = DBN(hidden=(3,), **LAYER).fit(X).network_.layers[0].double()
    marginals = log_joint(rbm).exp().sum(1) @ states(4)
    np.testing.assert_allclose(marginals.detach(), X[0], atol=0.05)


def test_a_dbn_learns_two_noisy_prototypes():
    rng = np.random.default_rng(0)
    prototypes = np.repeat(np.eye(2, dtype=np.float32), 10, axis=1)  # halves of 20 pixels
    kind = np.arange(1000) % 4 // 3  # three quarters of the first
    X = np.abs(prototypes[kind] - (rng.random((1000, 20)) < 0.05)).astype(np.float32)
    model = DBN(hidden=(16, 8), epochs=(40, 80), n_chains=200, burn_in=500, thin=5).fit(X)
    found = model.sample(2000, g())
    near = np.abs(found[:, None] - prototypes).mean(2)
    assert near.min(1).mean() < 0.12
    assert (near.argmin(1) == 0).mean() == pytest.approx(0.75, abs=0.15)


@pytest.fixture
def X():
    return np.random.default_rng(1).random((70, 9), dtype=np.float32)


def same(a, b):
    assert a.history_ == b.history_ and a.values_ == b.values_
    other = b.network_.state_dict()
    assert all(torch.equal(value, other[name]) for name, value in a.network_.state_dict().items())
    assert np.array_equal(a.sample(20, g()), b.sample(20, g()))


@pytest.mark.parametrize("stop", [1, 7, 12, 13, 20, 27])
def test_a_killed_training_goes_on_to_the_same_result(X, stop, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    whole = DBN(**SMALL).fit(X)
    assert whole.values_["updates"] == 4 * 3 + 4 * 4

    def kill(done, total, text):
        assert total == 28
        if done == stop:
            raise Killed

    with pytest.raises(Killed):
        DBN(**SMALL).fit(X, checkpoint=tmp_path / "state", progress=kill)
    told = []
    resumed = DBN(**SMALL).fit(
        X, checkpoint=tmp_path / "state", progress=lambda done, *_: told.append(done)
    )
    assert [done for done in told if done != 12] == [i for i in range(stop + 1, 29) if i != 12]
    same(whole, resumed)


def test_budget_is_shared_and_the_seed_decides(X):
    model = DBN(**SMALL, max_updates=14).fit(X)
    assert model.values_ == {"updates": 14, "stopped_by": "budget"}
    assert (model.history_["update_1"][-1], model.history_["update_2"][-1]) == (6, 8)
    assert DBN(**SMALL, max_updates=28).fit(X).values_["stopped_by"] == "length"
    same(model, DBN(**SMALL, max_updates=14).fit(X))
    other = DBN(**SMALL, max_updates=14, random_state=1).fit(X)
    assert not torch.equal(other.network_.layers[0].W, model.network_.layers[0].W)


def test_validation_is_watched_only(X):
    model = DBN(**SMALL).fit(X, validation=X[:30])
    gaps = [model.values_[f"free_energy_gap_{i}"] for i in (1, 2)]
    assert gaps == [0, 0]  # the same points as those of the training
    rbm = model.network_.layers[0]
    model = DBN(**SMALL).fit(X, validation=1 - X[:30])
    assert torch.equal(model.network_.layers[0].W, rbm.W)
    x = torch.from_numpy(X[:30])
    gap = float(rbm.free_energy(1 - x).mean() - rbm.free_energy(x).mean())
    assert math.isclose(model.values_["free_energy_gap_1"], gap, rel_tol=1e-5)


def test_fewer_points_than_a_batch_or_chains():
    model = DBN(hidden=(3, 2), epochs=(2, 2), burn_in=1, n_chains=7).fit(np.eye(4))
    assert model.values_["updates"] == 4
    assert {tuple(row) for row in model.network_.start.numpy()} == {tuple(row) for row in np.eye(4)}
    assert np.isfinite(model.sample(3, g())).all()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"hidden": ()}, "hidden must be a tuple"),
        ({"hidden": 5}, "hidden must be a tuple"),
        ({"hidden": (5, 0)}, r"hidden\[1\] must be a whole number from 1; got 0"),
        ({"k": (1,)}, r"k must be a tuple, one number a layer \(2\); got \(1,\)"),
        ({"persistent": (0, 1)}, "persistent must be a tuple of bool"),
        ({"lr": (0.1, 0)}, r"lr\[1\] must be a number above 0"),
        ({"epochs": (1, 2.5)}, r"epochs\[1\] must be a whole number"),
        ({"momentum": 0.9}, "momentum must be a tuple"),
        ({"momentum": (0.5, 1.5)}, r"momentum\[1\] .* at most 1; got 1.5"),
        ({"weight_decay": -1}, "weight_decay must be a number from 0; got -1"),
        ({"batch_size": 0}, "batch_size"),
        ({"n_chains": 0}, "n_chains"),
        ({"burn_in": -1}, "burn_in"),
        ({"thin": 0}, "thin"),
        ({"max_updates": 0}, "max_updates"),
    ],
)
def test_bad_settings(X, bad, message):
    with pytest.raises(ValueError, match=message):
        DBN(**SMALL | bad).fit(X)


def test_bad_data_and_bad_calls(X):
    with pytest.raises(ValueError, match=r"X must be finite and lie in \[0, 1\]"):
        DBN(**SMALL).fit(X + 1)
    model = DBN(**SMALL, max_updates=2).fit(X)
    with pytest.raises(ValueError, match="n must be a whole number from 1; got 0"):
        model.sample(0, g())
    with pytest.raises(ValueError, match="generator must be a torch.Generator; got 3"):
        model.sample(2, 3)
    with pytest.raises(ValueError, match="start must have 9 features; got 8"):
        model.sample(2, g(), start=X[:, :8])


def test_divergence_is_an_error(X):
    with pytest.raises(FloatingPointError, match="diverged"):
        DBN(**SMALL | {"lr": (1e38, 1e38)}).fit(X)
