"""What a fit leaves behind, as one object: set once, and what files hold."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mixnet_core.bank import GeneratorBank
from mixnet_core.data.points import Points, Units
from mixnet_core.likelihood import Noise, log_likelihood
from mixnet_core.memberships import memberships, mixture_log_likelihood


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained mixture: everything that prediction and sampling need, and what was recorded.

    Nothing of it is computed from the estimator's parameters, which may change afterwards.

    Attributes
    ----------
    bank : GeneratorBank
        The networks; their points are in the networks' units.
    priors : Tensor, shape (K,)
    noise : Noise
        Kernel of eq. 4 of each component, in the networks' units.
    units : Units
        From the data to the networks' units.
    scale : float
        w in the networks' units.
    samples : Tensor, shape (K, S, p)
        Of each network, behind the final labels and every later likelihood.
    seed : int
    strength : float
        ν of the prior of full kernels; 0 where there are none.
    settings : dict
        Parameters that were used, the recipe's filled in.
    labels, log_likelihood : ndarray, shape (n,), or None
        Of the training data; not in files.
    history, snapshots, values : dict
    n_iter : int
    converged : bool
        Whether held-out likelihood saturated.
    """

    bank: GeneratorBank
    priors: Tensor
    noise: Noise
    units: Units
    scale: float
    samples: Tensor
    seed: int
    strength: float
    settings: dict
    history: dict
    snapshots: dict
    values: dict
    n_iter: int
    converged: bool
    labels: np.ndarray | None = None
    log_likelihood: np.ndarray | None = None

    @property
    def volume(self) -> float:
        """log of the factor by which densities in the units of the data are larger."""
        return self.bank.n_outputs * float(np.log(self.units.scale))

    @property
    def widths(self) -> np.ndarray:
        """σ_j of eq. 4 in the units of the data, (K,); of a full kernel the geometric mean."""
        p = self.bank.n_outputs
        return (self.noise.log_det(p) / p).exp().cpu().numpy() / self.units.scale

    @property
    def data_scale(self) -> float:
        """w in the units of the data."""
        return self.scale / self.units.scale

    def points(self, X) -> Points:
        """Rows of data as the networks see them."""
        return Points(X, self.units, self.samples.device)

    def posterior(self, points: Points) -> tuple[np.ndarray, np.ndarray]:
        """Memberships (n, K) of eq. 5 and log densities (n,) in the units of the data, float64.

        Raises
        ------
        ValueError
            For points so far away that a likelihood overflows.
        """
        shares, density = [], []
        for x in points.blocks():
            log_lik = log_likelihood(x, self.samples, self.noise)
            if not bool(log_lik.isfinite().all()):
                raise ValueError(
                    "X must lie within the range of float32 around the training data; it has "
                    "points so far away that their likelihood overflows"
                )
            shares.append(memberships(log_lik, self.priors).cpu().numpy())
            density.append(mixture_log_likelihood(log_lik, self.priors).double().cpu().numpy())
        return np.concatenate(shares), np.concatenate(density) + self.volume

    def sample(self, n: int, component: int | None, generator: torch.Generator):
        """n points (n, p) in the units of the data, and the components (n,) they are drawn from.

        Components are drawn by π, or all are the given one (§3.1).
        """
        if component is None:
            priors = self.priors.cpu()
            components = torch.multinomial(priors, n, replacement=True, generator=generator)
        else:
            components = torch.full((n,), component)
        z = self.bank.draw_inputs(n, generator=generator)
        out = np.empty((n, self.bank.n_outputs), dtype=self.units.dtype)
        for j in components.unique().tolist():
            rows = components == j
            out[rows.numpy()] = self.generate(z[rows], j)
        return out, components.numpy()

    @torch.no_grad()
    def generate(self, z: Tensor, component: int) -> np.ndarray:
        """Outputs (n, p) of one network for inputs (n, n_inputs), in the units of the data."""
        one = [t[component : component + 1] for t in self.bank.tensors()]
        device = one[0].device
        which = torch.tensor([component], device=device)
        out = self.bank.run(one, z.unsqueeze(0).to(device), which)[0]
        return self.units.back(out[:, : self.bank.n_outputs].cpu().numpy())


def streams(seed: int, n: int, more: tuple[int, ...] = ()) -> list[torch.Generator]:
    """n independent streams of a seed, the first of them the same for every n."""
    seeds = np.random.SeedSequence([seed, *more] if more else seed).generate_state(n, np.uint64)
    return [torch.Generator().manual_seed(int(s >> np.uint64(1))) for s in seeds]


def even_inputs(bank: GeneratorBank, n: int, seed: int) -> Tensor:
    """n inputs, the same for all networks, that cover [-1, 1] evenly: scrambled Sobol points.

    With them the density of eq. 4 is not random (ours). Shape (K, n, n_inputs).
    """
    engine = torch.quasirandom.SobolEngine(bank.n_inputs, scramble=True, seed=seed)
    z = engine.draw(n, dtype=torch.float32).mul_(2).sub_(1)
    return z.expand(bank.n_components, n, bank.n_inputs)


def final_samples(bank: GeneratorBank, n: int, seed: int, draws: str) -> Tensor:
    """The samples behind the final labels, the same at every call; `draws` "fresh" or "fixed"."""
    if draws == "fixed":
        return bank.points(even_inputs(bank, n, seed))
    return bank.sample(n, streams(seed, 5)[4])
