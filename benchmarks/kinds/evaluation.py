"""Cells that score the samples of a generative cell against real images; nothing is trained."""

from __future__ import annotations

import inspect

from benchmarks.kinds.base import Clock, Kind, Result, resolve


class Evaluation(Kind):
    """A Parzen window (a class), or a function of samples, test and training images.

    For a window ``protocol`` names how its width is chosen, and the log density of every test image
    is kept; a function returns scalars. ``n_test`` limits the test images (0: all). ``inputs`` has
    ``test`` and ``samples``; without the latter the test images are scored.
    """

    text = "scores samples of generative methods"
    output = "values"
    row = False
    scores = True

    def inputs(self, space, data, of) -> dict:
        return {} if of is None else {"samples": (of, space)}

    def run(
        self, cell, method, dataset, inputs, artifacts, checkpoint, device="cpu", progress=None
    ) -> Result:
        from baselines.protocols import PROTOCOLS

        params, samples, test = cell["params"], inputs.get("samples"), inputs["test"]
        test = test[: params["n_test"]] if params["n_test"] else test
        scorer, result = resolve(method["estimator"]), Result()
        clock = Clock(result.phases)
        if inspect.isclass(scorer):
            protocol = PROTOCOLS[params["protocol"]]
            _window(result, scorer, protocol, samples, dataset.X, test, device)
        else:
            train = dataset.X[PROTOCOLS["goodfellow"].split(len(dataset.X))[0]]
            sets = (test, train) if samples is None else (samples, test, train)
            result.values = scorer(*sets, random_state=cell["seed"])
        clock.lap("score")
        result.values |= {"n_samples": 0 if samples is None else len(samples), "n_test": len(test)}
        return result


def _window(result: Result, scorer, protocol, samples, X, test, device: str) -> None:
    """Log density of test images under a window whose width the protocol chooses."""
    from baselines.parzen import mean_and_error

    centres = samples
    if protocol.fresh_samples:  # half choose the width, the other half are scored
        samples, centres = samples[: len(samples) // 2], samples[len(samples) // 2 :]
    validation = X[protocol.split(len(X))[1]]
    window = scorer.from_protocol(protocol.name, device=device).fit(samples, validation=validation)
    chosen = float(window.validation_scores_.max())
    if protocol.fresh_samples:
        window = scorer(width=window.width_, device=device).fit(centres)
    log_density = window.score_samples(test)
    mean, error = mean_and_error(log_density)
    result.log_likelihood = log_density.astype("float32")
    result.values = {
        "ll": mean,
        "se": error,
        "sigma": window.width_,
        "validation": chosen,
        "protocol": protocol.name,
    }


KIND = Evaluation()
