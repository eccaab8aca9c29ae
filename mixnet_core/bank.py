"""K generator networks as one bank, and the dense bank of the paper (§3.1, §4).

A structure is the paper's string ``"10-16-256-256-512-32"``: random input z, uniform in [-1, 1]^p
(§4), hidden layers and output (:mod:`mixnet_core.networks.structure`).
"""

import math

import torch
from torch import Tensor, nn

from mixnet_core.networks.structure import parse_structure

OUTPUTS = ("sigmoid", "linear")


class GeneratorBank(nn.Module):
    """K networks that share a structure but no weight: what the training asks of them.

    A bank of another kind defines :meth:`tensors` and :meth:`run`. All weights are kept stacked,
    and a slice of the stacks along their first axis is a bank of fewer networks. The networks are
    functions of (tensors, z) alone: deterministic, and each row of z by itself.

    Parameters
    ----------
    n_inputs : int
        Size of z.
    n_outputs : int
        Size of a generated point.
    n_components : int
        K, the number of networks.
    output : {"sigmoid", "linear"}
        Whether points lie in a cube, (0, 1)^p unless :meth:`cover` says another, or anywhere.
    """

    sample_rows: int | None = None  # inputs that `sample` runs at a time; None: all of them
    local = False  # whether each point comes with the log of a factor of its kernel
    framed = False  # whether the networks see their cluster in principal directions

    def __init__(self, n_inputs: int, n_outputs: int, n_components: int, output: str = "sigmoid"):
        super().__init__()
        if output not in OUTPUTS:
            raise ValueError(f"output must be one of {', '.join(OUTPUTS)}; got {output!r}")
        self.n_inputs, self.n_outputs, self.n_components = n_inputs, n_outputs, n_components
        self.output = output
        self.register_buffer("low", None)
        self.register_buffer("span", None)

    def tensors(self) -> list[Tensor]:
        """The trained tensors themselves, no copies; the first axis of each is the network."""
        raise NotImplementedError

    def constants(self) -> dict[str, Tensor]:
        """Tensors that are not trained but needed to run the networks."""
        return {} if self.span is None else {"low": self.low, "span": self.span}

    def run(self, tensors: list[Tensor], z: Tensor, networks=None) -> Tensor:
        """Outputs of the networks whose stacked tensors are given, differentiable by these.

        Parameters
        ----------
        tensors : list of Tensor
            As :meth:`tensors` returns them, or any slice of them along the first axis.
        z : Tensor, shape (A, n, n_inputs)
            One batch of random inputs for each of the A networks.
        networks : Tensor of int64, shape (A,), optional
            Which of the K these are; all by default.

        Returns
        -------
        Tensor, shape (A, n, n_outputs), or (A, n, n_outputs + 1) where `local`
        """
        raise NotImplementedError

    def last_layer(self) -> tuple[Tensor | None, Tensor]:
        """Weights (K, ...) that a factor on the outputs multiplies, or None; offsets (K, 1, p)."""
        raise NotImplementedError

    def cover(self, low: Tensor, span: float) -> None:
        """Let sigmoid outputs cover [low, low + span]^p instead of the unit cube; low (p,)."""
        self.low = low.detach().to(torch.float32)
        self.span = torch.full_like(self.low[:1], span)

    def squashed(self, h: Tensor) -> Tensor:
        """The last layer's values (A, n, p) as points; `h` may be changed in place."""
        return h if self.output == "linear" else self.placed(h.sigmoid_())

    def placed(self, h: Tensor) -> Tensor:
        """Values in (0, 1) where :meth:`cover` has put them."""
        return h if self.span is None else torch.addcmul(self.low, h, self.span)

    def forward(self, z: Tensor) -> Tensor:
        """Outputs (K, n, n_outputs) of all networks for z of shape (K, n, n_inputs)."""
        return self.run(self.tensors(), z)

    def draw_inputs(self, *shape: int, generator: torch.Generator) -> Tensor:
        """Random inputs of shape (*shape, n_inputs), uniform in [-1, 1] (§4)."""
        z = torch.rand(*shape, self.n_inputs, generator=generator, dtype=torch.float32)
        return z.mul_(2).sub_(1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """S = n points from every network, shape (K, n, n_outputs or n_outputs + 1)."""
        return self.points(self.draw_inputs(self.n_components, n, generator=generator))

    @torch.no_grad()
    def points(self, z: Tensor) -> Tensor:
        """Points of all networks for inputs (K, n, n_inputs), some rows at a time."""
        z = z.to(self.tensors()[0].device)
        rows = self.sample_rows or max(1, z.shape[1])
        return torch.cat([self(part) for part in z.split(rows, 1)], 1)

    def reorder(self, old: Tensor) -> None:
        """Network j becomes what network old[j] was."""
        for t in self.tensors():
            t.copy_(t[old.to(t.device)])


def he_normal(shape, fan_in: int, generator: torch.Generator) -> nn.Parameter:
    """Weights drawn from N(0, 2 / fan_in) (He et al. 2015), which autograd leaves alone."""
    weight = torch.randn(*shape, generator=generator, dtype=torch.float32)
    return nn.Parameter(weight * math.sqrt(2.0 / fan_in), requires_grad=False)


def zeros(*shape: int) -> nn.Parameter:
    """Biases of zero, which autograd leaves alone."""
    return nn.Parameter(torch.zeros(*shape, dtype=torch.float32), requires_grad=False)


class DenseBank(GeneratorBank):
    """K multilayer perceptrons: hidden layers of ReLU, the output a sigmoid (§4) or linear.

    Layer l of all networks is one weight of shape (K, n_in, n_out) and one bias of shape
    (K, 1, n_out), so that a step of every network is one batched matrix product.

    Parameters
    ----------
    structure : str
        Plain sizes; see :func:`~mixnet_core.networks.structure.parse_structure`.
    n_components : int
        K, the number of networks.
    generator : torch.Generator
        Source of the initial weights, N(0, 2 / fan_in); biases start at zero (ours: the paper says
        "randomly").
    output : {"sigmoid", "linear"}
    n_more : int
        Values of the last layer that are no features of a point; for banks that use them.
    """

    def __init__(
        self, structure: str, n_components: int, generator, output: str = "sigmoid", n_more: int = 0
    ):
        sizes = parse_structure(structure)
        if not all(isinstance(size, int) for size in sizes):
            raise ValueError(f"structure of a DenseBank must be plain sizes; got {structure!r}")
        super().__init__(sizes[0], sizes[-1], n_components, output)
        self.structure, self.sizes = structure, sizes
        k, widths = n_components, [*sizes[:-1], sizes[-1] + n_more]
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.weights = nn.ParameterList([he_normal((k, a, b), a, generator) for a, b in pairs])
        self.biases = nn.ParameterList([zeros(k, 1, b) for _, b in pairs])

    def tensors(self) -> list[Tensor]:
        """All weights, then all biases; the first axis is the network."""
        return [parameter.data for parameter in (*self.weights, *self.biases)]

    def run(self, tensors: list[Tensor], z: Tensor, networks=None) -> Tensor:
        """As :meth:`GeneratorBank.run`."""
        return self.squashed(self.layers(tensors, z))

    def layers(self, tensors: list[Tensor], z: Tensor) -> Tensor:
        """Values of the last layer, shape (A, n, n_outputs + n_more)."""
        n_layers = len(self.sizes) - 1
        weights, biases = tensors[:n_layers], tensors[n_layers : 2 * n_layers]
        h = z
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            h = torch.baddbmm(bias, h, weight).relu_()
        return torch.baddbmm(biases[-1], h, weights[-1])

    def last_layer(self) -> tuple[Tensor | None, Tensor]:
        """As :meth:`GeneratorBank.last_layer`."""
        p = self.n_outputs
        return self.weights[-1].data[..., :p], self.biases[-1].data[..., :p]

    @torch.no_grad()
    def move(self, steps: Tensor) -> None:
        """Add steps (K, p) to all points of each network with linear outputs."""
        self.last_layer()[1].add_(steps.unsqueeze(1).to(torch.float32))
