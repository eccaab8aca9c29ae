"""The bank of networks against K separate torch modules."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from mixnet_core.bank import DenseBank, GeneratorBank


def separate(bank: DenseBank, j: int) -> nn.Sequential:
    """Network j of the bank as a plain torch module."""
    layers = []
    for weight, bias in zip(bank.weights, bank.biases, strict=True):
        layer = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[2])
        layer.weight.data.copy_(weight[j].T)
        layer.bias.data.copy_(bias[j, 0])
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Sigmoid())


@pytest.mark.parametrize("structure", ["3-x", "3-4x4", "3-2x2-5"])
def test_a_dense_bank_takes_plain_sizes_only(structure, g):
    with pytest.raises(ValueError, match=f"plain sizes; got '{structure}'"):
        DenseBank(structure, 2, g)


def test_the_base_leaves_the_networks_to_its_children():
    base = GeneratorBank(2, 3, 4)
    assert (base.n_inputs, base.n_outputs, base.n_components) == (2, 3, 4)
    for call in (base.tensors, lambda: base.run([], torch.zeros(4, 1, 2))):
        with pytest.raises(NotImplementedError):
            call()


@pytest.mark.parametrize("structure", ["3-8-6-4", "2-5", "1-7-3"])
def test_bank_equals_separate_networks(structure, g):
    bank = DenseBank(structure, 4, g)
    for bias in bank.biases:  # zero at the start, which would hide a mixed-up one
        bias.data.normal_(generator=g)
    z = bank.draw_inputs(4, 9, generator=g)
    out = bank(z)
    assert out.shape == (4, 9, bank.n_outputs)
    for j in range(4):
        expected = separate(bank, j)(z[j]).detach()
        torch.testing.assert_close(out[j], expected, rtol=1e-5, atol=1e-6)


def test_a_slice_of_the_bank_runs_alone(g):
    bank = DenseBank("3-8-6-4", 5, g)
    z = bank.draw_inputs(5, 7, generator=g)
    part = bank.run([t[1:3] for t in bank.tensors()], z[1:3])
    torch.testing.assert_close(part, bank(z)[1:3], rtol=1e-6, atol=1e-7)


def test_tensors_share_memory_with_the_parameters(g):
    bank = DenseBank("2-3-2", 2, g)
    bank.tensors()[0].zero_()
    assert not bank.weights[0].any()


def test_initial_weights_are_he_normal_and_biases_zero(g):
    bank = DenseBank("10-64-256-8", 6, g)
    assert all(not bias.any() for bias in bank.biases)
    for weight in bank.weights:
        scaled = (weight.detach() * (weight.shape[1] / 2) ** 0.5).numpy()
        for network in scaled:
            assert stats.kstest(network.ravel(), "norm").pvalue > 1e-3
    # No two networks start alike.
    first = bank.weights[0].flatten(1).numpy()
    assert np.abs(np.corrcoef(first) - np.eye(6)).max() < 0.2


def test_draws_come_in_a_fixed_order():
    """Weights layer by layer, then inputs: a stored seed names the same model for good."""

    def stream():
        return torch.Generator().manual_seed(9)

    g, expected = stream(), stream()
    bank = DenseBank("3-8-6-4", 5, g)
    for weight, (fan_in, fan_out) in zip(bank.weights, [(3, 8), (8, 6), (6, 4)], strict=True):
        drawn = torch.randn(5, fan_in, fan_out, generator=expected) * (2 / fan_in) ** 0.5
        assert torch.equal(weight, drawn)
    z = torch.rand(5, 7, 3, generator=expected) * 2 - 1
    assert torch.equal(bank.sample(7, g), bank(z))
    assert torch.equal(g.get_state(), expected.get_state())


def test_sampling_in_blocks_changes_nothing(g):
    bank = DenseBank("3-8-4", 2, g)
    whole = bank.sample(11, torch.Generator().manual_seed(1))
    bank.sample_rows = 4
    parts = bank.sample(11, torch.Generator().manual_seed(1))
    torch.testing.assert_close(parts, whole, rtol=1e-6, atol=1e-7)
    assert bank.sample(0, g).shape == (2, 0, 4)


def test_weights_and_samples_follow_the_generators_alone():
    def make():
        bank = DenseBank("3-8-4", 2, torch.Generator().manual_seed(3))
        return bank.sample(5, torch.Generator().manual_seed(4))

    assert torch.equal(make(), make())
    other = DenseBank("3-8-4", 2, torch.Generator().manual_seed(5))
    assert not torch.equal(make(), other.sample(5, torch.Generator().manual_seed(4)))


def test_random_inputs_are_uniform_in_minus_one_to_one(g):
    bank = DenseBank("4-2", 1, g)
    z = bank.draw_inputs(50, 100, generator=g)
    assert z.shape == (50, 100, 4)
    for column in z.flatten(0, 1).T.numpy():
        assert stats.kstest(column, stats.uniform(-1, 2).cdf).pvalue > 1e-3


def test_samples_lie_inside_the_unit_cube_and_differ(g):
    samples = DenseBank("4-16-3", 3, g).sample(200, g)
    assert samples.shape == (3, 200, 3)
    assert (samples > 0).all() and (samples < 1).all()
    assert len(samples.flatten(0, 1).unique(dim=0)) == 600
    assert not samples.requires_grad
