"""Initial clusters and their moments, against scikit-learn."""

import math

import numpy as np
import pytest
import torch
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA

from mixnet_core.data.points import Units
from mixnet_core.training import clusters
from mixnet_core.training.clusters import Clusters, initial_clusters


def test_moments_of_clusters_are_those_of_probabilistic_pca(rng):
    X = rng.normal(size=(304, 6)) @ rng.normal(size=(6, 6)) + 3
    labels = np.repeat([0, 1, 2, 3], [200, 99, 4, 1])
    found = Clusters.of(torch.from_numpy(X), torch.from_numpy(labels), 5, 3)
    for j in (0, 1):
        own = X[labels == j]
        np.testing.assert_allclose(found.centres[j], own.mean(0))
        assert float(found.spreads[j]) == pytest.approx(math.sqrt(own.var(0, ddof=1).mean()))
        noise = PCA(3).fit(own).noise_variance_
        assert float(found.residuals[j]) == pytest.approx(math.sqrt(noise), rel=1e-6)
    np.testing.assert_allclose(found.centres[4], X.mean(0))  # an empty cluster
    assert bool((found.spreads > 0).all()) and bool((found.residuals > 0).all())
    flat = Clusters.of(torch.from_numpy(X), torch.from_numpy(labels), 5, 6)
    assert not flat.residuals.any()  # as many directions as features leave nothing
    assert bool((flat.noise("component", 1.0) > 0).all())


def test_a_wide_cluster_of_few_points_has_the_moments_of_a_narrow_matrix(rng):
    """More features than points: the small Gram matrix has the same eigenvalues."""
    X = rng.normal(size=(20, 50))
    found = Clusters.of(torch.from_numpy(X), torch.zeros(20, dtype=torch.int64), 1, 4)
    values = np.linalg.eigvalsh(np.cov(X.T))
    assert float(found.residuals[0]) == pytest.approx(math.sqrt(values[:-4].mean()))


def test_shared_kernels_are_those_of_a_gaussian_cluster_of_scale_w():
    clusters = Clusters(torch.zeros(3, 8), torch.ones(3), torch.ones(3))
    np.testing.assert_allclose(clusters.noise("shared", 2.0), [2 / math.sqrt(16)] * 3)


def test_the_start_of_a_map_sees_a_part_of_it(rng, tmp_path, monkeypatch):
    X = (rng.normal(size=(101, 4)) * [1, 5, 0.1, 2] + 30).astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    monkeypatch.setattr(clusters, "START_ROWS", 40)
    init, units = KMeans(3, n_init=1, random_state=0), Units.spread(X)
    found = initial_clusters(init, mapped, units, 0, 3)
    assert found.shape == (101,) and set(found) == {0, 1, 2}
    assert not np.array_equal(found, initial_clusters(init, X, units, 0, 3))
    with pytest.raises(ValueError, match="init must have predict.*AgglomerativeClustering"):
        initial_clusters(AgglomerativeClustering(3), mapped, units, 0, 3)
