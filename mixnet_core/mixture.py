"""The mixture of networks as an estimator (paper §3)."""

import math
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClusterMixin, DensityMixin
from sklearn.cluster import KMeans
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from mixnet_core.checkpoints import fingerprint, load_checkpoint, plain_params, save_checkpoint
from mixnet_core.generators import GeneratorBank, parse_structure
from mixnet_core.kernels import log_likelihood
from mixnet_core.memberships import memberships, mixture_log_likelihood
from mixnet_core.objectives import mmd2_gradient_part
from mixnet_core.optimizers import OPTIMIZERS
from mixnet_core.selection import choose_batch_size, choose_width, cluster_scale
from mixnet_core.training import (
    BankTrainer,
    algorithm_1_epoch,
    algorithm_2_iteration,
    update_priors,
)
from mixnet_core.validation import check_labels, check_points, check_settings

BOX = (0.05, 0.95)  # where the data are put: a sigmoid reaches 0 and 1 only at infinity
SECONDS_BETWEEN_CHECKPOINTS = 20.0
SMOOTHING = 10  # iterations in the moving mean of the held-out likelihood
MIN_GAIN = 0.01  # nats a point that count as an improvement of it
SNAPSHOT_EVERY = 10  # iterations between the label vectors that are kept for plots


class MixtureOfNetworks(ClusterMixin, DensityMixin, BaseEstimator):
    """K generator networks, trained by Algorithms 1 and 2 to cluster data and to generate them.

    Data are moved into a box inside (0, 1)^p by one shift a feature and one scale for all. Every
    width follows w, the median distance within an initial cluster. What the paper does not
    state is marked "ours"; no such choice sees a label.

    Parameters
    ----------
    n_components : int
        K.
    structure : str
        Layer sizes such as ``"10-16-256-256-512-32"``, from random input to output.
    t1, t2 : int
        Epochs of Algorithm 1, and the most iterations of Algorithm 2.
    min_updates : int
        Algorithm 1 runs on past `t1` epochs until a cluster of mean size has had this many
        mini-batches (ours: small clusters have few batches an epoch).
    batch_size, batch_share : int, float
        B is `batch_size`, but in Algorithm 1 at most the mean cluster, and in Algorithm 2 at most
        this share of it: its batches are cut from one row of points, and one as large as a
        cluster would seldom hold points of one cluster only (limits ours).
    n_samples, n_final_samples : int
        S of eq. 4 during the training, and for the final labels and every later likelihood (ours).
    memory : float
        Share of the old likelihood matrix that stays at each update: fresh samples alone would make
        it noisy, points would change sides by chance (ours; stochastic approximation as in SAEM,
        Delyon et al. 1999). 0 keeps nothing.
    optimizer : {"sgd", "adam"}
        Mini-batch SGD is the paper's.
    lr, momentum, weight_decay : float
        α = β, heavy-ball momentum (SGD only) and weight decay (values ours).
    mmd_widths : sequence of float
        Gaussian kernels of eq. 9, as multiples of w; MMD² is averaged over them (ours).
    likelihood_widths : sequence of float
        Candidates for the kernel of eq. 4, as multiples of w / √(2p), the standard deviation of a
        feature in a Gaussian cluster of scale w. After Algorithm 1 the one under which held-out
        points are most likely is taken; the smallest is the floor (ours).
    threshold : float
        Mini-batches with a smaller membership are skipped (§3.3).
    validation_size : float or int
        Share or number of the points that no network is trained on. They get labels too.
    patience : int
        Algorithm 2 stops when the moving mean of the held-out log-likelihood has not risen for this
        many iterations (§4: "until … saturated"; the numbers are ours).
    random_state : int
    device : str

    Attributes
    ----------
    labels_ : ndarray of int64, shape (n,)
        Component of highest membership (eq. 5) of every point, held-out ones too.
    log_likelihood_ : ndarray of float32, shape (n,)
        Log density of every point in nats, in the box's units.
    bank_, priors_, width_, scale_ : GeneratorBank, Tensor (K,), float, float
        Networks, π, the chosen width of eq. 4 and w, both in the box's units.
    history_ : dict of list
        ``heldout`` and ``train`` mean log-likelihood, ``min_prior`` and ``changed`` (share of
        points with a new label), at iteration 0 (after Algorithm 1) and each of Algorithm 2.
    snapshots_ : dict of int -> ndarray
        Labels at every tenth iteration.
    values_ : dict
        Scalars worth recording.
    """

    def __init__(
        self,
        n_components=10,
        structure="10-64-256-256-512-32",
        t1=30,
        t2=200,
        min_updates=1000,
        batch_size=100,
        batch_share=0.25,
        n_samples=1000,
        n_final_samples=10000,
        memory=0.8,
        optimizer="sgd",
        lr=0.3,
        momentum=0.9,
        weight_decay=1e-5,
        mmd_widths=(0.25, 0.5, 1.0),
        likelihood_widths=(0.4, 0.6, 0.8, 1.2, 1.6, 2.4, 4.0),
        threshold=0.001,
        validation_size=0.1,
        patience=100,
        random_state=0,
        device="cpu",
    ):
        self.n_components = n_components
        self.structure = structure
        self.t1 = t1
        self.t2 = t2
        self.min_updates = min_updates
        self.batch_size = batch_size
        self.batch_share = batch_share
        self.n_samples = n_samples
        self.n_final_samples = n_final_samples
        self.memory = memory
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.mmd_widths = mmd_widths
        self.likelihood_widths = likelihood_widths
        self.threshold = threshold
        self.validation_size = validation_size
        self.patience = patience
        self.random_state = random_state
        self.device = device

    def fit(self, X, y=None, init_labels=None, checkpoint=None, progress=None):
        """Train on X.

        Parameters
        ----------
        X : array of float, shape (n, p)
            p is the last size of the structure.
        y : ignored
        init_labels : array of int, shape (n,), optional
            Initial hard clusters in 0..K-1; k-means (best of ten starts) on X if None (§3.1).
        checkpoint : path, optional
            Where to keep the state of the training; an interrupted one goes on from there to the
            same result.
        progress : callable, optional
            Called as ``progress(done, total, text)``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For settings or data out of range, with the name, what it was and what it must be.
        """
        check_settings(self)
        if not 0 <= self.memory < 1:
            raise ValueError(f"memory must be 0 or more and below 1; got {self.memory!r}")
        if self.n_final_samples < 1:
            raise ValueError(f"n_final_samples must be at least 1; got {self.n_final_samples!r}")
        X = check_points(X, n_features=parse_structure(self.structure)[-1])
        if len(X) <= self.n_components:
            raise ValueError(
                f"X needs more rows than n_components={self.n_components}; got {len(X)}"
            )
        if init_labels is None:
            start = KMeans(self.n_components, n_init=10, random_state=int(self.random_state))
            init_labels = start.fit(X).labels_
        init_labels = check_labels(init_labels, len(X), self.n_components)
        self.n_features_in_ = X.shape[1]
        _Fit(self, X, torch.from_numpy(init_labels), checkpoint, progress).run()
        return self

    def predict(self, X) -> np.ndarray:
        """Component of highest membership of each row of X, shape (n,) (eq. 5)."""
        return self._posterior(X)[0].argmax(1)

    def predict_proba(self, X) -> np.ndarray:
        """Memberships m_ij of eq. 5, shape (n, K)."""
        return self._posterior(X)[0]

    def score_samples(self, X) -> np.ndarray:
        """Log density of each row of X in the box's units, shape (n,), in nats."""
        return self._posterior(X)[1]

    def score(self, X, y=None) -> float:
        """Mean of :meth:`score_samples`."""
        return float(self.score_samples(X).mean())

    def sample(self, n_samples=1, component=None, random_state=None):
        """Draw points, from components chosen by the priors or from one chosen by hand (§3.1).

        Returns
        -------
        X : ndarray of float32, shape (n_samples, p)
            In the units of the training data.
        components : ndarray of int64, shape (n_samples,)
        """
        check_is_fitted(self, "bank_")
        g = torch.Generator().manual_seed(
            int(self.random_state if random_state is None else random_state)
        )
        if component is None:
            components = torch.multinomial(
                self.priors_.cpu(), n_samples, replacement=True, generator=g
            )
        elif 0 <= component < self.n_components:
            components = torch.full((n_samples,), component)
        else:
            raise ValueError(f"component must be in 0..{self.n_components - 1}; got {component}")
        z = self.bank_.draw_inputs(n_samples, generator=g)
        out = torch.empty(n_samples, self.bank_.n_outputs)
        tensors = self.bank_.tensors()
        for j in components.unique().tolist():
            rows = components == j
            one = [t[j : j + 1] for t in tensors]
            out[rows] = self.bank_.run(one, z[rows].unsqueeze(0).to(one[0].device))[0].cpu()
        return self._from_box(out.numpy()), components.numpy()

    def save(self, path) -> None:
        """Write settings and weights to one file that :meth:`load` reads without pickle."""
        check_is_fitted(self, "bank_")
        save_checkpoint(
            Path(path),
            {
                "kind": "mixnet mixture",
                "version": 1,
                "params": plain_params(self),
                "weights": [t.cpu() for t in self.bank_.tensors()],
                "priors": self.priors_.cpu(),
                "low": torch.from_numpy(self.low_),
                "span": self.span_,
                "width": self.width_,
                "scale": self.scale_,
                "history": self.history_,
                "values": self.values_,
                "snapshots": {k: torch.from_numpy(v) for k, v in self.snapshots_.items()},
            },
        )

    @classmethod
    def load(cls, path):
        """Read what :meth:`save` wrote; ValueError for any other file."""
        state = load_checkpoint(Path(path))
        if state is None or state.get("kind") != "mixnet mixture":
            raise ValueError(f"{path} is not a mixture that mixnet saved")
        self = cls(**state["params"])
        self.bank_ = GeneratorBank(self.structure, self.n_components, torch.Generator())
        for t, values in zip(self.bank_.tensors(), state["weights"], strict=True):
            t.copy_(values)
        self.priors_, self.samples_ = state["priors"], self._final_samples()
        self.low_, self.span_ = state["low"].numpy(), state["span"]
        self.width_, self.scale_ = state["width"], state["scale"]
        self.history_, self.values_ = state["history"], state["values"]
        self.snapshots_ = {k: v.numpy() for k, v in state["snapshots"].items()}
        self.n_features_in_ = len(self.low_)
        return self

    def _final_samples(self) -> Tensor:
        """The samples behind the final labels, the same at every call."""
        return self.bank_.sample(self.n_final_samples, _generators(int(self.random_state), 5)[4])

    def _posterior(self, X):
        """Memberships (n, K) and log densities (n,) under the stored samples of the networks."""
        check_is_fitted(self, "bank_")
        X = check_points(X, n_features=self.n_features_in_, minimum=1)
        x = self._to_box(X).to(self.samples_.device)
        log_lik = log_likelihood(x, self.samples_, self.width_)
        m = memberships(log_lik, self.priors_)
        return m.cpu().numpy(), mixture_log_likelihood(log_lik, self.priors_).cpu().numpy()

    def _to_box(self, X: np.ndarray) -> Tensor:
        scale = np.float32((BOX[1] - BOX[0]) / self.span_)
        return torch.from_numpy((X - self.low_) * scale + np.float32(BOX[0]))

    def _from_box(self, x: np.ndarray) -> np.ndarray:
        return (x - np.float32(BOX[0])) * np.float32(self.span_ / (BOX[1] - BOX[0])) + self.low_


