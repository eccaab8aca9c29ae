"""K copies of any torch module as one bank."""

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mixnet_core.bank import GeneratorBank, he_normal, zeros

PROBE_ROWS = 8  # inputs on which a module is tried out before it is trained


class ModuleBank(GeneratorBank):
    """K networks that are copies of a user's module, each with its own weights.

    What is trained is every parameter with ``requires_grad``; buffers and frozen parameters are
    constants, the same in all networks. Everything is held in float32. The networks run side by
    side under ``torch.vmap`` where that gives what running them one by one does, else one by one.

    Parameters
    ----------
    module : torch.nn.Module or callable
        A module that maps (n, n_inputs) to (n, n_outputs). It is copied, in its mode
        (``eval`` or ``train``); every trained parameter of two or more dimensions is drawn anew in
        each copy from N(0, 2 / fan_in), the others stay as in the module (ours). Or a function
        ``factory(generator) -> module``, called K times, whose weights stay as it makes them.
    n_components : int
        K.
    generator : torch.Generator
        Source of the initial weights. What a factory draws from torch's global state is decided by
        it too, and that state stays as it was.
    output : {"sigmoid", "linear"}
        "sigmoid": the module's values lie in [0, 1]. "linear": they lie anywhere, around an offset
        that each network learns; a module that cannot leave [0, 1] is taken for a sigmoid one.
    n_inputs, n_outputs : int, optional
        Widths of z and of a point. By default ``module.n_inputs`` or else the ``in_features`` of
        its first ``nn.Linear``; and what the module gives out.

    Attributes
    ----------
    stacked : bool
        Whether the networks run side by side.

    Raises
    ------
    ValueError
        If the module does not run on such inputs, gives out another shape or, being "sigmoid",
        values outside [0, 1], draws random numbers, mixes the points of a batch, or has no
        parameters or some that cannot change the output; if a factory builds networks of different
        kinds.
    """

    sample_rows = 1000  # how much memory a row needs inside the module is not known

    def __init__(
        self,
        module: nn.Module | Callable,
        n_components: int,
        generator: torch.Generator,
        n_inputs: int | None = None,
        n_outputs: int | None = None,
        output: str = "sigmoid",
    ):
        prototype = isinstance(module, nn.Module)
        networks = [_copy(module)] if prototype else _build(module, n_components, generator)
        if any(nn.parameter.is_lazy(p) for p in networks[0].parameters()):
            raise ValueError("module must have its shapes fixed: run its lazy layers once first")
        names, constants = _split(networks[0])
        if not names:
            raise ValueError(
                f"module must have parameters to train; got {_name(networks[0])} with none"
            )
        _check_alike(networks, names, constants)
        n_inputs = _find_n_inputs(networks[0]) if n_inputs is None else n_inputs
        super().__init__(n_inputs, 0, n_components, output)
        self.names, self.skeleton = names, networks[0].requires_grad_(False)
        parameters = [dict(network.named_parameters()) for network in networks]
        stacks = []
        for name in names:
            own = [p[name].detach() for p in parameters]
            if prototype and own[0].dim() >= 2:
                shape = own[0].shape
                # As torch.nn.init counts: inputs are the second axis, the rest the kernel.
                stack = he_normal((n_components, *shape), math.prod(shape[1:]), generator)
            else:
                stack = torch.stack(own * n_components if prototype else own)
            stacks.append(nn.Parameter(stack.contiguous(), requires_grad=False))
        self.stacks, self.offsets = nn.ParameterList(stacks), nn.ParameterList()
        self.stacked = False
        out = self._try(n_outputs)
        self.n_outputs = out.shape[2]
        if self.output == "linear":
            self.offsets.append(zeros(n_components, 1, self.n_outputs))
        self.stacked = self._agrees_stacked(out)

    def tensors(self) -> list[Tensor]:
        """A stack (K, ...) for each trained parameter, as `named_parameters`; then any offsets."""
        return [parameter.data for parameter in (*self.stacks, *self.offsets)]

    def constants(self) -> dict[str, Tensor]:
        """Buffers and frozen parameters, the same in all networks."""
        everything = {
            **dict(self.skeleton.named_parameters()),
            **dict(self.skeleton.named_buffers()),
        }
        mine = {name: t.detach() for name, t in everything.items() if name not in self.names}
        return mine | super().constants()

    def last_layer(self) -> tuple[Tensor | None, Tensor]:
        """As :meth:`GeneratorBank.last_layer`: the module's weights stay as they are."""
        return None, self.offsets[0].data

    def run(self, tensors: list[Tensor], z: Tensor, networks=None) -> Tensor:
        """As :meth:`GeneratorBank.run`."""
        own, offsets = tensors[: len(self.names)], tensors[len(self.names) :]
        if self.stacked:
            h = torch.vmap(self._run_one)(own, z)
        else:
            h = torch.stack([self._run_one([t[a] for t in own], z[a]) for a in range(len(z))])
        return h + offsets[0] if offsets else h if self.output == "linear" else self.placed(h)

    def _run_one(self, tensors: list[Tensor], z: Tensor) -> Tensor:
        weights = dict(zip(self.names, tensors, strict=True))
        return functional_call(self.skeleton, weights, (z,))

    def _stays_in_the_unit_cube(self, leaves: list[Tensor], z: Tensor) -> bool:
        """Whether even inputs and weights that are much too large give values in [0, 1]."""
        with torch.no_grad():
            parts = [self.run([30 * t for t in leaves], a * z) for a in (1, 1000)]
        return all(bool(((part >= 0) & (part <= 1)).all()) for part in parts)

    def _inputs(self) -> Tensor:
        """Fixed inputs (K, rows, n_inputs) that cover [-1, 1], in no simple order."""
        steps = torch.arange(self.n_components * PROBE_ROWS * self.n_inputs).float() * 0.6180339887
        return (steps.remainder(1) * 2 - 1).view(self.n_components, PROBE_ROWS, self.n_inputs)

    def _try(self, n_outputs: int | None) -> Tensor:
        """Outputs (K, rows, n_outputs) of the networks one by one, or ValueError."""
        kind, z = _name(self.skeleton), self._inputs()
        with torch.random.fork_rng(devices=[]):
            before = torch.random.get_rng_state()
            leaves = [t.clone().requires_grad_() for t in self.tensors()]
            try:
                one = self._run_one([t[0] for t in leaves], z[0])
            except Exception as error:
                raise ValueError(
                    f"module must run on inputs of shape (n, {self.n_inputs}) (n_inputs is taken "
                    f"from its attribute n_inputs, or its first nn.Linear); {kind} failed: {error}"
                ) from error
            _check_output(kind, one, n_outputs)
            out = self.run(leaves, z)
            values = out.detach()
            again, half = self.run(leaves, z), self.run(leaves, z[:, ::2])
            if self.output == "linear" and self._stays_in_the_unit_cube(leaves, z):
                self.output = "sigmoid"
            drew = not torch.equal(before, torch.random.get_rng_state())
        if self.output == "sigmoid" and not ((values >= 0) & (values <= 1)).all():
            raise ValueError(
                f"module must give values in [0, 1] with output='sigmoid' (a sigmoid at its end "
                f"does it); {kind} gave {values.min().item():.3g} to {values.max().item():.3g}"
            )
        if drew or not torch.equal(out, again):
            raise ValueError(
                f"module must be deterministic; {kind} gave different values, or drew random "
                f"numbers, for the same input (eval() switches dropout off)"
            )
        if not torch.allclose(half, out[:, ::2], rtol=1e-3, atol=1e-4):
            raise ValueError(
                f"module must map each row by itself; the rows of a batch change each other in "
                f"{kind} (eval() makes batch normalisation a constant)"
            )
        _check_gradients(kind, self.names, out, leaves)
        return values

    @torch.no_grad()
    def _agrees_stacked(self, out: Tensor) -> bool:
        self.stacked = True
        try:
            stacked = self.run(self.tensors(), self._inputs())
        except Exception:  # whatever operation vmap has no rule for, it says so in its own way
            return False
        return stacked.shape == out.shape and torch.allclose(stacked, out, rtol=1e-3, atol=1e-4)


