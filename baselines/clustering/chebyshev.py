"""Smallest eigenvectors of a large sparse matrix by Chebyshev-filtered subspace iteration.

Source: Y. Zhou, Y. Saad, M. L. Tiago, J. R. Chelikowsky, "Self-consistent-field calculations using
Chebyshev-filtered subspace iteration", J. Comput. Phys. 219, 172-184, 2006.

Nothing is factored: the cost is that of products with a block of vectors, the memory a few such
blocks. How many products there must be goes with the root of (spectrum / gap), so a graph in many
dimensions, whose factor would fill up, takes hundreds, and one like a long chain takes too many.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Product = Callable[[np.ndarray], np.ndarray]
BOUND_STEPS = 20  # of Lanczos, for the top of the spectrum
FIRST_DEGREE = 20  # while the cut-off is a guess
SETTLED = 5  # sweeps after which the rate is believed
GROWTH = 16.0  # log of how much a sweep may favour the lowest of the block over the highest


def smallest_subspace(
    product: Product, n: int, c: int, tolerance: float, max_degree: int
) -> tuple[np.ndarray, np.ndarray, float, int]:
    """Orthonormal Ritz vectors of the c smallest eigenvalues of a symmetric operator.

    The block is twice as wide as asked, about the width at which products times width are fewest.
    It stops early where the rate seen so far says that twice `max_degree` will not do.

    Parameters
    ----------
    product : of the operator, (n, m) -> (n, m) float64.
    tolerance : the largest residual wanted, in units of the operator.
    max_degree : limit on the products with the block.

    Returns
    -------
    values : (c,) Ritz values, ascending.
    vectors : (n, c)
    residual : the largest 2-norm of ``A v - v theta`` among them; above `tolerance` where the limit
        came first.
    degree : products with the block that were made.
    """
    rng = np.random.default_rng(0)
    width = min(n, c + max(8, c))
    top = upper_bound(product, rng.standard_normal(n))
    block = np.linalg.qr(rng.standard_normal((n, width)))[0]
    block, values, residual = _rayleigh_ritz(product, block, c)
    used, sweep, longest = 1, 0, max(FIRST_DEGREE, max_degree // 20)
    while residual > tolerance:
        low, wanted, cut = values[0], values[c - 1], values[-1]
        if cut <= wanted or cut >= top:  # the whole block is one eigenvalue
            cut = wanted + 1e-3 * (top - wanted)
        rate, fastest = (_exponent(value, cut, top) for value in (wanted, low))
        sweep += 1
        degree = FIRST_DEGREE if sweep < SETTLED - 2 else int(GROWTH / fastest)
        degree = min(max(2, degree), longest)
        missing = int(np.log(residual / tolerance) / rate) + 1
        if sweep >= SETTLED:
            degree = min(degree, missing + 2)
            if used + missing > 2 * max_degree:
                break
        if used + degree > max_degree:
            break
        block = _filtered(product, block, degree, low, cut, top)
        block, values, residual = _rayleigh_ritz(product, np.linalg.qr(block)[0], c)
        used += degree + 1
    return values[:c], block[:, :c], residual, used


def upper_bound(product: Product, start: np.ndarray) -> float:
    """A number not below the largest eigenvalue: a few Lanczos steps, plus their remainder."""
    vector, before = start / np.linalg.norm(start), np.zeros_like(start)
    diagonal, off = [], [0.0]
    for _ in range(min(BOUND_STEPS, len(start))):
        after = product(vector[:, None])[:, 0] - off[-1] * before
        diagonal.append(float(after @ vector))
        after -= diagonal[-1] * vector
        off.append(float(np.linalg.norm(after)))
        if off[-1] <= 1e-12 * max(abs(value) for value in diagonal):
            break
        before, vector = vector, after / off[-1]
    m = len(diagonal)
    tridiagonal = np.diag(diagonal) + np.diag(off[1:m], 1) + np.diag(off[1:m], -1)
    return float(np.linalg.eigvalsh(tridiagonal)[-1] + off[m])


def _exponent(value: float, cut: float, top: float) -> float:
    """log of the growth, a degree, of what lies at `value` below the damped part [cut, top]."""
    return float(np.arccosh(1 + 2 * max(cut - value, 1e-14 * (top - cut)) / (top - cut)))


def _filtered(product, block, degree, low, cut, top):
    """The scaled Chebyshev polynomial of that degree, at most 1 in size at `low`."""
    half, centre = (top - cut) / 2, (top + cut) / 2
    first = sigma = half / (low - centre)
    before, now = block, (product(block) - centre * block) * (sigma / half)
    for _ in range(degree - 1):
        after = 1 / (2 / first - sigma)
        new = product(now)
        new -= centre * now
        new *= 2 * after / half
        before *= sigma * after
        new -= before
        before, now, sigma = now, new, after
    return now


def _rayleigh_ritz(product, block, c):
    image = product(block)
    values, turn = np.linalg.eigh(block.T @ image)
    block = block @ turn
    gap = image @ turn[:, :c] - block[:, :c] * values[:c]
    return block, values, float(np.linalg.norm(gap, axis=0).max())
