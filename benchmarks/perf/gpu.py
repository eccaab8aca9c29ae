"""What a GPU is for, in three parts of ten minutes at most: ``python -m benchmarks.perf.gpu``.

``tests`` are those of the core and the generative models that need a GPU; ``speed`` is the speed
suite at MNIST's sizes against the GPU's own limits; ``mnist`` trains both recipes on MNIST to
saturation, or for as long as there is time. Each can be run alone; each leaves a small file in the
folder of results. MNIST is taken from the data folder; where it is not, points of its size are made
up, and the row says so. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import torch
from sklearn.cluster import KMeans

from benchmarks import registry
from benchmarks.datasets import DatasetMissing, load
from benchmarks.perf import measure, workloads
from benchmarks.records.purity import purity
from mixnet_core import Autoencoder, MixtureOfNetworks

LIMIT_S = 540.0
TESTS = ("tests/mixnet_core/test_gpu.py", "tests/baselines/test_generative_cuda.py")


def tests(options) -> int:
    """The tests that are skipped where there is no GPU."""
    return _pytest(options, *TESTS, "-ra")


def speed(options) -> int:
    """The speed suite, kept in the folder of results."""
    files = [f"benchmarks/perf/test_{name}.py" for name in ("mixture", "parzen", "generative")]
    return _pytest(options, *files, "--full", "--keep", f"--perf-device={options.device}")


def _pytest(options, *words) -> int:
    try:
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *words],
            check=False,
            cwd=measure.provenance.ROOT,
            timeout=options.limit,
        ).returncode
    except subprocess.TimeoutExpired:
        print(f"stopped after {options.limit:.0f} s")
        return 1


def mnist(options) -> int:
    """Autoencoder, k-means and both recipes on the device, by the registered parameters."""
    begun, rows = time.perf_counter(), []
    X, y, made = points(options.points)
    device = {"device": options.device, "random_state": 0}
    encoder = Autoencoder(**registry.resolve_params("autoencoder", "mnist", options.fast), **device)
    spent = measure.seconds(lambda: encoder.fit(X), options.device)
    rows.append({"task": "MNIST, autoencoder", "seconds": spent, "n": len(X), "made_up": made})
    codes = encoder.transform(X)
    start = KMeans(10, n_init=10, random_state=0).fit_predict(codes)
    for number, method in enumerate(("mixnet+", "mixnet")):
        left = options.limit - (time.perf_counter() - begun)
        end = time.perf_counter() + left / (2 - number)
        rows.append(trained(method, codes, start, y, end, device, options.fast) | {"made_up": made})
        print(rows[-1], flush=True)
    print(f"kept in {measure.keep('gpu', 'mnist', rows, options.device, options.output)}")
    return 0


def points(n: int | None):
    """(X, y, False) of MNIST, or made-up points, no labels and True; the first n rows."""
    try:
        data = load("mnist", download=False)
        return data.X[:n], data.y[:n], False
    except DatasetMissing as error:
        print(f"no MNIST here, points of its size are made up ({str(error).splitlines()[0]})")
        return workloads.made_points(n or 60_000, 784), None, True


def trained(method: str, codes, start, y, end: float, device: dict, fast: bool) -> dict:
    """One training from the partition `start`, ended at the time `end` where it still runs."""
    params = registry.resolve_params(method, "mnist", fast)
    if len(codes) < 2 * params["validation_size"]:
        params["validation_size"] = 0.1
    model = MixtureOfNetworks(10, **params, **device)
    spent = measure.seconds(
        lambda: model.fit(
            codes, init_labels=start, callbacks=[lambda step: time.perf_counter() > end]
        ),
        device["device"],
    )
    return {
        "task": f"MNIST, {method}",
        "seconds": spent,
        "n": len(codes),
        "iterations": model.n_iter_,
        "t1": model.values_["t1"],
        "ended_by": model.values_["ended_by"],
        "heldout_log_likelihood": model.values_["heldout_log_likelihood"],
        "purity": None if y is None else purity(y, model.labels_),
        "purity_of_the_start": None if y is None else purity(y, start),
        "peak_gpu_mb": (
            torch.cuda.max_memory_allocated() / 2**20 if device["device"] != "cpu" else None
        ),
    }


PARTS = {"tests": tests, "speed": speed, "mnist": mnist}


def main(arguments=None) -> int:
    """Run the parts asked for, all of them where none is; the worst exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perf.gpu", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds for a part")
    parser.add_argument("--points", type=int, help="of MNIST; all where not given")
    parser.add_argument("--fast", action="store_true", help="shortened schedules")
    parser.add_argument("--output", type=Path, default=measure.RESULTS)
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"PART is {sorted(unknown)[0]!r}, needs one of {', '.join(PARTS)}")
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error(f"--device is {options.device!r}, and torch {torch.__version__} sees no GPU")
    worst = 0
    for part in options.parts or PARTS:
        print(f"== {part}", flush=True)
        worst = max(worst, PARTS[part](options))
    return worst


if __name__ == "__main__":
    sys.exit(main())
