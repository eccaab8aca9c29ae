"""The bank of user modules against the modules themselves."""

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from mixnet_core.networks.modules import ModuleBank


def quiet(make):
    """A module whose layers draw from torch's global state, which is put back."""
    with torch.random.fork_rng(devices=[]):
        torch.random.set_rng_state(torch.Generator().manual_seed(5).get_state())
        return make()


def mlp(*hidden, end=nn.Sigmoid):
    return quiet(lambda: nn.Sequential(nn.Linear(3, 6), *hidden, nn.Linear(6, 4), end()))


class Residual(nn.Module):
    """Parameters of several kinds, a constant, and an order of layers that is not theirs."""

    def __init__(self, branch=False):
        super().__init__()
        self.n_inputs, self.branch = 2, branch
        self.last = quiet(lambda: nn.Linear(5, 4))
        self.gain = nn.Parameter(torch.tensor([0.7, -1.1, 0.4, 0.2, 1.5]))
        self.scale = nn.Parameter(torch.tensor(0.9))
        self.first = quiet(lambda: nn.Linear(2, 5, bias=False))
        self.register_buffer("shift", torch.linspace(-1, 1, 5))

    def forward(self, z):
        h = self.first(z) * self.gain + self.shift
        if self.branch and float(h.detach().sum()) > 1e9:  # a value in Python: vmap cannot give it
            h = -h
        return torch.sigmoid(self.scale * self.last(torch.tanh(h) + h))


def network(bank, module, j):
    """Network j of the bank as a copy of the module with its weights."""
    net = copy.deepcopy(module)
    for name, stack in zip(bank.names, bank.tensors(), strict=True):
        net.get_parameter(name).data.copy_(stack[j])
    return net


@pytest.mark.parametrize(
    "make", [mlp, Residual, lambda: Residual(branch=True)], ids=["mlp", "residual", "branching"]
)
def test_values_and_gradients_equal_the_modules(make, g):
    module, k = make(), 4
    bank = ModuleBank(module, k, g)
    for t in bank.tensors():
        t.add_(torch.randn(t.shape, generator=g), alpha=0.3)
    z = bank.draw_inputs(k, 9, generator=g)
    leaves = [t.clone().requires_grad_() for t in bank.tensors()]
    out = bank.run(leaves, z)
    assert out.shape == (k, 9, 4)
    gradients = torch.autograd.grad(out.square().sum(), leaves)
    for j in range(k):
        net = network(bank, module, j)
        expected = net(z[j])
        torch.testing.assert_close(out[j], expected, rtol=1e-5, atol=1e-6)
        expected.square().sum().backward()
        for name, gradient in zip(bank.names, gradients, strict=True):
            theirs = net.get_parameter(name).grad
            torch.testing.assert_close(gradient[j], theirs, rtol=1e-4, atol=1e-5)


def test_stacked_says_whether_the_networks_run_side_by_side(g):
    assert ModuleBank(Residual(), 2, g).stacked
    assert not ModuleBank(Residual(branch=True), 2, g).stacked


def test_both_ways_of_running_agree_on_any_slice(g):
    side_by_side = ModuleBank(Residual(), 5, torch.Generator().manual_seed(1))
    one_by_one = ModuleBank(Residual(branch=True), 5, torch.Generator().manual_seed(1))
    z = side_by_side.draw_inputs(5, 6, generator=g)
    whole = side_by_side(z)
    for part in (slice(0, 5), slice(0, 1), slice(1, 4)):
        for bank in (side_by_side, one_by_one):
            out = bank.run([t[part] for t in bank.tensors()], z[part])
            torch.testing.assert_close(out, whole[part], rtol=1e-5, atol=1e-6)


def test_matrices_are_drawn_anew_and_the_rest_is_kept(g):
    module = quiet(
        lambda: nn.Sequential(
            nn.Linear(50, 36),
            nn.LayerNorm(36),
            nn.Unflatten(1, (4, 3, 3)),
            nn.Conv2d(4, 60, 3),
            nn.Flatten(),
            nn.Sigmoid(),
        )
    )
    before = copy.deepcopy(module.state_dict())
    bank = ModuleBank(module, 3, g)
    assert bank.names == [name for name, _ in module.named_parameters()]
    tensors = dict(zip(bank.names, bank.tensors(), strict=True))
    for name, fan_in in (("0.weight", 50), ("3.weight", 4 * 9)):
        theirs = nn.init._calculate_fan_in_and_fan_out(module.get_parameter(name))[0]
        assert theirs == fan_in
        scaled = (tensors.pop(name).flatten(1) * (fan_in / 2) ** 0.5).numpy()
        for weights in scaled:
            assert stats.kstest(weights, "norm").pvalue > 1e-3
        assert np.abs(np.corrcoef(scaled) - np.eye(3)).max() < 0.2
    assert sorted(tensors) == ["0.bias", "1.bias", "1.weight", "3.bias"]
    for name, stack in tensors.items():
        assert torch.equal(stack, before[name].expand(3, *before[name].shape))
    # The module that was handed in is left as it was.
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_weights_and_samples_follow_the_generators_alone():
    def make(seed, module=mlp):
        bank = ModuleBank(module(), 2, torch.Generator().manual_seed(seed))
        return bank.sample(5, torch.Generator().manual_seed(4))

    assert torch.equal(make(3), make(3))
    assert not torch.equal(make(3), make(5))

    def layers(generator):
        return nn.Sequential(nn.Linear(3, 4), nn.Sigmoid())

    drawn = [make(seed, lambda: layers) for seed in (3, 3, 5)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_a_factory_builds_each_network():
    def factory(generator):
        net = nn.Sequential(nn.Linear(2, 3), nn.Sigmoid())
        net[0].weight.data = torch.randn(3, 2, generator=generator)
        made.append(net)
        return net

    made = []
    bank = ModuleBank(factory, 3, torch.Generator().manual_seed(2))
    assert len(made) == 3 and bank.names == ["0.weight", "0.bias"]
    for j, net in enumerate(made):
        assert torch.equal(bank.tensors()[0][j], net[0].weight)
        assert torch.equal(bank.tensors()[1][j], net[0].bias)
    # Weights that torch's layers draw by themselves differ between the networks too.
    assert len(bank.tensors()[1].unique(dim=0)) == 3


def test_tensors_share_memory_and_constants_are_not_among_them(g):
    module = Residual()
    module.gain.requires_grad_(False)
    bank = ModuleBank(module, 2, g)
    assert bank.names == ["scale", "last.weight", "last.bias", "first.weight"]
    z = bank.draw_inputs(2, 3, generator=g)
    before = bank(z)
    bank.tensors()[1].zero_()
    assert not torch.equal(bank(z), before)
    torch.testing.assert_close(bank(z)[1], network(bank, module, 1)(z[1]).detach())


@pytest.mark.parametrize("branch", [False, True])
def test_copies_and_pickles(branch, g):
    bank = ModuleBank(Residual(branch), 3, g)
    z = bank.draw_inputs(3, 4, generator=g)
    for other in (copy.deepcopy(bank), pickle.loads(pickle.dumps(bank))):
        assert torch.equal(other(z), bank(z))


def test_a_double_module_becomes_float32(g):
    assert ModuleBank(mlp().double(), 2, g).sample(3, g).dtype == torch.float32


def test_constant_layers_of_eval_are_welcome(g):
    """Dropout and batch normalisation are constants in eval mode."""
    bank = ModuleBank(mlp(nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5)).eval(), 3, g)
    assert bank.stacked and len(bank.names) == 6


