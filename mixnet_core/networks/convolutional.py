"""K convolutional generator networks as one bank: their layers are grouped convolutions.

The paper names convolutional components as future work; the layers here are ours, those of the
generator of DCGAN (Radford et al. 2016) without batch normalisation, which would let the points of
a batch depend on each other.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mixnet_core.bank import GeneratorBank, he_normal, zeros
from mixnet_core.networks.structure import n_values, parse_structure


class ConvolutionalBank(GeneratorBank):
    """K networks with dense layers first and feature maps after them.

    Between two vectors, and from a vector to the first map, a layer is dense. From map to map it is
    a transposed convolution (kernel 4, stride 2, padding 1) where height and width double, and a
    convolution (kernel 3, padding 1) where they stay. Hidden layers are ReLU; the output, a sigmoid
    or linear, is flattened row by row, the channels of a pixel side by side (row-major H × W × C).

    The weights of a layer are one tensor: (K, n_in, n_out) dense, (K, C_in, C_out, 4, 4)
    transposed, (K, C_out, C_in, 3, 3) convolution. The networks are the groups of one convolution.

    Parameters
    ----------
    structure : str
        Such as ``"10-256-4x4x64-8x8x32-16x16x16-32x32"``; see
        :func:`~mixnet_core.networks.structure.parse_structure`.
    n_components : int
        K, the number of networks.
    generator : torch.Generator
        Source of the initial weights, N(0, 2 / fan_in), fan_in being the number of values that
        reach one output value: n_in, 9 C_in, and 4 C_in of a transposed convolution, whose kernel
        of 16 meets 4 pixels at stride 2. Biases start at zero.

    Raises
    ------
    ValueError
        If the structure does not end with a map, or if a map is followed by a vector or by a map
        whose height and width neither stay nor double.
    """

    sample_rows = 1000  # the wide maps of K × 10,000 samples at once would fill the memory

    def __init__(self, structure: str, n_components: int, generator, output: str = "sigmoid"):
        elements = parse_structure(structure)
        kinds = [
            layer_kind(structure, a, b) for a, b in zip(elements[:-1], elements[1:], strict=True)
        ]
        if not isinstance(elements[-1], tuple):
            raise ValueError(
                f"structure of a ConvolutionalBank must end with a map HxW or HxWxC; "
                f"got {structure!r}"
            )
        super().__init__(elements[0], n_values(elements[-1]), n_components, output)
        self.structure, self.elements, self.kinds = structure, elements, kinds
        weights, biases = [], []
        for kind, before, after in zip(kinds, elements[:-1], elements[1:], strict=True):
            if kind == "dense":
                fan_in, out = before, n_values(after)
                shape, bias = (before, out), (1, out)
            elif kind == "transposed":
                fan_in, shape, bias = 4 * before[2], (before[2], after[2], 4, 4), (after[2],)
            else:
                fan_in, shape, bias = 9 * before[2], (after[2], before[2], 3, 3), (after[2],)
            weights.append(he_normal((n_components, *shape), fan_in, generator))
            biases.append(zeros(n_components, *bias))
        self.weights = nn.ParameterList(weights)
        self.biases = nn.ParameterList(biases)
        # The last bias is one a channel; linear outputs start at a mean of their own in each value.
        linear = output == "linear"
        self.offsets = nn.ParameterList([zeros(n_components, 1, self.n_outputs)] if linear else [])

    def tensors(self) -> list[Tensor]:
        """All weights, all biases, offsets of linear outputs; the first axis is the network."""
        return [parameter.data for parameter in (*self.weights, *self.biases, *self.offsets)]

    def run(self, tensors: list[Tensor], z: Tensor, networks=None) -> Tensor:
        """As :meth:`GeneratorBank.run`."""
        n_layers = len(self.kinds)
        layers = zip(  # offsets follow
            self.kinds,
            self.elements[1:],
            tensors[:n_layers],
            tensors[n_layers : 2 * n_layers],
            strict=True,
        )
        (groups, n), h = z.shape[:2], z  # h is (A, n, size), then (n, A · C, H, W)
        for depth, (kind, after, weight, bias) in enumerate(layers, start=1):
            if kind == "dense":
                h = torch.baddbmm(bias, h, weight)
                if isinstance(after, tuple):
                    height, width, channels = after
                    h = h.transpose(0, 1).reshape(n, groups * channels, height, width)
            else:
                stacked = weight.flatten(0, 1), bias.flatten()
                if kind == "transposed":
                    h = F.conv_transpose2d(h, *stacked, stride=2, padding=1, groups=groups)
                else:
                    h = F.conv2d(h, *stacked, padding=1, groups=groups)
            h = h.relu() if depth < n_layers else h
        height, width, channels = self.elements[-1]
        h = h.reshape(n, groups, channels, height, width).permute(1, 0, 3, 4, 2)
        h = h.reshape(groups, n, self.n_outputs)
        return self.squashed(h + tensors[-1] if self.output == "linear" else h)

    def last_layer(self) -> tuple[Tensor | None, Tensor]:
        """As :meth:`GeneratorBank.last_layer`."""
        return self.weights[-1].data, self.offsets[0].data


def layer_kind(structure: str, before, after) -> str:
    """``"dense"``, ``"transposed"`` or ``"same"``; ValueError where no layer leads on so."""
    if "x" in (before, after):
        raise ValueError(
            f"structure needs a number in the place of 'x' (see resolve_structure); "
            f"got {structure!r}"
        )
    if not isinstance(before, tuple):
        return "dense"
    if not isinstance(after, tuple):
        raise ValueError(
            f"structure must go on with maps after the first one; got {structure!r}, where "
            f"{_name(before)} is followed by {after}"
        )
    (height, width, _), (new_height, new_width, _) = before, after
    if (new_height, new_width) == (2 * height, 2 * width):
        return "transposed"
    if (new_height, new_width) == (height, width):
        return "same"
    raise ValueError(
        f"structure must keep or double both height and width from map to map; got "
        f"{structure!r}, where {_name(before)} is followed by {_name(after)}"
    )


def _name(element: tuple[int, int, int]) -> str:
    return "x".join(map(str, element))
