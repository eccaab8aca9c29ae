"""VAE: the divergence and the bound against independent estimates; early stopping; a toy."""

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Normal
from torch.nn.functional import binary_cross_entropy

from baselines.generative.vae import VAE, VAENetwork, divergence

SMALL = dict(latent_dim=2, hidden=(6,), batch_size=5, updates=20, every=5, lr=0.01)


def network(d=5, hidden=(7, 6), latent=2, seed=0, dtype=torch.float64):
    net = VAENetwork(d, hidden, latent).to(dtype)
    generator = torch.Generator().manual_seed(seed)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.5, generator=generator)
    return net


def test_divergence_is_that_of_sampling_and_of_torch():
    mean, log_variance = torch.tensor([[0.5, -1.0, 0.0]]), torch.tensor([[0.3, -1.5, 0.0]])
    q, p = Normal(mean, (log_variance / 2).exp()), Normal(0, 1)
    z = mean + (log_variance / 2).exp() * torch.randn(
        200_000, 3, generator=torch.Generator().manual_seed(0)
    )
    sampled = (q.log_prob(z) - p.log_prob(z)).sum(1).mean()
    found = float(divergence(mean, log_variance))
    assert found == pytest.approx(float(sampled), abs=0.02)
    exact = torch.distributions.kl_divergence(q, Normal(torch.zeros(1, 3), torch.ones(1, 3)))
    assert found == pytest.approx(float(exact.sum()), rel=1e-6)
    assert float(divergence(torch.zeros(1, 3), torch.zeros(1, 3))) == 0


