"""Stacked contractive autoencoder: its penalty and its walk against autograd's Jacobian."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import KernelDensity
from torch.autograd.functional import jacobian

from baselines.generative.contractive import TRIAL, Layer, StackedCAE
from baselines.generative.training import streams
from baselines.protocols import GOODFELLOW

SMALL = dict(hidden=(6, 5), epochs=(3, 4), batch_size=16, n_chains=8, burn_in=3, thin=2)


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


def normal(*shape, seed):
    return torch.randn(shape, generator=g(seed), dtype=torch.float64)


def layer(n=5, m=4, seed=0):
    one = Layer(n, m).double()
    for i, parameter in enumerate(one.parameters()):
        parameter.data.copy_(normal(*parameter.shape, seed=seed + i))
    return one


def test_penalty_and_its_gradient_are_those_of_the_jacobian():
    one, x = layer(), normal(7, 5, seed=9).sigmoid()
    entropy, penalty = one.losses(x)
    found = torch.autograd.grad(penalty, [one.W, one.b])

    def encode(x):  # by the definition, one point
        return 1 / (1 + torch.exp(-(one.W @ x + one.b)))

    J = torch.stack([jacobian(encode, point, create_graph=True) for point in x])
    expected = J.square().sum((1, 2)).mean()
    torch.testing.assert_close(penalty, expected)
    torch.testing.assert_close(found, torch.autograd.grad(expected, [one.W, one.b]))
    means = torch.stack([1 / (1 + torch.exp(-(encode(point) @ one.W + one.c))) for point in x])
    by_hand = -(x * means.log() + (1 - x) * (1 - means).log()).sum(1).mean()
    torch.testing.assert_close(entropy, by_hand)


def test_the_walk_is_the_published_one():
    one, x, noise = layer(), normal(3, 5, seed=9).sigmoid(), normal(3, 4, seed=10)
    for point, eps, tangent, moved in zip(
        x, noise, one.tangent(one.encode(x), noise), one.walk(x, noise), strict=True
    ):
        J = jacobian(lambda x: one.encode(x[None])[0], point)
        torch.testing.assert_close(tangent, J @ J.T @ eps)
        torch.testing.assert_close(moved, one.decode(one.encode(point[None]) + J @ J.T @ eps)[0])


def test_samples_walk_at_the_top_and_pass_down(X):
    model = StackedCAE(**SMALL, walk_std=0.7, max_updates=4).fit(X)
    below, top = model.network_.layers
    start = X[:3]
    found = model.sample(6, g(), start=start)
    generator, expected = g(), []
    x = below.encode(torch.from_numpy(start))
    for step in range(1, 8):
        noise = 0.7 * torch.randn(3, 5, generator=generator)
        J = torch.stack([jacobian(lambda x: top.encode(x[None])[0], point) for point in x])
        x = top.decode(top.encode(x) + (J @ J.mT @ noise[:, :, None])[:, :, 0])
        if step in (5, 7):
            expected.append(below.decode(x))
    np.testing.assert_allclose(found, torch.cat(expected).numpy(), rtol=1e-4, atol=1e-6)


def test_without_noise_the_walk_reconstructs_again_and_again(X):
    settings = SMALL | dict(burn_in=0, thin=1, walk_std=0.0)
    model = StackedCAE(**settings, max_updates=4).fit(X)
    one, other = model.sample(8, g()), model.sample(8, g(4))
    assert np.array_equal(one, other)
    below, top = model.network_.layers
    x = top.decode(top.encode(below.encode(model.network_.start)))
    np.testing.assert_allclose(one, below.decode(x).numpy(), rtol=1e-5)


def two_prototypes(n=600):
    rng = np.random.default_rng(0)
    prototypes = np.repeat(np.eye(2, dtype=np.float32), 10, axis=1)  # halves of 20 pixels
    X = np.abs(prototypes[np.arange(n) % 2] - (rng.random((n, 20)) < 0.03))
    return X.astype(np.float32), prototypes


def test_it_learns_two_noisy_prototypes():
    X, prototypes = two_prototypes()
    model = StackedCAE(hidden=(12, 8), lr=0.02, epochs=(20, 20), walk_std=0.5, burn_in=20, thin=2)
    found = model.fit(X, validation=X[::7]).sample(1000, g())
    near = np.abs(found[:, None] - prototypes).mean(2)
    assert near.min(1).mean() < 0.12
    assert 0.3 < (near.argmin(1) == 0).mean() < 0.7
    assert found.std(0).min() > 0.05


def test_the_walk_is_chosen_by_validation(X):
    settings = SMALL | dict(burn_in=2, thin=1, max_updates=40, random_state=3)
    stds = (0.0, 0.4, 3.0)
    model = StackedCAE(**settings, walk_std=stds).fit(X, validation=X[:9])
    trial = streams(3, 2 + 2 * len(model.hidden))[-1]
    scores = []
    for std in stds:  # by the density of scikit-learn, on the grid of the protocol
        samples = (
            StackedCAE(**settings, walk_std=std)
            .fit(X, validation=X[:9])
            .sample(TRIAL, torch.Generator().set_state(trial.get_state()))
        )
        scores.append(
            max(
                KernelDensity(bandwidth=width).fit(samples).score_samples(X[:9]).mean()
                for width in GOODFELLOW.widths
            )
        )
    np.testing.assert_allclose(model.history_["walk_scores"], scores, rtol=1e-4)
    assert model.values_["walk_std"] == stds[int(np.argmax(scores))]
    again = StackedCAE(**settings, walk_std=model.values_["walk_std"]).fit(X, validation=X[:9])
    assert np.array_equal(model.sample(5, g()), again.sample(5, g()))


def test_one_candidate_is_taken_as_it_is(X, tmp_path):
    settings = SMALL | dict(burn_in=2, thin=1, max_updates=4)
    number = StackedCAE(**settings, walk_std=0.4).fit(X)
    single = StackedCAE(**settings, walk_std=(0.4,)).fit(X)
    assert np.array_equal(number.sample(5, g()), single.sample(5, g()))
    single.save(tmp_path / "model.npz")
    again = StackedCAE.load(tmp_path / "model.npz")
    assert np.array_equal(number.sample(5, g()), again.sample(5, g()))


def test_several_walks_need_validation(X):
    with pytest.raises(ValueError, match="walk_std must be a number without validation"):
        StackedCAE(**SMALL, walk_std=(0.1, 0.2), max_updates=4).fit(X)


def test_contraction_contracts(X):
    free, tight = (
        StackedCAE(hidden=(6,), contraction=(weight,), epochs=(40,), lr=0.02, batch_size=16).fit(X)
        for weight in (0.0, 3.0)
    )
    assert tight.history_["contraction_1"][-1] < 0.5 * free.history_["contraction_1"][-1]
    assert tight.history_["reconstruction_1"][-1] > free.history_["reconstruction_1"][-1]


def test_the_rate_falls_linearly_to_zero(X, monkeypatch):
    rates, step = [], torch.optim.Adam.step
    monkeypatch.setattr(
        torch.optim.Adam,
        "step",
        lambda self: rates.append(self.param_groups[0]["lr"]) or step(self),
    )
    StackedCAE(**SMALL, lr=0.1, max_updates=14).fit(X)
    expected = [0.1 * (1 - t / length) for length in (6, 8) for t in range(length)]
    np.testing.assert_allclose(rates, expected)


def objective(model, x):
    """Loss of each layer on x, shape (m, d)."""
    losses, x = [], torch.from_numpy(x)
    for layer, weight in zip(model.network_.layers, model.contraction, strict=True):
        entropy, penalty = layer.losses(x)
        losses.append(float(entropy + weight * penalty))
        x = layer.encode(x)
    return losses


def test_validation_ends_a_layer_and_keeps_its_best_weights(X):
    """Noise cannot be learnt from eight points: the loss on others soon rises."""
    rest = X[8:]
    settings = SMALL | dict(contraction=(0.1, 0.05), epochs=(400, 400), lr=0.05, batch_size=8)
    model = StackedCAE(**settings, patience=3).fit(X[:8], validation=rest)
    assert model.values_["stopped_by"] == "validation"
    assert model.values_["updates"] == sum(len(model.history_[f"update_{i}"]) for i in (1, 2))
    for i, loss in enumerate(objective(model, rest), start=1):
        curve = model.history_[f"validation_{i}"]
        assert min(curve) < curve[-1] and len(curve) - np.argmin(curve) - 1 == 3
        assert loss == pytest.approx(min(curve), rel=1e-5)
        assert loss == pytest.approx(model.values_[f"best_validation_{i}"], rel=1e-5)
    endless = StackedCAE(**settings | {"epochs": (9, 9)}, patience=None).fit(X[:8], validation=rest)
    assert endless.values_["stopped_by"] == "length"


def same(a, b):
    assert a.history_ == b.history_ and a.values_ == b.values_
    other = b.network_.state_dict()
    assert all(torch.equal(value, other[name]) for name, value in a.network_.state_dict().items())
    assert np.array_equal(a.sample(20, g()), b.sample(20, g()))


def test_budget_is_shared_and_the_seed_decides(X):
    model = StackedCAE(**SMALL, max_updates=14).fit(X)
    assert model.values_ == {"updates": 14, "stopped_by": "budget"}
    assert (model.history_["update_1"][-1], model.history_["update_2"][-1]) == (6, 8)
    same(model, StackedCAE(**SMALL, max_updates=14).fit(X))
    other = StackedCAE(**SMALL, max_updates=14, random_state=1).fit(X)
    assert not torch.equal(other.network_.layers[0].W, model.network_.layers[0].W)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"hidden": ()}, "hidden must be a tuple"),
        ({"hidden": (5, -1)}, r"hidden\[1\] must be a whole number from 1; got -1"),
        ({"contraction": 0.1}, r"contraction must be a tuple, one number a layer \(2\); got 0.1"),
        ({"contraction": (0.1, -0.1)}, r"contraction\[1\] must be a number from 0"),
        ({"epochs": (1, 0)}, r"epochs\[1\]"),
        ({"lr": 0}, "lr must be a number above 0; got 0"),
        ({"walk_std": float("nan")}, "walk_std must be a number from 0; got nan"),
        ({"patience": 0}, "patience must be a whole number from 1"),
        ({"batch_size": 1.5}, "batch_size"),
        ({"n_chains": 0}, "n_chains"),
        ({"max_updates": 0}, "max_updates"),
    ],
)
def test_bad_settings(X, bad, message):
    with pytest.raises(ValueError, match=message):
        StackedCAE(**SMALL | bad).fit(X)


def test_bad_data_and_divergence(X):
    with pytest.raises(ValueError, match="validation must have 9 features; got 3"):
        StackedCAE(**SMALL).fit(X, validation=X[:, :3])
    with pytest.raises(FloatingPointError, match="diverged"):
        StackedCAE(**SMALL, lr=1e38).fit(X)
