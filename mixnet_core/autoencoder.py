"""The separately trained autoencoder of §3.3: data to codes in [0, 1]^p, and back.

The paper gives only the size of the code. Everything else here is ours, chosen by held-out
reconstruction alone, and the same for every dataset.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from mixnet_core.data import checks
from mixnet_core.data.loaders import as_matrix
from mixnet_core.data.points import Units
from mixnet_core.training.reconstruction import Reconstruction, check_settings

BLOCK_ROWS = 4096


@dataclass(frozen=True, eq=False)
class FittedAutoencoder:
    """A trained autoencoder: set once, at the end of a fit, and what files hold.

    Attributes
    ----------
    network : torch.nn.Module
        ``encode`` and ``decode``.
    units : Units
        Mean 0 and variance 1 a feature on average.
    history, values : dict
    """

    network: nn.Module
    units: Units
    history: dict
    values: dict


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Autoencoder d-hidden-p-hidden-d: ReLU hidden layers, sigmoid code, linear output.

    Features are shifted to mean zero and divided by one number, so that they have unit variance on
    average; the loss is the mean squared error of these. One rule then serves pixels in [0, 1] and
    tf-idf rows of norm 1 alike, whose tiny entries an autoencoder otherwise ignores.

    Parameters
    ----------
    code_dim : int
        p, the size of the code.
    hidden : sequence of int
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
    random_state : int, RandomState or None
        Seeds the weights, the held-out points, the batches and the noise; None: others every time.
    device : str

    Attributes
    ----------
    fitted_ : FittedAutoencoder
        All of the fitted state; those below are parts of it.
    network_ : torch.nn.Module
    history_ : dict of list
        Training and held-out error (mean squared error ÷ mean variance) at each evaluation.
    values_ : dict
        ``heldout_error``, ``train_error``, ``code_std``, ``updates``.
    n_features_in_ : int
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
        device="cpu",
    ):
        self.code_dim, self.hidden, self.input_noise = code_dim, hidden, input_noise
        self.lr, self.batch_size = lr, batch_size
        self.epochs, self.min_updates = epochs, min_updates
        self.validation_fraction = validation_fraction
        self.random_state, self.device = random_state, device

    network_ = property(lambda self: self.fitted_.network, doc="The trained network.")
    history_ = property(lambda self: self.fitted_.history, doc="Errors during the training.")
    values_ = property(lambda self: self.fitted_.values, doc="Scalars worth recording.")

    @property
    def _n_features_out(self) -> int:
        return self.network_.encoder[-1].out_features

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

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
            If X is not a finite matrix of at least two rows, or a parameter is out of range.
        FloatingPointError
            If the held-out error was never finite.
        """
        check_settings(self)
        checked = copy.copy(self)  # a fit that fails leaves no trace
        X = checked._checked(X, minimum=2, reset=True)
        units, seed = Units.spread(X), checks.check_seed(self.random_state)
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(X), generator=generator)
        n_held_out = min(max(1, round(self.validation_fraction * len(X))), len(X) - 1)
        with checks.own_torch_modes():
            network = Network(X.shape[1], tuple(self.hidden), self.code_dim, generator)
            network.to(self.device)
            data = units.put(X).to(self.device)
            order = order.to(data.device)
            training = Reconstruction(self, network, generator, checkpoint, (seed, X))
            training.run(data[order[n_held_out:]], data[order[:n_held_out]], progress)
        vars(self).update({name: v for name, v in vars(checked).items() if name.endswith("_in_")})
        self.fitted_ = FittedAutoencoder(network, units, training.history, {})
        codes = self.transform(X)
        self.fitted_.values.update(
            heldout_error=min(training.history["heldout"]),
            train_error=training.history["train"][-1],
            code_std=float(codes.std(0).mean()),
            updates=training.history["update"][-1],
        )
        return self

    def transform(self, X) -> np.ndarray:
        """Codes, shape (n, code_dim), float32."""
        check_is_fitted(self)
        data = self.fitted_.units.put(self._checked(X, minimum=1, reset=False))
        return self._by_blocks(self.network_.encode, data)

    def inverse_transform(self, codes) -> np.ndarray:
        """Points of the original space, shape (n, d), of codes of shape (n, code_dim).

        In float32 where the training data were, else float64.
        """
        check_is_fitted(self)
        codes = np.asarray(as_matrix(codes, "codes"))
        p = self._n_features_out
        if codes.ndim != 2 or codes.shape[1] != p or codes.dtype.kind not in "fiu":
            raise ValueError(
                f"codes must be numbers of shape (n, {p}), {p} features; got "
                f"{codes.shape[-1] if codes.ndim else 0} in shape {codes.shape}, {codes.dtype}"
            )
        if not np.isfinite(codes).all():
            raise ValueError("codes must be finite; they have NaN or infinite values")
        data = torch.from_numpy(np.ascontiguousarray(codes, dtype=np.float32))
        return self.fitted_.units.back(self._by_blocks(self.network_.decode, data))

    def save(self, path) -> None:
        """Write settings and weights to one file that :meth:`load` reads without pickle."""
        from mixnet_core.files.autoencoder_file import save_autoencoder

        check_is_fitted(self)
        save_autoencoder(self, path)

    @classmethod
    def load(cls, path, **given):
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        path : path
        **given
            Settings that replace those of the file, such as ``device``.

        Raises
        ------
        FileNotFoundError
            If there is no file.
        ValueError
            For a foreign or damaged file.
        """
        from mixnet_core.files.autoencoder_file import load_autoencoder

        return load_autoencoder(cls, path, given)

    def _checked(self, X, minimum: int, reset: bool) -> np.ndarray:
        kinds = ["float64", "float32"]
        X = as_matrix(X)
        return validate_data(self, X, dtype=kinds, ensure_min_samples=minimum, reset=reset)

    def _by_blocks(self, function, data: Tensor) -> np.ndarray:
        device = next(self.network_.parameters()).device
        with checks.own_torch_modes(), torch.no_grad():
            parts = [function(part.to(device)).cpu() for part in data.split(BLOCK_ROWS)]
            return torch.cat(parts).numpy()


class Network(nn.Module):
    """Encoder d-hidden-p with a sigmoid, decoder p-hidden-d with none.

    Parameters
    ----------
    d, hidden, code_dim : int, tuple of int, int
    generator : torch.Generator
        Source of the initial weights, N(0, 2 / fan_in); biases start at zero.
    """

    def __init__(self, d: int, hidden: tuple, code_dim: int, generator):
        super().__init__()
        self.sizes = [int(size) for size in (d, *hidden, code_dim)]
        self.encoder = _mlp(self.sizes, generator)
        self.decoder = _mlp(self.sizes[::-1], generator)

    def encode(self, x: Tensor) -> Tensor:
        """Codes (n, p) of points (n, d)."""
        return self.encoder(x).sigmoid()

    def decode(self, code: Tensor) -> Tensor:
        """Points (n, d) of codes (n, p)."""
        return self.decoder(code)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstructions (n, d)."""
        return self.decode(self.encode(x))


def _mlp(sizes: list[int], generator: torch.Generator) -> nn.Sequential:
    layers = []
    for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True):
        # skip_init: the usual constructor would draw from the global random state.
        layer = nn.utils.skip_init(nn.Linear, fan_in, fan_out, dtype=torch.float32)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])
