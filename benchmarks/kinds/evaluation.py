"""Cells that score the samples of a generative cell against real images; nothing is trained."""

from __future__ import annotations

import inspect
import time

from baselines.protocols import PROTOCOLS
from benchmarks.kinds import stages


def run(cell: dict, method: dict, dataset, inputs: dict, artifacts, checkpoint,
        device: str = "cpu", progress=None) -> stages.Result:
    """Score one cell's samples; parameters as `stages.run`.

    A method whose estimator is a class is a Parzen window: ``protocol`` names how its width is
    chosen, and the log density of every test image is kept. One whose estimator is a function of
    samples, test and training images returns scalars. ``n_test`` limits the test images (0: all).
    ``inputs`` has ``test`` and ``samples``; without the latter the test images are scored.
    """
    params, samples, test = cell["params"], inputs.get("samples"), inputs["test"]
    test = test[:params["n_test"]] if params["n_test"] else test
    scorer = stages.resolve(method["estimator"])
    result, start = stages.Result(), time.perf_counter()
    if not inspect.isclass(scorer):
        train = PROTOCOLS["goodfellow"].split(len(dataset.X))[0]
        sets = (test, dataset.X[train]) if samples is None else (samples, test, dataset.X[train])
        result.values = scorer(*sets, random_state=cell["seed"])
    else:
        from baselines.parzen import mean_and_error

        protocol = PROTOCOLS[params["protocol"]]
        centres = samples
        if protocol.fresh_samples:  # half choose the width, the other half are scored
            samples, centres = samples[: len(samples) // 2], samples[len(samples) // 2:]
        validation = dataset.X[protocol.split(len(dataset.X))[1]]
        window = scorer.from_protocol(protocol.name, device=device).fit(samples, validation)
        chosen = float(window.validation_scores_.max())
        if protocol.fresh_samples:
            window = scorer(width=window.width_, device=device).fit(centres)
        log_density = window.score_samples(test)
        mean, error = mean_and_error(log_density)
        result.log_likelihood = log_density.astype("float32")
        result.values = {"ll": mean, "se": error, "sigma": window.width_, "validation": chosen,
                         "protocol": protocol.name}
    result.phases["score"] = time.perf_counter() - start
    result.values |= {"n_samples": 0 if samples is None else len(samples), "n_test": len(test)}
    return result

