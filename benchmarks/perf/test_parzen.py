"""The Parzen window's grid of ten widths against the bare matrix product and scikit-learn.

``pytest benchmarks/perf/test_parzen.py`` times n = 2,000 points and samples of 784 features;
``-m slow`` times n = 10,000. The ratios stand in the ``extra_info`` of ``--benchmark-json FILE``
and in the last lines printed with ``-s``. A ratio compares times of one process, taken in turns.
"""

import time

import numpy as np
import pytest
import torch
from sklearn.neighbors import KernelDensity

from baselines.parzen import ParzenWindow

FEATURES = 784
ROUNDS = 3
KDE_POINTS = 50  # scikit-learn takes about a microsecond a pair and width

SIZES = [2_000, pytest.param(10_000, marks=pytest.mark.slow)]
# Uniform noise has the mean norm of MNIST's images and stays in float32 over the whole grid; normal
# noise is so wide that the narrow end needs float64.
KINDS = {"float32": np.random.Generator.random, "float64": np.random.Generator.standard_normal}


def points(kind, n):
    rng = np.random.default_rng(0)
    return tuple(torch.from_numpy(KINDS[kind](rng, (n, FEATURES), np.float32)) for _ in "xy")


def seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", SIZES)
def test_grid_of_ten_widths(benchmark, n, kind):
    x, y = points(kind, n)
    window = ParzenWindow(1.0).fit(y.numpy())
    product = torch.empty(n, n)
    products = []
    torch.mm(x, y.T, out=product)  # once to warm up

    def before():
        products.append(seconds(lambda: torch.mm(x, y.T, out=product)))

    scores = benchmark.pedantic(
        window.score_grid, (x.numpy(),), setup=before, rounds=ROUNDS, warmup_rounds=1
    )
    assert scores.shape == (10,) and np.isfinite(scores).all()
    grid, gemm = benchmark.stats.stats.min, min(products)
    few = x[:KDE_POINTS].numpy()
    tree = KernelDensity(bandwidth=window.width_).fit(y.numpy())
    kde = seconds(lambda: tree.score_samples(few)) * (n / KDE_POINTS) * len(scores)
    benchmark.extra_info.update(
        bare_gemm_seconds=gemm,
        ratio_to_bare_gemm=grid / gemm,
        gemm_gflops=2 * n * n * FEATURES / gemm / 1e9,
        kernel_density_seconds_extrapolated=kde,
        kernel_density_ratio_to_grid=kde / grid,
        threads=torch.get_num_threads(),
    )
    print(
        f"\nn = {n}, {kind}: grid {grid:.3f} s, {grid / gemm:.2f} x the bare product; "
        f"scikit-learn's KernelDensity takes {kde / grid:.0f} x the grid"
    )
