"""GMMN on the codes of an autoencoder, whose decoder turns its samples into images (GMMN+AE).

Li, Swersky and Zemel, "Generative Moment Matching Networks", ICML 2015, section 4. The settings
are those of its code (yujiali/gmmn, ``train.py``, ``mnist_mmd_code_space``; autoencoder:
yujiali/pynn; optimiser: yujiali/pyopt).
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from ..torch_state import own_switches
from .gmmn import check_gmmn, fan_in_normal, train_generator, uniform_latent
from .model import (
    GenerativeModel,
    check_number,
    check_sizes,
    generator_network,
)
from .sigmoid_autoencoder import SigmoidAutoencoder
from .training import Batches, part_of, set_sgd, share_budget, streams, train

MAX_GRADIENT_NORM = 10.0  # published
PRETRAINING_MOMENTUM = 0.5  # published


def fine_tuning_momentum(iteration: int, final: float) -> float:
    """Published: 0, from iteration 50 on 0.5, from 200 on `final`; iterations count from 1."""
    return 0.0 if iteration < 50 else 0.5 if iteration < 200 else final


class GMMNAutoencoder(GenerativeModel):
    """An autoencoder trained layer by layer, then as a whole; then a GMMN on its codes.

    Parameters
    ----------
    code_hidden : sizes of the encoder's layers, the code last; the decoder mirrors them.
        Published for MNIST: (1024, 32).
    dropout : rate at the input of each encoder layer. Published: (0.2, 0.5).
    code_lr, code_momentum, code_batch_size, code_updates : of SGD on the autoencoder, the last
        for each layer and for the whole. Published: 0.1, 0.9 (reached in steps, see
        :func:`fine_tuning_momentum`; 0.5 in pre-training), 100 and 3000; gradients longer than 10
        are shortened to 10.
    latent_dim, hidden, variances, lr, momentum, drop_at, batch_size, updates : of the GMMN, see
        :class:`gmmn.GMMN`.
    max_updates : budget of all phases together; below their sum it shortens each in proportion.
    random_state, device : seed of all draws; where to compute.

    Attributes
    ----------
    values_ : ``updates`` of all phases, ``stopped_by``, ``final_sqrt_mmd`` and
        ``autoencoder_loss`` (nats a point, without dropout, of the validation points or else of
        the training points).
    history_ : ``update``, ``loss`` of the GMMN; ``autoencoder_update``, ``autoencoder_loss`` and,
        with validation points, ``autoencoder_validation`` of the fine-tuning.

    Notes
    -----
    The published code departs from its paper in ways not followed here: it computes codes without
    dropout *and* without scaling by the kept share, divides pre-trained weights by that share, and
    keeps the fine-tuned weights with the smallest training loss, measured with weights divided by
    it. Here dropout is scaled as usual, and the weights kept are those with the smallest loss on
    the validation points, or the last where none are given.
    """

    def __init__(
        self,
        code_hidden=(1024, 32),
        dropout=(0.2, 0.5),
        code_lr=0.1,
        code_momentum=0.9,
        code_batch_size=100,
        code_updates=3000,
        latent_dim=10,
        hidden=(64, 256, 256, 1024),
        variances=(1.0,),
        lr=2.0,
        momentum=0.9,
        drop_at=0.25,
        batch_size=1000,
        updates=40_000,
        max_updates=None,
        random_state=0,
        device="cpu",
    ):
        self.code_hidden = code_hidden
        self.dropout = dropout
        self.code_lr = code_lr
        self.code_momentum = code_momentum
        self.code_batch_size = code_batch_size
        self.code_updates = code_updates
        self.latent_dim = latent_dim
        self.hidden = hidden
        self.variances = variances
        self.lr = lr
        self.momentum = momentum
        self.drop_at = drop_at
        self.batch_size = batch_size
        self.updates = updates
        self.max_updates = max_updates
        self.random_state = random_state
        self.device = device

    def _check(self):
        check_gmmn(self)
        check_number("code_lr", self.code_lr, above=True)
        check_number("code_momentum", self.code_momentum, 0, 1)
        check_number("code_batch_size", self.code_batch_size, 1, whole=True)
        check_number("code_updates", self.code_updates, 1, whole=True)
        check_sizes("code_hidden", self.code_hidden)
        if not self.code_hidden:
            raise ValueError("code_hidden must have the size of the code at least; got ()")
        if not isinstance(self.dropout, tuple | list) or len(self.dropout) != len(self.code_hidden):
            raise ValueError(
                f"dropout must be a tuple of {len(self.code_hidden)} rates, one for each of "
                f"code_hidden; got {self.dropout!r}"
            )
        for rate in self.dropout:
            check_number("each of dropout", rate, 0, 0.99)

    def _network(self, n_features: int) -> nn.Module:
        return nn.ModuleDict(
            {
                "autoencoder": SigmoidAutoencoder([n_features, *self.code_hidden], self.dropout),
                "generator": generator_network(
                    [self.latent_dim, *self.hidden, self.code_hidden[-1]]
                ),
            }
        )

    def _fit(self, X, validation, checkpoint, progress):
        weights, order, noise, *others = streams(self.random_state, 5)
        network = self._network(X.shape[1])
        fan_in_normal(network, weights)
        self.network_ = network.to(self.device)
        autoencoder = network["autoencoder"]
        n_layers = len(self.code_hidden)
        budget = share_budget(
            [self.code_updates] * (n_layers + 1) + [self.updates], self.max_updates
        )
        outcomes = []
        for i, updates in enumerate(budget[:-1]):
            part = part_of(progress, sum(budget[:i]), sum(budget))
            layer = None if i == n_layers else i
            outcomes.append(
                self._train_code(X, validation, layer, updates, (order, noise), checkpoint, part)
            )
        self.history_ = {f"autoencoder_{k}": curve for k, curve in outcomes[-1][0].items()}
        with torch.no_grad():
            codes = torch.cat([autoencoder.encode(part) for part in X.split(4096)])
            judged = X if validation is None else validation
            loss = sum(float(autoencoder.loss(x)) * len(x) for x in judged.split(4096))
        part = part_of(progress, sum(budget[:-1]), sum(budget))
        outcomes.append(
            train_generator(self, network["generator"], codes, others, budget[-1], checkpoint, part)
        )
        self.history_ |= outcomes[-1][0]
        whole = all(values["stopped_by"] == "length" for _, values in outcomes)
        self.values_ = {
            "updates": sum(values["updates"] for _, values in outcomes),
            "stopped_by": "length" if whole else "budget",
            "autoencoder_loss": loss / len(judged),
            "final_sqrt_mmd": self.history_["loss"][-1],
        }

    def _train_code(self, X, validation, layer, updates, generators, checkpoint, progress):
        """Pre-train a layer of the autoencoder, or fine-tune it all (layer None)."""
        autoencoder = self.network_["autoencoder"]
        order, noise = generators
        batches = Batches(len(X), self.code_batch_size, order, self.device)
        trained = autoencoder
        if layer is not None:
            trained = nn.ModuleList([autoencoder.encoder[layer], autoencoder.decoder[-1 - layer]])
        parameters = list(trained.parameters())
        optimizer = torch.optim.SGD(parameters, lr=self.code_lr, fused=True)

        def step(update: int) -> Tensor:
            momentum = PRETRAINING_MOMENTUM
            if layer is None:
                momentum = fine_tuning_momentum(update + 1, self.code_momentum)
            set_sgd(optimizer, self.code_lr, momentum)
            x = X[batches.next()]
            if layer:
                with torch.no_grad():
                    x = autoencoder.encode(x, last=layer)
            loss = autoencoder.loss(x, noise, layer)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, MAX_GRADIENT_NORM)
            optimizer.step()
            return loss.detach()

        def validate() -> float:
            loss = sum(float(autoencoder.loss(x)) * len(x) for x in validation.split(4096))
            return loss / len(validation)

        return train(
            step,
            length=self.code_updates,
            max_updates=updates,
            network=trained,
            optimizers=[optimizer],
            streams=[batches, noise],
            checkpoint=checkpoint,
            phase="fine-tuning" if layer is None else f"layer {layer + 1}",
            progress=progress,
            validate=validate if layer is None and validation is not None else None,
            every=min(100, updates),  # as often as the published code looks
        )

    @own_switches()
    @torch.no_grad()
    def reconstruct(self, X) -> np.ndarray:
        """X (n, d) through encoder and decoder, without dropout: (n, d) float32."""
        check_is_fitted(self, "network_")
        X = torch.from_numpy(self._unit("X", X).copy())
        autoencoder = self.network_["autoencoder"]
        parts = (part.to(self.device) for part in X.split(4096))
        return torch.cat([autoencoder.decode(autoencoder.encode(x)).cpu() for x in parts]).numpy()

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        z = uniform_latent(n, self.latent_dim, generator, self.device)
        return self.network_["autoencoder"].decode(self.network_["generator"](z))
