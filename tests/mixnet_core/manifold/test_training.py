"""The loss of neighbours against UMAP's formula, and which edges a training draws."""

import numpy as np
import pytest
import torch
from scipy.optimize import curve_fit
from scipy.sparse import coo_matrix

from mixnet_core.manifold import NeighbourAutoencoder
from mixnet_core.manifold.autoencoder import LinearCodes
from mixnet_core.manifold.training import A, B, Neighbours, attraction, repulsion


def network(d=3, code_dim=2):
    return LinearCodes(d, (4,), code_dim, torch.Generator().manual_seed(0))


def training(**settings):
    model = NeighbourAutoencoder(**settings)
    generator = torch.Generator().manual_seed(3)
    return Neighbours(model, network(), generator, None, (0, np.zeros((2, 3))))


@pytest.mark.parametrize("d", [0.05, 0.3, 1.0, 4.0, 50.0])
def test_attraction_and_repulsion_are_logarithms_of_the_curve(d):
    q = 1 / (1 + A * d ** (2 * B))
    squared = torch.tensor(d**2, dtype=torch.float64)
    assert float(attraction(squared)) == pytest.approx(-np.log(q), rel=1e-3)
    assert float(repulsion(squared)) == pytest.approx(-np.log(1 - q), rel=1e-3)


def test_points_on_each_other_have_a_loss_and_a_slope():
    codes = torch.zeros(2, requires_grad=True)
    for loss in (attraction, repulsion):
        value = loss(codes.square().sum())
        (slope,) = torch.autograd.grad(value, codes)
        assert torch.isfinite(value) and torch.isfinite(slope).all()


def test_the_curve_is_the_one_that_umap_fits_for_min_dist_0_1():
    """To 1 up to min_dist and exp(min_dist - d) beyond, at 300 distances up to 3 (spread 1)."""
    d = np.linspace(0, 3, 300)
    target = np.where(d < 0.1, 1.0, np.exp(-(d - 0.1)))
    found, _ = curve_fit(lambda d, a, b: 1 / (1 + a * d ** (2 * b)), d, target)
    assert (A, B) == pytest.approx(found, abs=2e-3)


def test_the_loss_of_a_batch_is_that_of_a_loop_over_its_edges(rng):
    data = torch.from_numpy(rng.normal(size=(9, 3)).astype(np.float32))
    first, second = torch.tensor([0, 1, 2, 3]), torch.tensor([4, 5, 6, 7])
    one = training(negatives=3)
    drawn = torch.Generator().manual_seed(3)
    others = [torch.randperm(4, generator=drawn) for _ in range(3)]
    with torch.no_grad():
        loss, error = one._losses(data, first, second)
        codes, back = (f(data).double() for f in (one.network.encode, one.network))

    def squared(i, j):
        return (codes[i] - codes[j]).square().sum()

    expected = sum(attraction(squared(i, j)) for i, j in zip(first, second, strict=True)) / 4
    for order in others:
        expected += sum(repulsion(squared(first[i], second[order[i]])) for i in range(4)) / 4
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    seen = torch.cat([first, second])
    assert float(error) == pytest.approx(float((back - data)[seen].square().mean()), rel=1e-5)


def test_edges_are_drawn_in_proportion_to_their_weights(monkeypatch):
    weights = np.array([0.1, 0.0, 0.6, 0.3])
    graph = coo_matrix((weights, ([0, 1, 2, 3], [1, 2, 3, 0])), shape=(4, 4))
    seen = []
    losses = Neighbours._losses

    def spy(self, data, first, second):
        seen.append(torch.stack([first, second]))
        return losses(self, data, first, second)

    monkeypatch.setattr(Neighbours, "_losses", spy)
    one = training(epochs=0, min_updates=4, batch_size=2500)
    one.run(torch.randn(4, 3, generator=torch.Generator().manual_seed(1)), graph)
    first, second = torch.cat(seen, dim=1)
    assert torch.equal(second, (first + 1) % 4)
    share = np.bincount(first, minlength=4) / len(first)
    np.testing.assert_allclose(share, weights, atol=0.02)  # four standard deviations
    assert share[1] == 0


@pytest.mark.parametrize(
    ("settings", "updates"),
    [
        ({"epochs": 4, "min_updates": 0, "batch_size": 7}, 23),  # 4 x 40 edges by sevens
        ({"epochs": 4, "min_updates": 30, "batch_size": 7}, 30),
        ({"epochs": 0, "min_updates": 0, "batch_size": 7}, 1),
    ],
)
def test_the_length_is_edges_a_point_and_at_least_min_updates(settings, updates):
    data = torch.randn(40, 3, generator=torch.Generator().manual_seed(1))
    ends = np.arange(40)
    graph = coo_matrix((np.ones(40), (ends, (ends + 1) % 40)), shape=(40, 40))
    one, told = training(**settings), []
    one.run(data, graph, lambda done, total, text: told.append((done, total)))
    assert one.history["update"][-1] == updates
    assert told[-1] == (updates, updates) and len(told) == len(one.history["update"])
    assert one.schedule.get_last_lr()[0] == pytest.approx(0, abs=1e-12)
