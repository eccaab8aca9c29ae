"""Improved deep embedded clustering, and DEC.

Sources: X. Guo, L. Gao, X. Liu, J. Yin, "Improved deep embedded clustering with local structure
preservation", IJCAI 2017; J. Xie, R. Girshick, A. Farhadi, "Unsupervised deep embedding for
clustering analysis", ICML 2016; code of the former, XifengGuo/IDEC and DEC-keras.
"""

from __future__ import annotations

import math
from numbers import Integral

import numpy as np
import sklearn.cluster
import torch
from torch import Tensor, nn

from ..generative.training import Batches, part_of, streams
from ..inputs import check_number
from ..torch_state import own_switches
from .autoencoder import Autoencoder, in_blocks
from .base import DeepClustering

LONGEST_INTERVAL = 140  # updates between targets on MNIST, both papers' code


def soft_assignment(codes: Tensor, centres: Tensor) -> Tensor:
    """Student's t with one degree of freedom of codes (n, p) about centres (K, p): log q (n, K).

    Equation 2 of Guo et al.: q_ij is proportional to 1 / (1 + ||z_i − μ_j||²).
    """
    gap = (codes[:, None] - centres).square().sum(2)
    return torch.log_softmax(-torch.log1p(gap), dim=1)


def target_distribution(q: Tensor) -> Tensor:
    """p (n, K) of q (n, K), rows sum to 1: p_ij proportional to q_ij² / Σ_i q_ij (eq. 4)."""
    weight = q.square() / q.sum(0)
    return weight / weight.sum(1, keepdim=True)