class _Fit:
    """One training: the state that a checkpoint keeps, and the two algorithms that move it on."""

    def __init__(self, model: MixtureOfNetworks, X, init_labels: Tensor, checkpoint, progress):
        self.model, self.checkpoint, self.progress = model, checkpoint, progress
        seed, k = int(model.random_state), model.n_components
        # One stream a purpose: a longer Algorithm 1 must not change which points are held out.
        split, weights, self.order, self.draws, _, *inputs = _generators(seed, 5 + k)
        model.low_ = X.min(0)
        span = float((X.max(0) - model.low_).max())
        model.span_ = span if span > 0 else 1.0
        self.x = model._to_box(X).to(model.device)
        shuffled = torch.randperm(len(X), generator=split)
        n_held_out = model.validation_size
        if n_held_out < 1:
            n_held_out = max(1, round(n_held_out * len(X)))
        if n_held_out != int(n_held_out) or len(X) - n_held_out < max(2, k):
            raise ValueError(
                f"validation_size must be a share below 1 or a whole number that leaves at least "
                f"{max(2, k)} of {len(X)} points to train on; got {model.validation_size!r}"
            )
        n_held_out = int(n_held_out)
        self.held_out, self.train = shuffled[:n_held_out], shuffled[n_held_out:]
        self.labels = init_labels[self.train]
        self.x_train = self.x[self.train.to(self.x.device)]
        w = model.scale_ = cluster_scale(self.x_train.cpu(), self.labels, split)
        n_train = len(self.train)
        self.batch_size_1 = choose_batch_size(n_train, k, model.batch_size, 1.0)
        self.batch_size_2 = choose_batch_size(n_train, k, model.batch_size, model.batch_share)
        bank = model.bank_ = GeneratorBank(model.structure, k, weights).to(model.device)
        if model.optimizer == "sgd":
            rule = OPTIMIZERS["sgd"](model.lr, model.momentum, model.weight_decay)
        else:
            rule = OPTIMIZERS["adam"](model.lr, model.weight_decay)
        objective = partial(_objective, widths=[m * w for m in model.mmd_widths])
        self.trainer = BankTrainer(bank, objective, rule, inputs)
        counts = torch.bincount(self.labels, minlength=k)
        self.priors = (counts / counts.sum()).to(model.device)
        batches = max(1.0, n_train / k / self.batch_size_1)
        self.t1 = max(model.t1, math.ceil(model.min_updates / batches)) if model.t1 else 0
        self.log_lik, self.width = None, None
        self.epoch, self.iteration, self.finished = 0, 0, False
        self.history = {"heldout": [], "train": [], "min_prior": [], "changed": []}
        self.snapshots = {}
        self.saved = time.monotonic()
        self.signature = fingerprint(model, X, init_labels)

    def run(self) -> None:
        state = load_checkpoint(self.checkpoint)
        if state is not None and state.get("signature") == self.signature:
            self._restore(state)
        model = self.model
        while self.epoch < self.t1:
            algorithm_1_epoch(
                self.trainer, self.x_train, self.labels, self.batch_size_1, self.order
            )
            self.epoch += 1
            self._report(f"Algorithm 1, epoch {self.epoch}")
        if self.log_lik is None:
            samples = self._samples()
            # w = s √(2p) for a Gaussian cluster with standard deviation s in each of p features
            spread = model.scale_ / math.sqrt(2 * self.x.shape[1])
            widths = sorted(m * spread for m in model.likelihood_widths)
            self.width, _ = choose_width(self.x[self.held_out], samples, self.priors, widths)
            self._update_likelihood(samples)
        while self.iteration < model.t2 and not self._saturated():
            train = self.train.to(self.x.device)
            algorithm_2_iteration(
                self.trainer,
                self.x_train,
                self.log_lik[train],
                self.priors,
                self.batch_size_2,
                model.threshold,
                self.order,
            )
            self.iteration += 1
            self._update_likelihood(self._samples())
            self._report(f"Algorithm 2, held-out log-likelihood {self.history['heldout'][-1]:.2f}")
        self._finish()

    def _samples(self) -> Tensor:
        return self.model.bank_.sample(self.model.n_samples, self.draws)

    def _update_likelihood(self, samples: Tensor) -> None:
        """Likelihood matrix (a running mean), priors from the first iteration on, the curves."""
        before = None if self.log_lik is None else self._assign()
        new = log_likelihood(self.x, samples, self.width)
        if before is None or not self.model.memory:
            self.log_lik = new
        else:
            share = self.model.memory
            self.log_lik = torch.logaddexp(self.log_lik + math.log(share), new + math.log1p(-share))
        if before is not None:
            self.priors = update_priors(self.log_lik[self.train.to(self.x.device)], self.priors)
        density = mixture_log_likelihood(self.log_lik, self.priors).cpu()
        labels = self._assign()
        history = self.history
        history["heldout"].append(float(density[self.held_out].mean()))
        history["train"].append(float(density[self.train].mean()))
        history["min_prior"].append(float(self.priors.min()))
        history["changed"].append(
            0.0 if before is None else float((labels != before).float().mean())
        )
        if self.iteration % SNAPSHOT_EVERY == 0:
            self.snapshots[self.iteration] = labels.to(torch.int16).numpy()

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

    def _report(self, text: str) -> None:
        if self.progress is not None:
            self.progress(self.epoch + self.iteration, self.t1 + self.model.t2, text)
        if self.checkpoint and time.monotonic() - self.saved > SECONDS_BETWEEN_CHECKPOINTS:
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
        device = self.x.device
        self.priors, self.width = state["priors"].to(device), state["width"]
        if state["log_lik"] is not None:
            self.log_lik = state["log_lik"].to(device)
        self.history = state["history"]
        self.snapshots = {k: v.numpy() for k, v in state["snapshots"].items()}

    def _finish(self) -> None:
        model = self.model
        model.samples_ = model._final_samples()
        self.log_lik = log_likelihood(self.x, model.samples_, self.width)
        labels = self._assign()
        model.priors_, model.width_ = self.priors, self.width
        model.labels_ = labels.numpy()
        density = mixture_log_likelihood(self.log_lik, self.priors).cpu()
        model.log_likelihood_ = density.numpy()
        model.history_, model.snapshots_ = self.history, self.snapshots
        model.n_iter_ = self.iteration
        model.values_ = {
            "heldout_log_likelihood": float(density[self.held_out].mean()),
            "n_held_out": len(self.held_out),
            "batch_size": self.batch_size_1,
            "batch_size_2": self.batch_size_2,
            "t1": self.t1,
            "iterations": self.iteration,
            "scale": model.scale_,
            "width_ratio": self.width / model.scale_,
            "min_prior": float(self.priors.min()),
            "empty_components": int(
                (torch.bincount(labels, minlength=model.n_components) == 0).sum()
            ),
        }


def _objective(x, y, mask, widths):
    return mmd2_gradient_part(x, y, widths, mask)


def _generators(seed: int, n: int) -> list[torch.Generator]:
    """n independent streams of one seed."""
    seeds = np.random.SeedSequence(seed).generate_state(n, np.uint64)
    return [torch.Generator().manual_seed(int(s >> np.uint64(1))) for s in seeds]
