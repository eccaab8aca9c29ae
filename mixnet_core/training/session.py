"""One training: the state that Algorithms 1 and 2 move on, and that a checkpoint keeps."""

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from mixnet_core.bank import GeneratorBank
from mixnet_core.data.labels import UNLABELLED, hold
from mixnet_core.data.points import Points
from mixnet_core.em import train
from mixnet_core.likelihood import Noise, log_likelihood
from mixnet_core.mmd import GaussianMMD
from mixnet_core.optimizers import SGD, BankTrainer
from mixnet_core.training.curves import Curves
from mixnet_core.training.fitted import Fitted, even_inputs, streams
from mixnet_core.training.kernels import KernelSums
from mixnet_core.training.linear import lower_root
from mixnet_core.training.result import result
from mixnet_core.training.start import Start, start_at_clusters
from mixnet_core.training.watch import Watch
from mixnet_core.widths import choose_batch_size, choose_widths

SECONDS_BETWEEN_CHECKPOINTS = 20.0


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


class Session:
    """The state of a training, and the small steps of which :func:`mixnet_core.em.train` is made.

    Parameters
    ----------
    settings : SimpleNamespace
        The estimator's parameters, the recipe's filled in.
    points : Points
    bank : GeneratorBank
        Trained in place.
    start : Tensor of int64, shape (n,)
        Initial hard clusters.
    y : Tensor of int64, shape (n,)
        Known components, -1 elsewhere.
    seed : int
    parts : (Tensor, Tensor) of int64
        Rows that are held out, and that are trained on.
    scale : float
        w, in the networks' units.
    earlier : Fitted, optional
        Given, the training goes on with Algorithm 2 from its priors, scale and kernels.
    priors : Tensor, shape (K,), optional
        Of `earlier`, in the order of the bank.
    checkpoint, progress, callbacks
        As in :meth:`MixtureOfNetworks.fit`.
    """

    def __init__(
        self,
        settings,
        points: Points,
        bank: GeneratorBank,
        start: Tensor,
        y: Tensor,
        seed: int,
        parts: tuple[Tensor, Tensor],
        scale: float,
        earlier: Fitted | None = None,
        priors: Tensor | None = None,
        checkpoint=None,
        progress=None,
        callbacks=(),
    ):
        self.settings, self.points, self.bank, self.seed = settings, points, bank, seed
        self.checkpoint, self.progress, self.callbacks = checkpoint, progress, callbacks
        self.earlier = earlier
        k = settings.n_components
        # One stream a purpose: a longer Algorithm 1 must not change which points are held out.
        later = () if earlier is None else (earlier.n_iter, 1)  # other draws than the first time
        _, _, self.order, self.draws, _, *inputs, extra = streams(seed, 6 + k, later)
        self.known = torch.nonzero(y != UNLABELLED).flatten()
        self.y = y[self.known].to(points.device)
        self.held_out, self.train_rows = parts
        self.on_device = self.train_rows.to(points.device)
        self.labels, self.trained = start[self.train_rows], points.subset(self.train_rows)
        n_train = len(self.train_rows)
        self.batch_size_1 = choose_batch_size(n_train, k, settings.batch_size, 1.0)
        self.batch_size_2 = choose_batch_size(n_train, k, settings.batch_size, settings.batch_share)
        self.scale = scale
        if earlier is None:
            batches = max(1.0, n_train / k / self.batch_size_1)
            self.t1 = max(settings.t1, math.ceil(settings.min_updates / batches))
            begin = start_at_clusters(self, self.labels)
        else:
            self.t1, noise = 0, earlier.noise.to(points.device)
            begin = Start(self.labels, priors.to(points.device), noise, noise, earlier.strength)
        self.labels, self.priors, self.strength = begin.labels, begin.priors, begin.strength
        self.noise = self.base_noise = begin.noise
        self.start_counts = torch.bincount(self.labels, minlength=k)
        self.hard = torch.nn.functional.one_hot(self.labels, k).float().to(points.device)
        self.trainer = BankTrainer(
            bank, self._objective(extra), self._optimizer(), inputs, settings.n_generated
        )
        self.trainer.objective.noise = begin.objective_noise
        volume = bank.n_outputs * math.log(points.units.scale)
        self.curves = Curves(volume, [m * self.scale for m in settings.mmd_widths])
        self.watch = Watch(
            settings.patience, settings.cuts, settings.cut, settings.revive, settings.smoothing
        )
        self.log_lik: Tensor | None = None
        self.epoch, self.iteration, self.stopped = 0, 0, False
        self.saved = time.monotonic()
        self.signature = self._signature(start, y) if checkpoint is not None else None

    def run(self) -> Fitted:
        """Train to the end.

        Raises
        ------
        FloatingPointError
            If a likelihood is not finite.
        """
        if self.checkpoint is not None:
            from mixnet_core.files.checkpoints import load_checkpoint

            state = load_checkpoint(self.checkpoint)
            if state is not None and state.get("signature") == self.signature:
                self._restore(state)
        train(self)
        return result(self)

    # --- the steps of em.train ----------------------------------------------------------------

    @property
    def history(self) -> dict:
        """The curves so far."""
        return self.curves.history

    def rate_of_algorithm_1(self) -> float:
        """α of the epoch: constant, or falling to a tenth on a half cosine."""
        lr = self.settings.lr
        if self.settings.schedule == "constant":
            return lr
        return lr * (0.55 + 0.45 * math.cos(math.pi * self.epoch / max(1, self.t1)))

    def begin(self) -> None:
        """Keep the state before Algorithm 1 where the networks are a linear mixture there."""
        if self.bank.framed and self.epoch == 0 and self.log_lik is None and self.earlier is None:
            self.log_lik = self.likelihood(self.sample())
            self.watch.start = self.snapshot() | {"iteration": -1}
            self.log_lik = None

    def sample(self) -> Tensor:
        """S samples of every network, (K, S, p): fresh ones, or from inputs that never change."""
        n = self.settings.n_samples
        if self.settings.draws == "fixed":
            return self.bank.points(even_inputs(self.bank, n, self.seed))
        return self.bank.sample(n, self.draws)

    def fit_kernels(self, m: Tensor) -> None:
        """Full kernels, and offsets of the networks, in closed form for memberships m (N, K)."""
        if self.settings.kernel != "covariance":
            return
        sums = KernelSums(self.sample(), self.noise, self.points.n_features)
        start = 0
        for x in self.trained.blocks():
            sums.add(x, m[start : start + len(x)])
            start += len(x)
        covariances, residuals = sums.result(self.strength)
        self.bank.move(residuals)
        self.noise = self.trainer.objective.noise = Noise(lower_root(covariances))

    def likelihood(self, samples: Tensor) -> Tensor:
        """Log-likelihood matrix (n, K); labelled points are held by their component."""
        return hold(self.plain_likelihood(samples), self.known, self.y)

    def plain_likelihood(self, samples: Tensor) -> Tensor:
        """Log-likelihood matrix (n, K) as eq. 4 has it, whatever the labels."""
        parts = [log_likelihood(x, samples, self.noise) for x in self.points.blocks()]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def training_rows(self, log_lik: Tensor) -> Tensor:
        """The rows of the points that are trained on."""
        return log_lik[self.on_device]

    def choose_noise(self, samples: Tensor) -> None:
        """Kernels of eq. 4 under which held-out points are most likely."""
        if self.earlier is None and self.settings.kernel != "covariance":
            x = self.points[self.held_out]
            factors = self.settings.likelihood_widths
            factor, _ = choose_widths(x, samples, self.priors, self.base_noise, factors)
            self.noise = self.base_noise * factor
        self.trainer.objective.noise = self.noise

    def record(self, samples: Tensor) -> None:
        """One point of every curve."""
        self.curves.add(
            self.iteration,
            self.log_lik,
            self.priors,
            self.held_out,
            self.train_rows,
            self.trained,
            samples,
            self.trainer.optimizer.lr,
        )

    def counts(self) -> Tensor:
        """Training points that are likeliest under each component, (K,)."""
        labels = self.curves.labels[self.train_rows]
        return torch.bincount(labels, minlength=self.settings.n_components)

    def report(self, algorithm: int) -> None:
        """Tell progress and callbacks, and save the state from time to time."""
        done, total = self.epoch + self.iteration, self.t1 + self.settings.t2
        text = f"Algorithm 1, epoch {self.epoch}"
        if algorithm == 2:
            text = f"Algorithm 2, held-out log-likelihood {self.history['heldout'][-1]:.2f}"
        if self.progress is not None:
            self.progress(done, total, text)
        step = Step(algorithm, done, total, self.bank, self.priors, self.history)
        for callback in self.callbacks:
            self.stopped |= bool(callback(step))
        waited = time.monotonic() - self.saved > SECONDS_BETWEEN_CHECKPOINTS
        if self.checkpoint is not None and (waited or self.stopped):
            from mixnet_core.files.checkpoints import save_checkpoint

            save_checkpoint(self.checkpoint, self._state())
            self.saved = time.monotonic()

    def snapshot(self) -> dict:
        """What decides the model and its further course, as copies."""
        trainer = self.trainer.state()
        return {
            "iteration": self.iteration,
            "weights": trainer["weights"],
            "slots": trainer["slots"],
            "counts": trainer["counts"],
            "priors": self.priors.clone(),
            "log_lik": self.log_lik.clone(),
            "noise": self.noise.roots.clone(),
        }

    def return_to(self, snapshot: dict) -> None:
        """Weights, moments, priors, kernels and likelihoods of a snapshot; draws go on."""
        trainer = self.trainer.state()
        self.trainer.restore(trainer | {k: snapshot[k] for k in ("weights", "slots", "counts")})
        self.priors, self.log_lik = snapshot["priors"].clone(), snapshot["log_lik"].clone()
        self.noise = self.trainer.objective.noise = Noise(snapshot["noise"].clone())

    # --- parts ----------------------------------------------------------------------------------

    def _objective(self, generator):
        settings, named = self.settings, self.settings.objective
        if named == "mmd":
            objective = GaussianMMD(settings.mmd_widths)
        elif named == "smoothed_mmd":
            from mixnet_core.objectives.smoothed import SmoothedMMD

            objective = SmoothedMMD(settings.mmd_widths)
        elif named == "likelihood":
            from mixnet_core.objectives.likelihood import KernelLikelihood

            objective = KernelLikelihood()
        else:
            from mixnet_core.objectives.registry import make_objective

            objective = make_objective(named)
        objective.prepare(
            settings.n_components,
            self.points.n_features,
            self.scale,
            generator,
            self.points.device,
        )
        return objective

    def _optimizer(self):
        settings = self.settings
        if settings.optimizer == "sgd":
            return SGD(settings.lr, settings.momentum, settings.weight_decay)
        from mixnet_core.training.adam import Adam

        return Adam(settings.lr, settings.weight_decay)

    def _signature(self, start: Tensor, y: Tensor) -> str:
        from mixnet_core.files.describe import fingerprint

        origin = []
        if self.earlier is not None:  # what a continued training started from
            origin = [torch.tensor([self.earlier.n_iter]), self.priors.cpu()]
            origin += [t.cpu() for t in self.bank.tensors()]
        return fingerprint(vars(self.settings), [self.seed], self.points.X, start, y, *origin)

    def _state(self) -> dict:
        return {
            "signature": self.signature,
            "trainer": self.trainer.state(),
            "order": self.order.get_state(),
            "draws": self.draws.get_state(),
            "epoch": self.epoch,
            "iteration": self.iteration,
            "log_lik": self.log_lik,
            "noise": self.noise.roots,
            "priors": self.priors,
            "curves": self.curves.state(),
            "watch": self.watch.state(),
        }

    def _restore(self, state: dict) -> None:
        device = self.points.device

        def moved(value):
            if isinstance(value, Tensor):
                return value.to(device)
            if isinstance(value, dict):
                return {key: moved(part) for key, part in value.items()}
            return [moved(part) for part in value] if isinstance(value, list) else value

        self.trainer.restore(state["trainer"])
        self.order.set_state(state["order"])
        self.draws.set_state(state["draws"])
        self.epoch, self.iteration = state["epoch"], state["iteration"]
        self.priors = state["priors"].to(device)
        self.curves.restore(state["curves"])
        self.watch.restore(moved(state["watch"]))
        self.noise = self.trainer.objective.noise = Noise(state["noise"].to(device))
        if state["log_lik"] is not None:
            self.log_lik = state["log_lik"].to(device)
