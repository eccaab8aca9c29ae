"""Structure strings, what a bank of K generator networks must offer, and the bank of the paper.

A structure is the paper's string ``"10-16-256-256-512-32"``: the first number is the size of the
random input z, the last the size of the output. Hidden layers are ReLU, the output is a sigmoid
(§4), z is uniform in [-1, 1]^p (§4). Ours: the last size may be ``x``, as many as the data have
features, and ``HxW`` or ``HxWxC`` is a feature map (:mod:`mixnet_core.convolution`).
"""

import math
import re

import torch
from torch import Tensor, nn

Element = int | tuple[int, int, int] | str


def parse_structure(structure: str) -> list[Element]:
    """Elements of a structure string.

    Parameters
    ----------
    structure : str
        Sizes joined by ``-``, input first: ``"2-32-128-32-2"``, ``"10-64-x"``,
        ``"10-256-8x8x16-16x16"``.

    Returns
    -------
    list
        At least two: a size as int, a feature map as (H, W, C) with C = 1 where none is given, and
        ``"x"``, at the end only, as it is.

    Raises
    ------
    ValueError
        If the string is no such chain; the message says which element is wrong.
    """
    parts = str(structure).split("-")
    if len(parts) < 2:
        raise _wrong(structure, "there are fewer than two sizes")
    elements: list[Element] = []
    for place, part in enumerate(parts):
        first, last = place == 0, place == len(parts) - 1
        if part == "x":
            if not last:
                raise _wrong(structure, "only the last size may be 'x'")
            elements.append("x")
            continue
        sizes = (
            [int(n) for n in part.split("x")] if re.fullmatch(r"[0-9]+(x[0-9]+){,2}", part) else []
        )
        if not sizes or min(sizes) < 1:
            raise _wrong(structure, f"{part!r} is neither a positive size nor a map HxW or HxWxC")
        if first and len(sizes) > 1:
            raise _wrong(structure, f"the input must be a plain size, not the map {part!r}")
        elements.append(sizes[0] if len(sizes) == 1 else (*sizes, 1)[:3])
    return elements


def n_values(element: Element) -> int:
    """How many numbers an element holds: a size itself, H · W · C of a map."""
    return math.prod(element) if isinstance(element, tuple) else int(element)


def resolve_structure(structure: str, n_features: int) -> str:
    """The structure with ``x`` at its end replaced by the number of features of the data.

    Raises
    ------
    ValueError
        If the structure is none, or ends with a size or map of other than `n_features` values.
    """
    last = parse_structure(structure)[-1]
    if last == "x":
        return f"{str(structure)[:-1]}{n_features}"
    if n_values(last) != n_features:
        raise ValueError(
            f"structure must end with as many values as X has features, {n_features} (or with 'x'"
            f" for that many); got {structure!r}, which ends with {n_values(last)}"
        )
    return str(structure)


def _wrong(structure, reason: str) -> ValueError:
    return ValueError(
        f"structure must be at least two positive layer sizes joined by '-', such as "
        f"'2-32-128-32-2', '10-64-x' or '10-256-8x8x16-16x16'; got {structure!r}: {reason}"
    )


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
    """

    sample_rows: int | None = None  # inputs that `sample` runs at a time; None: all of them

    def __init__(self, n_inputs: int, n_outputs: int, n_components: int):
        super().__init__()
        self.n_inputs, self.n_outputs, self.n_components = n_inputs, n_outputs, n_components

    def tensors(self) -> list[Tensor]:
        """The trained tensors themselves, no copies; the first axis of each is the network."""
        raise NotImplementedError

    def constants(self) -> dict[str, Tensor]:
        """Tensors that are not trained but needed to run the networks; most banks have none."""
        return {}

    def run(self, tensors: list[Tensor], z: Tensor) -> Tensor:
        """Outputs of the networks whose stacked tensors are given, differentiable by these.

        Parameters
        ----------
        tensors : list of Tensor
            As :meth:`tensors` returns them, or any slice of them along the first axis.
        z : Tensor, shape (A, n, n_inputs)
            One batch of random inputs for each of the A networks.

        Returns
        -------
        Tensor, shape (A, n, n_outputs)
            Points in [0, 1]^n_outputs.
        """
        raise NotImplementedError

    def forward(self, z: Tensor) -> Tensor:
        """Outputs (K, n, n_outputs) of all networks for z of shape (K, n, n_inputs)."""
        return self.run(self.tensors(), z)

    def draw_inputs(self, *shape: int, generator: torch.Generator) -> Tensor:
        """Random inputs of shape (*shape, n_inputs), uniform in [-1, 1] (§4)."""
        return torch.rand(*shape, self.n_inputs, generator=generator).mul_(2).sub_(1)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """S = n points from every network, shape (K, n, n_outputs)."""
        z = self.draw_inputs(self.n_components, n, generator=generator)
        z = z.to(self.tensors()[0].device)
        return torch.cat([self(rows) for rows in z.split(self.sample_rows or max(1, n), 1)], 1)


def he_normal(shape, fan_in: int, generator: torch.Generator) -> nn.Parameter:
    """Weights drawn from N(0, 2 / fan_in) (He et al. 2015), which autograd leaves alone."""
    weight = torch.randn(*shape, generator=generator)
    return nn.Parameter(weight * math.sqrt(2.0 / fan_in), requires_grad=False)


class DenseBank(GeneratorBank):
    """K multilayer perceptrons.

    Layer l of all networks is one weight of shape (K, n_in, n_out) and one bias of shape
    (K, 1, n_out), so that a step of every network is one batched matrix product.

    Parameters
    ----------
    structure : str
        Plain sizes; see :func:`parse_structure`.
    n_components : int
        K, the number of networks.
    generator : torch.Generator
        Source of the initial weights, N(0, 2 / fan_in); biases start at zero (ours: the paper says
        "randomly").
    """

    def __init__(self, structure: str, n_components: int, generator: torch.Generator):
        sizes = parse_structure(structure)
        if not all(isinstance(size, int) for size in sizes):
            raise ValueError(f"structure of a DenseBank must be plain sizes; got {structure!r}")
        super().__init__(sizes[0], sizes[-1], n_components)
        self.structure, self.sizes = structure, sizes
        weights, biases = [], []
        for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True):
            weights.append(he_normal((n_components, fan_in, fan_out), fan_in, generator))
            biases.append(nn.Parameter(torch.zeros(n_components, 1, fan_out), requires_grad=False))
        self.weights = nn.ParameterList(weights)
        self.biases = nn.ParameterList(biases)

    def tensors(self) -> list[Tensor]:
        """All weights, then all biases; the first axis of each is the network."""
        return [parameter.data for parameter in (*self.weights, *self.biases)]

    def run(self, tensors: list[Tensor], z: Tensor) -> Tensor:
        """As :meth:`GeneratorBank.run`; points lie in (0, 1)^n_outputs."""
        n_layers = len(tensors) // 2
        weights, biases = tensors[:n_layers], tensors[n_layers:]
        h = z
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            h = torch.baddbmm(bias, h, weight).relu_()
        return torch.baddbmm(biases[-1], h, weights[-1]).sigmoid_()
