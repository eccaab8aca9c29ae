"""Deep GSN: against a loop written from the published code, and finite differences."""

import numpy as np
import pytest
import torch

from baselines.generative.gsn import GSN, Network, salt_and_pepper

SMALL = dict(hidden=(7, 6), epochs=5, batch_size=16)


@pytest.fixture(autouse=True)
def untouched_global_random_state():
    before = torch.random.get_rng_state()
    yield
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.fixture
def X():
    return np.random.default_rng(1).random((70, 9), dtype=np.float32)


def g(seed=3):
    return torch.Generator().manual_seed(seed)


def network(rate, std, seed=0, scale=1.0):
    net = Network((5, 4, 3), rate, std, 1).double().requires_grad_(False)
    generator = g(seed)
    for parameter in net.parameters():
        draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.copy_(scale * draw)
    return net


def images(n=6):
    return torch.rand(n, 5, generator=g(20), dtype=torch.float64)


def loop(net, x, steps, generator):
    """The chain as in the published code, in numpy: P(X|h) of every step."""
    W1, W2, b0, b1, b2 = (
        getattr(net, name).detach().numpy() for name in ("W1", "W2", "b0", "b1", "b2")
    )

    def uniform(shape):
        return torch.rand(shape, generator=generator, dtype=torch.float64).numpy()

    def noisy(a):
        return a + net.std * torch.randn(a.shape, generator=generator, dtype=torch.float64).numpy()

    def corrupt(x):
        u = uniform(x.shape)
        replaced, white = u >= 1 - net.rate, u >= 1 - net.rate / 2
        return x * ~replaced + white

    hidden = [corrupt(x), None, np.zeros((len(x), len(b2)))]
    chain = []
    for _ in range(steps):
        hidden[1] = np.tanh(hidden[2] @ W2.T + hidden[0] @ W1 + b1)  # odd layers; no noise in h1
        p = 1 / (1 + np.exp(-(hidden[1] @ W1.T + b0)))  # even layers
        chain.append(p)
        hidden[0] = corrupt((uniform(p.shape) < p).astype(float))
        hidden[2] = noisy(np.tanh(noisy(hidden[1] @ W2 + b2)))
    return chain


def cross_entropies(x, chain):
    return np.array([-(x * np.log(p) + (1 - x) * np.log(1 - p)).mean() for p in chain])


@pytest.mark.parametrize(("rate", "std"), [(0.0, 0.0), (0.4, 2.0)], ids=["no noise", "published"])
@pytest.mark.parametrize("steps", [1, 4])
def test_loss_is_that_of_the_published_loop(rate, std, steps):
    net, x = network(rate, std), images()
    loss, last = net.backpropagate(x, steps, g())
    entropies = cross_entropies(x.numpy(), loop(net, x.numpy(), steps, g()))
    assert float(loss) == pytest.approx(entropies.sum(), rel=1e-12)
    assert float(last) == pytest.approx(entropies[-1], rel=1e-12)


@pytest.mark.parametrize(("rate", "std"), [(0.0, 0.0), (0.4, 2.0)], ids=["no noise", "published"])
def test_gradient_is_that_of_finite_differences(rate, std):
    """With equal draws; a draw of the input that a small move of the weights flips is unlikely."""
    net, x = network(rate, std, scale=0.5), images()
    net.backpropagate(x, 4, g())
    eps = 1e-6
    for name, parameter in net.named_parameters():
        expected = torch.zeros_like(parameter)
        for index in np.ndindex(*parameter.shape):
            value, losses = float(parameter[index]), []
            for move in (eps, -eps):
                parameter[index] = value + move
                losses.append(cross_entropies(x.numpy(), loop(net, x.numpy(), 4, g())).sum())
            parameter[index] = value
            expected[index] = (losses[0] - losses[1]) / (2 * eps)
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-6, atol=1e-8, msg=name)


def test_salt_and_pepper():
    x = torch.full((400, 500), 0.5)
    found = salt_and_pepper(x, 0.4, g())
    for value, share in ((0.0, 0.2), (0.5, 0.6), (1.0, 0.2)):
        assert float((found == value).float().mean()) == pytest.approx(share, abs=0.005)
    assert torch.equal(salt_and_pepper(x, 0.0, g()), x)
    assert set(salt_and_pepper(x, 1.0, g()).unique().tolist()) == {0.0, 1.0}


