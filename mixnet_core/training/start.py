"""Where a training starts: networks, kernels and priors, from the initial clusters (ours)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from mixnet_core.likelihood import Noise
from mixnet_core.training.clusters import Clusters
from mixnet_core.training.fitted import streams
from mixnet_core.training.linear import Gaussians, estimate, frames, linear_stage, lower_root

LINEAR_SHARE = 0.3  # of a standard deviation that linear paths start with; the kernel has the rest
MOST_POINTS = 50_000  # that the linear stage sees
N_SAMPLES = 1000  # outputs of a network that is put at a mean and a spread


@dataclass(frozen=True)
class Start:
    """What Algorithm 1 begins with, but for the networks.

    Attributes
    ----------
    labels : Tensor of int64, shape (N,)
        Hard clusters of the training points.
    priors : Tensor, shape (K,)
    noise : Noise
        Kernels of eq. 4, or those of which multiples are tried after Algorithm 1.
    objective_noise : Noise
        Kernels that the objective sees until then.
    strength : float
        ν of the prior of full kernels; 0 where there are none.
    """

    labels: Tensor
    priors: Tensor
    noise: Noise
    objective_noise: Noise
    strength: float


def start_at_clusters(session, labels: Tensor) -> Start:
    """Put the networks of a session where the hard clusters of its training points are.

    Parameters
    ----------
    session : mixnet_core.training.session.Session
        Its bank is changed.
    labels : Tensor of int64, shape (N,)
    """
    s, settings, device = session, session.settings, session.points.device
    k, strength, gaussians = settings.n_components, 0.0, None
    shares = one_hot(labels, k).double()
    if settings.linear_stage or settings.kernel == "covariance":
        shares, gaussians = fitted_gaussians(s, labels, shares)
        labels, strength = shares.argmax(1), gaussians.strength
    counts = shares.sum(0).float().clamp_min(settings.prior_floor)
    priors = (counts / counts.sum()).to(device)
    clusters = Clusters.of(s.trained, labels, k, s.bank.n_inputs)
    if settings.kernel == "covariance":
        noise = objective_noise = start_at_gaussians(s.bank, gaussians).to(device)
    else:
        noise = objective_noise = Noise(clusters.noise(settings.kernel, s.scale)).to(device)
        if settings.kernel == "shared":
            residual = mean_residual(clusters, torch.bincount(labels, minlength=k))
            objective_noise = Noise(torch.full((k,), residual, dtype=torch.float64)).to(device)
    if s.bank.output == "linear" and settings.last_layer == "cluster":
        spreads = clusters.spreads
        if settings.kernel == "covariance":  # the kernel has the other half of the variance
            spreads = spreads * math.sqrt(0.5)
        start_at_moments(s.bank, clusters.centres, spreads, streams(s.seed, 7 + k)[-1])
    return Start(labels, priors, noise, objective_noise, strength)


def fitted_gaussians(session, labels: Tensor, shares: Tensor) -> tuple[Tensor, Gaussians]:
    """Memberships (N, K) of the training points, which the linear stage moves, and the Gaussians.

    Labelled points stay in their component.
    """
    s, k = session, session.settings.n_components
    some = torch.arange(0, len(s.trained), max(1, -(-len(s.trained) // MOST_POINTS)))
    x = s.trained[some].to("cpu", torch.float64)
    strength = x.shape[1] + 2.0
    if s.settings.linear_stage:
        held_out = s.points[s.held_out[:MOST_POINTS]].to("cpu", torch.float64)
        model = linear_stage(x, held_out, labels[some], k)
        strength = model.strength
        blocks = [b.to("cpu", torch.float64) for b in s.trained.blocks()]
        shares = torch.cat([model.log_joint(b).softmax(1) for b in blocks])
        is_known = torch.zeros(len(s.points), dtype=torch.bool)
        is_known[s.known] = True
        fixed = is_known[s.train_rows]
        shares[fixed] = one_hot(labels[fixed], k).double()
    return shares, estimate(x, shares[some], strength)


def start_at_gaussians(bank, gaussians: Gaussians) -> Noise:
    """The kernels that are left where networks have a share of each Gaussian; frames are set."""
    directions = frames(gaussians)
    share = LINEAR_SHARE if bank.framed else math.sqrt(0.5)
    left = torch.ones(bank.n_outputs, dtype=torch.float64)
    left[: bank.n_inputs if bank.framed else None] -= share**2
    if bank.framed:
        bank.set_frames(gaussians.means, directions, share)
    return Noise(lower_root((directions * left) @ directions.mT))


@torch.no_grad()
def start_at_moments(bank, centres: Tensor, spreads: Tensor, generator: torch.Generator) -> None:
    """Give the outputs of each linear network a mean and a spread.

    Parameters
    ----------
    bank : GeneratorBank
    centres : Tensor, shape (K, n_outputs)
    spreads : Tensor, shape (K,)
        Standard deviation of a feature, root of the mean over the features.
    generator : torch.Generator
        Draws the inputs on which the outputs as they are now are measured.
    """
    weight, offset = bank.last_layer()
    now = bank.sample(N_SAMPLES, generator)[..., : bank.n_outputs]
    factor = (spreads / now.var(1).mean(1).sqrt().clamp_min(1e-12)).to(now)
    if weight is None:
        factor = torch.ones_like(factor)
    else:
        weight.mul_(factor.view(-1, *[1] * (weight.dim() - 1)))
    shift = centres.to(now) - factor.unsqueeze(1) * (now.mean(1) - offset[:, 0])
    offset.copy_(shift.unsqueeze(1))


def mean_residual(clusters: Clusters, counts: Tensor) -> float:
    """One σ for the objective before that of eq. 4 is chosen: root mean square residual."""
    weights = counts.double() / counts.double().sum()
    return float((weights * clusters.residuals.square()).sum().sqrt())
