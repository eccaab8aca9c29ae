"""Trainings on a CUDA device: rates from tensors against torch's SGD; recorded against launched."""

import itertools

import numpy as np
import pytest
import torch
from sklearn.base import clone

from baselines.generative import chains, checkpoints, cuda, gan, gsn
from baselines.generative.cuda import DeviceSGD, Recorded, generator_on, recorded, sgd
from baselines.generative.gan import GAN
from baselines.generative.gsn import GSN
from baselines.generative.training import set_sgd

MODELS = {
    "gsn": GSN(hidden=(33, 17), batch_size=10, epochs=30, max_updates=60),
    "gan": GAN(
        latent_dim=5,
        generator_hidden=(32,),
        units=(16, 8),
        pieces=3,
        batch_size=10,
        saturate=4,
        updates=60,
        generator_range=0.3,
        discriminator_range=0.3,
    ),
}
MODULES = {"gsn": gsn, "gan": gan}
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(params=MODELS)
def kind(request):
    return request.param


@pytest.fixture
def model(kind):
    return clone(MODELS[kind])


@pytest.fixture
def X():
    return np.random.default_rng(0).random((100, 12), dtype=np.float32)


def parameters(seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()
        for shape in [(3, 4), (4,), (2, 2)]
    ]


def weights(model):
    return {name: tensor.cpu() for name, tensor in model.network_.state_dict().items()}


def test_rates_from_tensors_make_the_updates_of_torch_sgd():
    """With both changing at every update, and a parameter that never has a gradient."""
    ours, theirs = parameters(), parameters()
    one = DeviceSGD(ours, lr=1.0)
    one.minus_lr, one.momentum = one.minus_lr.double(), one.momentum.double()
    other = torch.optim.SGD(theirs, lr=1.0)
    for update in range(6):
        for optimizer, params in ((one, ours), (other, theirs)):
            set_sgd(optimizer, 0.3 / (1 + update), 0.5 + 0.05 * update)
            for p, g in zip(params[:2], parameters(update + 1), strict=False):
                p.grad = g.detach()
        one.send()
        one.step()
        other.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-12)
    assert torch.equal(ours[2], parameters()[2])


def test_rates_are_those_last_sent():
    (p,) = params = [torch.zeros(3, requires_grad=True)]
    optimizer = DeviceSGD(params, lr=1.0)
    p.grad = torch.ones(3)
    optimizer.send()
    optimizer.param_groups[0].update(lr=100.0, momentum=0.9)
    optimizer.step()
    assert p.tolist() == [-1.0] * 3
    optimizer.send()
    optimizer.step()
    assert p.tolist() == [-1.0 - 100 * 1.9] * 3


def test_the_state_of_an_optimizer_goes_on_in_another():
    def steps(optimizer, params, numbers):
        for n in numbers:
            set_sgd(optimizer, 0.1 / n, 0.5 + 0.1 * n)
            for p, g in zip(params, parameters(n, torch.float32), strict=True):
                p.grad = g.detach()
            optimizer.send()
            optimizer.step()

    whole, first = parameters(dtype=torch.float32), parameters(dtype=torch.float32)
    steps(DeviceSGD(whole, 1.0), whole, (1, 2, 3, 4))
    before = DeviceSGD(first, 1.0)
    steps(before, first, (1, 2))
    second = [p.detach().clone().requires_grad_() for p in first]
    after = DeviceSGD(second, 1.0)
    after.load_state_dict(before.state_dict())
    steps(after, second, (3, 4))
    for p, q in zip(whole, second, strict=True):
        assert torch.equal(p, q)


def test_nothing_is_changed_on_the_cpu():
    stream, params = torch.Generator().manual_seed(3), parameters()
    assert generator_on("cpu", stream) is stream
    optimizer = sgd(iter(params), lr=0.1, momentum=0.2)
    assert type(optimizer) is torch.optim.SGD and optimizer.defaults["fused"]
    assert recorded(len, optimizer, stream) is len