def _check_output(kind: str, out, n_outputs: int | None) -> None:
    if not isinstance(out, Tensor) or out.dim() != 2 or len(out) != PROBE_ROWS:
        got = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
        raise ValueError(
            f"module must map (n, n_inputs) to a tensor (n, n_outputs); {kind} gave {got} for "
            f"n = {PROBE_ROWS}"
        )
    if n_outputs is not None and out.shape[1] != n_outputs:
        raise ValueError(
            f"module must give out as many values as X has features, {n_outputs}; {kind} gave "
            f"{out.shape[1]}"
        )


def _check_gradients(kind: str, names: list[str], out: Tensor, leaves: list[Tensor]) -> None:
    gradients = [None] * len(leaves)
    if out.requires_grad:
        gradients = torch.autograd.grad(out.sum(), leaves, allow_unused=True)
    idle = [name for name, g in zip(names, gradients, strict=True) if g is None]
    if idle:
        raise ValueError(
            f"module must use all its parameters for its output (or freeze them by "
            f"requires_grad_(False)); in {kind} no gradient reaches {', '.join(idle)}"
        )


def _copy(module: nn.Module) -> nn.Module:
    return copy.deepcopy(module).to("cpu", torch.float32)


def _build(factory: Callable, n_components: int, generator: torch.Generator) -> list[nn.Module]:
    """K modules from a factory; torch's layers draw from the global state and cannot but do so."""
    networks = []
    with torch.random.fork_rng(devices=[]):
        for _ in range(n_components):
            seed = int(torch.randint(2**62, (), generator=generator))
            torch.random.set_rng_state(torch.Generator().manual_seed(seed).get_state())
            network = factory(generator)
            if not isinstance(network, nn.Module):
                raise ValueError(
                    f"factory must return a torch.nn.Module; got {type(network).__name__}"
                )
            networks.append(_copy(network))
    return networks


