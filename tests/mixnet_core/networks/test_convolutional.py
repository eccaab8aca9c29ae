"""The convolutional bank against K separate stacks of torch's own layers."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from mixnet_core.networks.convolutional import ConvolutionalBank


def dense_to_map(n_in, channels, height, width):
    return [nn.Linear(n_in, channels * height * width), nn.Unflatten(1, (channels, height, width))]


def up(before, after):
    return nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)


def same(before, after):
    return nn.Conv2d(before, after, 3, padding=1)


# The networks written out by hand, layer by layer.
NETWORKS = {
    "3-6-2x2x5-4x4x3-8x8": lambda: [
        nn.Linear(3, 6),
        nn.ReLU(),
        *dense_to_map(6, 5, 2, 2),
        nn.ReLU(),
        up(5, 3),
        nn.ReLU(),
        up(3, 1),
        nn.Sigmoid(),
    ],
    "2-3x2x4-3x2x5-6x4x3-6x4x2": lambda: [
        *dense_to_map(2, 4, 3, 2),
        nn.ReLU(),
        same(4, 5),
        nn.ReLU(),
        up(5, 3),
        nn.ReLU(),
        same(3, 2),
        nn.Sigmoid(),
    ],
    "4-7-2x3x2": lambda: [nn.Linear(4, 7), nn.ReLU(), *dense_to_map(7, 2, 2, 3), nn.Sigmoid()],
    "2-1x1x3-2x2x3": lambda: [*dense_to_map(2, 3, 1, 1), nn.ReLU(), up(3, 3), nn.Sigmoid()],
}


def separate(structure, bank, j):
    """Network j of the bank as torch layers, output moved to H × W × C and flattened."""
    with torch.random.fork_rng(devices=[]):  # the layers draw weights that are then overwritten
        net = nn.Sequential(*NETWORKS[structure]())
    layers = [layer for layer in net if hasattr(layer, "weight")]
    for layer, weight, bias in zip(layers, bank.weights, bank.biases, strict=True):
        new = weight[j].T if isinstance(layer, nn.Linear) else weight[j]
        layer.weight.data.copy_(new)
        layer.bias.data.copy_(bias[j].reshape(layer.bias.shape))
    return net, layers


def with_biases(structure, k, g):
    bank = ConvolutionalBank(structure, k, g)
    for bias in bank.biases:  # zero at the start, which would hide a mixed-up one
        bias.data.normal_(generator=g).mul_(0.3)
    return bank


@pytest.mark.parametrize("structure", NETWORKS)
def test_values_and_gradients_equal_separate_networks(structure, g):
    k, n = 3, 5
    bank = with_biases(structure, k, g)
    z = bank.draw_inputs(k, n, generator=g)
    leaves = [t.clone().requires_grad_() for t in bank.tensors()]
    out = bank.run(leaves, z)
    assert out.shape == (k, n, bank.n_outputs)
    target = torch.rand(out.shape, generator=g)
    gradients = torch.autograd.grad(((out - target) ** 2).sum(), leaves)
    for j in range(k):
        net, layers = separate(structure, bank, j)
        expected = net(z[j]).permute(0, 2, 3, 1).flatten(1)
        torch.testing.assert_close(out[j], expected, rtol=1e-5, atol=1e-6)
        ((expected - target[j]) ** 2).sum().backward()
        theirs = [m.weight.grad.T if isinstance(m, nn.Linear) else m.weight.grad for m in layers]
        theirs += [m.bias.grad for m in layers]
        for ours, other in zip(gradients, theirs, strict=True):
            assert other.abs().max() > 0
            torch.testing.assert_close(ours[j].reshape(other.shape), other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("part", [slice(0, 1), slice(1, 4), slice(4, 5)])
def test_a_slice_of_the_bank_runs_alone(part, g):
    bank = with_biases("3-6-2x2x5-4x4x3-4x4x2", 5, g)
    z = bank.draw_inputs(5, 7, generator=g)
    alone = bank.run([t[part] for t in bank.tensors()], z[part])
    torch.testing.assert_close(alone, bank(z)[part], rtol=1e-5, atol=1e-6)


def test_output_is_row_major_with_the_channels_of_a_pixel_side_by_side(g):
    """A last layer that writes its pixel and channel: bias only, so each value says where it is."""
    bank = ConvolutionalBank("2-2x3x2", 1, g)
    bank.weights[0].data.zero_()
    marks = torch.arange(12.0).view(2, 2, 3)  # (channel, row, column), as torch has images
    bank.biases[0].data.copy_(marks.view(1, 1, 12))
    out = bank(torch.zeros(1, 1, 2))[0, 0].logit()
    expected = [marks[c, row, column] for row in range(2) for column in range(3) for c in range(2)]
    np.testing.assert_allclose(out, expected, rtol=1e-3, atol=1e-4)


def test_initial_weights_have_the_variance_of_their_fan_in_and_biases_are_zero(g):
    bank = ConvolutionalBank("10-60-2x2x20-4x4x30-4x4x25-8x8x8", 4, g)
    assert all(not bias.any() for bias in bank.biases)
    fan_ins = [10, 60, 4 * 20, 9 * 30, 4 * 25]
    for weight, fan_in in zip(bank.weights, fan_ins, strict=True):
        scaled = (weight.flatten(1) * (fan_in / 2) ** 0.5).numpy()
        for network in scaled:
            assert stats.kstest(network, "norm").pvalue > 1e-3
        assert np.abs(np.corrcoef(scaled) - np.eye(4)).max() < 0.2


@pytest.mark.parametrize("kind", ["transposed", "same"])
def test_the_fan_in_keeps_the_size_of_the_signal(kind, g):
    """He et al. 2015: E[y²] of a layer's output is 2 E[x²] for inputs of E[x²] = 1, edges aside."""
    side = 16 if kind == "transposed" else 8
    bank = ConvolutionalBank(f"1-8x8x40-{side}x{side}x60", 1, g)
    bank.weights[0].data.zero_()
    bank.biases[0].data.fill_(1.0)
    inner = bank(torch.zeros(1, 1, 1)).view(side, side, 60)[2:-2, 2:-2].logit()
    assert inner.square().mean() == pytest.approx(2, rel=0.3)


