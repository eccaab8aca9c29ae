"""What the generative models share: the estimator, with its checks and its file."""

from __future__ import annotations

import hashlib
import json
import math
from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from ..inputs import as_array, check_names
from ..torch_state import own_switches
from .checkpoints import Checkpoint, whole_file

SAMPLE_BLOCK = 1000  # samples drawn at once: fixed, so that the same generator gives the same ones


def fingerprint(estimator, *arrays) -> str:
    """Name of a training: class, settings and data. Another's checkpoint is not resumed.

    ``max_updates`` counts as a setting: schedules, the shares of phases and the entries of the
    history follow from it. So does the kind of device, since two kinds round differently.
    """
    digest = hashlib.sha256(type(estimator).__qualname__.encode())
    settings = plain_params(estimator) | {"device": torch.device(estimator.device).type}
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()


def plain_params(estimator) -> dict:
    """Constructor settings in types that JSON holds, but for the device, which is no setting."""

    def plain(value):
        if isinstance(value, tuple | list | np.ndarray):
            return [plain(entry) for entry in value]
        if isinstance(value, np.generic):
            return value.item()
        return value if value is None or isinstance(value, bool | int | float) else str(value)

    params = estimator.get_params(deep=False)
    return {name: plain(value) for name, value in params.items() if name != "device"}


def check_unit(name: str, X, n_features: int | None = None, minimum: int = 2) -> np.ndarray:
    """X (n, d) as contiguous float32 in [0, 1] with at least `minimum` rows, or ValueError."""
    if sp.issparse(X):
        raise ValueError(f"{name} must be a dense matrix of numbers; got a sparse one: X.toarray()")
    X = np.asarray(as_array(name, X))
    if X.dtype.kind == "O":  # of numbers, as pandas' nullable columns are
        try:
            X = X.astype(np.float64)
        except (TypeError, ValueError) as error:
            kind = type(error)
            raise kind(f"{name} must be a matrix of numbers; {error}") from None
    if X.dtype.kind == "c":
        raise ValueError(f"{name} must be a matrix of real numbers. Complex data not supported")
    if X.ndim != 2 or X.dtype.kind not in "fiub":
        raise ValueError(
            f"{name} must be a matrix of numbers; got {X.dtype}, shape {X.shape}. "
            "Reshape your data to one row per point"
        )
    if len(X) < minimum or X.shape[1] < 1:
        raise ValueError(
            f"{name} needs at least {minimum} rows and 1 feature; got shape {X.shape}: "
            f"n_samples = {len(X)}, {X.shape[1]} feature(s)"
        )
    if n_features is not None and X.shape[1] != n_features:
        raise ValueError(f"{name} must have {n_features} features; got {X.shape[1]}")
    X = np.ascontiguousarray(X, dtype=np.float32)
    low, high = X.min(), X.max()
    if not (low >= 0 and high <= 1):  # so written, NaN fails too
        raise ValueError(
            f"{name} must be finite and lie in [0, 1]; got {low}..{high}"
            + ("" if np.isfinite([low, high]).all() else " (NaN or infinity)")
        )
    return X


def check_number(name: str, value, low=0, high=math.inf, *, whole=False, above=False) -> None:
    """A number (whole: an integer) in [low, high]; `above`: greater than low; or ValueError."""
    kind = Integral if whole else Real
    good = isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
    if not (good and (value > low if above else value >= low) and value <= high):
        needed = f"{'a whole number' if whole else 'a number'} {'above' if above else 'from'} {low}"
        upto = "" if high == math.inf else f", at most {high}"
        raise ValueError(f"{name} must be {needed}{upto}; got {value!r}")


def check_sizes(name: str, sizes) -> None:
    """A tuple (or list, perhaps empty) of whole numbers above 0, or ValueError."""
    if not isinstance(sizes, tuple | list):
        raise ValueError(f"{name} must be a tuple of whole numbers; got {sizes!r}")
    for size in sizes:
        check_number(f"each of {name}", size, 1, whole=True)


def check_generator(generator) -> None:
    """A torch.Generator, or ValueError: nothing is drawn from the global state."""
    if not isinstance(generator, torch.Generator):
        raise ValueError(f"generator must be a torch.Generator; got {generator!r}")