def _split(network: nn.Module) -> tuple[list[str], dict[str, Tensor]]:
    """Names of the parameters to train; the other parameters and the buffers."""
    parameters = dict(network.named_parameters())
    names = [name for name, p in parameters.items() if p.requires_grad]
    frozen = {name: p.detach() for name, p in parameters.items() if not p.requires_grad}
    return names, frozen | dict(network.named_buffers())


def _check_alike(networks: list[nn.Module], names: list[str], constants: dict) -> None:
    """ValueError if the later networks differ from the first in more than trained weights."""
    shapes = {name: networks[0].get_parameter(name).shape for name in names}
    for j, network in enumerate(networks[1:], start=1):
        other, others = _split(network)
        if {name: network.get_parameter(name).shape for name in other} != shapes:
            raise ValueError(
                f"factory must build networks with parameters of the same names and shapes; "
                f"network {j} differs from network 0"
            )
        same = constants.keys() == others.keys()
        wrong = [n for n in constants if same and not torch.equal(constants[n], others[n])]
        if wrong or not same:
            raise ValueError(
                f"factory must give all networks the same buffers and frozen parameters; "
                f"network {j} differs from network 0 in {', '.join(wrong) or 'names'}"
            )


def _find_n_inputs(module: nn.Module) -> int:
    n_inputs = getattr(module, "n_inputs", None)
    if n_inputs is None:
        linear = (m.in_features for m in module.modules() if isinstance(m, nn.Linear))
        n_inputs = next(linear, None)
    if not isinstance(n_inputs, int) or n_inputs < 1:
        raise ValueError(
            f"module must say the size of its random input, as an attribute n_inputs or by a first "
            f"layer nn.Linear; {_name(module)} has {n_inputs!r}"
        )
    return n_inputs


def _name(module: nn.Module) -> str:
    return type(module).__name__
