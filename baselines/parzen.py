"""Gaussian Parzen window: the log-likelihood by which Table 2 compares generative models.

Samples of a model are the centres of Gaussians of one width σ, chosen on validation data; the score
is the mean log density of the test points. The published protocols are in ``protocols``.
"""

import math
from numbers import Real

import numpy as np
import torch
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .inputs import check_matrix
from .protocols import GOODFELLOW, PROTOCOLS
from .torch_state import own_switches

# Ours. A tile of distances (4 MB) stays in the cache between the passes over it; smaller ones are
# no quicker on one core, and give several less to share. A long dot product loses digits in one
# direction: by slices of features the mean error on MNIST at σ = 0.1 falls from 2e-4 to 1e-5 nats,
# in the same time.
TILE = 1024
FEATURES = 128
TOLERANCE = 1e-3  # nats: a point that float32 may miss by more is measured in float64


class ParzenWindow(DensityMixin, BaseEstimator):
    """log p(x) = log (1/m) Σ_r N(x; y_r, σ² I) for the samples y_1..y_m.

    Parameters
    ----------
    width : float, optional
        σ > 0, in units of the samples. None: the one of `widths` under which the validation points
        are likeliest, the smallest of equals.
    widths : sequence of float
        The grid. Goodfellow's by default; :meth:`from_protocol` takes a published one by name.
    device : str or torch.device
        Where distances are computed; samples and scores are numpy arrays.

    Attributes
    ----------
    samples_ : ndarray, shape (m, d), float32 or float64 as given
    width_ : float
    validation_scores_ : ndarray, shape (n_widths,)
        Mean log density of the validation points, in nats; where the width was chosen.
    """

    def __init__(self, width=None, *, widths=GOODFELLOW.widths, device="cpu"):
        self.width = width
        self.widths = widths
        self.device = device

    @classmethod
    def from_protocol(cls, name: str, **params) -> "ParzenWindow":
        """A window with the grid of ``PROTOCOLS[name]``; other parameters as of the class."""
        if name not in PROTOCOLS:
            raise ValueError(f"name must be one of {sorted(PROTOCOLS)}; got {name!r}")
        return cls(widths=PROTOCOLS[name].widths, **params)

    def fit(self, X, y=None, validation=None):
        """Keep the samples X (m, d), m >= 1, and choose the width on validation (n, d).

        `validation` is needed where no `width` was given, and not used otherwise; y, where
        pipelines put labels, is ignored. Raises ValueError or TypeError on bad samples, validation
        or widths.
        """
        self.samples_ = check_matrix(self, X)
        if self.width is not None:
            self.width_ = _check_widths("width", [self.width])[0]
            vars(self).pop("validation_scores_", None)
            return self
        if validation is None:
            raise ValueError(
                "validation must be given to choose one of the widths, or a width to do without; "
                "got width=None and validation=None"
            )
        scores = self._log_densities(validation, "validation", self._grid()).mean(0)
        if not np.isfinite(scores).all():
            raise ValueError(f"validation gives no finite density at each of widths: got {scores}")
        self.validation_scores_ = scores
        self.width_ = self._grid()[int(np.argmax(scores))]
        return self

    def score_samples(self, X) -> np.ndarray:
        """Log density of each point of X (n, d) at ``width_``, in nats: (n,) float64."""
        check_is_fitted(self)
        return self._log_densities(X, "X", [self.width_])[:, 0]

    def score(self, X, y=None) -> float:
        """Mean of :meth:`score_samples`; y is ignored."""
        return float(self.score_samples(X).mean())

    def score_samples_grid(self, X) -> np.ndarray:
        """Log density of each point of X (n, d) at each of `widths`: (n, n_widths) float64.

        Distances are computed once for all of them.
        """
        check_is_fitted(self)
        return self._log_densities(X, "X", self._grid())

    def score_grid(self, X) -> np.ndarray:
        """Mean over X (n, d) of the log density at each of `widths`: (n_widths,) float64."""
        return self.score_samples_grid(X).mean(0)

    def _grid(self) -> list[float]:
        return _check_widths("widths", self.widths)

    def _log_densities(self, points, name: str, widths) -> np.ndarray:
        array = check_matrix(self, points, name=name, reset=False)
        return log_densities(array, self.samples_, widths, device=self.device, name=name)


def mean_and_error(log_density) -> tuple[float, float]:
    """Mean over test points (n,) and its standard error, std / √n with ddof = 1 (NaN for n = 1).

    Raises ValueError for another shape, and for densities that are not finite.
    """
    log_density = np.asarray(log_density, dtype=np.float64)
    if log_density.ndim != 1 or not len(log_density):
        raise ValueError(f"log_density must be (n,), n >= 1; got shape {log_density.shape}")
    if not np.isfinite(log_density).all():
        bad = log_density[~np.isfinite(log_density)]
        raise ValueError(f"log_density must be finite; got {bad[0]} ({len(bad)} of such)")
    n = len(log_density)
    error = log_density.std(ddof=1) / math.sqrt(n) if n > 1 else math.nan
    return float(log_density.mean()), float(error)


