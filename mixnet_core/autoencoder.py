"""The separately trained autoencoder of §3.3: data to codes in [0, 1]^p, and back.

The paper gives only the size of the code. Everything else here is ours, chosen by held-out
reconstruction alone, and the same for every dataset.
"""

import copy
import math
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from torch import Tensor, nn

from mixnet_core.checkpoints import fingerprint, load_checkpoint, plain_params, save_checkpoint
from mixnet_core.validation import check_points, check_share


class Autoencoder(TransformerMixin, BaseEstimator):
    """Autoencoder d-hidden-p-hidden-d: ReLU hidden layers, sigmoid code, linear output.

    Features are shifted to mean zero and divided by one number, so that they have unit variance on
    average; the loss is the mean squared error of these. One rule then serves pixels in [0, 1] and
    tf-idf rows of norm 1 alike, whose tiny entries an autoencoder otherwise ignores.

    Parameters
    ----------
    code_dim : int
        p, the size of the code.
    hidden : tuple of int
        Sizes of the encoder's hidden layers; the decoder mirrors them.
    input_noise : float
        Share of the input features set to their mean in training (denoising).
    lr, batch_size
        Of Adam; the learning rate falls to zero on a half cosine.
    epochs, min_updates : int
        Length of the training: `epochs` passes, and at least `min_updates` mini-batches.
    validation_fraction : float
        Share of the points held out of the training; the weights with the smallest
        reconstruction error on them are kept.
    random_state : int
        Seeds the weights, the held-out points, the batches and the noise.

    Attributes
    ----------
    history_ : dict of list
        Training and held-out error (mean squared error ÷ mean variance) at each evaluation.
    values_ : dict
        ``heldout_error``, ``code_std``, ``updates``.
    """

    def __init__(
        self,
        code_dim=32,
        hidden=(1000,),
        input_noise=0.0,
        lr=1e-3,
        batch_size=128,
        epochs=20,
        min_updates=2000,
        validation_fraction=0.1,
        random_state=0,
    ):
        self.code_dim = code_dim
        self.hidden = hidden
        self.input_noise = input_noise
        self.lr = lr
        self.batch_size = batch_size
        self.epochs = epochs
        self.min_updates = min_updates
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def fit(self, X, y=None, checkpoint=None, progress=None):
        """Train on X, shape (n, d).

        Parameters
        ----------
        X : array of float, shape (n, d)
        y : ignored
        checkpoint : path, optional
            Where to keep the state of the training; an interrupted one goes on from there to the
            same result.
        progress : callable, optional
            Called as ``progress(done, total, text)``.

        Raises
        ------
        ValueError
            If X is not a finite matrix of at least two rows.
        """
        X = check_points(X)
        check_share("validation_fraction", self.validation_fraction)
        self.n_features_in_ = X.shape[1]
        self.mean_ = X.mean(0)
        variance = float(X.var(0).mean())
        self.scale_ = math.sqrt(variance) if variance > 0 else 1.0
        data = torch.from_numpy((X - self.mean_) / np.float32(self.scale_))
        generator = torch.Generator().manual_seed(int(self.random_state))
        order = torch.randperm(len(data), generator=generator)
        n_held_out = min(max(1, round(self.validation_fraction * len(data))), len(data) - 1)
        held_out, train = data[order[:n_held_out]], data[order[n_held_out:]]
        self.network_ = _Network(X.shape[1], tuple(self.hidden), self.code_dim, generator)
        signature = fingerprint(self, X)
        self._train(train, held_out, generator, checkpoint, signature, progress)
        codes = self.transform(X)
        self.values_ = {
            "heldout_error": min(self.history_["heldout"]),
            "train_error": self.history_["train"][-1],
            "code_std": float(codes.std(0).mean()),
            "updates": self.history_["update"][-1],
        }
        return self

    def _train(self, train, held_out, generator, checkpoint, signature, progress):
        network = self.network_
        batch = min(self.batch_size, len(train))
        optimizer = torch.optim.Adam(network.parameters(), lr=self.lr, fused=True)
        per_epoch = len(train) // batch
        n_epochs = max(1, self.epochs, math.ceil(self.min_updates / per_epoch))
        total = n_epochs * per_epoch
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))
        )
        self.history_ = {"update": [], "train": [], "heldout": []}
        best, best_weights, first = math.inf, None, 0
        state = load_checkpoint(checkpoint)
        if state is not None and state.get("signature") == signature:
            network.load_state_dict(state["network"])
            optimizer.load_state_dict(state["optimizer"])
            schedule.load_state_dict(state["schedule"])
            generator.set_state(state["generator"])
            self.history_, best = state["history"], state["best"]
            best_weights, first = state["best_weights"], state["epoch"]
        every = max(1, n_epochs // 50)
        for epoch in range(first, n_epochs):
            running = 0.0
            order = torch.randperm(len(train), generator=generator)
            for i in range(per_epoch):
                x = train[order[i * batch : (i + 1) * batch]]
                seen = x
                if self.input_noise:
                    seen = x * (torch.rand(x.shape, generator=generator) >= self.input_noise)
                loss = (network(seen) - x).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                running += float(loss.detach())
            if (epoch + 1) % every and epoch + 1 < n_epochs:
                continue
            with torch.no_grad():
                error = float((network(held_out) - held_out).square().mean())
            self.history_["update"].append((epoch + 1) * per_epoch)
            self.history_["train"].append(running / per_epoch)
            self.history_["heldout"].append(error)
            if error < best:
                best, best_weights = error, copy.deepcopy(network.state_dict())
            save_checkpoint(
                checkpoint,
                {
                    "signature": signature,
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "schedule": schedule.state_dict(),
                    "generator": generator.get_state(),
                    "history": self.history_,
                    "best": best,
                    "best_weights": best_weights,
                    "epoch": epoch + 1,
                },
            )
            if progress is not None:
                progress(epoch + 1, n_epochs, f"held-out error {error:.4f}")
        network.load_state_dict(best_weights)

    @torch.no_grad()
    def transform(self, X) -> np.ndarray:
        """Codes, shape (n, code_dim), float32."""
        X = check_points(X, n_features=self.n_features_in_, minimum=1)
        data = torch.from_numpy((X - self.mean_) / np.float32(self.scale_))
        return torch.cat([self.network_.encode(part) for part in data.split(4096)]).numpy()

    @torch.no_grad()
    def inverse_transform(self, codes) -> np.ndarray:
        """Points of the original space, shape (n, d), float32, of codes of shape (n, code_dim)."""
        codes = check_points(codes, n_features=self.code_dim, minimum=1)
        parts = torch.from_numpy(codes).split(4096)
        out = torch.cat([self.network_.decode(part) for part in parts]).numpy()
        return out * np.float32(self.scale_) + self.mean_

    def save(self, path) -> None:
        """Write settings and weights to one file that :meth:`load` reads without pickle."""
        save_checkpoint(
            Path(path),
            {
                "kind": "mixnet autoencoder",
                "version": 1,
                "params": plain_params(self),
                "mean": torch.from_numpy(self.mean_),
                "scale": self.scale_,
                "network": self.network_.state_dict(),
            },
        )

    @classmethod
    def load(cls, path):
        """Read what :meth:`save` wrote. Raises ValueError for other files."""
        state = load_checkpoint(Path(path))
        if not isinstance(state, dict) or state.get("kind") != "mixnet autoencoder":
            raise ValueError(f"{path} is not an autoencoder that mixnet saved")
        try:
            self = cls(**state["params"])
            self.mean_, self.scale_ = state["mean"].numpy(), state["scale"]
            self.n_features_in_ = len(self.mean_)
            self.network_ = _Network(
                self.n_features_in_, tuple(self.hidden), self.code_dim, torch.Generator()
            )
            self.network_.load_state_dict(state["network"])
        except (KeyError, TypeError, AttributeError, RuntimeError) as error:
            raise ValueError(f"{path} is a damaged autoencoder: {error}") from error
        return self


class _Network(nn.Module):
    def __init__(self, d: int, hidden: tuple, code_dim: int, generator):
        super().__init__()
        sizes = [d, *hidden, code_dim]
        self.encoder = _mlp(sizes, generator)
        self.decoder = _mlp(sizes[::-1], generator)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).sigmoid()

    def decode(self, code: Tensor) -> Tensor:
        return self.decoder(code)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


def _mlp(sizes: list[int], generator: torch.Generator) -> nn.Sequential:
    layers = []
    for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True):
        # skip_init: the usual constructor would draw from the global random state.
        layer = nn.utils.skip_init(nn.Linear, fan_in, fan_out)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])
