"""The training of the autoencoder (§3.3): Adam on the squared error of reconstructions (ours)."""

import copy
import math

import torch
from torch import Tensor

from mixnet_core.data import checks


def check_settings(model) -> None:
    """ValueError for a parameter of an autoencoder that is out of range."""
    for name, least in (("code_dim", 1), ("batch_size", 1), ("epochs", 0), ("min_updates", 0)):
        checks.whole(name, getattr(model, name), least)
    listed = isinstance(model.hidden, tuple | list) and len(model.hidden) > 0
    checks.require(listed, "hidden", model.hidden, "one or more sizes")
    for size in model.hidden:
        checks.whole("every size in hidden", size, 1)
    checks.number("lr", model.lr, "positive", lambda v: v > 0)
    share = "0 or more and below 1"
    checks.number("input_noise", model.input_noise, share, lambda v: 0 <= v < 1)
    share = "above 0 and below 1"
    checks.number("validation_fraction", model.validation_fraction, share, lambda v: 0 < v < 1)
    checks.check_device(model.device)


class Reconstruction:
    """One training, and its state between two checkpoints.

    Parameters
    ----------
    model : Autoencoder
        Its settings.
    network : torch.nn.Module
        Trained in place.
    generator : torch.Generator
        Of the batches and the noise.
    checkpoint : path or None
    key : (int, ndarray)
        Seed and data, by which a checkpoint is known as one of this training.
    """

    def __init__(self, model, network, generator, checkpoint, key: tuple):
        self.model, self.network, self.generator = model, network, generator
        self.checkpoint, self.signature = checkpoint, None
        if checkpoint is not None:
            from mixnet_core.files.describe import fingerprint

            seed, X = key
            params = model.get_params() | {"random_state": seed}
            self.signature = fingerprint(params, X)
        self.history = {"update": [], "train": [], "heldout": []}
        self.best, self.best_weights, self.epoch = math.inf, None, 0

    def run(self, train: Tensor, held_out: Tensor, progress) -> None:
        """Train on rows (n, d); the weights best on held-out ones are left.

        Raises
        ------
        FloatingPointError
            If the held-out error was never finite.
        """
        model, network = self.model, self.network
        batch = min(model.batch_size, len(train))
        per_epoch = len(train) // batch
        n_epochs = max(1, model.epochs, math.ceil(model.min_updates / per_epoch))
        total = n_epochs * per_epoch
        self.optimizer = torch.optim.Adam(network.parameters(), lr=model.lr, fused=True)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))
        )
        self._resume()
        every = max(1, n_epochs // 50)
        for epoch in range(self.epoch, n_epochs):
            loss = self._one_epoch(train, batch, per_epoch)
            if (epoch + 1) % every and epoch + 1 < n_epochs:
                continue
            with torch.no_grad():
                error = float((network(held_out) - held_out).square().mean())
            self.history["update"].append((epoch + 1) * per_epoch)
            self.history["train"].append(float(loss) / per_epoch)
            self.history["heldout"].append(error)
            if error < self.best:
                self.best, self.best_weights = error, copy.deepcopy(network.state_dict())
            self._save(epoch + 1)
            if progress is not None:
                progress(epoch + 1, n_epochs, f"held-out error {error:.4f}")
        if self.best_weights is None:
            raise FloatingPointError(
                f"the training diverged: the held-out error was never finite; a smaller lr may "
                f"help (lr={model.lr:g})"
            )
        network.load_state_dict(self.best_weights)

    def _one_epoch(self, train: Tensor, batch: int, per_epoch: int) -> Tensor:
        running = torch.zeros((), device=train.device, dtype=torch.float64)
        noise = self.model.input_noise
        order = torch.randperm(len(train), generator=self.generator).to(train.device)
        for i in range(per_epoch):
            x = train[order[i * batch : (i + 1) * batch]]
            seen = x
            if noise:
                kept = torch.rand(x.shape, generator=self.generator, dtype=torch.float32) >= noise
                seen = x * kept.to(x.device)
            loss = (self.network(seen) - x).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            running += loss.detach()
        return running

    def _resume(self) -> None:
        if self.checkpoint is None:
            return
        from mixnet_core.files.checkpoints import load_checkpoint

        state = load_checkpoint(self.checkpoint)
        if state is None or state.get("signature") != self.signature:
            return
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.generator.set_state(state["generator"])
        self.history, self.best = state["history"], state["best"]
        self.best_weights, self.epoch = state["best_weights"], state["epoch"]

    def _save(self, epoch: int) -> None:
        if self.checkpoint is None:
            return
        from mixnet_core.files.checkpoints import save_checkpoint

        save_checkpoint(
            self.checkpoint,
            {
                "signature": self.signature,
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "generator": self.generator.get_state(),
                "history": self.history,
                "best": self.best,
                "best_weights": self.best_weights,
                "epoch": epoch,
            },
        )
