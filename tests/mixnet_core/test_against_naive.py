"""The recipe `mixnet` without its departures is the paper's two listings, step by step."""

import numpy as np
import pytest
import torch

from mixnet_core.bank import DenseBank
from mixnet_core.mixture import MixtureOfNetworks
from mixnet_core.training.fitted import streams
from tests.mixnet_core.naive import NaiveMixture, network

K, SEED, STRUCTURE = 3, 5, "2-6-5-2"
PRINTED = dict(
    n_components=K,
    structure=STRUCTURE,
    recipe="mixnet",
    momentum=0.0,
    weight_decay=0.0,
    memory=0.0,
    prior_floor=0.0,
    keep="last",
    lr=0.5,
    t1=3,
    t2=4,
    batch_size=8,
    batch_share=10.0,
    n_samples=30,
    n_final_samples=30,
    likelihood_widths=(1.5,),
    threshold=0.001,
    validation_size=10,
    random_state=SEED,
)


@pytest.fixture(scope="module")
def data():
    """Three overlapping clusters of 40, 31 and 5 points, the last smaller than a batch."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [44, 35, 7])
    centres = np.array([[0, 0], [2.5, 0.5], [1, 2.5]])
    order = rng.permutation(len(labels))
    return (centres[labels] + rng.normal(size=(86, 2)))[order], labels[order]


@pytest.fixture(scope="module")
def fitted(data):
    """The model, and weights and priors after each epoch and iteration."""
    X, labels = data
    seen = []

    def keep(step):
        seen.append(([t.clone() for t in step.bank.tensors()], step.priors.clone(), step.algorithm))

    model = MixtureOfNetworks(**PRINTED).fit(X, init_labels=labels, callbacks=[keep])
    return model, seen


def naive(data, model):
    X, labels = data
    held_out = torch.randperm(86, generator=streams(SEED, 1)[0])
    rows = held_out[10:]
    bank = DenseBank(STRUCTURE, K, streams(SEED, 2)[1])
    networks = [
        network(bank.sizes, [w[j] for w in bank.weights], [b[j, 0] for b in bank.biases])
        for j in range(K)
    ]
    _, _, order, draws, _, *inputs, _ = streams(SEED, 6 + K)
    units, scale = model.fitted_.units, model.fitted_.scale
    return NaiveMixture(
        networks,
        units.put(X)[rows],
        torch.from_numpy(labels)[rows],
        order,
        draws,
        inputs,
        lr=0.5,
        widths=[m * scale for m in (0.25, 0.5, 1.0)],
        sigma=1.5 * scale / 2,  # w / √(2p) for p = 2
        batch_1=8,
        batch_2=8,
        n_samples=30,
        threshold=0.001,
        n_inputs=2,
    )


def assert_same_weights(tensors, networks):
    layers = len(tensors) // 2
    for j, net in enumerate(networks):
        linear = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
        for weight, bias, layer in zip(tensors[:layers], tensors[layers:], linear, strict=True):
            torch.testing.assert_close(weight[j], layer.weight.data.T, rtol=2e-4, atol=2e-5)
            torch.testing.assert_close(bias[j, 0], layer.bias.data, rtol=2e-4, atol=2e-5)


def test_every_step_is_that_of_the_listings(data, fitted):
    model, seen = fitted
    reference, held_out = naive(data, model), []
    started = [p.detach().clone() for p in reference.networks[0].parameters()]
    soft = []
    for tensors, priors, algorithm in seen:
        if algorithm == 1:
            reference.algorithm_1_epoch()
        else:
            if not soft:
                reference.likelihood_matrix()
            reference.algorithm_2_iteration()
            soft += reference.used
            reference.likelihood_matrix()
            reference.update_priors()
        assert_same_weights(tensors, reference.networks)
        torch.testing.assert_close(
            priors.double(), torch.tensor(reference.priors).double(), rtol=1e-4, atol=1e-6
        )
        held_out.append(algorithm)
    assert held_out == [1] * 3 + [2] * 4
    moved = [
        (a - b).abs().max()
        for a, b in zip(started, reference.networks[0].parameters(), strict=True)
    ]
    assert min(moved) > 1e-3  # the case tells something: weights moved …
    assert any(0.01 < m < 0.99 for m in soft) and any(m < 0.001 for m in soft)  # … and m differ


def test_the_curve_is_that_of_the_likelihood_matrix(data, fitted):
    """`history_` of the training points, against the reference's L and π in float64."""
    model, _ = fitted
    reference = naive(data, model)
    for _ in range(3):
        reference.algorithm_1_epoch()
    reference.likelihood_matrix()
    joint = reference.L * torch.tensor(reference.priors, dtype=torch.float64)
    expected = float(joint.sum(1).log().mean()) + model.fitted_.volume
    assert model.history_["train"][0] == pytest.approx(expected, abs=1e-3)