def test_weights_and_samples_follow_the_generators_alone():
    def make(seed):
        bank = ConvolutionalBank("3-2x2x4-4x4", 2, torch.Generator().manual_seed(seed))
        return bank.sample(5, torch.Generator().manual_seed(4))

    assert torch.equal(make(3), make(3))
    assert not torch.equal(make(3), make(5))


def test_samples_lie_inside_the_unit_cube_and_do_not_depend_on_the_blocks(g):
    bank = ConvolutionalBank("3-2x2x4-4x4", 2, g)
    whole = bank.sample(21, torch.Generator().manual_seed(1))
    bank.sample_rows = 5
    parts = bank.sample(21, torch.Generator().manual_seed(1))
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)
    assert whole.shape == (2, 21, 16) and (whole > 0).all() and (whole < 1).all()
    assert len(whole.flatten(0, 1).unique(dim=0)) == 42


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        ("3-8-6", "end with a map"),
        ("3-4x4-16", "followed by 16"),
        ("3-4x4-x", "resolve_structure"),
        ("3-4x4x2-12x12", "4x4x2 is followed by 12x12x1"),
        ("3-4x4-8x4", "followed by 8x4x1"),
        ("3-4x4-2x2", "followed by 2x2x1"),
        ("3-4x4-16-8x8", "followed by 16"),
    ],
)
def test_a_structure_without_such_layers_is_an_error(structure, message, g):
    with pytest.raises(ValueError, match=message) as raised:
        ConvolutionalBank(structure, 2, g)
    assert structure in str(raised.value)
