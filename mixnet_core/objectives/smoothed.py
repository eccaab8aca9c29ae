"""MMD² with the noise of eq. 4: what the kernel explains is not asked of the network."""

from torch import Tensor, ones_like

from mixnet_core.mmd import GaussianMMD


class SmoothedMMD(GaussianMMD):
    """MMD² between the data and the density of eq. 4: generated points plus its kernel's noise.

    Eq. 9 compares bare samples with the data, so a network of few inputs must stretch until it has
    all of the variance of the data by itself; eq. 4 then adds its kernel on top. Here the network
    is left what the noise σ does not explain (ours). For Gaussian kernels the mean over noise is
    exact: a width h becomes √(h² + σ²) between data and samples and √(h² + 2σ²) between samples,
    with factors (h² / (h² + σ²))^(p/2) and (h² / (h² + 2σ²))^(p/2). Each kernel is weighted so that
    the first factor becomes 1; in many dimensions narrow kernels would count for nothing.

    Parameters
    ----------
    widths : sequence of float
        Standard deviations h as multiples of w; the mean over them is taken.
    """

    name = "smoothed_mmd"

    def kernels(self, x, networks) -> list[tuple]:
        """As :meth:`GaussianMMD.kernels`, with the noise of each component."""
        scale, noise, p = self._scale(x, networks), self._variance(x, networks), x.shape[2]
        h2s = [(m * scale) ** 2 for m in self.widths]
        return [
            (h2 + noise, h2 + 2 * noise, ((h2 + noise) / (h2 + 2 * noise)) ** (p / 2)) for h2 in h2s
        ]

    def data_kernels(self, x, networks) -> list[tuple]:
        """As :meth:`GaussianMMD.data_kernels`."""
        scale, noise, p = self._scale(x, networks), self._variance(x, networks), x.shape[2]
        h2s = [(m * scale) ** 2 for m in self.widths]
        return [(h2, (1 + noise / h2) ** (p / 2)) for h2 in h2s]

    def __call__(self, x, y, mask, networks) -> Tensor:
        """The terms that a network can change, shape (A,)."""
        return super().__call__(*self._seen(x, y, networks), mask, networks)

    def gradient(self, x, y, mask, networks) -> Tensor:
        """As :meth:`GaussianMMD.gradient`."""
        slope = super().gradient(*self._seen(x, y, networks), mask, networks)
        return self.noise.slope(slope, networks) if self._whitens() else slope

    def _whitens(self) -> bool:
        return not getattr(self.noise, "isotropic", True)

    def _seen(self, x, y, networks):
        """Points in coordinates in which the noise is isotropic."""
        if not self._whitens():
            return x, y
        centre = y.detach().mean(1, keepdim=True)
        return self.noise.whiten(x - centre, networks), self.noise.whiten(y - centre, networks)

    def _scale(self, x, networks):
        """w; with a full covariance in units of its mean standard deviation, (A, 1, 1)."""
        scale = self._check_prepared()
        if not self._whitens():
            return scale
        p = x.shape[2]
        return (scale / (self.noise.log_det(p)[networks] / p).exp()).view(-1, 1, 1).to(x.dtype)

    def _variance(self, x, networks):
        if self._whitens():
            return ones_like(x[:, :1, :1])
        roots = getattr(self.noise, "roots", self.noise)
        if not isinstance(roots, Tensor) or not roots.dim():
            return roots**2
        return roots.square()[networks].view(-1, 1, 1).to(x.dtype)
