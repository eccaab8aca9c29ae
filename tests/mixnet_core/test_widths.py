"""Length scale, kernel width and batch size against brute force."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, pdist
from scipy.special import logsumexp

from mixnet_core.likelihood import Noise
from mixnet_core.widths import choose_batch_size, choose_widths, cluster_scale


def exact_scale(x, labels):
    """Weighted median over all pairs: every cluster counts as its size, each of its pairs alike."""
    distances, weights = [], []
    for j in np.unique(labels):
        members = x[labels == j]
        if len(members) > 1:
            d = pdist(members)
            distances.append(d)
            weights.append(np.full(len(d), len(members) / len(d)))
    distances, weights = np.concatenate(distances), np.concatenate(weights)
    order = distances.argsort()
    cumulative = weights[order].cumsum()
    return distances[order][np.searchsorted(cumulative, cumulative[-1] / 2)]


@pytest.mark.parametrize("sizes", [(30, 30, 30), (5, 60, 20), (2, 1, 40), (100,)])
def test_cluster_scale_is_the_weighted_median(sizes, g):
    spreads = (0.02, 0.3, 0.1)
    x = torch.cat([torch.randn(n, 3, generator=g) * spreads[j] + j for j, n in enumerate(sizes)])
    labels = torch.cat([torch.full((n,), j) for j, n in enumerate(sizes)])
    ours = cluster_scale(x, labels, g, n_pairs=40000)
    assert ours == pytest.approx(exact_scale(x.numpy(), labels.numpy()), rel=0.03)


def test_cluster_scale_of_two_points_is_their_distance(g):
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0], [100.0, 0.0]])
    assert cluster_scale(x, torch.tensor([0, 0, 1]), g) == pytest.approx(5.0)


def test_cluster_scale_does_not_depend_on_label_names_but_on_units(g):
    x, labels = torch.rand(50, 2, generator=g), torch.arange(50) % 2
    seeded = [torch.Generator().manual_seed(5) for _ in range(3)]
    one = cluster_scale(x, labels, seeded[0])
    assert cluster_scale(x, labels * 7 + 3, seeded[1]) == one
    assert cluster_scale(x * 10, labels, seeded[2]) == pytest.approx(10 * one, rel=1e-5)


def test_cluster_scale_is_positive_where_clusters_are_points(g):
    x = torch.tensor([[0.0, 0.0]] * 5 + [[1.0, 1.0]] * 5)
    labels = torch.arange(10) // 5
    spread = cluster_scale(x, labels, g)
    assert spread == pytest.approx(math.sqrt(2 * 0.5))  # root of twice the total variance
    assert cluster_scale(x, torch.arange(10), g) == spread  # singletons have no pairs
    assert cluster_scale(torch.ones(4, 2), torch.zeros(4, dtype=torch.int64), g) == 1.0


@pytest.mark.parametrize("true_width", [0.02, 0.06, 0.2])
def test_choose_width_is_the_held_out_optimum(true_width, g):
    widths = [0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32]
    samples = torch.rand(2, 60, 3, generator=g)
    priors = torch.tensor([0.3, 0.7])
    source = samples[1, torch.randint(60, (80,), generator=g)]
    x = source + true_width * torch.randn(80, 3, generator=g)
    scores = []
    for width in widths:
        log_lik = np.stack(
            [
                logsumexp(-cdist(x, y, "sqeuclidean") / (2 * width**2), axis=1)
                - math.log(60)
                - 1.5 * math.log(2 * math.pi * width**2)
                for y in samples.double().numpy()
            ],
            1,
        )
        scores.append(logsumexp(log_lik + np.log(priors.numpy()), axis=1).mean())
    one = Noise(torch.ones(2, dtype=torch.float64))
    width, score = choose_widths(x, samples, priors, one, widths)
    assert width == widths[int(np.argmax(scores))]
    assert score == pytest.approx(max(scores), abs=1e-2)
    assert widths[0] < width < widths[-1]
    # The floor: the smallest candidate is taken even where a smaller one would be better.
    floor = [w for w in widths if w > width]
    assert choose_widths(x, samples, priors, one, floor)[0] == floor[0]


@pytest.mark.parametrize(
    ("n", "k", "largest", "share", "expected"),
    [
        (60000, 10, 100, 0.25, 100),
        (1440, 20, 100, 0.25, 18),
        (1440, 20, 100, 1.0, 72),
        (30, 10, 100, 0.25, 2),
        (3, 3, 100, 1.0, 2),
        (5, 1, 100, 2.0, 5),
        (1000, 2, 1, 0.25, 2),
    ],
)
def test_batch_size(n, k, largest, share, expected):
    assert choose_batch_size(n, k, largest, share) == expected