class GenerativeModel(BaseEstimator):
    """Estimator of a distribution on [0, 1]^d; what a model must write is said in ``training``.

    Attributes
    ----------
    network_ : torch.nn.Module
        On ``device``.
    n_features_in_ : int
    values_ : dict of scalars
        ``updates``, ``stopped_by`` ("length", "budget" or "validation") and the model's own.
    history_ : dict of list
    """

    @own_switches()
    def fit(self, X, y=None, validation=None, checkpoint=None, progress=None):
        """Train on X, shape (n, d), in [0, 1].

        Parameters
        ----------
        X : array of float, shape (n, d)
        y : ignored
            Where pipelines put labels.
        validation : array of float, shape (m, d), optional
            Held-out points, for models that stop or choose by them; never trained on.
        checkpoint : path, optional
            Where to keep the state of the training; an interrupted one goes on from there, on the
            CPU to the bit-identical result.
        progress : callable, optional
            Called as ``progress(done, total, text)``.

        Raises
        ------
        ValueError
            If a setting or the data is not as needed.
        FloatingPointError
            If the training diverges.
        """
        array = check_unit("X", X)
        if self.max_updates is not None:
            check_number("max_updates", self.max_updates, 1, whole=True)
        check_number("random_state", self.random_state, whole=True)
        self._check()
        validate_data(self, X, skip_check_array=True)  # names and number of the features
        arrays = [array]
        if validation is not None:
            arrays.append(self._unit("validation", validation))
        if checkpoint is not None:
            checkpoint = Checkpoint(checkpoint, fingerprint(self, *arrays))
        data = [torch.tensor(array, device=self.device) for array in arrays]
        self._fit(data[0], data[1] if validation is not None else None, checkpoint, progress)
        self.network_.requires_grad_(False)
        return self

    def _unit(self, name: str, X) -> np.ndarray:
        """As :func:`check_unit`, with the features of the fit, in their order."""
        array = check_unit(name, X, self.n_features_in_, minimum=1)
        check_names(self, X, name)
        return array

    def _check(self) -> None:
        """Raise ValueError for a setting out of range."""

    @own_switches()
    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator) -> np.ndarray:
        """n samples, shape (n, d), float32 in [0, 1]; `generator` is on the CPU."""
        self._check_sample(n, generator)
        sizes = [min(SAMPLE_BLOCK, n - start) for start in range(0, n, SAMPLE_BLOCK)]
        return torch.cat([self._sample(size, generator) for size in sizes]).cpu().numpy()

    def _check_sample(self, n, generator) -> None:
        check_is_fitted(self, "network_")
        check_number("n", n, 1, whole=True)
        check_generator(generator)

    def save(self, path) -> None:
        """Write settings, results and weights to one file that :meth:`load` reads."""
        check_is_fitted(self, "network_")
        head = {
            "kind": type(self).__qualname__,
            "version": 1,
            "params": plain_params(self),
            "n_features": self.n_features_in_,
            "feature_names": list(getattr(self, "feature_names_in_", [])),
            "values": self.values_,
            "history": self.history_,
        }
        weights = {k: v.numpy(force=True) for k, v in self.network_.state_dict().items()}
        with whole_file(path) as file:
            np.savez(file, head=np.array(json.dumps(head)), **weights)

    @classmethod
    @own_switches()
    def load(cls, path, device: str = "cpu"):
        """Read what :meth:`save` wrote, without pickle. Raises ValueError for other files."""
        try:
            with np.load(path, allow_pickle=False) as file:
                head = json.loads(str(file["head"]))
                weights = {k: torch.from_numpy(file[k]) for k in file.files if k != "head"}
        except FileNotFoundError:
            raise
        except Exception as error:  # numpy and zipfile raise many types for other files
            raise ValueError(f"{path} is not a model that was saved here: {error}") from error
        found = head.get("kind") if isinstance(head, dict) else head
        if found != cls.__qualname__:
            raise ValueError(f"{path} holds a {found!s:.60}, not a {cls.__qualname__}")
        try:
            params = {k: tuple(v) if isinstance(v, list) else v for k, v in head["params"].items()}
            self = cls(**params | {"device": device})
            self.n_features_in_ = head["n_features"]
            if head.get("feature_names"):
                self.feature_names_in_ = np.array(head["feature_names"], dtype=object)
            self.values_, self.history_ = head["values"], head["history"]
            self.network_ = self._network(self.n_features_in_)
            self.network_.load_state_dict(weights)
        except Exception as error:  # a header of other types stops any line of it
            raise ValueError(f"{path} is a damaged {cls.__qualname__}: {error!r}") from error
        self.network_.to(device).requires_grad_(False)
        return self


def linear(n_in: int, n_out: int) -> nn.Linear:
    """A linear layer whose weights are yet to be drawn: torch's own draw from a global state."""
    return nn.utils.skip_init(nn.Linear, n_in, n_out)


def generator_network(sizes) -> nn.Sequential:
    """ReLU layers and a sigmoid output; `sizes` from the latent to the output layer."""
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Sigmoid())
