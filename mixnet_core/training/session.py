"""One training: the state that Algorithms 1 and 2 move on, and that a checkpoint keeps."""

import math
import time
import warnings
from dataclasses import dataclass

import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from mixnet_core.bank import GeneratorBank
from mixnet_core.data.labels import UNLABELLED, hold
from mixnet_core.data.points import Points
from mixnet_core.em import Watch, dead_components, taken_over, train
from mixnet_core.likelihood import KernelLikelihood, Noise, log_likelihood
from mixnet_core.linear import KernelSums, estimate, frames, linear_stage
from mixnet_core.memberships import memberships, mixture_log_likelihood
from mixnet_core.mmd import GaussianMMD, SmoothedMMD
from mixnet_core.optimizers import OPTIMIZERS, BankTrainer
from mixnet_core.training.curves import Curves
from mixnet_core.training.fitted import Fitted, final_samples, streams
from mixnet_core.widths import Clusters, choose_batch_size, choose_widths

SECONDS_BETWEEN_CHECKPOINTS = 20.0
LINEAR_SHARE = 0.3  # of a standard deviation that linear paths start with; the kernel has the rest
MOST_POINTS = 50_000  # that the linear stage sees


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
        self.scale, self.strength = scale, 0.0
        if earlier is None:
            batches = max(1.0, n_train / k / self.batch_size_1)
            self.t1 = max(settings.t1, math.ceil(settings.min_updates / batches))
            shares = torch.nn.functional.one_hot(self.labels, k).double()
            if settings.linear_stage or settings.kernel == "covariance":
                shares = self._gaussians(shares)
            counts = shares.sum(0).float().clamp_min(settings.prior_floor)
            self.priors = (counts / counts.sum()).to(points.device)
            self._start_networks()
        else:
            self.t1, self.strength = 0, earlier.strength
            self.noise = self.base = self.first_noise = earlier.noise.to(points.device)
            self.priors = priors.to(points.device)
        self.start_counts = torch.bincount(self.labels, minlength=k)
        self.hard = torch.nn.functional.one_hot(self.labels, k).float().to(points.device)
        self.trainer = BankTrainer(
            bank, self._objective(extra), self._optimizer(), inputs, settings.n_generated
        )
        self.trainer.objective.noise = self.first_noise
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
        return self._finished()

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
            return self.bank.points(self.bank.even_inputs(n, self.seed))
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
        self.noise = self.trainer.objective.noise = Noise(torch.linalg.cholesky(covariances))

    def likelihood(self, samples: Tensor) -> Tensor:
        """Log-likelihood matrix (n, K); labelled points are held by their component."""
        return hold(self._log_likelihood(samples), self.known, self.y)

    def training_rows(self, log_lik: Tensor) -> Tensor:
        """The rows of the points that are trained on."""
        return log_lik[self.on_device]

    def choose_noise(self, samples: Tensor) -> None:
        """Kernels of eq. 4 under which held-out points are most likely."""
        if self.earlier is None and self.settings.kernel != "covariance":
            x = self.points[self.held_out]
            factors = self.settings.likelihood_widths
            factor, _ = choose_widths(x, samples, self.priors, self.base, factors)
            self.noise = self.base * factor
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

    def _gaussians(self, shares: Tensor) -> Tensor:
        """Memberships (N, K) of the training points; the linear stage moves the hard clusters.

        Sets the Gaussians at which networks and kernels start. Labelled points stay.
        """
        settings, k = self.settings, self.settings.n_components
        n, held = len(self.trained), self.held_out[:MOST_POINTS]
        some = torch.arange(0, n, max(1, -(-n // MOST_POINTS)))
        x = self.trained[some].to("cpu", torch.float64)
        self.strength = x.shape[1] + 2.0
        if settings.linear_stage:
            held_out = self.points[held].to("cpu", torch.float64)
            model = linear_stage(x, held_out, self.labels[some], k)
            self.strength = model.strength
            blocks = [b.to("cpu", torch.float64) for b in self.trained.blocks()]
            shares = torch.cat([model.log_joint(b).softmax(1) for b in blocks])
            is_known = torch.zeros(len(self.points), dtype=torch.bool)
            is_known[self.known] = True
            fixed = is_known[self.train_rows]
            shares[fixed] = torch.nn.functional.one_hot(self.labels[fixed], k).double()
            self.labels = shares.argmax(1)
        self.gaussians = estimate(x, shares[some], self.strength)
        return shares

    def _start_networks(self) -> None:
        """Where networks and kernels start, from the initial clusters."""
        settings, bank, device = self.settings, self.bank, self.points.device
        k, full = settings.n_components, settings.kernel == "covariance"
        if full:
            directions = frames(self.gaussians)
            share = LINEAR_SHARE if bank.framed else math.sqrt(0.5)
            left = torch.ones(bank.n_outputs, dtype=torch.float64)
            left[: bank.n_inputs if bank.framed else None] -= share**2
            roots = torch.linalg.cholesky((directions * left) @ directions.mT)
            self.noise = self.base = self.first_noise = Noise(roots).to(device)
            if bank.framed:
                bank.set_frames(self.gaussians.means, directions, share)
        clusters = Clusters.of(self.trained, self.labels, k, bank.n_inputs)
        if not full:
            self.noise = self.base = Noise(clusters.noise(settings.kernel, self.scale)).to(device)
            self.first_noise = self.noise
            if settings.kernel == "shared":
                residual = self._mean_residual(clusters)
                self.first_noise = Noise(torch.full((k,), residual, dtype=torch.float64)).to(device)
        if bank.output == "linear" and settings.last_layer == "cluster":
            spreads = clusters.spreads * (math.sqrt(0.5) if full else 1.0)
            bank.start_at(clusters.centres, spreads, streams(self.seed, 7 + k)[-1])

    def _mean_residual(self, clusters: Clusters) -> float:
        """One σ for the objective before that of eq. 4 is chosen: root mean square residual."""
        counts = torch.bincount(self.labels, minlength=self.settings.n_components).double()
        weights = counts / counts.sum()
        return float((weights * clusters.residuals.square()).sum().sqrt())

    def _objective(self, generator):
        settings, named = self.settings, self.settings.objective
        if named == "mmd":
            objective = GaussianMMD(settings.mmd_widths)
        elif named == "smoothed_mmd":
            objective = SmoothedMMD(settings.mmd_widths)
        elif named == "likelihood":
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
            return OPTIMIZERS["sgd"](settings.lr, settings.momentum, settings.weight_decay)
        return OPTIMIZERS["adam"](settings.lr, settings.weight_decay)

    def _log_likelihood(self, samples: Tensor) -> Tensor:
        parts = [log_likelihood(x, samples, self.noise) for x in self.points.blocks()]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

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

    # --- the end --------------------------------------------------------------------------------

    def _finished(self) -> Fitted:
        """The state to be kept, by held-out likelihood; warnings where something is wrong."""
        kept, samples = self._best_state()
        log_lik = self._log_likelihood(samples)
        density = mixture_log_likelihood(log_lik, self.priors).double().cpu().numpy()
        density += self.curves.volume
        hold(log_lik, self.known, self.y)
        labels = memberships(log_lik, self.priors).argmax(1).cpu()
        labels[self.known] = self.y.cpu()
        counts = torch.bincount(labels[self.train_rows], minlength=self.settings.n_components)
        self._warn(counts)
        history, snapshots = self.history, self.curves.snapshots
        n_iter = self.iteration
        if self.earlier is not None:
            history, snapshots = self.curves.after(
                self.earlier.history, self.earlier.snapshots, self.earlier.n_iter
            )
            n_iter += self.earlier.n_iter
        p = self.points.n_features
        shared = (self.noise.log_det(p).mean() / p).exp()
        values = {
            "heldout_log_likelihood": float(density[self.held_out.numpy()].mean()),
            "n_held_out": len(self.held_out),
            "batch_size": int(self.batch_size_1),
            "batch_size_2": int(self.batch_size_2),
            "t1": int(self.epoch),
            "iterations": self.iteration,
            "kept_iteration": int(kept),
            "ended_by": self._ended_by(),
            "cuts": self.watch.cuts_made,
            "scale": self.scale / self.points.units.scale,
            "width_ratio": float(shared) / self.scale,
            "min_prior": float(self.priors.min()),
            "empty_components": int((torch.bincount(labels, minlength=len(counts)) == 0).sum()),
            "dead_components": len(dead_components(counts, self.start_counts)),
        }
        return Fitted(
            bank=self.bank,
            priors=self.priors,
            noise=self.noise,
            units=self.points.units,
            scale=self.scale,
            samples=samples,
            seed=self.seed,
            strength=self.strength,
            settings=vars(self.settings),
            history=history,
            snapshots=snapshots,
            values=values,
            n_iter=n_iter,
            converged=self.watch.saturated,
            labels=labels.numpy(),
            log_likelihood=density,
        )

    def _best_state(self) -> tuple[int, Tensor]:
        """Go to the state that is kept; its iteration, and samples of its networks.

        The best by smoothed held-out likelihood is kept; the one after Algorithm 1, or before it
        where it is a linear mixture (-1), instead where held-out points are likelier under it by
        as many samples.
        """
        watch = self.watch
        if self.settings.keep == "last" or watch.first is None:
            return self.iteration, self._final_samples()
        x, found, states = self.points[self.held_out], [], {}
        for state in (watch.start, watch.first, watch.best):
            if state is not None:
                states[state["iteration"]] = state
        for state in states.values():
            self.return_to(state)
            samples = self._final_samples()
            log_lik = log_likelihood(x, samples, self.noise)
            value = float(mixture_log_likelihood(log_lik, self.priors).double().mean())
            found.append((value, state, samples))
        _, state, samples = max(found, key=lambda entry: entry[0])
        self.return_to(state)
        return state["iteration"], samples

    def _final_samples(self) -> Tensor:
        settings = self.settings
        return final_samples(self.bank, settings.n_final_samples, self.seed, settings.draws)

    def _ended_by(self) -> str:
        if self.watch.saturated:
            return "saturation"
        return "callback" if self.stopped else "cap"

    def _warn(self, counts: Tensor) -> None:
        """A ConvergenceWarning with the numbers where T2 ended the fit, or components died."""
        settings, words = self.settings, []
        if settings.t2 and self._ended_by() == "cap":
            words.append(
                f"Algorithm 2 was ended by t2={settings.t2} iterations before held-out likelihood "
                f"had saturated (no rise for patience={settings.patience}); raise t2"
            )
        dead = dead_components(counts, self.start_counts)
        if dead:
            shown = ", ".join(
                f"{j} ({int(counts[j])} of {int(self.start_counts[j])} points)" for j in dead[:5]
            )
            words.append(
                f"{len(dead)} of {len(counts)} components are dead, with less than a twentieth of "
                f"the training points that they started with: {shown}"
                f"{', …' if len(dead) > 5 else ''}"
            )
        over = taken_over(counts, self.start_counts)
        if over and len(counts) > 1:
            j = over[0]
            words.append(
                f"component {j} took over: {int(counts[j])} of {int(counts.sum())} training "
                f"points, {int(self.start_counts[j])} at the start"
            )
        if words:
            warnings.warn("; ".join(words), ConvergenceWarning, stacklevel=5)
