"""The mixture of networks as an estimator (paper §3)."""

import math
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClusterMixin, DensityMixin
from sklearn.cluster import KMeans
from torch import Tensor

from mixnet_core.checkpoints import load_checkpoint, save_checkpoint
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
from mixnet_core.validation import check_points

BOX = (0.05, 0.95)
SECONDS_BETWEEN_CHECKPOINTS = 20.0


class MixtureOfNetworks(ClusterMixin, DensityMixin, BaseEstimator):
    """K generator networks, trained by Algorithms 1 and 2 to cluster data and to generate them."""

    def __init__(
        self,
        n_components=10,
        structure=None,
        t1=30,
        t2=200,
        batch_size=100,
        batch_share=0.25,
        n_samples=1000,
        optimizer="sgd",
        lr=1.0,
        momentum=0.9,
        weight_decay=0.0,
        mmd_widths=(0.25, 0.5, 1.0),
        likelihood_widths=(0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0),
        rechoose_every=0,
        threshold=0.001,
        validation_fraction=0.1,
        patience=50,
        random_state=0,
        device="cpu",
    ):
        self.n_components = n_components
        self.structure = structure
        self.t1 = t1
        self.t2 = t2
        self.batch_size = batch_size
        self.batch_share = batch_share
        self.n_samples = n_samples
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.mmd_widths = mmd_widths
        self.likelihood_widths = likelihood_widths
        self.rechoose_every = rechoose_every
        self.threshold = threshold
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.random_state = random_state
        self.device = device

    def fit(self, X, y=None, init_labels=None, checkpoint=None, progress=None):
        X = check_points(X)
        self._set_box(X)
        g = torch.Generator().manual_seed(int(self.random_state))
        x = self._to_box(X)
        K = self.n_components
        if init_labels is None:
            init_labels = KMeans(K, n_init=10, random_state=self.random_state).fit(X).labels_
        labels = torch.as_tensor(np.asarray(init_labels), dtype=torch.int64)
        n = len(x)
        perm = torch.randperm(n, generator=g)
        nv = max(1, round(self.validation_fraction * n))
        val, train = perm[:nv], perm[nv:]
        xt, xv, lt = x[train], x[val], labels[train]
        self.scale_w_ = w = cluster_scale(xt, lt, g)
        B = choose_batch_size(len(xt), K, self.batch_size, self.batch_share)
        self.batch_size_ = B
        structure = self.structure
        bank = self.bank_ = GeneratorBank(structure, K, g)
        if self.optimizer == "sgd":
            opt = OPTIMIZERS["sgd"](self.lr, self.momentum, self.weight_decay)
        else:
            opt = OPTIMIZERS["adam"](self.lr, self.weight_decay)
        gens = [torch.Generator().manual_seed(int(self.random_state) * 1000 + j + 1) for j in range(K)]
        mw = [m * w for m in self.mmd_widths]
        trainer = BankTrainer(bank, lambda a, b, m: mmd2_gradient_part(a, b, mw, m), opt, gens)
        for _ in range(self.t1):
            algorithm_1_epoch(trainer, xt, lt, B, g)
        priors = torch.bincount(lt, minlength=K).float() / len(lt)
        widths = [m * w for m in self.likelihood_widths]
        samples = bank.sample(self.n_samples, g)
        width, _ = choose_width(xv, samples, priors, widths)
        xall = x
        self.trace_ = []
        ll = log_likelihood(xall, samples, width)
        def note(t):
            lab = memberships(ll, priors).argmax(1)
            hv = float(mixture_log_likelihood(ll[val], priors).mean())
            self.trace_.append((t, hv, width / w, float(priors.min()), lab.numpy()))
            if progress: progress(t, self.t2, self.trace_[-1])
        note(0)
        for t in range(1, self.t2 + 1):
            algorithm_2_iteration(trainer, xt, ll[train], priors, B, self.threshold, g)
            priors = update_priors(ll[train], priors)
            samples = bank.sample(self.n_samples, g)
            if self.rechoose_every and t % self.rechoose_every == 0:
                width, _ = choose_width(xv, samples, priors, widths)
            ll = log_likelihood(xall, samples, width)
            note(t)
        self.labels_ = memberships(ll, priors).argmax(1).numpy()
        self.priors_ = priors
        return self

    def _set_box(self, X):
        self.low_ = X.min(0)
        span = float((X.max(0) - self.low_).max())
        self.span_ = span if span > 0 else 1.0

    def _to_box(self, X) -> Tensor:
        return torch.from_numpy(BOX[0] + (X - self.low_) * np.float32((BOX[1] - BOX[0]) / self.span_))
