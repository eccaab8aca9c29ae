"""Networks in frames, against their formula written out for one network at a time."""

import math

import pytest
import torch

from mixnet_core.networks.framed import FramedBank


def frames(k, p, g):
    """Any centres, and invertible directions that are no rotations."""
    directions = torch.randn(k, p, p, generator=g) + 3 * torch.eye(p)
    return torch.randn(k, p, generator=g), directions


def disturbed(bank, g):
    for t in bank.tensors():
        t.add_(0.3 * torch.randn(t.shape, generator=g))
    return bank


@pytest.mark.parametrize("local", [True, False])
def test_a_framed_network_is_its_formula(local, g):
    bank = FramedBank("2-6-5-4", 3, g, local=local)
    centres, directions = frames(3, 4, g)
    bank.set_frames(centres, directions, 0.3)
    disturbed(bank, g)
    z = bank.draw_inputs(3, 7, generator=g)
    out = bank(z)
    assert out.shape == (3, 7, 4 + local)
    for j in range(3):
        for r in range(7):
            u = math.sqrt(3) * z[j, r]
            h = u
            for weight, bias in zip(bank.weights[:-1], bank.biases[:-1], strict=True):
                h = (h @ weight[j] + bias[j, 0]).clamp_min(0)
            h = h @ bank.weights[-1][j] + bank.biases[-1][j, 0]
            y = centres[j] + directions[j] @ (u @ bank.paths[0][j] + h[:4])
            torch.testing.assert_close(out[j, r, :4], y, rtol=1e-4, atol=1e-5)
            if local:
                torch.testing.assert_close(out[j, r, 4], 2 * torch.tanh(h[4] / 2))


def test_it_starts_as_a_linear_network_with_its_share_of_each_direction(g):
    bank = FramedBank("2-16-4", 3, g)
    centres, directions = frames(3, 4, g)
    bank.set_frames(centres, directions, 0.3)
    points = bank.sample(100_000, g)
    for j in range(3):
        lead = 0.3 * directions[j][:, :2]  # as many directions as inputs
        torch.testing.assert_close(points[j].T.cov(), lead @ lead.T, rtol=0.05, atol=0.02)
        torch.testing.assert_close(points[j].mean(0), centres[j], rtol=0, atol=0.05)


@pytest.mark.parametrize("framed", [True, False])
def test_all_points_move_by_the_steps(framed, g):
    bank = FramedBank("2-6-4", 3, g, framed=framed, local=True)
    if framed:
        bank.set_frames(*frames(3, 4, g), 0.3)
    disturbed(bank, g)
    z, steps = bank.draw_inputs(3, 9, generator=g), torch.randn(3, 4, generator=g)
    before = bank(z)
    bank.move(steps.double())
    torch.testing.assert_close(
        bank(z)[..., :4], before[..., :4] + steps.unsqueeze(1), rtol=1e-4, atol=1e-4
    )
    assert torch.equal(bank(z)[..., 4], before[..., 4])  # scales of kernels stay


def test_frames_go_with_their_networks(g):
    bank = FramedBank("2-6-4", 3, g)
    bank.set_frames(*frames(3, 4, g), 0.3)
    z = bank.draw_inputs(3, 5, generator=g)
    old, before = torch.tensor([2, 0, 1]), bank(z)
    part = bank.run([t[1:] for t in bank.tensors()], z[1:], torch.tensor([1, 2]))
    torch.testing.assert_close(part, before[1:])
    bank.reorder(old)
    torch.testing.assert_close(bank(z[old]), before[old])


def test_scales_of_kernels_lie_within_two(g):
    bank = FramedBank("2-6-4", 3, g, output="sigmoid", framed=False, local=True)
    bank.biases[-1].data.mul_(0).add_(torch.tensor([0.0] * 4 + [50.0]))
    points = bank.sample(20, g)
    assert bool((points[..., 4] <= 2).all()) and bool((points[..., 4] > 1.9).all())
    assert bool((points[..., :4] > 0).all()) and bool((points[..., :4] < 1).all())