def test_bound_is_the_formula():
    net = network()
    x = torch.rand(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    e = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    mean, log_variance = net.posterior(x)
    h = torch.tanh(net.encoder[2](torch.tanh(net.encoder[0](x))))
    torch.testing.assert_close(torch.cat([mean, log_variance], 1), net.encoder[4](h))
    z = mean + torch.exp(log_variance) ** 0.5 * e
    h = torch.tanh(net.decoder[2](torch.tanh(net.decoder[0](z))))
    y = 1 / (1 + torch.exp(-net.decoder[4](h)))
    reconstruction, penalty = net.negative_elbo(x, e)
    expected = binary_cross_entropy(y, x, reduction="none").sum(1).mean()
    torch.testing.assert_close(reconstruction, expected)
    torch.testing.assert_close(penalty, divergence(mean, log_variance).mean())
    assert net.decoder[0].in_features == 2 and net.decoder[0].out_features == 6  # mirrored


def test_gradient_of_the_bound():
    net = network(3, (4,), 2)
    x = torch.rand(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    e = torch.randn(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    parameters = tuple(net.parameters())
    names = [name for name, _ in net.named_parameters()]

    def loss(*values):
        call = dict(zip(names, values, strict=True))
        with torch.nn.utils.stateless._reparametrize_module(net, call):
            return sum(net.negative_elbo(x, e))

    assert torch.autograd.gradcheck(loss, parameters)


def test_mean_bound_is_below_the_log_likelihood_and_equals_its_sampled_form():
    """Over many draws the bound is E_q[log p(x, z) - log q(z | x)], and log p(x) exceeds it."""
    net, n = network(), 100_000
    x = (torch.arange(5, dtype=torch.float64) % 2)[None]
    generator = torch.Generator().manual_seed(3)
    e = torch.randn(n, 2, dtype=torch.float64, generator=generator)
    with torch.no_grad():
        bound = -float(sum(net.negative_elbo(x.expand(n, 5), e)))
        mean, log_variance = net.posterior(x)
        q, p = Normal(mean, (log_variance / 2).exp()), Normal(0, 1)
        z = mean + (log_variance / 2).exp() * e
        joint = Bernoulli(logits=net.decoder(z)).log_prob(x).sum(1) + p.log_prob(z).sum(1)
        weights = joint - q.log_prob(z).sum(1)
        log_likelihood = float(weights.logsumexp(0)) - np.log(n)
    assert bound == pytest.approx(float(weights.mean()), abs=0.02)
    assert bound < log_likelihood


def bars(n, seed=0):
    rng = np.random.default_rng(seed)
    X = np.full((n, 4, 4), 0.03, dtype=np.float32)
    X[np.arange(n), rng.integers(4, size=n)] = 0.97
    return X.reshape(n, 16)


def test_it_learns_bars():
    X = bars(800)
    model = VAE(latent_dim=3, hidden=(32,), batch_size=50, updates=2000, every=250, lr=5e-3)
    model.fit(X, validation=bars(200, seed=1))
    back = model.reconstruct(X)
    assert back.shape == X.shape and back.dtype == np.float32
    assert ((back - X) ** 2).mean() < 0.05 * X.var(0).mean()
    samples = model.sample(1000, torch.Generator().manual_seed(0))
    nearest = ((samples[:, None] - np.unique(X, axis=0)[None]) ** 2).sum(2)
    assert (nearest.min(1) < 1).mean() > 0.7  # of a squared distance of 7 between two bars
    assert (np.bincount(nearest.argmin(1), minlength=4) > 100).all()
    # No model of bars beats their entropy: log 4 for the row, and the grey of each pixel.
    entropy = np.log(4) - 16 * (0.03 * np.log(0.03) + 0.97 * np.log(0.97))
    assert entropy * 0.99 < -model.values_["validation_elbo"] < entropy + 1
    assert model.elbo(X, torch.Generator().manual_seed(1)) == pytest.approx(
        model.values_["validation_elbo"], abs=0.3
    )


def test_validation_stops_an_overfitting_training_and_keeps_its_best_weights():
    rng = np.random.default_rng(0)
    X, held_out = rng.random((20, 30)), rng.random((20, 30))
    params = dict(
        latent_dim=4, hidden=(50,), batch_size=20, lr=0.01, updates=5000, every=20, patience=4
    )
    model = VAE(**params).fit(X, validation=held_out)
    curve = model.history_["validation"]
    assert model.values_["stopped_by"] == "validation" and model.values_["updates"] < 5000
    assert len(curve) == curve.index(min(curve)) + 1 + 4
    assert model.values_["validation_elbo"] == -min(curve) < 0
    assert model.values_["best_update"] == model.values_["updates"] - 4 * 20
    shorter = VAE(**params | {"max_updates": model.values_["best_update"]}).fit(
        X, validation=held_out
    )
    for p, q in zip(model.network_.parameters(), shorter.network_.parameters(), strict=True):
        assert torch.equal(p, q)
    without = VAE(**params | {"max_updates": 100}).fit(X)
    assert without.values_["stopped_by"] == "budget" and "validation_elbo" not in without.values_


def test_samples_are_decoder_means():
    model = VAE(**SMALL).fit(bars(20))
    samples = model.sample(7, torch.Generator().manual_seed(2))
    z = torch.randn(7, 2, generator=torch.Generator().manual_seed(2))
    expected = torch.sigmoid(model.network_.decoder(z)).numpy()
    np.testing.assert_allclose(samples, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"every": 0}, "every must be a whole number from 1; got 0"),
        ({"patience": 0}, "patience must be"),
        ({"init_std": 0}, "init_std must be a number above 0"),
        ({"hidden": 6}, "hidden must be a tuple"),
        ({"hidden": (6, -1)}, "each of hidden must be"),
    ],
)
def test_doors(setting, message):
    with pytest.raises(ValueError, match=message):
        VAE(**SMALL | setting).fit(bars(10))


def test_doors_of_elbo_and_reconstruct():
    model = VAE(**SMALL).fit(bars(20))
    for call in (lambda X: model.elbo(X, torch.Generator()), model.reconstruct):
        with pytest.raises(ValueError, match="X must have 16 features; got 4"):
            call(bars(3)[:, :4])
