"""One training of a mixture: Algorithm 1, the choice of the width, Algorithm 2, step by step."""

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mixnet_core.checkpoints import fingerprint, load_checkpoint, save_checkpoint
from mixnet_core.generators import GeneratorBank
from mixnet_core.kernels import log_likelihood
from mixnet_core.labels import UNLABELLED, hold, split
from mixnet_core.memberships import memberships, mixture_log_likelihood
from mixnet_core.objectives import GaussianMMD, make_objective, mmd2
from mixnet_core.optimizers import OPTIMIZERS
from mixnet_core.points import Points
from mixnet_core.selection import (
    choose_batch_size,
    choose_width,
    cluster_scale,
    residual_scale,
)
from mixnet_core.training import (
    BankTrainer,
    algorithm_1_epoch,
    algorithm_2_iteration,
    update_priors,
)

SECONDS_BETWEEN_CHECKPOINTS = 20.0
SMOOTHING = 10  # iterations in the moving mean of the held-out likelihood
MIN_GAIN = 0.01  # nats a point that count as an improvement of it
SNAPSHOT_EVERY = 10  # iterations between the label vectors that are kept for plots
MMD_POINTS = 256  # points and samples of each component in the MMD² of the history


@dataclass(frozen=True)
class Step:
    """What a callback is told after each epoch of Algorithm 1 and iteration of Algorithm 2.

    Attributes
    ----------
    algorithm : int
        1 or 2.
    done, total : int
        Epochs and iterations made, and the most there can be.
    bank : GeneratorBank
        The networks as they are now; not to be changed.
    priors : Tensor, shape (K,)
    history : dict of list
        As ``history_`` of the mixture, so far.
    """

    algorithm: int
    done: int
    total: int
    bank: GeneratorBank
    priors: Tensor
    history: dict


