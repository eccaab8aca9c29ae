"""What is recorded of a training: likelihoods, priors, discrepancy, labels on the way."""

import numpy as np
import torch
from torch import Tensor

from mixnet_core.memberships import memberships, mixture_log_likelihood
from mixnet_core.mmd import mmd2

SNAPSHOT_EVERY = 10  # iterations between the label vectors that are kept for plots
MMD_POINTS = 256  # points and samples of each component in the MMD² of the history
NAMES = ("heldout", "train", "min_prior", "changed", "mmd", "priors", "lr", "empty")


class Curves:
    """``history_`` and ``snapshots_`` of a mixture as they grow.

    Parameters
    ----------
    volume : float
        Added to log densities: from the networks' units to those of the data.
    mmd_widths : list of float
        Of the MMD² in the history.
    """

    def __init__(self, volume: float, mmd_widths: list[float]):
        self.volume, self.mmd_widths = volume, mmd_widths
        self.history: dict[str, list] = {name: [] for name in NAMES}
        self.snapshots: dict[int, np.ndarray] = {}
        self.labels: Tensor | None = None

    def add(self, iteration: int, log_lik, priors, held_out, train, trained, samples, lr) -> None:
        """One entry of each curve, after Algorithm 1 or an iteration of Algorithm 2.

        Raises
        ------
        FloatingPointError
            If a likelihood is not finite.
        """
        density = mixture_log_likelihood(log_lik, priors).cpu()
        if not bool(density.isfinite().all()):
            raise FloatingPointError(
                f"the training diverged: likelihoods are not finite at iteration {iteration}; "
                f"a smaller lr may help (lr={lr:g})"
            )
        before, self.labels = self.labels, memberships(log_lik, priors).argmax(1).cpu()
        counts = torch.bincount(self.labels[train], minlength=len(priors))
        shares = priors.tolist()
        entries = {
            "heldout": float(density[held_out].double().mean()) + self.volume,
            "train": float(density[train].double().mean()) + self.volume,
            "min_prior": min(shares),
            "changed": 0.0 if before is None else float((self.labels != before).double().mean()),
            "mmd": self._mmd(self.labels[train], trained, samples),
            "priors": shares,
            "lr": lr,
            "empty": int((counts == 0).sum()),
        }
        for name, value in entries.items():
            self.history[name].append(value)
        if iteration % SNAPSHOT_EVERY == 0:
            self.snapshots[iteration] = self.labels.to(torch.int16).numpy()

    def _mmd(self, labels: Tensor, trained, samples: Tensor) -> float:
        """MMD² (eq. 9) between points of a component and its samples, mean by size of component."""
        counts = torch.bincount(labels, minlength=len(samples))
        used = torch.nonzero(counts).flatten()
        if samples.shape[1] < 2:
            return 0.0
        rows = torch.zeros(len(used), MMD_POINTS, dtype=torch.int64)
        mask = torch.zeros(len(used), MMD_POINTS, dtype=torch.bool)
        for place, j in enumerate(used.tolist()):
            members = torch.nonzero(labels == j).flatten()[:MMD_POINTS]
            rows[place, : len(members)], mask[place, : len(members)] = members, True
        device = samples.device
        x = trained[rows.to(device)]
        y = samples[used.to(device), :MMD_POINTS, : x.shape[2]]  # without scales of kernels
        values = mmd2(x, y, self.mmd_widths, mask.to(device)).cpu()
        return float((values.double() * counts[used]).sum() / counts.sum())

    def state(self) -> dict:
        """For a checkpoint: curves, snapshots and the last labels as tensors."""
        snapshots = {i: torch.from_numpy(labels) for i, labels in self.snapshots.items()}
        return {"history": self.history, "snapshots": snapshots, "labels": self.labels}

    def restore(self, state: dict) -> None:
        """Go on from what :meth:`state` returned."""
        self.history, self.labels = state["history"], state["labels"]
        self.snapshots = {i: labels.numpy() for i, labels in state["snapshots"].items()}

    def after(self, history: dict, snapshots: dict, n_iter: int) -> tuple[dict, dict]:
        """Curves and snapshots behind those of an earlier training of `n_iter` iterations."""
        joined = {name: history[name] + curve[1:] for name, curve in self.history.items()}
        later = {n_iter + i: labels for i, labels in self.snapshots.items() if i}
        return joined, {**snapshots, **later}
