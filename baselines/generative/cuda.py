"""Trainings on a CUDA device: draws made there, and an update replayed as one CUDA graph.

An update of these networks is a hundred small kernels, which take longer to launch one by one than
to run. So after a few updates the next one is recorded, and from then on replayed as a whole. What
changes from one to the next (batch, learning rate, momentum, state of the generator) is read from
the device's memory at each replay, and nothing waits for the device between two evaluations.

On the CPU all of this leaves draws and updates as they are. Arithmetic is float32 everywhere:
TF32, which torch leaves off for products unless a user's program allows it, is not asked for.
"""

from __future__ import annotations

import torch
from torch import Tensor

WARM_UP = 3  # updates before the recorded one: libraries set themselves up, which none can record


def generator_on(device, stream: torch.Generator) -> torch.Generator:
    """A generator whose draws are made on `device`: on the CPU `stream` itself.

    On another device one that starts from the seed of `stream`; its numbers are others.
    """
    if torch.device(device).type == "cpu":
        return stream
    return torch.Generator(device).manual_seed(stream.initial_seed())


class DeviceSGD(torch.optim.SGD):
    """torch's SGD of one group, its learning rate and momentum read from the parameters' device.

    :meth:`send` takes both there from ``param_groups``; torch's own would be fixed by recording.
    """

    def __init__(self, parameters, lr: float, momentum: float = 0.0):
        super().__init__(parameters, lr=lr, momentum=momentum)
        (group,) = self.param_groups
        self.minus_lr, self.momentum = torch.zeros(2, device=group["params"][0].device)
        for p in group["params"]:
            # Not made by the first step: recording needs them where they stay.
            self.state[p]["momentum_buffer"] = torch.zeros_like(p, requires_grad=False)

    def send(self) -> None:
        """Take the rates of the next step to the device, without waiting for it."""
        (group,) = self.param_groups
        self.minus_lr.fill_(-group["lr"])
        self.momentum.fill_(group["momentum"])

    @torch.no_grad()
    def step(self) -> None:
        """``buffer ← momentum·buffer + g; w ← w - lr·buffer``, with the rates last sent."""
        (group,) = self.param_groups
        for p in group["params"]:
            if p.grad is not None:
                buffer = self.state[p]["momentum_buffer"]
                torch.addcmul(p.grad, buffer, self.momentum, out=buffer)
                p.addcmul_(buffer, self.minus_lr)


def sgd(parameters, lr: float, momentum: float = 0.0) -> torch.optim.SGD:
    """torch's fused SGD on the CPU, :class:`DeviceSGD` elsewhere."""
    parameters = list(parameters)
    if parameters[0].device.type == "cpu":
        return torch.optim.SGD(parameters, lr=lr, momentum=momentum, fused=True)
    return DeviceSGD(parameters, lr, momentum)


def recorded(update, optimizer: torch.optim.SGD, noise: torch.Generator):
    """`update` itself on the CPU; on a CUDA device a function that replays a recording of it.

    Parameters
    ----------
    update : callable
        ``update(x)`` makes one update from the batch x, always of one shape, and returns its
        losses: a dict of 0-d tensors without gradient. It must not read values from the device.
    optimizer : from :func:`sgd`
        Whose step `update` makes.
    noise : from :func:`generator_on`
        The only generator that `update` draws from.
    """
    return update if noise.device.type == "cpu" else Recorded(update, optimizer, noise)


class Recorded:
    """See :func:`recorded`. The losses returned are valid until the next call."""

    def __init__(self, update, optimizer: DeviceSGD, noise: torch.Generator):
        self.update, self.optimizer, self.noise = update, optimizer, noise
        self.made, self.graph = 0, None
        # Gradients remember their stream, so all is done on the one that records.
        self.stream = torch.cuda.Stream(noise.device)

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        self.optimizer.send()
        if self.made < WARM_UP:
            self.made += 1
            return self._launch(x)
        if self.graph is None:
            self._record(x)
        self.x.copy_(x)
        self.graph.replay()
        return self.losses

    def _launch(self, x: Tensor) -> dict[str, Tensor]:
        current = torch.cuda.current_stream(self.noise.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            losses = self.update(x)
        current.wait_stream(self.stream)
        return losses

    def _record(self, x: Tensor) -> None:
        """Record an update without making it: the generator and the weights stay as they are."""
        self.x, graph = x.clone(), torch.cuda.CUDAGraph()
        graph.register_generator_state(self.noise)
        with torch.cuda.graph(graph, stream=self.stream):
            self.losses = self.update(self.x)
        self.graph = graph