class Fitting:
    """The state that a checkpoint keeps, and the two algorithms that move it on.

    Parameters
    ----------
    model : MixtureOfNetworks
        Has its seed; is changed at the end of :meth:`run` only.
    points : Points
    bank : GeneratorBank
        Trained in place.
    start : Tensor of int64, shape (n,)
        Initial hard clusters.
    y : Tensor of int64, shape (n,)
        Known components, -1 elsewhere.
    priors : Tensor, shape (K,), optional
        Given, the training goes on with Algorithm 2 from the bank and these, at the model's scale
        and width.
    checkpoint, progress, callbacks
        As in :meth:`MixtureOfNetworks.fit`.
    """

    def __init__(
        self,
        model,
        points: Points,
        bank: GeneratorBank,
        start: Tensor,
        y: Tensor,
        priors: Tensor | None = None,
        checkpoint=None,
        progress=None,
        callbacks=(),
    ):
        self.model, self.points, self.checkpoint = model, points, checkpoint
        self.progress, self.callbacks = progress, callbacks
        self.bank, self.warm = bank, priors is not None
        k = model.n_components
        # One stream a purpose: a longer Algorithm 1 must not change which points are held out.
        splits = streams(model.seed_, 1)[0]
        later = (model.n_iter_, 1) if self.warm else ()  # other draws than the first training's
        _, _, self.order, self.draws, _, *inputs, extra = streams(model.seed_, 6 + k, later)
        self.known = torch.nonzero(y != UNLABELLED).flatten()
        self.y = y[self.known].to(points.device)
        n_held_out = self._n_held_out(len(points))
        self.held_out, self.train = split(y != UNLABELLED, n_held_out, splits)
        self.labels = start[self.train]
        self.trained = points.subset(self.train)
        n_train = len(self.train)
        self.batch_size_1 = choose_batch_size(n_train, k, model.batch_size, 1.0)
        self.batch_size_2 = choose_batch_size(n_train, k, model.batch_size, model.batch_share)
        if self.warm:
            self.t1, self.width, self.scale = 0, model.width_, model.scale_
            self.priors = priors.to(points.device)
        else:
            self.scale = cluster_scale(self.trained, self.labels, splits)
            counts = torch.bincount(self.labels, minlength=k)
            self.priors = (counts / counts.sum()).to(points.device)
            batches = max(1.0, n_train / k / self.batch_size_1)
            self.t1 = max(model.t1, math.ceil(model.min_updates / batches)) if model.t1 else 0
            self.width = None
        self.trainer = BankTrainer(bank, self._objective(extra), self._optimizer(), inputs)
        self.mmd_widths = [m * self.scale for m in model.mmd_widths]
        self.log_lik = None
        self.epoch, self.iteration, self.stopped = 0, 0, False
        self.history = {
            name: [] for name in ("heldout", "train", "min_prior", "changed", "mmd", "priors")
        }
        self.snapshots = {}
        self.saved = time.monotonic()
        self.signature = checkpoint and fingerprint(
            model, [model.seed_], points.X, start, y, *(self._origin() if self.warm else ())
        )

    def run(self) -> None:
        """Train to the end, and leave the results on the model."""
        state = load_checkpoint(self.checkpoint)
        if state is not None and state.get("signature") == self.signature:
            self._restore(state)
        model = self.model
        while self.epoch < self.t1 and not self.stopped:
            algorithm_1_epoch(
                self.trainer, self.trained, self.labels, self.batch_size_1, self.order
            )
            self.epoch += 1
            self._report(1, f"Algorithm 1, epoch {self.epoch}")
        if self.log_lik is None:
            samples = self._samples()
            if self.width is None:
                self.width = self.trainer.objective.noise = self._choose_width(samples)
            self._update_likelihood(samples)
        while self.iteration < model.t2 and not self.stopped and not self._saturated():
            algorithm_2_iteration(
                self.trainer,
                self.trained,
                self.log_lik[self.train.to(self.points.device)],
                self.priors,
                self.batch_size_2,
                model.threshold,
                self.order,
            )
            self.iteration += 1
            self._update_likelihood(self._samples())
            held_out = self.history["heldout"][-1]
            self._report(2, f"Algorithm 2, held-out log-likelihood {held_out:.2f}")
        self._finish()

    def _n_held_out(self, n: int) -> int:
        size, k = self.model.validation_size, self.model.n_components
        count = max(1, round(size * n)) if size < 1 else size
        if count != int(count) or n - count < max(2, k):
            raise ValueError(
                f"validation_size must be a share below 1 or a whole number that leaves at least "
                f"{max(2, k)} of {n} points to train on; got {size!r}"
            )
        return int(count)

    def _objective(self, generator):
        model, points = self.model, self.points
        by_name = isinstance(model.objective, str) and model.objective == "mmd"
        objective = make_objective(GaussianMMD(model.mmd_widths) if by_name else model.objective)
        objective.prepare(
            model.n_components, points.n_features, self.scale, generator, points.device
        )
        objective.noise = self.width or residual_scale(
            self.trained, self.labels, self.bank.n_inputs
        )
        return objective

    def _optimizer(self):
        model = self.model
        if model.optimizer == "sgd":
            return OPTIMIZERS["sgd"](model.lr, model.momentum, model.weight_decay)
        return OPTIMIZERS["adam"](model.lr, model.weight_decay)

    def _samples(self) -> Tensor:
        return self.bank.sample(self.model.n_samples, self.draws)

    def _choose_width(self, samples: Tensor) -> float:
        # w = s √(2p) for a Gaussian cluster with standard deviation s in each of p features
        spread = self.scale / math.sqrt(2 * self.points.n_features)
        widths = sorted(float(m * spread) for m in self.model.likelihood_widths)
        return choose_width(self.points[self.held_out], samples, self.priors, widths)[0]

    def _log_likelihood(self, samples: Tensor) -> Tensor:
        parts = [log_likelihood(x, samples, self.width) for x in self.points.blocks()]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _update_likelihood(self, samples: Tensor) -> None:
        """Likelihood matrix (a running mean), priors from the first iteration on, the curves."""
        before = None if self.log_lik is None else self._assign()
        new = hold(self._log_likelihood(samples), self.known, self.y)
        if before is None or not self.model.memory:
            self.log_lik = new
        else:
            share = self.model.memory
            self.log_lik = torch.logaddexp(self.log_lik + math.log(share), new + math.log1p(-share))
        if before is not None:
            self.priors = update_priors(
                self.log_lik[self.train.to(self.points.device)], self.priors
            )
        density = mixture_log_likelihood(self.log_lik, self.priors).cpu()
        if not bool(density.isfinite().all()):
            raise FloatingPointError(
                f"the training diverged: likelihoods are not finite at iteration "
                f"{self.iteration}; a smaller lr may help (lr={self.model.lr})"
            )
        labels = self._assign()
        history = self.history
        history["heldout"].append(float(density[self.held_out].mean()))
        history["train"].append(float(density[self.train].mean()))
        history["min_prior"].append(float(self.priors.min()))
        history["changed"].append(
            0.0 if before is None else float((labels != before).float().mean())
        )
        history["mmd"].append(self._mmd(labels[self.train], samples))
        history["priors"].append(self.priors.tolist())
        if self.iteration % SNAPSHOT_EVERY == 0:
            self.snapshots[self.iteration] = labels.to(torch.int16).numpy()

    def _mmd(self, labels: Tensor, samples: Tensor) -> float:
        """MMD² (eq. 9) between points of a component and its samples, mean by size of component."""
        total = 0.0
        for j in range(self.model.n_components):
            members = torch.nonzero(labels == j).flatten()
            if len(members) and samples.shape[1] > 1:
                x = self.trained[members[:MMD_POINTS]].unsqueeze(0)
                y = samples[j : j + 1, :MMD_POINTS]
                total += len(members) * float(mmd2(x, y, self.mmd_widths))
        return total / len(labels)

    def _assign(self) -> Tensor:
        return memberships(self.log_lik, self.priors).argmax(1).cpu()

    def _saturated(self) -> bool:
        """Whether the smoothed held-out likelihood has not risen for `patience` iterations."""
        values = self.history["heldout"]
        best, since = -math.inf, 0
        for end in range(SMOOTHING, len(values) + 1):
            mean = sum(values[end - SMOOTHING : end]) / SMOOTHING
            best, since = (mean, 0) if mean > best + MIN_GAIN else (best, since + 1)
        return since >= self.model.patience

    def _report(self, algorithm: int, text: str) -> None:
        done, total = self.epoch + self.iteration, self.t1 + self.model.t2
        if self.progress is not None:
            self.progress(done, total, text)
        step = Step(algorithm, done, total, self.bank, self.priors, self.history)
        for callback in self.callbacks:
            self.stopped |= bool(callback(step))
        waited = time.monotonic() - self.saved > SECONDS_BETWEEN_CHECKPOINTS
        if self.checkpoint and (waited or self.stopped):
            save_checkpoint(self.checkpoint, self._state())
            self.saved = time.monotonic()

    def _state(self) -> dict:
        return {
            "signature": self.signature,
            "trainer": self.trainer.state(),
            "order": self.order.get_state(),
            "draws": self.draws.get_state(),
            "epoch": self.epoch,
            "iteration": self.iteration,
            "log_lik": self.log_lik,
            "width": self.width,
            "priors": self.priors,
            "history": self.history,
            "snapshots": {k: torch.from_numpy(v) for k, v in self.snapshots.items()},
        }

    def _restore(self, state: dict) -> None:
        self.trainer.restore(state["trainer"])
        self.order.set_state(state["order"])
        self.draws.set_state(state["draws"])
        self.epoch, self.iteration = state["epoch"], state["iteration"]
        device = self.points.device
        self.priors, self.width = state["priors"].to(device), state["width"]
        if self.width is not None:
            self.trainer.objective.noise = self.width
        if state["log_lik"] is not None:
            self.log_lik = state["log_lik"].to(device)
        self.history = state["history"]
        self.snapshots = {k: v.numpy() for k, v in state["snapshots"].items()}

    def _origin(self) -> list[Tensor]:
        """What a continued training started from."""
        return [torch.tensor([self.model.n_iter_]), self.priors.cpu(), *self.bank.tensors()]

    def _finish(self) -> None:
        model = self.model
        samples = final_samples(self.bank, model)
        self.log_lik = self._log_likelihood(samples)
        density = mixture_log_likelihood(self.log_lik, self.priors).cpu()
        hold(self.log_lik, self.known, self.y)
        labels = self._assign()
        labels[self.known] = self.y.cpu()
        if self.warm:
            self._continue_curves()
        model.bank_, model.samples_, model.box_ = self.bank, samples, self.points.box
        model.priors_, model.width_, model.scale_ = self.priors, self.width, self.scale
        model.labels_ = labels.numpy()
        model.log_likelihood_ = density.numpy()
        model.history_, model.snapshots_ = self.history, self.snapshots
        model.n_iter_ = self.iteration + (model.n_iter_ if self.warm else 0)
        model.values_ = {
            "heldout_log_likelihood": float(density[self.held_out].mean()),
            "n_held_out": len(self.held_out),
            "batch_size": int(self.batch_size_1),
            "batch_size_2": int(self.batch_size_2),
            "t1": int(self.t1),
            "iterations": self.iteration,
            "scale": self.scale,
            "width_ratio": self.width / self.scale,
            "min_prior": float(self.priors.min()),
            "empty_components": int(
                (torch.bincount(labels, minlength=model.n_components) == 0).sum()
            ),
        }

    def _continue_curves(self) -> None:
        """Put the curves and snapshots of the earlier training before those of this one."""
        model = self.model
        self.history = {
            name: model.history_[name] + curve[1:] for name, curve in self.history.items()
        }
        later = {model.n_iter_ + i: labels for i, labels in self.snapshots.items() if i}
        self.snapshots = {**model.snapshots_, **later}


def final_samples(bank: GeneratorBank, model) -> Tensor:
    """The samples behind the final labels, the same at every call."""
    return bank.sample(int(model.n_final_samples), streams(model.seed_, 5)[4])


def streams(seed: int, n: int, more: tuple[int, ...] = ()) -> list[torch.Generator]:
    """n independent streams of a seed, the first of them the same for every n."""
    seeds = np.random.SeedSequence([seed, *more] if more else seed).generate_state(n, np.uint64)
    return [torch.Generator().manual_seed(int(s >> np.uint64(1))) for s in seeds]
