"""Variational deep embedding: a variational autoencoder whose prior is a mixture of Gaussians.

Source: Z. Jiang, Y. Zheng, H. Tan, B. Tang, H. Zhou, "Variational deep embedding: an unsupervised
and generative approach to clustering", IJCAI 2017; its code, slim1017/VaDE.
"""

from __future__ import annotations

from numbers import Integral

import numpy as np
import sklearn.mixture
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from ..generative.model import linear
from ..generative.training import Batches, part_of, streams, train
from ..inputs import check_number, check_seed
from ..torch_state import own_switches
from .autoencoder import Autoencoder, glorot, in_blocks
from .base import DeepClustering

DECAY, DECAY_EPOCHS, LEAST_RATE = 0.9, 10, 0.1  # of the rate; published for MNIST
EPSILON = 1e-4  # of Adam; published
RIDGE = 1e-3  # of the first Gaussian mixture, as a share of the codes' variance; ours


class VaDENetwork(Autoencoder):
    """The autoencoder, whose codes are means of q(z | x), with its variances and the mixture.

    ``spread`` makes log variances of the last hidden layer; π = softmax(``logits``), and component
    c is N(``means[c]``, diag exp(``log_variances[c]``)).
    """

    def __init__(self, sizes, n_clusters: int, output: str):
        super().__init__(sizes, output)
        self.spread = linear(sizes[-2], sizes[-1])
        self.logits = nn.Parameter(torch.zeros(n_clusters))
        self.means = nn.Parameter(torch.zeros(n_clusters, sizes[-1]))
        self.log_variances = nn.Parameter(torch.zeros(n_clusters, sizes[-1]))

    def initialise(self, generator: torch.Generator) -> None:
        super().initialise(generator)
        glorot(self.spread, generator)

    def mixture(self) -> list[Tensor]:
        """Parameters of the prior of z."""
        return [self.logits, self.means, self.log_variances]

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | x), each (n, p)."""
        h = self.hidden(x)
        return self.encoder[-1](h), self.spread(h)

    def log_responsibilities(self, z: Tensor) -> Tensor:
        """log p(c | z) of z (n, p): (n, K); the q(c | x) of equation 16."""
        gap = (z[:, None] - self.means).square() / self.log_variances.exp()
        density = -0.5 * (gap + self.log_variances).sum(2)
        return torch.log_softmax(self.logits.log_softmax(0) + density, dim=1)

    def negative_elbo(self, x: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        """Means over x (n, d) of reconstruction loss and divergence: their sum is −ELBO, nats.

        With z = mean + exp(log variance / 2) · draws, `draws` (n, p) standard normal, one a point.
        For "gaussian" outputs the density of x has variance 1/2 and lacks its constant.
        """
        mean, log_variance = self.posterior(x)
        z = mean + (log_variance / 2).exp() * draws
        loss = self.reconstruction(self.decode(z), x)
        return loss.mean(), self.divergence(mean, log_variance, z).mean()

    def divergence(self, mean: Tensor, log_variance: Tensor, z: Tensor) -> Tensor:
        """Σ_c γ_c KL(q(z|x) ‖ p(z|c)) + KL(γ ‖ π) of each row, nats: (n,); γ = p(c | z).

        All terms of equation 12 but the first, in closed form.
        """
        log_gamma = self.log_responsibilities(z)
        gamma = log_gamma.exp()
        variances = self.log_variances.exp()
        ratio = log_variance.exp()[:, None] / variances
        gap = (mean[:, None] - self.means).square() / variances
        terms = (self.log_variances - log_variance[:, None] + ratio + gap - 1).sum(2) / 2
        return (gamma * (terms + log_gamma - self.logits.log_softmax(0))).sum(1)


class VaDE(DeepClustering):
    """Variational deep embedding, with its Gaussian mixture started on an autoencoder's codes.

    Published accuracies (Jiang et al., Table 2): MNIST 94.5, Reuters-10K 79.8 (its code: 81.7).
    The bound is of no fixed units of X and no likelihood of it is claimed. Ours, in place of random
    weights: q(z | x) starts with the variances within the components of the Gaussian mixture.

    Parameters
    ----------
    n_clusters : int
    hidden, code_dim : widths of the encoder. Published: (500, 500, 2000) and 10.
    output : "bernoulli", for images and the like: X moved into [0, 1] by one shift and one scale,
        grey values count as probabilities of a 1 (published for MNIST); or "gaussian": X scaled to
        mean square 1, squared errors (published for Reuters-10K).
    layer_updates, corruption, finetune_updates, pretrain_lr : as in :class:`idec.IDEC`: the
        autoencoder of DEC, which the paper takes over; its loss is that of `output`.
    lr : of Adam, of networks and mixture; times 0.9 every 10 passes, down to a tenth. Published for
        MNIST: 0.002.
    batch_size : one draw of z a point. Published: 100.
    epochs : passes. Published for MNIST: 500 in the code (Reuters-10K: 15).
    max_updates : budget of these passes; None for no other limit.
    random_state, device : seed of all draws; where to compute.

    Attributes
    ----------
    labels_ : (n,) int64, argmax_c γ(c | x) at the mean of q(z | x).
    network_ : VaDENetwork
    values_ : ``updates``, ``stopped_by`` ("length" or "budget"), ``final_loss`` (−ELBO, nats a
        point, mean over the last entry of the history), ``pretraining_loss``.
    history_ : losses of the pretraining; ``update``, ``reconstruction``, ``divergence``.
    """

    def __init__(
        self,
        n_clusters=8,
        *,
        hidden=(500, 500, 2000),
        code_dim=10,
        output="bernoulli",
        layer_updates=50_000,
        corruption=0.2,
        finetune_updates=100_000,
        pretrain_lr=1e-3,
        lr=2e-3,
        batch_size=100,
        epochs=500,
        max_updates=None,
        random_state=None,
        device="cpu",
    ):
        self.n_clusters = n_clusters
        self.hidden = hidden
        self.code_dim = code_dim
        self.output = output
        self.layer_updates = layer_updates
        self.corruption = corruption
        self.finetune_updates = finetune_updates
        self.pretrain_lr = pretrain_lr
        self.lr = lr
        self.batch_size = batch_size
        self.epochs = epochs
        self.max_updates = max_updates
        self.random_state = random_state
        self.device = device

    def _check(self) -> None:
        self._check_pretraining()
        self._check_numbers(("epochs",), ("lr",))
        if self.output not in ("bernoulli", "gaussian"):
            raise ValueError(f"output must be 'bernoulli' or 'gaussian', got {self.output!r}")
        if self.max_updates is not None:
            check_number("max_updates", self.max_updates, Integral, 1)

    def _units(self, X: np.ndarray) -> tuple[float, float]:
        if self.output == "gaussian":
            return super()._units(X)
        return float(X.min()), float(X.max() - X.min()) or 1.0

    def _fit(self, X, seed, checkpoint, progress):
        weights, order, noise, starts, *others = streams(seed, 4 + 2 * (len(self.hidden) + 2))
        sizes = [X.shape[1], *self.hidden, self.code_dim]
        network = VaDENetwork(sizes, self.n_clusters, self.output)
        network.initialise(weights)
        self.network_ = network.to(self.device)
        batches = Batches(len(X), self.batch_size, order, X.device)
        length, before = self.epochs * batches.per_pass, self._pretraining_length()
        whole = before + min(length, self.max_updates or length)
        self._pretrain(X, others, checkpoint, progress, whole)
        loss = self.history_["autoencoder"][-1]
        self._start_mixture(X, int(torch.randint(2**31, (), generator=starts)))
        optimizer = torch.optim.Adam(network.parameters(), lr=self.lr, eps=EPSILON, fused=True)

        def step(update: int) -> dict[str, Tensor]:
            faded = DECAY ** (update // batches.per_pass // DECAY_EPOCHS)
            optimizer.param_groups[0]["lr"] = self.lr * max(faded, LEAST_RATE)
            x = X[batches.next()]
            draws = torch.randn(len(x), self.code_dim, generator=noise).to(X.device)
            reconstruction, divergence = network.negative_elbo(x, draws)
            optimizer.zero_grad()
            (reconstruction + divergence).backward()
            optimizer.step()
            return {"reconstruction": reconstruction.detach(), "divergence": divergence.detach()}

        curves, self.values_ = train(
            step,
            length=length,
            max_updates=self.max_updates,
            network=network,
            optimizers=[optimizer],
            streams=[batches, noise],
            checkpoint=checkpoint,
            phase="variational bound",
            progress=part_of(progress, before, whole),
        )
        self.history_ |= curves
        self.values_ |= {
            "final_loss": curves["reconstruction"][-1] + curves["divergence"][-1],
            "pretraining_loss": loss,
        }
        return in_blocks(self._log_gamma, X).argmax(1).cpu().numpy()

    def _start_mixture(self, X: Tensor, seed: int) -> None:
        """Weights, means and variances of a Gaussian mixture, diagonal, of all codes."""
        network = self.network_
        codes = in_blocks(network.encode, X).cpu().numpy().astype(np.float64)
        if not np.isfinite(codes).all():
            raise FloatingPointError("codes are not finite after pretraining; lower pretrain_lr")
        found = sklearn.mixture.GaussianMixture(
            self.n_clusters,
            covariance_type="diag",
            reg_covar=RIDGE * float(codes.var(0).mean()) or 1.0,
            max_iter=1000,
            random_state=seed,
        ).fit(codes)
        values = np.log(found.weights_), found.means_, np.log(found.covariances_)
        with torch.no_grad():
            for parameter, value in zip(network.mixture(), values, strict=True):
                parameter.copy_(torch.from_numpy(value))
            # q(z | x) starts as wide as the components. Widths of 1, whatever the codes' scale,
            # drown codes of small scale, and the components become one.
            nn.init.zeros_(network.spread.weight)
            within = torch.from_numpy(found.weights_ @ found.covariances_)
            network.spread.bias.copy_(within.log())

    def _log_gamma(self, x: Tensor) -> Tensor:
        return self.network_.log_responsibilities(self.network_.encode(x))

    @own_switches()
    def predict_proba(self, X) -> np.ndarray:
        """γ(c | x) of X (n, d) at the mean of q(z | x): (n, n_clusters) float32."""
        X = self._moved(X)
        return in_blocks(self._log_gamma, X).exp().cpu().numpy()

    def predict(self, X) -> np.ndarray:
        """Cluster of each row of X (n, d): (n,) int64."""
        return self.predict_proba(X).argmax(1)

    @own_switches()
    @torch.no_grad()
    def sample(self, n_samples: int = 1, component: int | None = None, random_state=None):
        """Draw codes, from components chosen by π or from one chosen by hand, and decode them.

        Parameters
        ----------
        random_state : int, RandomState or None
            None: that of the estimator.

        Returns
        -------
        X : (n_samples, d) float32, means of the decoder in the units of the training data.
        components : (n_samples,) int64.

        Raises
        ------
        ValueError, TypeError
            If n_samples is not a whole number from 1, or component not one of 0..n_clusters-1.
        """
        check_is_fitted(self, "network_")
        check_number("n_samples", n_samples, Integral, 1)
        given = self.random_state if random_state is None else random_state
        rng = np.random.default_rng(check_seed(given))
        logits, means, log_variances = (p.cpu().double().numpy() for p in self.network_.mixture())
        k = len(logits)
        if component is None:
            shares = np.exp(logits - logits.max())
            components = rng.choice(k, size=n_samples, p=shares / shares.sum())
        else:
            check_number("component", component, Integral, 0)
            if component >= k:
                raise ValueError(f"component must be below n_clusters = {k}, got {component!r}.")
            components = np.full(n_samples, component)
        spread = np.exp(log_variances[components] / 2)
        z = means[components] + spread * rng.standard_normal(spread.shape)
        z = torch.from_numpy(z.astype(np.float32)).to(self.device)
        outputs = in_blocks(self.network_.decode, z)
        outputs = outputs.sigmoid() if self.output == "bernoulli" else outputs
        X = self.centre_ + self.scale_ * outputs.cpu().double().numpy()
        return X.astype(np.float32), components.astype(np.int64)
