"""What a component minimises, as a protocol; and a user's own function behind it."""

import math
from collections.abc import Callable
from numbers import Real

import torch
from torch import Tensor


class Objective:
    """A loss for each of several networks, between their batches of data and generated points.

    A subclass states its constructor's arguments in `settings`, keeps each as an attribute of the
    same name, and defines :meth:`__call__`; one with memory also defines :meth:`state` and
    :meth:`restore`. The losses must not mix networks: they train side by side only to save time.
    """

    name = ""
    settings: tuple[str, ...] = ()
    scale: float | None = None
    #: Kernel of eq. 4 of each component (:class:`mixnet_core.likelihood.Noise`, or one σ); the
    #: training sets it, before Algorithm 1 to an estimate and after it to what was chosen.
    #: Objectives of bare samples do not look at it.
    noise: object = 0.0

    def prepare(
        self,
        n_components: int,
        n_features: int,
        scale: float,
        generator: torch.Generator,
        device="cpu",
    ) -> None:
        """Get ready for a training; called once before it, and forgets an earlier one.

        Parameters
        ----------
        n_components, n_features : int
            K and p.
        scale : float
            w, the median distance within an initial cluster, in the units of the data. Every width
            is a multiple of it.
        generator : torch.Generator
            On the CPU, for this objective alone.
        device : str or torch.device
            Where the points will be.

        Raises
        ------
        ValueError
            If a number is not positive.
        """
        given = {"n_components": n_components, "n_features": n_features, "scale": scale}
        for name, value in given.items():
            positive(name, value)
        self.n_components, self.n_features = int(n_components), int(n_features)
        self.scale, self.generator, self.device = float(scale), generator, device

    def __call__(self, x: Tensor, y: Tensor, mask: Tensor | None, networks: Tensor) -> Tensor:
        """Losses of A networks.

        Parameters
        ----------
        x : Tensor, shape (A, B, p)
            Data.
        y : Tensor, shape (A, N, p)
            Generated points; the losses are differentiated with respect to them.
        mask : Tensor of bool, shape (A, B), or None
            False where a row of `x` is padding of a ragged batch and does not count.
        networks : Tensor of int64, shape (A,)
            Which of the K networks these are, each at most once.

        Returns
        -------
        Tensor, shape (A,)
            Terms that no network can change may be left out.
        """
        raise NotImplementedError

    def gradient(self, x: Tensor, y: Tensor, mask: Tensor | None, networks: Tensor) -> Tensor:
        """Gradient of the losses by `y`, shape (A, N, p); one with a closed form gives that."""
        leaf = y.detach().requires_grad_()
        return torch.autograd.grad(self(x, leaf, mask, networks).sum(), leaf)[0]

    def state(self) -> dict:
        """What decides the further course, as tensors and lists of them, copied."""
        return {}

    def restore(self, state: dict) -> None:
        """Go on from what :meth:`state` returned; :meth:`prepare` must have been called."""

    def plain(self) -> dict:
        """Name and settings as strings, numbers and lists, for files of models."""
        values = {name: getattr(self, name) for name in self.settings}
        return {
            "name": self.name or type(self).__name__,
            **{k: list(v) if isinstance(v, tuple) else v for k, v in values.items()},
        }

    def __repr__(self) -> str:
        words = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.settings)
        return f"{type(self).__name__}({words})"

    def _check_prepared(self) -> float:
        """w, or RuntimeError before :meth:`prepare`."""
        if self.scale is None:
            raise RuntimeError(f"{type(self).__name__} needs prepare() before its first use")
        return self.scale