@own_switches()
@torch.no_grad()
def log_densities(X, samples, widths, *, device="cpu", name="X") -> np.ndarray:
    """Log densities of X (n, d) under Gaussians at the samples (m, d): (n, n_widths), in nats.

    Where the norms of a point and of the samples, in widths, are such that the rounding of float32
    could move its log density by ``TOLERANCE``, and where float32 products are not what they say
    (TF32, bfloat16), distances are computed in float64; and by differences of the points as they
    are where products in float64 do not do either.

    Raises ValueError where a squared distance in units of the smallest width is beyond float64.
    """
    unit = min(widths)
    ratios = [(unit / width) ** 2 for width in widths]
    m, d = samples.shape
    with np.errstate(all="ignore"):  # what is too large is found below
        # Distances survive a shift, and centred points lose fewer digits in |x|² + |y|² - 2 x·y.
        centre = samples.mean(0, dtype=np.float64)
        x, y = (torch.from_numpy((points - centre) / unit).to(device) for points in (X, samples))
    x_sq, y_sq = x.square().sum(1), y.square().sum(1)
    if not max(x_sq.max().item(), y_sq.max().item()) < 1e300:
        raise ValueError(
            f"{name} and samples must be within 1e150 widths of the mean of the samples, for "
            f"distances to be numbers; got a width of {unit!r}"
        )
    plain = x.device.type == "cpu" and torch.get_float32_matmul_precision() == "highest"
    # Half an epsilon of the norms: products that are summed in another order (AVX-512) were seen to
    # be off by 0.47 of that, others by a quarter.
    rounding = torch.finfo(torch.float32).eps / 2 * (x_sq + y_sq.mean())
    in_float32 = (rounding <= TOLERANCE) & plain
    out = torch.empty(len(x), len(widths), dtype=torch.float64, device=x.device)
    for dtype, rows in ((torch.float32, in_float32), (torch.float64, ~in_float32)):
        if rows.any():
            out[rows] = _log_sum_exp(x[rows].to(dtype), y.to(dtype), ratios)
    far = torch.finfo(torch.float64).eps / 4 * (x_sq + y_sq.max()) > TOLERANCE
    if far.any():
        out[far] = _by_differences(X[far.cpu().numpy()], samples, unit, ratios).to(out)
    norm = math.log(m) + d * (np.log(widths) + math.log(2 * math.pi) / 2)
    return out.cpu().numpy() - norm


def _log_sum_exp(x: Tensor, y: Tensor, ratios: list[float]) -> Tensor:
    """log Σ_r exp(-c |x_i - y_r|² / 2) for each c of `ratios`, each in [0, 1]: (n, n_ratios).

    One matrix product a tile gives x·y - |y|²/2 = (|x|² - |x - y|²)/2, relative to whose largest
    value in the row so far the exponentials are summed.
    """
    dtype, small = x.dtype, torch.finfo(x.dtype).min / 4
    factors = [ratio / math.log(2) for ratio in ratios]  # exp2 is the fast one
    columns = torch.tensor(factors, dtype=torch.float64, device=x.device)
    half = y.double().square().sum(1).mul_(-0.5).to(dtype)
    tiles = torch.empty(2, TILE * TILE, dtype=dtype, device=x.device)
    slices = math.ceil(x.shape[1] / FEATURES)
    out = torch.empty(len(x), len(ratios), dtype=torch.float64, device=x.device)
    for rows, result in zip(x.split(TILE), out.split(TILE), strict=True):
        parts = rows.tensor_split(slices, 1)
        total = torch.zeros_like(result)
        largest = torch.full_like(rows[:, :1], small)
        for samples, start in zip(y.split(TILE), half.split(TILE), strict=True):
            shape = len(rows), len(samples)
            tile, kernel = (flat[: shape[0] * shape[1]].view(shape) for flat in tiles)
            for part, columns_of_part in zip(parts, samples.tensor_split(slices, 1), strict=True):
                start = torch.addmm(start, part, columns_of_part.T, out=tile)
            before, largest = largest, torch.maximum(largest, tile.amax(1, keepdim=True))
            total *= (columns * (before - largest).double()).exp2_()
            tile.sub_(largest)
            for j, factor in enumerate(factors):
                # Below 2^-126 numbers are denormal, and slow on some processors.
                floor = max(-126 / factor, small) if factor else small
                torch.clamp(tile, min=floor, out=kernel).mul_(factor).exp2_()
                total[:, j] += kernel.sum(1)
        nearest = largest.double() - rows.double().square().sum(1, keepdim=True) / 2
        # Rounding may make a squared distance negative, here positive.
        result[:] = total.log_() + columns * math.log(2) * nearest.clamp_max_(0)
    return out


def _by_differences(X: np.ndarray, samples: np.ndarray, unit: float, ratios) -> Tensor:
    """As :func:`_log_sum_exp`, from differences in float64: on the CPU, and slow."""
    out = np.empty((len(X), len(ratios)))
    rows = max(1, TILE * TILE // len(samples))
    for start in range(0, len(X), rows):
        part = X[start : start + rows].astype(np.float64)
        with np.errstate(over="ignore"):
            half = cdist(part / unit, samples.astype(np.float64) / unit, "sqeuclidean") / -2
        for j, ratio in enumerate(ratios):
            out[start : start + rows, j] = logsumexp(half * ratio, axis=1)
    return torch.from_numpy(out)


def _check_widths(name: str, widths) -> list[float]:
    widths = list(widths) if np.iterable(widths) and not isinstance(widths, str) else widths
    if not isinstance(widths, list) or not widths:
        raise ValueError(f"{name} must be one or more positive numbers; got {widths!r}")
    for width in widths:
        if isinstance(width, bool) or not isinstance(width, Real):
            raise TypeError(f"{name} must be positive numbers; got {width!r}")
        if not 0 < width < math.inf:
            raise ValueError(
                f"{name} must be positive and finite (at width 0 there is no density); "
                f"got {width!r}"
            )
    return [float(width) for width in widths]
