"""GAN: maxout, dropout's scales and one update against explicit formulae; a toy distribution."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import KernelDensity
from torch import nn
from torch.nn.functional import binary_cross_entropy

from baselines.generative.gan import GAN, Discriminator, Maxout, learning_rate, momentum_of_epoch
from baselines.generative.training import Batches, streams
from baselines.protocols import GOODFELLOW

SMALL = dict(latent_dim=3, generator_hidden=(6,), units=(4, 3), pieces=2, batch_size=5, updates=20)


def g(seed=1):
    return torch.Generator().manual_seed(seed)


def uniform_weights(network, bound=0.5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for p in network.parameters():
        nn.init.uniform_(p, -bound, bound, generator=generator)
    return network


def test_maxout_is_the_largest_of_its_pieces():
    layer, x = uniform_weights(Maxout(3, 4, 5)), torch.randn(6, 3, generator=g())
    w, b = layer.linear.weight.reshape(5, 4, 3), layer.linear.bias.reshape(5, 4)
    for i in range(6):
        for unit in range(4):
            pieces = [float((w[j, unit] @ x[i] + b[j, unit]).detach()) for j in range(5)]
            assert float(layer(x)[i, unit].detach()) == pytest.approx(max(pieces), abs=1e-6)


def test_only_the_largest_piece_learns():
    layer = uniform_weights(Maxout(3, 1, 4))
    x = torch.randn(1, 3, generator=g())
    best = int(layer.linear(x).argmax())
    layer(x).sum().backward()
    expected = torch.zeros(4, 3)
    expected[best] = x
    torch.testing.assert_close(layer.linear.weight.grad, expected)


def plain_discriminator(net, x, masks=(1, 1, 1)):
    """Logits by the formulae; masks already hold the scale."""
    h = x * masks[0]
    for layer, mask in zip(net.layers[:-1], masks[1:], strict=True):
        z = layer.linear(h).reshape(len(x), layer.pieces, -1)
        h = torch.stack([z[:, j] for j in range(layer.pieces)]).max(0).values * mask
    return (h @ net.layers[-1].weight.T + net.layers[-1].bias)[:, 0]


def test_dropout_scales_by_one_over_the_kept_share():
    net = uniform_weights(Discriminator(6, (4, 3), 2, 0.8, 0.5))
    x, noise = torch.rand(7, 6, generator=g()), g(4)
    found = net(x, noise)
    noise.manual_seed(4)
    masks = [
        torch.empty(7, n).bernoulli_(keep, generator=noise) * scale
        for n, keep, scale in ((6, 0.8, 1.25), (4, 0.5, 2.0), (3, 0.5, 2.0))
    ]
    torch.testing.assert_close(found, plain_discriminator(net, x, masks))
    torch.testing.assert_close(net(x), plain_discriminator(net, x))


def test_schedules():
    """pylearn2: decay after each update; momentum from epoch 1 (the first) to epoch 250."""
    assert learning_rate(0, 0.1) == 0.1
    assert learning_rate(1, 0.1) == 0.1 / 1.000004
    assert learning_rate(125_000, 0.1) == pytest.approx(0.1 * np.exp(-0.5), rel=1e-5)
    assert learning_rate(10**8, 0.1) == 1e-6
    found = [momentum_of_epoch(e, 0.5, 0.7, 250) for e in (0, 83, 249, 250, 1000)]
    assert found == pytest.approx([0.5, 0.5 + 0.2 / 3, 0.7, 0.7, 0.7])


def test_published_settings():
    """Those of mnist.yaml; that the training ends where the momentum saturates is ours."""
    published = dict(
        latent_dim=100,
        generator_hidden=(1200, 1200),
        units=(240, 240),
        pieces=5,
        keep_input=0.8,
        keep_hidden=0.5,
        generator_range=0.05,
        discriminator_range=0.005,
        lr=0.1,
        momentum=0.5,
        final_momentum=0.7,
        saturate=250,
        batch_size=100,
        updates=250 * 50_000 // 100,
    )
    assert {name: getattr(GAN(), name) for name in published} == published
    model = GAN().set_params(max_updates=1).fit(np.random.default_rng(0).random((200, 784)))
    sizes = [tuple(p.shape[::-1]) for p in model.network_.parameters() if p.ndim == 2]
    assert sizes == [(100, 1200), (1200, 1200), (1200, 784), (784, 1200), (240, 1200), (240, 1)]
    z = model._latent(10_000, torch.Generator().manual_seed(0))
    assert z.shape == (10_000, 100) and float(z.abs().max()) == pytest.approx(3**0.5, abs=1e-3)
    assert float(z.std()) == pytest.approx(1, abs=0.01)


def test_updates_are_those_of_plain_losses_and_torch_sgd():
    """Three updates over two epochs: both steps from one forward pass, then both at once."""
    X = torch.from_numpy(np.random.default_rng(1).random((10, 4), dtype=np.float32))
    params = SMALL | dict(
        random_state=5, lr=0.3, generator_range=0.5, discriminator_range=0.7, saturate=2, updates=3
    )
    model = GAN(**params).fit(X)
    weights, order, noise = streams(5, 3)
    fresh = GAN(**params)._network(4)
    g, d = fresh["generator"], fresh["discriminator"]
    for net, bound in ((g, 0.5), (d, 0.7)):
        for layer in net.modules():
            if isinstance(layer, nn.Linear):
                nn.init.uniform_(layer.weight, -bound, bound, generator=weights)
                nn.init.zeros_(layer.bias)
    with torch.no_grad():  # output biases: the logits of the pixels' means
        g[-2].bias.copy_((X.mean(0) / (1 - X.mean(0))).log())
    batches = Batches(10, 5, order)
    players = [(torch.optim.SGD(net.parameters(), lr=0.3, momentum=0.5), net) for net in (d, g)]
    for update, momentum in enumerate((0.5, 0.5, 0.7)):
        x = X[batches.next()]
        z = (2 * torch.rand(5, 3, generator=noise) - 1) * 3**0.5
        samples, masks = g(z), []
        for _ in range(2):
            masks.append(
                [
                    torch.empty(5, n).bernoulli_(keep, generator=noise) / keep
                    for n, keep in ((4, 0.8), (4, 0.5), (3, 0.5))
                ]
            )
        real = torch.sigmoid(plain_discriminator(d, x, masks[0]))
        fake = torch.sigmoid(plain_discriminator(d, samples, masks[1]))
        ones, zeros = torch.ones(5), torch.zeros(5)
        losses = (
            0.5 * (binary_cross_entropy(real, ones) + binary_cross_entropy(fake, zeros)),
            binary_cross_entropy(fake, ones),
        )
        gradients = [
            torch.autograd.grad(loss, list(net.parameters()), retain_graph=True)
            for loss, (_, net) in zip(losses, players, strict=True)
        ]
        for (optimizer, net), gradient in zip(players, gradients, strict=True):
            # The change of the rate by 4e-6 an update is below this test's tolerance.
            optimizer.param_groups[0].update(lr=0.3 / 1.000004**update, momentum=momentum)
            for p, one in zip(net.parameters(), gradient, strict=True):
                p.grad = one
            optimizer.step()
    for p, q in zip(fresh.parameters(), model.network_.parameters(), strict=True):
        torch.testing.assert_close(q, p.detach(), rtol=1e-4, atol=1e-5)
    assert model.history_["discriminator"][-1] == pytest.approx(float(losses[0].detach()), rel=1e-4)
    assert model.history_["generator"][-1] == pytest.approx(float(losses[1].detach()), rel=1e-4)


def test_output_biases_of_pixels_that_never_change():
    X = np.zeros((10, 3), dtype=np.float32)
    X[:, 1], X[::2, 2] = 1, 1
    model = GAN(**SMALL | {"lr": 1e-9}).fit(X)
    found = model.sample(50, torch.Generator()).mean(0)
    np.testing.assert_allclose(found, [0, 1, 0.5], atol=0.05)


def test_the_weights_of_the_highest_watched_density_are_kept():
    X = np.random.default_rng(0).random((60, 4), dtype=np.float32)
    settings = SMALL | dict(lr=2.0, updates=90, random_state=5)  # so fast that it does not settle
    watched = GAN(**settings).fit(X, validation=X[:20])
    curve, updates = watched.history_["validation"], watched.history_["update"]
    best = updates[int(np.argmin(curve))]
    assert watched.values_["best_update"] == best < 90
    there = GAN(**settings | {"updates": best}).fit(X)  # its training does not depend on the end
    for name, weights in there.network_.state_dict().items():
        torch.testing.assert_close(watched.network_.state_dict()[name], weights, rtol=0, atol=0)
    samples = there._sample(1000, streams(5, 4)[3]).numpy()
    expected = max(
        KernelDensity(bandwidth=width).fit(samples).score_samples(X[:20]).mean()
        for width in GOODFELLOW.widths
    )
    assert -min(curve) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_it_learns_two_clusters():
    rng = np.random.default_rng(0)
    centres = np.array([[0.25, 0.3], [0.75, 0.7]])
    X = (centres[rng.integers(2, size=2000)] + 0.04 * rng.normal(size=(2000, 2))).clip(0, 1)
    model = GAN(
        latent_dim=4,
        generator_hidden=(32, 32),
        units=(32, 32),
        pieces=3,
        keep_input=1,
        keep_hidden=1,
        generator_range=0.3,
        discriminator_range=0.3,
        batch_size=64,
        updates=2500,
    ).fit(X)
    samples = model.sample(2000, torch.Generator().manual_seed(0))
    distance = np.linalg.norm(samples[:, None] - centres, axis=2)
    assert (distance.min(1) < 0.15).mean() > 0.75
    shares = np.bincount(distance.argmin(1), minlength=2) / 2000
    assert shares.min() > 0.25


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"keep_input": 0}, "keep_input must be a number above 0, at most 1; got 0"),
        ({"keep_hidden": 1.1}, "keep_hidden must be"),
        ({"momentum": -1}, "momentum must be"),
        ({"final_momentum": 2}, "final_momentum must be"),
        ({"pieces": 0}, "pieces must be"),
        ({"saturate": 0}, "saturate must be"),
        ({"units": 5}, "units must be a tuple"),
        ({"generator_hidden": (3, 0)}, "each of generator_hidden must be"),
        ({"discriminator_range": 0}, "discriminator_range must be a number above 0"),
        ({"generator_range": "wide"}, "generator_range must be"),
    ],
)
def test_doors(setting, message):
    with pytest.raises(ValueError, match=message):
        GAN(**SMALL | setting).fit(np.zeros((5, 2)))
