"""Dense networks in principal directions of their clusters, with scales of the kernel (ours)."""

import math

import torch
from torch import Tensor, nn

from mixnet_core.bank import DenseBank, zeros

UNIT = math.sqrt(3.0)  # standard deviation 1 for inputs uniform in [-1, 1]
HIDDEN_BIAS = 0.5


class FramedBank(DenseBank):
    """K multilayer perceptrons that start as linear networks, or scale their kernel, or both.

    Parameters
    ----------
    structure, n_components, generator, output
        As of :class:`~mixnet_core.bank.DenseBank`.
    framed : bool
        For linear outputs: y = μ_j + L_j (A_j z + MLP_j(z)). The frame (μ_j, L_j) is fixed by
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
        output: str = "linear",
        framed: bool = True,
        local: bool = False,
    ):
        super().__init__(structure, n_components, generator, output, n_more=int(local))
        self.framed, self.local = framed, local
        k, p = n_components, self.n_outputs
        self.paths = nn.ParameterList([zeros(k, self.n_inputs, p)] if framed else [])
        if framed:
            self.weights[-1].data.zero_()
            for bias in self.biases[:-1]:
                bias.data.uniform_(-HIDDEN_BIAS, HIDDEN_BIAS, generator=generator)
            self.register_buffer("centres", torch.zeros(k, 1, p, dtype=torch.float32))
            self.register_buffer("frames", torch.eye(p, dtype=torch.float32).repeat(k, 1, 1))

    def tensors(self) -> list[Tensor]:
        """All weights, then all biases, then linear paths; the first axis is the network."""
        return [*super().tensors(), *(path.data for path in self.paths)]

    def constants(self) -> dict[str, Tensor]:
        """As :meth:`GeneratorBank.constants`."""
        own = {"centres": self.centres, "frames": self.frames} if self.framed else {}
        return super().constants() | own

    def run(self, tensors: list[Tensor], z: Tensor, networks=None) -> Tensor:
        """As :meth:`GeneratorBank.run`."""
        p = self.n_outputs
        z = z * UNIT if self.framed else z
        h = self.layers(tensors, z)
        y, log_scale = h[..., :p], h[..., p:]
        if self.framed:
            where = slice(None) if networks is None else networks
            y = y + torch.bmm(z, tensors[-1])
            y = torch.baddbmm(self.centres[where], y, self.frames[where].mT)
        else:
            y = self.squashed(y)
        return torch.cat([y, 2 * torch.tanh(log_scale / 2)], 2) if self.local else y

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

    def move(self, steps: Tensor) -> None:
        """Add steps (K, p) to all points of each network with linear outputs."""
        if self.framed:
            steps = torch.linalg.solve(self.frames.double(), steps.unsqueeze(2)).squeeze(2)
        super().move(steps)

    def reorder(self, old: Tensor) -> None:
        """As :meth:`GeneratorBank.reorder`."""
        super().reorder(old)
        if self.framed:
            old = old.to(self.centres.device)
            self.centres.copy_(self.centres[old])
            self.frames.copy_(self.frames[old])