def test_updates_have_the_published_momentum_and_annealing(X, monkeypatch):
    """buffer ← m·buffer + (1 - m)·g from zero; w ← w - lr·decay^epoch·buffer."""
    grads = iter(range(1, 100))

    def constant(self, x, steps, generator):
        size = float(next(grads))
        for parameter in self.parameters():
            parameter.grad = torch.full_like(parameter, size)
        return torch.tensor(0.0), torch.tensor(0.0)

    monkeypatch.setattr(Network, "backpropagate", constant)
    model = GSN(**SMALL, lr=0.25, decay=0.5, momentum=0.7).fit(X)
    moved, buffer = 0.0, 0.0
    for update in range(5 * 4):
        buffer = 0.7 * buffer + 0.3 * (update + 1)
        moved -= 0.25 * 0.5 ** (update // 4) * buffer
    np.testing.assert_allclose(model.network_.b1, moved, rtol=1e-5)


def test_published_settings():
    """The options of run_gsn.py; 1500 and 1500 units below 784 pixels."""
    published = dict(
        walkback=4,
        salt_and_pepper=0.4,
        noise_std=2.0,
        lr=0.25,
        decay=0.995,
        momentum=0.5,
        batch_size=100,
        epochs=1000,
        n_chains=1,
        burn_in=0,
        thin=1,
    )
    model = GSN()
    assert {name: getattr(model, name) for name in published} == published
    net = model._network(784)
    assert net.W1.shape == (784, 1500) and net.W2.shape == (1500, 1500)
    net.initialise(g())
    for W in (net.W1, net.W2):
        assert float(W.abs().max().detach()) == pytest.approx((6 / sum(W.shape)) ** 0.5, rel=1e-3)
    assert not any(b.any() for b in (net.b0, net.b1, net.b2))


@pytest.fixture(scope="module")
def trained():
    rng = np.random.default_rng(0)
    prototypes = np.repeat(np.float32([[1, 0, 1, 0], [1, 0, 0, 1]]), [7, 7, 3, 3], axis=1)
    X = np.abs(prototypes[np.arange(400) % 2] - (rng.random((400, 20)) < 0.03)).astype(np.float32)
    return GSN(hidden=(40, 40), lr=1.0, batch_size=50, epochs=80).fit(X), X, prototypes


def test_it_learns_two_noisy_prototypes(trained):
    model, _, prototypes = trained
    assert model.history_["loss"][-1] < 0.6 * model.history_["loss"][0]
    found = model.sample(4000, g())
    near = np.abs(found[:, None] - prototypes).mean(2)
    assert near.min(1).mean() < 0.12
    kind = near.argmin(1)
    assert 0.25 < kind.mean() < 0.75
    assert 50 < (np.diff(kind) != 0).sum() < 1000  # it mixes, and neighbours are alike


def test_samples_are_consecutive_steps_of_one_chain(trained):
    model, X, _ = trained
    assert any(np.array_equal(model.network_.start[0], row) for row in X)
    net = Network((20, 40, 40), 0.4, 2.0, 1)
    net.load_state_dict(model.network_.state_dict())
    found = model.sample(6, g(), start=X[:1])
    generator, h2, expected = g(), None, []
    x = net.corrupt(torch.from_numpy(X[:1]), generator)
    with torch.no_grad():
        for _ in range(6):
            h1, logits = net.middle(x, h2)
            expected.append(logits.sigmoid())
            draw = torch.rand(1, 20, generator=generator) < expected[-1]
            x, h2 = net.corrupt(draw.float(), generator), net.top(h1, generator)[1]
    np.testing.assert_allclose(found, torch.cat(expected).numpy(), rtol=1e-5)
    assert np.array_equal(model.sample(3, g(), start=X[:1]), found[:3])


def test_samples_are_those_of_the_published_loop():
    model = GSN(hidden=(4, 3), n_chains=2)
    model.n_features_in_, model.network_ = 5, network(0.4, 2.0)
    x = images(2).float().double()
    found = model.sample(10, g(), start=x.numpy())
    np.testing.assert_allclose(found, np.concatenate(loop(model.network_, x.numpy(), 5, g())), 1e-6)


def same(a, b):
    assert a.history_ == b.history_ and a.values_ == b.values_
    other = b.network_.state_dict()
    assert all(torch.equal(value, other[name]) for name, value in a.network_.state_dict().items())
    assert np.array_equal(a.sample(20, g()), b.sample(20, g()))


def test_budget_and_the_seed(X):
    model = GSN(**SMALL, max_updates=14).fit(X)
    assert model.values_ == {"updates": 14, "stopped_by": "budget"}
    assert GSN(**SMALL, max_updates=20).fit(X).values_["stopped_by"] == "length"
    same(model, GSN(**SMALL, max_updates=14).fit(X))
    other = GSN(**SMALL, max_updates=14, random_state=1).fit(X)
    assert not torch.equal(other.network_.W1, model.network_.W1)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"hidden": (5,)}, r"hidden must be a tuple, one number a layer \(2\); got \(5,\)"),
        ({"hidden": (5, 0)}, r"hidden\[1\] must be a whole number from 1; got 0"),
        ({"walkback": 0}, "walkback must be a whole number from 1"),
        ({"salt_and_pepper": 1.1}, "salt_and_pepper must be a number from 0, at most 1; got 1.1"),
        ({"noise_std": -1}, "noise_std must be a number from 0; got -1"),
        ({"lr": 0}, "lr must be a number above 0"),
        ({"decay": 0}, "decay must be a number above 0, at most 1"),
        ({"momentum": 2}, "momentum must be a number from 0, at most 1"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"thin": 0}, "thin"),
        ({"max_updates": 0}, "max_updates"),
    ],
)
def test_bad_settings(X, bad, message):
    with pytest.raises(ValueError, match=message):
        GSN(**SMALL | bad).fit(X)


def test_bad_data_and_divergence(X):
    with pytest.raises(ValueError, match=r"X must be finite and lie in \[0, 1\]"):
        GSN(**SMALL).fit(X - 1)
    with pytest.raises(ValueError, match="start must have 9 features; got 4"):
        GSN(**SMALL, max_updates=1).fit(X).sample(2, g(), start=X[:, :4])
    with pytest.raises(FloatingPointError, match="diverged"):
        GSN(**SMALL, lr=1e38).fit(X)