@needs_gpu
def test_a_generator_on_the_device_is_of_the_seed_of_its_stream():
    found = generator_on("cuda", torch.Generator().manual_seed(5))
    same, other = (torch.Generator("cuda").manual_seed(seed) for seed in (5, 6))
    draws = [torch.rand(9, generator=g, device="cuda") for g in (found, same, other)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


@needs_gpu
def test_draws_are_made_where_the_generator_is():
    p = torch.full((1000, 100), 0.25, device="cuda")
    for device in ("cpu", "cuda"):
        generator = torch.Generator(device).manual_seed(0)
        expected = (
            torch.rand(p.shape, generator=torch.Generator(device).manual_seed(0), device=device).to(
                p.device
            )
            < p
        )
        found = chains.bernoulli(p, generator)
        assert torch.equal(found, expected.float()) and found.device == p.device
        assert float(
            gsn.salt_and_pepper(p, 0.4, generator).eq(0.25).float().mean()
        ) == pytest.approx(0.6, abs=0.01)


@needs_gpu
def test_recorded_updates_are_those_launched_one_by_one(model, X, monkeypatch):
    """Same draws, same rates at each update: only the order of sums may differ."""
    replays = itertools.count()
    replay = torch.cuda.CUDAGraph.replay
    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", lambda g: (next(replays), replay(g))[1])
    model.set_params(device="cuda")
    graph = clone(model).fit(X)
    warm_up = cuda.WARM_UP
    assert next(replays) == 60 - warm_up
    monkeypatch.setattr(cuda, "WARM_UP", 10**9)
    eager = clone(model).fit(X)
    assert next(replays) == 60 - warm_up + 1  # none since
    for name, tensor in weights(eager).items():
        torch.testing.assert_close(weights(graph)[name], tensor, rtol=1e-4, atol=1e-5)
    for name, curve in eager.history_.items():
        np.testing.assert_allclose(graph.history_[name], curve, rtol=1e-4, atol=1e-6)
    other = clone(model).set_params(random_state=1).fit(X)
    assert not torch.allclose(
        next(iter(weights(other).values())), next(iter(weights(eager).values())), atol=1e-2
    )


class Killed(Exception):
    pass


@needs_gpu
@pytest.mark.parametrize("at", [1, 2, 5, 37])
def test_a_recorded_training_goes_on_as_if_it_had_not_been_killed(
    model, X, at, tmp_path, monkeypatch
):
    model.set_params(device="cuda")
    whole = clone(model).fit(X)
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    write, writes = checkpoints.Checkpoint.write, itertools.count(1)

    def write_and_die(self, *args, **kwargs):
        write(self, *args, **kwargs)
        if next(writes) == at:
            raise Killed

    monkeypatch.setattr(checkpoints.Checkpoint, "write", write_and_die)
    with pytest.raises(Killed):
        clone(model).fit(X, checkpoint=tmp_path / "state")
    resumed = clone(model).fit(X, checkpoint=tmp_path / "state")
    for name, tensor in weights(whole).items():
        torch.testing.assert_close(weights(resumed)[name], tensor, rtol=1e-4, atol=1e-5)
    assert resumed.history_["update"] == whole.history_["update"]
    for name, curve in whole.history_.items():
        np.testing.assert_allclose(resumed.history_[name], curve, rtol=1e-4, atol=1e-6)


@needs_gpu
def test_a_gpu_training_learns_what_a_cpu_training_does(model, X):
    """Other draws from the same distributions: losses of a whole training agree."""
    found = clone(model).set_params(device="cuda").fit(X).history_
    expected = clone(model).fit(X).history_
    for name in set(expected) - {"update"}:
        assert np.mean(found[name]) == pytest.approx(np.mean(expected[name]), rel=0.1)


@needs_gpu
def test_no_replay_waits_for_the_device(kind, model, X, monkeypatch):
    """torch raises for what would wait, such as reading a value; a new pass over X may."""

    def updates(step, **_):
        for update in range(cuda.WARM_UP + 1):
            step(update)
        torch.cuda.set_sync_debug_mode("error")
        try:
            with pytest.raises(RuntimeError):
                float(torch.ones(1, device="cuda"))
            for update in range(cuda.WARM_UP + 1, 9):
                step(update)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return {"discriminator": [0.0], "generator": [0.0]}, {}

    monkeypatch.setattr(MODULES[kind], "train", updates)
    model.set_params(device="cuda").fit(X)


@needs_gpu
def test_recording_makes_no_update_and_draws_nothing(X):
    noise = generator_on("cuda", torch.Generator().manual_seed(1))
    p = torch.zeros(12, device="cuda", requires_grad=True)
    optimizer = sgd([p], lr=1.0)

    def update(x):
        p.grad = x.mean(0) + torch.rand(12, generator=noise, device="cuda")
        optimizer.step()
        return {"loss": p.detach().sum()}

    step, x = Recorded(update, optimizer, noise), torch.from_numpy(X[:10]).cuda()
    expected, check = torch.zeros(12, device="cuda"), torch.Generator("cuda").manual_seed(1)
    check.manual_seed(noise.initial_seed())
    for _ in range(cuda.WARM_UP + 5):
        loss = step(x)["loss"]
        expected -= x.mean(0) + torch.rand(12, generator=check, device="cuda")
        torch.testing.assert_close(p.detach(), expected)
        torch.testing.assert_close(loss, expected.sum())
        x = x.roll(1, 1)
    assert torch.equal(noise.get_state(), check.get_state())
