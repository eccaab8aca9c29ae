"""Ablations: only the part that is named is taken out, and only for the time of a fit."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs

from benchmarks.exhibits.ablations import OneNetwork, Unscaled, Unsorted, n_weights, widened
from mixnet_core import em, memberships, optimizers
from mixnet_core.mixture import MixtureOfNetworks

SMALL = dict(
    n_components=3,
    structure="2-8-12-2",
    recipe="mixnet",
    t1=3,
    t2=4,
    batch_size=10,
    n_samples=40,
    n_final_samples=60,
    random_state=1,
)


@pytest.fixture(scope="module")
def points():
    X, y = make_blobs(240, 2, centers=3, cluster_std=0.8, random_state=0)
    return X.astype(np.float32), y


def batches_of(estimator, X, y, monkeypatch):
    """Points (n, B, p) and update factors (n,) of all batches of each iteration of Algorithm 2."""
    seen = []
    run = optimizers.BankTrainer.run

    def spy(self, x, queues, factors):
        seen.append((x[torch.cat(queues)], torch.cat(factors)))
        return run(self, x, queues, factors)

    with monkeypatch.context() as context:
        context.setattr(optimizers.BankTrainer, "run", spy)
        estimator.fit(X, init_labels=y)
    return seen[estimator.values_["t1"] :]


def test_unsorted_batches_mix_the_clusters(points, monkeypatch):
    X, y = points
    spread = {}
    for cls in (MixtureOfNetworks, Unsorted):
        batches = torch.cat([x for x, _ in batches_of(cls(**SMALL), X, y, monkeypatch)])
        spread[cls] = float(batches.var(1).mean() / batches.flatten(0, 1).var(0).mean())
    assert spread[MixtureOfNetworks] < 0.6 < 0.8 < spread[Unsorted]
    assert em.rearrange is memberships.rearrange  # back in its place


def test_unscaled_updates_count_in_full(points, monkeypatch):
    X, y = points
    settings = SMALL | {"likelihood_widths": (4.0,), "lr": 0.01}  # wide: memberships are soft
    plain = torch.cat([f for _, f in batches_of(MixtureOfNetworks(**settings), X, y, monkeypatch)])
    full = torch.cat([f for _, f in batches_of(Unscaled(**settings), X, y, monkeypatch)])
    assert bool((full == 1).all()) and bool((plain < 1).any())
    assert float(plain.min()) >= 0.001  # the threshold holds in both
    assert em.batch_memberships is memberships.batch_memberships


def test_without_algorithm_2_nothing_is_ablated(points):
    X, y = points
    hard = [
        cls(**SMALL | {"t2": 0}).fit(X, init_labels=y)
        for cls in (MixtureOfNetworks, Unsorted, Unscaled)
    ]
    for other in hard[1:]:
        np.testing.assert_array_equal(hard[0].log_likelihood_, other.log_likelihood_)


def test_one_network_has_the_weights_of_all(points):
    X, y = points
    one = OneNetwork(**SMALL).fit(X, init_labels=y)
    assert one.n_components == 3 and set(one.labels_) == {0}
    assert len(one.priors_) == 1
    many = MixtureOfNetworks(**SMALL).fit(X, init_labels=y)
    small = sum(t[0].numel() for t in many.bank_.tensors())
    assert n_weights("2-8-12-2") == small
    assert 0.8 * 3 * small < one.values_["n_weights"] <= 3 * small
    trained = sum(t.numel() for t in one.bank_.tensors())
    assert trained == one.values_["n_weights"]


def test_one_network_can_be_saved(points, tmp_path):
    X, y = points
    one = OneNetwork(**SMALL).fit(X, init_labels=y)
    one.save(tmp_path / "one")
    again = MixtureOfNetworks.load(tmp_path / "one")
    np.testing.assert_allclose(again.score_samples(X), one.score_samples(X), rtol=1e-5)


@pytest.mark.parametrize("structure, times", [("10-16-256-256-512-32", 10), ("2-5-2", 2)])
def test_widened_has_at_most_as_many_weights_and_nearly_as_many(structure, times):
    found = widened(structure, times)
    first, *_, last = found.split("-")
    assert (first, last) == (structure.split("-")[0], structure.split("-")[-1])
    assert 0.9 * times <= n_weights(found) / n_weights(structure) <= times


def test_no_hidden_layer_cannot_be_widened():
    with pytest.raises(ValueError, match="structure must have a hidden layer"):
        widened("3-2", 4)
