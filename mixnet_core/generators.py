"""K generator networks of one structure, stored as one bank of stacked weights (paper §3, §4).

A structure is the paper's string ``"10-16-256-256-512-32"``: the first number is the size of the
random input z, the last the size of the output. Hidden layers are ReLU, the output is a sigmoid
(§4), z is uniform in [-1, 1]^p (§4).
"""

import math

import torch
from torch import Tensor, nn


def parse_structure(structure: str) -> list[int]:
    """Layer sizes of a structure string.

    Parameters
    ----------
    structure : str
        Sizes joined by ``-``, input first: ``"2-32-128-32-2"``.

    Returns
    -------
    list of int
        At least two positive sizes.

    Raises
    ------
    ValueError
        If the string is not a chain of at least two positive integers.
    """
    parts = str(structure).split("-")
    if len(parts) < 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise ValueError(
            f"structure must be at least two positive layer sizes joined by '-', such as "
            f"'2-32-128-32-2'; got {structure!r}"
        )
    return [int(part) for part in parts]


class GeneratorBank(nn.Module):
    """K multilayer perceptrons that share a structure but no weight.

    Layer l of all networks is one weight of shape (K, n_in, n_out) and one bias of shape
    (K, 1, n_out), so that a step of every network is one batched matrix product.

    Parameters
    ----------
    structure : str
        See :func:`parse_structure`.
    n_components : int
        K, the number of networks.
    generator : torch.Generator
        Source of the initial weights, N(0, 2 / fan_in); biases start at zero (ours: the paper says
        "randomly").
    """

    def __init__(self, structure: str, n_components: int, generator: torch.Generator):
        super().__init__()
        self.structure = structure
        self.sizes = parse_structure(structure)
        self.n_components = n_components
        weights, biases = [], []
        for fan_in, fan_out in zip(self.sizes[:-1], self.sizes[1:], strict=True):
            weight = torch.randn(n_components, fan_in, fan_out, generator=generator)
            weights.append(nn.Parameter(weight * math.sqrt(2.0 / fan_in), requires_grad=False))
            biases.append(nn.Parameter(torch.zeros(n_components, 1, fan_out), requires_grad=False))
        self.weights = nn.ParameterList(weights)
        self.biases = nn.ParameterList(biases)

    @property
    def n_inputs(self) -> int:
        """Size of z."""
        return self.sizes[0]

    @property
    def n_outputs(self) -> int:
        """Size of a generated point."""
        return self.sizes[-1]

    def tensors(self) -> list[Tensor]:
        """All weights, then all biases; the first axis of each is the network."""
        return [parameter.data for parameter in (*self.weights, *self.biases)]

    @staticmethod
    def run(tensors: list[Tensor], z: Tensor) -> Tensor:
        """Outputs of the networks whose stacked tensors are given.

        Parameters
        ----------
        tensors : list of Tensor
            As :meth:`tensors` returns them, or any slice of them along the first axis.
        z : Tensor, shape (A, n, n_inputs)
            One batch of random inputs for each of the A networks.

        Returns
        -------
        Tensor, shape (A, n, n_outputs)
            Points in (0, 1)^n_outputs.
        """
        n_layers = len(tensors) // 2
        weights, biases = tensors[:n_layers], tensors[n_layers:]
        h = z
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            h = torch.baddbmm(bias, h, weight).relu()
        return torch.baddbmm(biases[-1], h, weights[-1]).sigmoid()

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
        return self(z.to(self.weights[0].device))
