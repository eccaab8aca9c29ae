"""Cost and purity of a clustering method as the number of points grows.

§4.1.1 says of Gaussian mixtures that they "obviously fail to identify these clusters", and of
methods on similarity matrices that they "include an eigen-decomposition step, which is very
computationally expensive when it comes to clustering large datasets". This measures both.
"""

from __future__ import annotations

import time
from functools import partial

import numpy as np

from baselines.clustering.ncut import NCut, affinity
from benchmarks import kinds, registry
from benchmarks.datasets import toys
from benchmarks.records.purity import purity

WARM_UP = 200  # points of a first fit that is not recorded: imports and caches
GIB = 2**30
STEEPEST = 4.0  # exponent that an expectation goes up to; two quick runs may give any
N_FITS = 3  # of a quick size


def growth(
    dataset, inputs, seed, progress, *, method, sizes, quick_s, limit_s, memory_gib, pair_bytes
):
    """Fit a method, at its registered parameters, to more and more points of a toy set.

    Seconds are those of the processor, not of the clock, so that other work on the machine counts
    little; what still disturbs a fit only adds to them. Labels of the points score the result and
    do nothing else.

    Parameters
    ----------
    dataset
        Its name is one of `benchmarks.datasets.toys.SHAPES`.
    inputs : dict
        Not read: the cell of the method at the dataset's own size, so that this cell is another one
        as soon as that has other parameters.
    method : str
        A clustering or a mixture of methods.toml. What a mixture starts from is part of its cost.
    sizes : list of int
        Numbers of points, ascending.
    quick_s : float
        A size that takes less is fitted `N_FITS` times, of which the shortest counts.
    limit_s : float
        A size whose expected seconds are above it is not run, nor is any larger one.
    memory_gib, pair_bytes : float
        The same for ``pair_bytes n^2``, the memory of a method that holds all pairs of points.

    Returns
    -------
    arrays : dict
        ``n`` and ``purity`` (percent) of the sizes that were run.
    values : dict
        Lists over all sizes: ``n``, ``seconds``, ``graph_seconds`` (a neighbour graph or
        affinity built once more by itself; None where the method has none), ``purity``,
        ``expected_seconds`` (from the runs before), ``status`` ("done", "time" or "memory").
    """
    if list(sizes) != sorted(set(sizes)) or not sizes or sizes[0] < 2:
        raise ValueError(f"sizes must be whole numbers from 2, ascending; got {sizes!r}")
    cluster, graph = fitter(method, dataset.name, dataset.n_clusters, seed)
    cluster(draw(dataset.name, WARM_UP, seed)[0])
    rows, status = [], "done"
    for i, n in enumerate(sizes):
        done = [row for row in rows if row["status"] == "done"]
        row = {
            "n": n,
            "seconds": None,
            "graph_seconds": None,
            "purity": None,
            "expected_seconds": expected(n, [(r["n"], r["seconds"]) for r in done]),
        }
        if status == "done" and pair_bytes * n**2 > memory_gib * GIB:
            status = "memory"
        elif status == "done" and (row["expected_seconds"] or 0) > limit_s:
            status = "time"
        row["status"] = status
        if status == "done":
            if progress is not None:
                progress(i, len(sizes), f"{n} points")
            X, y = draw(dataset.name, n, seed)
            row["seconds"], labels = timed(cluster, X, quick_s)
            row["purity"] = 100.0 * purity(y, labels)
            if graph is not None:
                row["graph_seconds"], _ = timed(graph, X, quick_s)
        rows.append(row)
    done = [row for row in rows if row["status"] == "done"]
    arrays = {
        "n": np.array([row["n"] for row in done], dtype=np.int64),
        "purity": np.array([row["purity"] for row in done]),
    }
    return arrays, {name: [row[name] for row in rows] for name in rows[0]}


def draw(name: str, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The first n points (n, 2) float32 and classes (n,) of several draws of a toy set, joined.

    Smaller sizes are the first points of larger ones. Each draw is scaled by itself, which moves
    points by about a thousandth.

    Raises
    ------
    ValueError
        If there is no toy set of that name.
    """
    if name not in toys.SHAPES:
        raise ValueError(f"dataset is {name!r}, needs one of {sorted(toys.SHAPES)}")
    parts, found = [], 0
    for child in np.random.SeedSequence(seed).generate_state(n):  # more seeds than are needed
        parts.append(toys.generate(name, int(child)))
        found += len(parts[-1][0])
        if found >= n:
            break
    X, y = (np.concatenate(part)[:n] for part in zip(*parts, strict=True))
    return X.astype(np.float32), y


def fitter(method: str, dataset: str, n_clusters: int, seed: int):
    """Two functions of X: labels (n,) by a registered method; its graph (None: it has none)."""
    stanza = registry.get(registry.methods(), method, "method")
    params = {**registry.resolve_params(method, dataset), "n_clusters": n_clusters}
    estimator = kinds.of(stanza).build({"params": params, "seed": seed}, stanza)
    if "start" in stanza.get("needs", {}):
        start, _ = fitter(stanza["needs"]["start"].partition("/")[0], dataset, n_clusters, seed)
        return lambda X: estimator.fit(X, init_labels=start(X)).labels_, None
    graph = getattr(estimator, "affinity_matrix", None)
    if isinstance(estimator, NCut):
        graph = partial(affinity, n_neighbors=estimator.n_neighbors)
    return lambda X: estimator.fit(X).labels_, graph


def timed(function, X, quick_s: float):
    """Processor seconds of ``function(X)``, the fewest of `N_FITS` calls or of one; its result."""
    seconds = float("inf")
    for _ in range(N_FITS):
        start = time.process_time()
        result = function(X)
        seconds = min(seconds, time.process_time() - start)
        if seconds >= quick_s:
            break
    return seconds, result


def expected(n: int, runs: list[tuple[int, float]]) -> float | None:
    """Seconds to expect at n from (size, seconds) so far: as it grew last, at least linearly."""
    if not runs:
        return None
    exponent = 1.0
    if len(runs) > 1:
        (n0, s0), (n1, s1) = runs[-2:]
        exponent = float(np.clip(np.log(s1 / s0) / np.log(n1 / n0), 1.0, STEEPEST))
    return runs[-1][1] * (n / runs[-1][0]) ** exponent
