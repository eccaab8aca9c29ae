"""The bank of networks against K separate torch modules."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from mixnet_core.generators import GeneratorBank, parse_structure


def separate(bank: GeneratorBank, j: int) -> nn.Sequential:
    """Network j of the bank as a plain torch module."""
    layers = []
    for weight, bias in zip(bank.weights, bank.biases, strict=True):
        layer = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[2])
        layer.weight.data.copy_(weight[j].T)
        layer.bias.data.copy_(bias[j, 0])
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Sigmoid())


@pytest.mark.parametrize(
    ("structure", "sizes"),
    [("2-32-128-32-2", [2, 32, 128, 32, 2]), ("10-64-256-256-512-32", [10, 64, 256, 256, 512, 32]),
     ("3-1", [3, 1])],
)
def test_structure_string(structure, sizes):
    assert parse_structure(structure) == sizes


@pytest.mark.parametrize("bad", ["", "5", "2-", "2-0-3", "2--3", "a-b", "2-3.5", None, [2, 3], 7])
def test_bad_structure_is_named(bad):
    with pytest.raises(ValueError, match="structure must be"):
        parse_structure(bad)


@pytest.mark.parametrize("structure", ["3-8-6-4", "2-5", "1-7-3"])
def test_bank_equals_separate_networks(structure, g):
    bank = GeneratorBank(structure, 4, g)
    for bias in bank.biases:  # zero at the start, which would hide a mixed-up one
        bias.data.normal_(generator=g)
    z = bank.draw_inputs(4, 9, generator=g)
    out = bank(z)
    assert out.shape == (4, 9, bank.n_outputs)
    for j in range(4):
        expected = separate(bank, j)(z[j]).detach()
        torch.testing.assert_close(out[j], expected, rtol=1e-5, atol=1e-6)


def test_a_slice_of_the_bank_runs_alone(g):
    bank = GeneratorBank("3-8-6-4", 5, g)
    z = bank.draw_inputs(5, 7, generator=g)
    part = bank.run([t[1:3] for t in bank.tensors()], z[1:3])
    torch.testing.assert_close(part, bank(z)[1:3], rtol=1e-6, atol=1e-7)


def test_tensors_share_memory_with_the_parameters(g):
    bank = GeneratorBank("2-3-2", 2, g)
    bank.tensors()[0].zero_()
    assert not bank.weights[0].any()


def test_initial_weights_are_he_normal_and_biases_zero(g):
    bank = GeneratorBank("10-64-256-8", 6, g)
    assert all(not bias.any() for bias in bank.biases)
    for weight in bank.weights:
        scaled = (weight.detach() * (weight.shape[1] / 2) ** 0.5).numpy()
        for network in scaled:
            assert stats.kstest(network.ravel(), "norm").pvalue > 1e-3
    # No two networks start alike.
    first = bank.weights[0].flatten(1).numpy()
    assert np.abs(np.corrcoef(first) - np.eye(6)).max() < 0.2


def test_weights_and_samples_follow_the_generators_alone():
    def make():
        bank = GeneratorBank("3-8-4", 2, torch.Generator().manual_seed(3))
        return bank.sample(5, torch.Generator().manual_seed(4))

    assert torch.equal(make(), make())
    other = GeneratorBank("3-8-4", 2, torch.Generator().manual_seed(5))
    assert not torch.equal(make(), other.sample(5, torch.Generator().manual_seed(4)))


def test_random_inputs_are_uniform_in_minus_one_to_one(g):
    bank = GeneratorBank("4-2", 1, g)
    z = bank.draw_inputs(50, 100, generator=g)
    assert z.shape == (50, 100, 4)
    for column in z.flatten(0, 1).T.numpy():
        assert stats.kstest(column, stats.uniform(-1, 2).cdf).pvalue > 1e-3


def test_samples_lie_inside_the_unit_cube_and_differ(g):
    samples = GeneratorBank("4-16-3", 3, g).sample(200, g)
    assert samples.shape == (3, 200, 3)
    assert (samples > 0).all() and (samples < 1).all()
    assert len(samples.flatten(0, 1).unique(dim=0)) == 600
    assert not samples.requires_grad