class Apart(nn.Module):
    """Its first layer is a constant; a parameter that nothing uses."""

    def __init__(self):
        super().__init__()
        self.used, self.idle = mlp(), nn.Parameter(torch.zeros(3))

    def forward(self, z):
        return self.used(z)


class Returns(nn.Module):
    """A network whose output goes through a function on its way out."""

    def __init__(self, change):
        super().__init__()
        self.net, self.change = mlp(), change

    def forward(self, z):
        return self.change(self.net(z))


BAD = {
    "width": (lambda: mlp(), "as X has features, 7; Sequential gave 4"),
    "range": (lambda: mlp(end=nn.Identity), r"values in \[0, 1\].*sigmoid.*gave -"),
    "nan": (lambda: Returns(lambda y: y / 0 * 0), r"values in \[0, 1\].*gave nan"),
    "1-d": (lambda: Returns(lambda y: y[:, 0]), r"gave shape \(8,\)"),
    "3-d": (lambda: Returns(lambda y: y[None]), r"gave shape \(1, 8, 4\)"),
    "tuple": (lambda: Returns(lambda y: (y, y)), "gave tuple"),
    "dropout": (lambda: mlp(nn.Dropout(0.5)), r"deterministic.*eval\(\)"),
    "rare dropout": (lambda: mlp(nn.Dropout(1e-6)), "deterministic"),
    "noise": (lambda: Returns(lambda y: y.lerp(torch.rand_like(y), 0.1)), "deterministic"),
    "batch norm": (lambda: mlp(nn.BatchNorm1d(6)), "each row by itself"),
    "no parameters": (nn.Sigmoid, "parameters to train; got Sigmoid"),
    "all frozen": (lambda: mlp().requires_grad_(False), "parameters to train; got Sequential"),
    "detached": (lambda: Returns(torch.Tensor.detach), "no gradient reaches net.0.weight"),
    "idle": (Apart, "no gradient reaches idle"),
    "inputs": (lambda: nn.Sequential(nn.Flatten(2), mlp()), "run on inputs of shape .n, 3."),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(3), nn.Sigmoid()), "lazy"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_module_that_cannot_be_trained_is_named(case, g):
    make, message = BAD[case]
    n_outputs = 7 if case == "width" else None
    with pytest.raises(ValueError, match=message):
        ModuleBank(make(), 2, g, n_outputs=n_outputs)


def test_the_size_of_the_input_comes_from_the_module(g):
    assert ModuleBank(mlp(), 2, g).n_inputs == 3
    assert ModuleBank(Residual(), 2, g).n_inputs == 2  # its attribute; its first Linear has 5
    conv = quiet(
        lambda: nn.Sequential(
            nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 1, 1), nn.Flatten(), nn.Sigmoid()
        )
    )
    assert ModuleBank(conv, 2, g, n_inputs=4).n_outputs == 4
    with pytest.raises(ValueError, match="attribute n_inputs.*Sequential has None"):
        ModuleBank(conv, 2, g)
    conv.n_inputs = "4"
    with pytest.raises(ValueError, match="Sequential has '4'"):
        ModuleBank(conv, 2, g)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (lambda g: "net", "return a torch.nn.Module; got str"),
        (
            lambda g: nn.Sequential(
                nn.Linear(2, int(torch.randint(1, 99, (), generator=g))), nn.Sigmoid()
            ),
            "network 1 differs from network 0",
        ),
        (
            lambda g: nn.Sequential(
                nn.Linear(2, 3), constant(torch.rand(3, generator=g)), nn.Sigmoid()
            ),
            "same buffers.*in 1.value",
        ),
    ],
    ids=["no module", "shapes", "buffers"],
)
def test_a_factory_of_different_kinds_is_an_error(factory, message, g):
    with pytest.raises(ValueError, match=message):
        ModuleBank(factory, 3, g)


def constant(value):
    layer = nn.Identity()
    layer.register_buffer("value", value)
    return layer
