"""GMMN and GMMN+AE: MMD against double loops, schedules, updates written out, toy data."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from torch.nn.functional import binary_cross_entropy

from baselines.generative.gmmn import GMMN, fan_in_normal, schedule, sqrt_mmd
from baselines.generative.gmmn_autoencoder import (
    MAX_GRADIENT_NORM,
    GMMNAutoencoder,
    fine_tuning_momentum,
)
from baselines.generative.gmmn_scaled import ScaledGMMN, median_squared_distance
from baselines.generative.model import generator_network
from baselines.generative.sigmoid_autoencoder import SigmoidAutoencoder
from baselines.generative.training import Batches, streams


def points(n, d, seed=0):
    return torch.rand(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plain_mmd2(y, x, variances):
    """The definition, pair by pair."""

    def mean(a, b):
        return sum(
            math.exp(-float((p - q).square().sum()) / (2 * v))
            for p in a
            for q in b
            for v in variances
        ) / (len(a) * len(b))

    return mean(x, x) + mean(y, y) - 2 * mean(x, y)


def autograd_mmd2(y, x, variances):
    def mean(a, b):
        squared = (a[:, None] - b[None]).square().sum(2)
        return sum((-squared / (2 * v)).exp().mean() for v in variances)

    return mean(x, x) + mean(y, y) - 2 * mean(x, y)


VARIANCES = [(1.0,), (0.3,), (2.0, 0.1), (2, 5, 10, 20, 40, 80)]


@pytest.mark.parametrize("variances", VARIANCES)
@pytest.mark.parametrize(("m", "n"), [(5, 5), (7, 3), (1, 4)])
def test_mmd_is_the_double_loop(m, n, variances):
    y, x = points(m, 3), points(n, 3, seed=1)
    found = float(sqrt_mmd(y, x, variances)) ** 2
    assert found == pytest.approx(plain_mmd2(y, x, variances), rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("variances", VARIANCES)
def test_its_gradient(variances):
    y, x = points(6, 3).requires_grad_(), points(4, 3, seed=1)
    assert torch.autograd.gradcheck(lambda y: sqrt_mmd(y, x, variances), y, atol=1e-7)
    squared = autograd_mmd2(y, x, variances)
    (of_squared,) = torch.autograd.grad(squared, y)
    (found,) = torch.autograd.grad(3 * sqrt_mmd(y, x, variances), y)
    root = float(squared.detach()) ** 0.5
    torch.testing.assert_close(found, 3 * of_squared / (2 * root), rtol=1e-6, atol=1e-9)


def test_mmd_of_equal_sets_is_zero_with_a_finite_gradient():
    x = points(5, 2).float()
    y = x.clone().requires_grad_()
    loss = sqrt_mmd(y, x, (1.0,))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-3) and y.grad.isfinite().all()


def test_float32_is_close_to_float64_at_the_published_size():
    y, x = points(300, 32), points(300, 32, seed=1) * 0.95
    single = float(sqrt_mmd(y.float(), x.float(), (1.0,)))
    assert single == pytest.approx(float(sqrt_mmd(y, x, (1.0,))), rel=1e-4)


def test_schedules_change_where_the_published_ones_do():
    """pyopt counts iterations from 1 and uses a new value from the named iteration on."""
    assert schedule(1, 10_000, 2.0, 0.9) == schedule(9_999, 10_000, 2.0, 0.9) == (2.0, 0.9)
    assert schedule(10_000, 10_000, 2.0, 0.9) == schedule(40_000, 10_000, 2.0, 0.9)
    assert schedule(10_000, 10_000, 2.0, 0.9) == pytest.approx((0.2, 0.99))
    found = [fine_tuning_momentum(i, 0.9) for i in (1, 49, 50, 199, 200, 3000)]
    assert found == [0, 0, 0.5, 0.5, 0.9, 0.9]
    model = GMMN()
    assert round(model.drop_at * model.updates) == 10_000


def test_generator_and_its_initial_weights():
    network = generator_network([400, 300, 2])
    fan_in_normal(network, torch.Generator().manual_seed(0))
    first, second = network[0], network[2]
    assert float(first.weight.detach().std()) == pytest.approx(400**-0.5, rel=0.02)
    assert float(second.weight.detach().std()) == pytest.approx(300**-0.5, rel=0.1)
    assert not first.bias.any() and not second.bias.any()
    z = torch.randn(4, 400, generator=torch.Generator().manual_seed(1))
    expected = 1 / (1 + torch.exp(-second(torch.clamp(first(z), min=0))))
    torch.testing.assert_close(network(z), expected)


def test_updates_are_those_written_out():
    """Four updates through both schedules against autograd and v <- m v - lr g."""
    X = points(12, 2).float()
    params = dict(
        latent_dim=2,
        hidden=(5,),
        variances=(0.5,),
        lr=0.3,
        momentum=0.6,
        drop_at=0.5,
        batch_size=6,
        updates=4,
        random_state=7,
    )
    model = GMMN(**params).fit(X)
    weights, order, noise = streams(7, 3)
    network = generator_network([2, 5, 2])
    fan_in_normal(network, weights)
    batches, velocity = Batches(12, 6, order), [torch.zeros_like(p) for p in network.parameters()]
    for lr, momentum in [(0.3, 0.6), (0.03, 0.96), (0.03, 0.96), (0.03, 0.96)]:
        z = 2 * torch.rand(6, 2, generator=noise) - 1
        loss = autograd_mmd2(network(z), X[batches.next()], (0.5,)).sqrt()
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        with torch.no_grad():
            for p, v, g in zip(network.parameters(), velocity, gradients, strict=True):
                v.mul_(momentum).sub_(lr * g)
                p += v
    for p, q in zip(network.parameters(), model.network_.parameters(), strict=True):
        torch.testing.assert_close(q, p.detach(), rtol=1e-3, atol=1e-5)
    assert model.history_["loss"][-1] == pytest.approx(float(loss.detach()), rel=1e-3)


def clusters(n, seed=0):
    """Two thirds near (0.25, 0.25), a third near (0.75, 0.6)."""
    rng = np.random.default_rng(seed)
    centres = np.array([[0.25, 0.25], [0.75, 0.6]])[(rng.random(n) < 1 / 3).astype(int)]
    return (centres + 0.03 * rng.normal(size=(n, 2))).astype(np.float32)


def test_it_learns_two_clusters_and_their_shares():
    X = clusters(1000)
    model = GMMN(
        latent_dim=2, hidden=(32, 32), variances=(0.01, 0.1), lr=0.05, batch_size=100, updates=1000
    ).fit(X)
    samples = model.sample(2000, torch.Generator().manual_seed(0))
    right = samples[:, 0] > 0.5
    assert right.mean() == pytest.approx((X[:, 0] > 0.5).mean(), abs=0.06)
    for group, centre in ((samples[right], [0.75, 0.6]), (samples[~right], [0.25, 0.25])):
        np.testing.assert_allclose(np.median(group, 0), centre, atol=0.04)
        assert (group.std(0) > 0.02).all() and (group.std(0) < 0.08).all()
    unseen = torch.from_numpy(clusters(1000, seed=1))
    found = float(sqrt_mmd(torch.from_numpy(samples[:1000]), unseen, (0.02,)))
    uniform = float(sqrt_mmd(torch.rand(1000, 2, generator=streams(0, 1)[0]), unseen, (0.02,)))
    assert found < 0.25 * uniform
    assert model.values_["final_sqrt_mmd"] < 0.3 * model.history_["loss"][0]


# -- the autoencoder ----------------------------------------------------------------------------


def network(sizes=(7, 5, 3), dropout=(0.2, 0.5), seed=0):
    net = SigmoidAutoencoder(sizes, dropout)
    fan_in_normal(net, torch.Generator().manual_seed(seed))
    return net


def sigmoid(x):
    return 1 / (1 + torch.exp(-x))


def test_autoencoder_without_noise_scales_by_the_kept_share():
    net, x = network(), points(4, 7).float()
    (w1, b1), (w2, b2) = ((layer.weight, layer.bias) for layer in net.encoder)
    codes = sigmoid(sigmoid(0.8 * x @ w1.T + b1) * 0.5 @ w2.T + b2)
    torch.testing.assert_close(net.encode(x), codes)
    (v1, c1), (v2, c2) = ((layer.weight, layer.bias) for layer in net.decoder)
    assert v1.shape == (5, 3) and v2.shape == (7, 5)
    back = sigmoid(sigmoid(codes @ v1.T + c1) @ v2.T + c2)
    torch.testing.assert_close(net.decode(codes), back)
    expected = binary_cross_entropy(back, x, reduction="none").sum(1).mean()
    torch.testing.assert_close(net.loss(x), expected)


def test_dropout_sets_to_zero_without_scaling_and_its_mean_is_the_scaled_input():
    x = torch.full((20_000, 2), 0.7)
    net = network((2, 2), (0.4,))
    with torch.no_grad():
        net.encoder[0].weight.copy_(torch.eye(2))
        codes = net.encode(x, torch.Generator().manual_seed(1))
    values, counts = torch.unique(codes, return_counts=True)
    torch.testing.assert_close(values, sigmoid(torch.tensor([0.0, 0.7])))
    assert float(counts[1] / counts.sum()) == pytest.approx(0.6, abs=0.01)
    inputs = torch.logit(codes).mean(0)
    torch.testing.assert_close(
        inputs, torch.logit(net.encode(x[:1])[0]).detach(), atol=0.02, rtol=0
    )


def test_a_layer_is_pretrained_to_rebuild_its_own_input():
    net, h = network(), points(4, 5).float()
    (w, b), (v, c) = ((m.weight, m.bias) for m in (net.encoder[1], net.decoder[0]))
    back = sigmoid(sigmoid(0.5 * h @ w.T + b) @ v.T + c)
    expected = binary_cross_entropy(back, h, reduction="none").sum(1).mean()
    torch.testing.assert_close(net.loss(h, layer=1), expected)
    (w, b), (v, c) = ((m.weight, m.bias) for m in (net.encoder[0], net.decoder[1]))
    x = points(4, 7).float()
    back = sigmoid(sigmoid(0.8 * x @ w.T + b) @ v.T + c)
    expected = binary_cross_entropy(back, x, reduction="none").sum(1).mean()
    torch.testing.assert_close(net.loss(x, layer=0), expected)


def images(n, seed=0):
    """Bars: 16 pixels, one of four rows lit, at one of two brightnesses."""
    rng = np.random.default_rng(seed)
    row, light = rng.integers(4, size=n), rng.choice([0.6, 0.95], size=n)
    X = np.full((n, 4, 4), 0.03)
    X[np.arange(n), row] = light[:, None]
    return X.reshape(n, 16).astype(np.float32)


TOY = dict(
    code_hidden=(32, 6),
    dropout=(0.0, 0.1),
    code_batch_size=50,
    code_updates=1500,
    code_lr=0.2,
    latent_dim=6,
    hidden=(32, 64),
    variances=(0.05, 0.3, 1.0),
    lr=0.3,
    batch_size=100,
    updates=800,
)


def test_gmmn_on_codes_learns_images():
    X = images(1000)
    model = GMMNAutoencoder(**TOY).fit(X, validation=images(200, seed=2))
    back = model.reconstruct(X)
    assert back.shape == X.shape and back.dtype == np.float32
    assert ((back - X) ** 2).mean() < 0.1 * X.var(0).mean()
    samples = model.sample(1000, torch.Generator().manual_seed(0))
    nearest = ((samples[:, None] - np.unique(X, axis=0)[None]) ** 2).sum(2)
    assert (nearest.min(1) < 0.3).mean() > 0.8
    share = np.bincount(nearest.argmin(1) // 2, minlength=4) / 1000
    np.testing.assert_allclose(share, 0.25, atol=0.12)
    curve = model.history_["autoencoder_validation"]
    assert len(curve) == 15 and model.values_["autoencoder_loss"] == pytest.approx(
        min(curve), rel=1e-5
    )  # the weights best on the validation points are those in use
    assert model.values_["updates"] == 3 * 1500 + 800
    assert model.values_["stopped_by"] == "length"


def test_a_budget_is_shared_by_the_phases():
    model = GMMNAutoencoder(**TOY | {"max_updates": 53}).fit(images(60))
    assert model.values_ | {"autoencoder_loss": 0, "final_sqrt_mmd": 0} == {
        "updates": 53,
        "stopped_by": "budget",
        "autoencoder_loss": 0,
        "final_sqrt_mmd": 0,
    }
    assert model.history_["autoencoder_update"][-1] == 15 and model.history_["update"][-1] == 8


def test_published_settings():
    """Those of train.py for MNIST."""
    ae, model = GMMNAutoencoder(), GMMN()
    published = dict(
        latent_dim=10,
        hidden=(64, 256, 256, 1024),
        variances=(1.0,),
        lr=2.0,
        momentum=0.9,
        drop_at=10_000 / 40_000,
        batch_size=1000,
        updates=40_000,
    )
    assert {name: getattr(model, name) for name in published} == published
    published = dict(
        code_hidden=(1024, 32),
        dropout=(0.2, 0.5),
        code_lr=0.1,
        code_momentum=0.9,
        code_batch_size=100,
        code_updates=3000,
    )
    assert {name: getattr(ae, name) for name in published} == published
    assert MAX_GRADIENT_NORM == 10
    shared = set(model.get_params()) & set(ae.get_params())
    assert all(getattr(ae, name) == getattr(model, name) for name in shared)
    sizes = [tuple(p.shape[::-1]) for p in ae._network(784).parameters() if p.ndim == 2]
    assert sizes == [
        (784, 1024),
        (1024, 32),
        (32, 1024),
        (1024, 784),
        (10, 64),
        (64, 256),
        (256, 256),
        (256, 1024),
        (1024, 32),
    ]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"dropout": (0.1,)}, "dropout must be a tuple of 2 rates"),
        ({"dropout": (0.1, 1.0)}, "each of dropout must be a number from 0, at most 0.99"),
        ({"code_hidden": ()}, "code_hidden must have the size of the code"),
        ({"code_hidden": 32}, "code_hidden must be a tuple"),
        ({"code_lr": 0}, "code_lr must be a number above 0"),
        ({"code_momentum": 1.5}, "code_momentum must be a number from 0, at most 1"),
        ({"variances": ()}, "variances must be a tuple"),
        ({"variances": (1.0, 0.0)}, "each of variances must be a number above 0"),
        ({"momentum": -0.1}, "momentum must be"),
        ({"drop_at": -1}, "drop_at must be"),
        ({"hidden": (0,)}, "each of hidden must be"),
    ],
)
def test_doors(setting, message):
    with pytest.raises(ValueError, match=message):
        GMMNAutoencoder(**setting).fit(images(10))


def test_door_of_reconstruct():
    model = GMMNAutoencoder(**TOY | {"max_updates": 4}).fit(images(10))
    with pytest.raises(ValueError, match="X must have 16 features; got 4"):
        model.reconstruct(images(3)[:, :4])


def test_scaled_kernels_are_multiples_of_the_median_squared_distance():
    X = points(200, 3).float()
    found = median_squared_distance(X, torch.Generator().manual_seed(0))
    assert found == pytest.approx(float(np.median(pdist(X.numpy(), "sqeuclidean"))), rel=0.02)
    small = dict(hidden=(8,), batch_size=20, updates=30, random_state=4)
    scaled = ScaledGMMN(variances=(0.2, 1.0), **small).fit(X)
    median = scaled.values_["median_squared_distance"]
    plain = GMMN(variances=(0.2 * median, 1.0 * median), **small).fit(X)
    draw = [m.sample(9, torch.Generator().manual_seed(1)) for m in (scaled, plain)]
    np.testing.assert_array_equal(*draw)
    # Its model does not change with the unit of its data; that of fixed kernels does.
    assert ScaledGMMN(**small).fit(X / 2).values_["median_squared_distance"] == pytest.approx(
        median / 4, rel=1e-5
    )


def test_equal_points_have_no_scale():
    with pytest.raises(ValueError, match="X must have points that differ"):
        ScaledGMMN(updates=2).fit(np.full((30, 2), 0.5, np.float32))
