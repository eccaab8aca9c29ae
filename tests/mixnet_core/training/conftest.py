"""Three clusters of different shape and size, and soft memberships."""

import numpy as np
import pytest
import torch


@pytest.fixture
def x(rng):
    centres = np.array([[0, 0, 0], [4, 1, 0], [0, 5, 2]])
    labels = np.repeat([0, 1, 2], [80, 60, 40])
    mix = rng.normal(size=(3, 3, 3)) * 0.6
    points = centres[labels] + np.einsum("nij,nj->ni", mix[labels], rng.normal(size=(180, 3)))
    return torch.from_numpy(points), torch.from_numpy(labels)


@pytest.fixture
def soft():
    def memberships(n, k, rng):
        m = rng.random((n, k)) ** 4
        return torch.from_numpy(m / m.sum(1, keepdims=True))

    return memberships
