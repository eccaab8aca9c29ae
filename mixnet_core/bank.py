"""K generator networks as one bank: structure strings, the dense bank of the paper (§3.1, §4).

A structure is the paper's string ``"10-16-256-256-512-32"``: the first number is the size of the
random input z, the last the size of the output. Hidden layers are ReLU, the output is a sigmoid
(§4), z is uniform in [-1, 1]^p (§4). Ours: the output may be linear; the last size may be ``x``, as
many as the data have features, and ``HxW`` or ``HxWxC`` is a feature map
(:mod:`mixnet_core.networks.convolutional`).
"""

import math
import re

import torch
from torch import Tensor, nn

Element = int | tuple[int, int, int] | str
OUTPUTS = ("sigmoid", "linear")
UNIT = math.sqrt(3.0)  # standard deviation 1 for inputs uniform in [-1, 1]
START_SAMPLES = 1000  # outputs of a network that is put at a mean and a spread


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

    def even_inputs(self, n: int, seed: int) -> Tensor:
        """n inputs, the same for all networks, that cover [-1, 1] evenly: scrambled Sobol points.

        With them the density of eq. 4 is not random (ours). Shape (K, n, n_inputs).
        """
        engine = torch.quasirandom.SobolEngine(self.n_inputs, scramble=True, seed=seed)
        z = engine.draw(n, dtype=torch.float32).mul_(2).sub_(1)
        return z.expand(self.n_components, n, self.n_inputs)

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

    @torch.no_grad()
    def start_at(self, centres: Tensor, spreads: Tensor, generator: torch.Generator) -> None:
        """Give the outputs of each linear network a mean and a spread (ours).

        Parameters
        ----------
        centres : Tensor, shape (K, n_outputs)
        spreads : Tensor, shape (K,)
            Standard deviation of a feature, root of the mean over the features.
        generator : torch.Generator
            Draws the inputs on which the outputs as they are now are measured.
        """
        weight, offset = self.last_layer()
        now = self.sample(START_SAMPLES, generator)[..., : self.n_outputs]
        factor = (spreads / now.var(1).mean(1).sqrt().clamp_min(1e-12)).to(now)
        if weight is None:
            factor = torch.ones_like(factor)
        else:
            weight.mul_(factor.view(-1, *[1] * (weight.dim() - 1)))
        shift = centres.to(now) - factor.unsqueeze(1) * (now.mean(1) - offset[:, 0])
        offset.copy_(shift.unsqueeze(1))


def he_normal(shape, fan_in: int, generator: torch.Generator) -> nn.Parameter:
    """Weights drawn from N(0, 2 / fan_in) (He et al. 2015), which autograd leaves alone."""
    weight = torch.randn(*shape, generator=generator, dtype=torch.float32)
    return nn.Parameter(weight * math.sqrt(2.0 / fan_in), requires_grad=False)


