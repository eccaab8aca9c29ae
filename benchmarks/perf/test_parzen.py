"""The Parzen window's grid of ten widths, as Table 2's evaluator runs it, against the libraries.

Quick sizes are 2,000 points and samples of 784 features, ``--full`` has 10,000. The libraries score
a few points only, at one width: ten times that is what the grid would cost them.
"""

import numpy as np
import pytest
import torch
from scipy.stats import gaussian_kde
from sklearn.neighbors import KernelDensity

from baselines.parzen import ParzenWindow

FEATURES = 784
FEW = 50  # scikit-learn takes about a microsecond a pair and width

# Uniform noise has the mean norm of MNIST's images and stays in float32 over the whole grid; normal
# noise is so wide that the narrow end needs float64.
KINDS = {"float32": np.random.Generator.random, "float64": np.random.Generator.standard_normal}


def points(kind, n):
    rng = np.random.default_rng(0)
    return tuple(KINDS[kind](rng, (n, FEATURES), np.float32) for _ in "xy")


@pytest.mark.parametrize("kind", KINDS)
def test_grid_of_ten_widths(compare, full, device, kind):
    if torch.device(device).type == "cuda" and kind == "float32":
        pytest.skip("on a GPU the window always takes float64")
    n = 10_000 if full else 2_000
    x, y = points(kind, n)
    window = ParzenWindow(1.0, device=device).fit(y)
    scores = window.score_grid(x)
    assert scores.shape == (10,) and np.isfinite(scores).all()
    tree = KernelDensity(bandwidth=window.width_).fit(y)
    kernels = gaussian_kde(y.T, bw_method=1.0)
    share = FEW / n / len(scores)
    rows, columns = torch.from_numpy(x).to(device), torch.from_numpy(y).to(device).T
    product = torch.empty(n, n, device=device)
    goal = 1 / 5 if kind == "float32" else None
    compare(
        f"Parzen grid, {kind}",
        lambda: window.score_grid(x),
        flops=2 * n * n * FEATURES,
        n=n,
        d=FEATURES,
        widths=len(scores),
        others={
            "the bare float32 product": (lambda: torch.mm(rows, columns, out=product), 1, goal),
            "scikit-learn's KernelDensity": (lambda: tree.score_samples(x[:FEW]), share, 1.0),
            "scipy.stats.gaussian_kde": (lambda: kernels(x[:FEW].T), share, 1.0),
        },
    )