class FunctionObjective(Objective):
    """A user's own objective: one function.

    :meth:`prepare` tries it once on small tensors. Of the function, files of models keep the name
    only.

    Parameters
    ----------
    function : callable
        ``f(x, y, mask) -> (A,)``, arguments as in :meth:`Objective.__call__`.
    """

    name = "function"

    def __init__(self, function: Callable):
        if not callable(function):
            raise TypeError(
                f"function must be a callable f(x, y, mask); got {type(function).__name__}"
            )
        self.function = function

    def prepare(self, n_components, n_features, scale, generator, device="cpu") -> None:
        """Try the function, with and without a mask; else as :meth:`Objective.prepare`.

        Raises
        ------
        TypeError, ValueError
            If what it returns is no float tensor of shape (A,), is not finite, has no finite
            gradient with respect to `y`, or mixes networks.
        """
        super().prepare(n_components, n_features, scale, generator, device)
        # uniform in a box in which the typical distance of two points is w
        side = self.scale * math.sqrt(6 / n_features)
        x, y = side * torch.rand(2, 2, 8, n_features, generator=generator, dtype=torch.float32)
        x, y = x.to(device), y.to(device)
        ragged = torch.tensor([[True] * 8, [True] * 5 + [False] * 3], device=device)
        for mask in (None, ragged):
            self._try(x, y.clone().requires_grad_(), mask)

    def __call__(self, x, y, mask, networks) -> Tensor:
        """The function's own value; `networks` is not handed on."""
        return self.function(x, y, mask)

    def plain(self) -> dict:
        """Name of the function; the function itself must be handed in again."""
        f = self.function if hasattr(self.function, "__qualname__") else type(self.function)
        return {"name": self.name, "function": f"{f.__module__}.{f.__qualname__}"}

    def __repr__(self) -> str:
        return f"FunctionObjective({self.plain()['function']})"

    def _try(self, x: Tensor, y: Tensor, mask: Tensor | None) -> None:
        where = (
            f"objective {self.plain()['function']}, tried on x and y of shape {tuple(y.shape)} "
            f"{'without' if mask is None else 'with'} a mask,"
        )
        try:
            loss = self.function(x, y, mask)
        except Exception as error:
            error.add_note(f"raised by {where.rstrip(',')}")
            raise
        if not isinstance(loss, Tensor) or not loss.dtype.is_floating_point:
            kind = loss.dtype if isinstance(loss, Tensor) else type(loss).__name__
            raise TypeError(f"{where} must return a tensor of floats; got {kind}")
        if loss.shape != (len(y),):
            raise ValueError(
                f"{where} must return one loss for each network, shape ({len(y)},); "
                f"got shape {tuple(loss.shape)}"
            )
        if not bool(loss.isfinite().all()):
            raise ValueError(f"{where} must be finite; got {loss.tolist()}")
        gradient = None
        if loss.requires_grad:
            gradient = torch.autograd.grad(loss[0], y, allow_unused=True)[0]
        if gradient is None:
            raise ValueError(f"{where} must have a gradient with respect to y; it has none")
        if not bool(gradient.isfinite().all()):
            raise ValueError(f"{where} must have a finite gradient with respect to y")
        if bool(gradient[1:].any()):
            raise ValueError(
                f"{where} must not mix networks; the loss of the first depends on points of another"
            )


def positive(name: str, value) -> None:
    """ValueError unless `value` is a finite number above zero."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a positive number; got {value!r}")


def positive_tuple(name: str, values) -> tuple[float, ...]:
    """`values` as floats; ValueError unless they are one or more positive numbers."""
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise ValueError(f"{name} must be one or more positive numbers; got {values!r}")
    numbers = tuple(values)
    if not numbers:
        raise ValueError(f"{name} must be one or more positive numbers; got {values!r}")
    for number in numbers:
        positive(f"every one of {name}", number)
    return tuple(float(number) for number in numbers)


def shares(x: Tensor, mask: Tensor | None) -> Tensor:
    """Weights (A, n) of the points of each batch, summing to one."""
    if mask is None:
        return torch.full_like(x[..., 0], 1.0 / x.shape[1])
    weight = mask.to(x.dtype)
    return weight / weight.sum(1, keepdim=True)