def zeros(*shape: int) -> nn.Parameter:
    """Biases of zero, which autograd leaves alone."""
    return nn.Parameter(torch.zeros(*shape, dtype=torch.float32), requires_grad=False)


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
    output : {"sigmoid", "linear"}
    framed : bool
        Ours, for linear outputs: y = μ_j + L_j (A_j z + MLP_j(z)). The frame (μ_j, L_j) is fixed by
        :meth:`set_frames`; the last layer of the MLP starts at zero, so that the network starts as
        a linear one. Inputs are scaled to unit variance, and hidden biases start in ±0.5, which
        spreads the kinks over the range of the inputs.
    local : bool
        Whether one more output is the log of a factor of the kernel of each point, within ±2.
    """

    def __init__(
        self,
        structure: str,
        n_components: int,
        generator,
        output: str = "sigmoid",
        framed: bool = False,
        local: bool = False,
    ):
        sizes = parse_structure(structure)
        if not all(isinstance(size, int) for size in sizes):
            raise ValueError(f"structure of a DenseBank must be plain sizes; got {structure!r}")
        super().__init__(sizes[0], sizes[-1], n_components, output)
        self.structure, self.sizes, self.framed, self.local = structure, sizes, framed, local
        k, p = n_components, sizes[-1]
        pairs = list(zip(sizes[:-1], [*sizes[1:-1], p + local], strict=True))
        self.weights = nn.ParameterList([he_normal((k, a, b), a, generator) for a, b in pairs])
        self.biases = nn.ParameterList([zeros(k, 1, b) for _, b in pairs])
        self.paths = nn.ParameterList([zeros(k, sizes[0], p)] if framed else [])
        if framed:
            self.weights[-1].data.zero_()
            for bias in self.biases[:-1]:
                bias.data.uniform_(-0.5, 0.5, generator=generator)
            self.register_buffer("centres", torch.zeros(k, 1, p, dtype=torch.float32))
            self.register_buffer("frames", torch.eye(p, dtype=torch.float32).repeat(k, 1, 1))

    def tensors(self) -> list[Tensor]:
        """All weights, then all biases, then linear paths; the first axis is the network."""
        return [parameter.data for parameter in (*self.weights, *self.biases, *self.paths)]

    def constants(self) -> dict[str, Tensor]:
        """As :meth:`GeneratorBank.constants`."""
        own = {"centres": self.centres, "frames": self.frames} if self.framed else {}
        return super().constants() | own

    def run(self, tensors: list[Tensor], z: Tensor, networks=None) -> Tensor:
        """As :meth:`GeneratorBank.run`."""
        n_layers, p = len(self.sizes) - 1, self.n_outputs
        weights, biases = tensors[:n_layers], tensors[n_layers : 2 * n_layers]
        h = z = z * UNIT if self.framed else z
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            h = torch.baddbmm(bias, h, weight).relu_()
        h = torch.baddbmm(biases[-1], h, weights[-1])
        if not self.framed and not self.local:
            return self.squashed(h)
        y, log_scale = h[..., :p], h[..., p:]
        if self.framed:
            where = slice(None) if networks is None else networks
            y = y + torch.bmm(z, tensors[-1])
            y = torch.baddbmm(self.centres[where], y, self.frames[where].mT)
        else:
            y = self.squashed(y)
        return torch.cat([y, 2 * torch.tanh(log_scale / 2)], 2) if self.local else y

    def last_layer(self) -> tuple[Tensor | None, Tensor]:
        """As :meth:`GeneratorBank.last_layer`."""
        p = self.n_outputs
        return self.weights[-1].data[..., :p], self.biases[-1].data[..., :p]

    @torch.no_grad()
    def set_frames(self, centres: Tensor, frames: Tensor, share: float) -> None:
        """Put the networks at μ_j (K, p), in directions L_j (K, p, p).

        The linear path has a `share` of the standard deviation of the leading directions.
        """
        self.centres.copy_(centres.unsqueeze(1))
        self.frames.copy_(frames)
        n = min(self.n_inputs, self.n_outputs)
        self.paths[0].zero_()
        self.paths[0][:, range(n), range(n)] = share

    @torch.no_grad()
    def move(self, steps: Tensor) -> None:
        """Add steps (K, p) to all points of each network."""
        if self.framed:
            steps = torch.linalg.solve(self.frames.double(), steps.unsqueeze(2)).squeeze(2)
        self.last_layer()[1].add_(steps.unsqueeze(1).to(torch.float32))

    def reorder(self, old: Tensor) -> None:
        """As :meth:`GeneratorBank.reorder`."""
        super().reorder(old)
        if self.framed:
            old = old.to(self.centres.device)
            self.centres.copy_(self.centres[old])
            self.frames.copy_(self.frames[old])


def make_bank(
    structure,
    n_components: int,
    n_features: int,
    generator,
    output: str = "sigmoid",
    framed: bool = False,
    local: bool = False,
) -> GeneratorBank:
    """K networks whose points have `n_features` features.

    Parameters
    ----------
    structure : str, torch.nn.Module or callable
        A structure string (:func:`parse_structure`): dense networks, or convolutional ones where it
        names a map. Or a module, or a function ``factory(generator)`` that builds one
        (:class:`~mixnet_core.networks.modules.ModuleBank`).
    n_components, n_features : int
        K; features of the data.
    generator : torch.Generator
        Source of the initial weights.
    output : {"sigmoid", "linear"}
    framed, local : bool
        Of dense networks; see :class:`DenseBank`.

    Raises
    ------
    ValueError
        If the structure is none of these, or does not fit the data.
    """
    if isinstance(structure, str):
        structure = resolve_structure(structure, n_features)
        if not any(isinstance(element, tuple) for element in parse_structure(structure)):
            return DenseBank(structure, n_components, generator, output, framed, local)
        from mixnet_core.networks.convolutional import ConvolutionalBank

        return ConvolutionalBank(structure, n_components, generator, output)
    if isinstance(structure, nn.Module) or callable(structure):
        from mixnet_core.networks.modules import ModuleBank

        return ModuleBank(structure, n_components, generator, n_outputs=n_features, output=output)
    raise ValueError(
        f"structure must be a string such as '10-64-x', a torch.nn.Module, or a function of a "
        f"torch.Generator that builds one; got {structure!r}"
    )