def clustering_loss(p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p ‖ q) of each row of p and log q (n, K), nats, mean over rows (eq. 3)."""
    return (torch.xlogy(p, p) - p * log_q).sum(1).mean()


class IDECNetwork(Autoencoder):
    """The autoencoder with a centre a cluster in code space."""

    def __init__(self, sizes, n_clusters: int):
        super().__init__(sizes)
        self.centres = nn.Parameter(torch.zeros(n_clusters, sizes[-1]))

    def log_q(self, x: Tensor) -> Tensor:
        """Log soft assignments of x (n, d): (n, K)."""
        return soft_assignment(self.encode(x), self.centres)


class IDEC(DeepClustering):
    """Improved deep embedded clustering; with ``gamma=1, reconstruction=0`` it is DEC.

    A stacked denoising autoencoder is trained, k-means on its codes gives the centres, then
    encoder, decoder and centres minimise ``reconstruction · (mean squared error) + gamma · KL(p ‖
    q)``, where q are Student-t assignments and p the same, sharpened, anew every `update_interval`
    updates.

    Published accuracies (Guo et al., Table 2): MNIST 88.1, USPS 76.1, Reuters-10K 75.6; DEC there:
    86.6, 74.1, 73.7; DEC in its own paper: MNIST 84.3, Reuters-10K 72.2.

    Parameters
    ----------
    n_clusters : int
    hidden, code_dim : widths of the encoder. Published: (500, 500, 2000) and 10.
    layer_updates : mini-batches by which each layer is trained as a denoising autoencoder; 0 for
        none. Published: 50,000.
    corruption : probability by which inputs of such a layer are dropped. Published: 0.2.
    finetune_updates : mini-batches of the whole autoencoder after that. Published: 100,000.
    pretrain_lr : of Adam there (DEC-keras); the papers have SGD at 0.1, a tenth of it after 20,000.
    gamma, reconstruction : weights of the two losses. Published: 0.1 and 1.
    lr : of Adam. Published for MNIST: 0.001 (for USPS and Reuters-10K: SGD, which is left out).
    batch_size : Published: 256. Batches are drawn in a new order every pass; the published code
        takes them in the order of the file.
    update_interval : mini-batches between two targets p; "auto": 140, or one pass where that is
        shorter. Published: 140 on MNIST, 30 on USPS, 3 on Reuters-10K (DEC-keras: 30).
    tol : share of the points; training ends when fewer change sides between targets. Published:
        0.001.
    updates : the most mini-batches. Published: 20,000.
    n_init : k-means starts. Published: 20.
    random_state, device : seed of all draws; where to compute.

    Attributes
    ----------
    labels_ : (n,) int64, the largest soft assignment.
    cluster_centers_ : (n_clusters, code_dim) float32, in code space.
    network_ : IDECNetwork
    values_ : ``updates``, ``stopped_by`` ("tolerance" or "length"), ``changed`` (share of the
        points at the last look), ``pretraining_loss``.
    history_ : losses of the pretraining; ``update``, ``changed``, ``kl`` and ``reconstruction`` at
        each target (means since the one before; 0 at the first).
    """

    def __init__(
        self,
        n_clusters=8,
        *,
        hidden=(500, 500, 2000),
        code_dim=10,
        layer_updates=50_000,
        corruption=0.2,
        finetune_updates=100_000,
        pretrain_lr=1e-3,
        gamma=0.1,
        reconstruction=1.0,
        lr=1e-3,
        batch_size=256,
        update_interval="auto",
        tol=1e-3,
        updates=20_000,
        n_init=20,
        random_state=None,
        device="cpu",
    ):
        self.n_clusters = n_clusters
        self.hidden = hidden
        self.code_dim = code_dim
        self.layer_updates = layer_updates
        self.corruption = corruption
        self.finetune_updates = finetune_updates
        self.pretrain_lr = pretrain_lr
        self.gamma = gamma
        self.reconstruction = reconstruction
        self.lr = lr
        self.batch_size = batch_size
        self.update_interval = update_interval
        self.tol = tol
        self.updates = updates
        self.n_init = n_init
        self.random_state = random_state
        self.device = device

    @property
    def cluster_centers_(self) -> np.ndarray:
        return self.network_.centres.detach().cpu().numpy()

    def _check(self) -> None:
        self._check_pretraining()
        self._check_numbers(("updates", "n_init"), ("lr",), ("gamma", "reconstruction", "tol"))
        if self.gamma == self.reconstruction == 0:
            raise ValueError("gamma or reconstruction must be above 0, got 0 for both.")
        if not isinstance(self.update_interval, str):
            check_number("update_interval", self.update_interval, Integral, 1)
        elif self.update_interval != "auto":
            raise ValueError(
                f"update_interval must be 'auto' or a number from 1, got {self.update_interval!r}"
            )

    def _fit(self, X, seed, checkpoint, progress):
        weights, order, starts, *others = streams(seed, 3 + 2 * (len(self.hidden) + 2))
        network = IDECNetwork([X.shape[1], *self.hidden, self.code_dim], self.n_clusters)
        network.initialise(weights)
        self.network_ = network.to(self.device)
        before = self._pretraining_length()
        whole = before + self.updates
        self._pretrain(X, others, checkpoint, progress, whole)
        loss = self.history_["autoencoder"][-1]
        codes = in_blocks(network.encode, X).cpu().numpy().astype(np.float64)
        rng = np.random.RandomState(int(torch.randint(2**31, (), generator=starts)))
        kmeans = sklearn.cluster.KMeans(self.n_clusters, n_init=self.n_init, random_state=rng)
        labels = kmeans.fit(codes).labels_
        with torch.no_grad():
            network.centres.copy_(torch.from_numpy(kmeans.cluster_centers_))
        run = self._refine(X, labels, order, checkpoint, part_of(progress, before, whole))
        self.history_ |= run["history"]
        self.values_ = {
            "updates": run["update"],
            "stopped_by": "tolerance" if run["stopped"] else "length",
            "changed": run["history"]["changed"][-1],
            "pretraining_loss": loss,
        }
        return in_blocks(network.log_q, X).argmax(1).cpu().numpy()

    def _refine(self, X: Tensor, labels, order, checkpoint, progress) -> dict:
        """Minimise both losses from k-means `labels`; the state at the end."""
        network, n = self.network_, len(X)
        batches = Batches(n, self.batch_size, order, X.device)
        optimizer = torch.optim.Adam(network.parameters(), lr=self.lr, fused=True)
        interval = self.update_interval
        if interval == "auto":
            interval = min(LONGEST_INTERVAL, batches.per_pass)
        names = ("update", "changed", "kl", "reconstruction")
        run = {
            "update": 0,
            "stopped": False,
            "done": False,
            "labels": torch.from_numpy(labels.astype(np.int64)),
            "p": torch.zeros(n, self.n_clusters),
            "sums": torch.zeros(2),
            "history": {name: [] for name in names},
        }
        saved = None if checkpoint is None else checkpoint.read("clustering")
        if saved is not None:
            run = saved["run"]
            network.load_state_dict(saved["network"])
            optimizer.load_state_dict(saved["optimizer"])
            batches.set_state(saved["batches"])
        run = {k: v.to(X.device) if isinstance(v, Tensor) else v for k, v in run.items()}

        def state() -> dict:
            return {
                "run": run,
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "batches": batches.get_state(),
            }

        if run["done"]:
            return run
        while run["update"] < self.updates and not run["stopped"]:
            if run["update"] % interval == 0:
                self._new_target(run, X, progress)
            if run["stopped"]:
                break
            rows = batches.next()
            run["sums"] += self._step(X[rows], run["p"][rows], optimizer)
            run["update"] += 1
            if checkpoint is not None:
                checkpoint.write("clustering", state, last=False)
        if run["update"] == self.updates and run["history"]["update"][-1] < self.updates:
            self._new_target(run, X, progress)  # what changed in the last updates
        run["done"] = True
        if checkpoint is not None:
            checkpoint.write("clustering", state, last=True)
        return run

    def _step(self, x: Tensor, p: Tensor, optimizer) -> Tensor:
        """One update; its two losses, before their weights: (2,)."""
        codes = self.network_.encode(x)
        kl = clustering_loss(p, soft_assignment(codes, self.network_.centres))
        error = torch.zeros((), device=x.device)
        if self.reconstruction:
            outputs = self.network_.decode(codes)
            error = self.network_.reconstruction(outputs, x).mean() / x.shape[1]
        optimizer.zero_grad()
        (self.gamma * kl + self.reconstruction * error).backward()
        optimizer.step()
        return torch.stack([kl, error]).detach()

    def _new_target(self, run: dict, X: Tensor, progress) -> None:
        """p and labels of all points as the network now has them; whether training has ended."""
        q = in_blocks(self.network_.log_q, X).exp()
        run["p"], labels = target_distribution(q), q.argmax(1)
        changed = float((labels != run["labels"]).float().mean())
        history = run["history"]
        made = run["update"] - (history["update"][-1] if history["update"] else 0)
        kl, error = (run["sums"] / max(made, 1)).tolist()
        if not (math.isfinite(kl) and math.isfinite(error)):
            raise FloatingPointError(
                f"the losses are {kl} and {error} at update {run['update']}; a smaller lr may help"
            )
        for name, value in zip(history, (run["update"], changed, kl, error), strict=True):
            history[name].append(value)
        run["labels"], run["sums"] = labels, torch.zeros_like(run["sums"])
        run["stopped"] = run["update"] > 0 and changed < self.tol
        if progress is not None and run["update"]:
            text = f"clustering: KL {kl:.4g}, error {error:.4g}, changed {changed:.2%}"
            progress(self.updates if run["stopped"] else run["update"], self.updates, text)

    @own_switches()
    def predict_proba(self, X) -> np.ndarray:
        """Soft assignments q of X (n, d): (n, n_clusters) float32, rows sum to 1."""
        X = self._moved(X)
        return in_blocks(self.network_.log_q, X).exp().cpu().numpy()

    def predict(self, X) -> np.ndarray:
        """Cluster of each row of X (n, d): (n,) int64."""
        return self.predict_proba(X).argmax(1)
