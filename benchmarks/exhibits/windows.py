"""What the Parzen score of one set of samples owes to its protocol and to how images are written.

The model, its weights and its draws stay; one thing at a time is another than in Table 2.
"""

from __future__ import annotations

import numpy as np

from baselines.parzen import ParzenWindow
from baselines.protocols import PROTOCOLS

STREAM = 3  # of the seed: binary draws of the grey values of samples
BINARY = 0.5  # grey values from here on count as white where images are made binary


def windows(dataset, inputs, seed, progress, *, test, n_few: int, width: float) -> tuple:
    """Scores of samples under one Parzen window each, whose width validation images choose.

    Parameters
    ----------
    dataset
        Has ``X`` (60,000, d) in [0, 1], of which Goodfellow's protocol names the validation images.
    inputs : dict
        ``samples`` (m, d) in [0, 1], means of pixels; ``test`` images (n, d).
    seed : int
        Of the binary draws.
    progress : ignored
    test : str
        Name of the dataset that ``inputs`` has the images of.
    n_few : int
        Samples, the first, of the window with fewer.
    width : float
        Of the window whose width nothing chooses, in units of a pixel in [0, 1].

    Returns
    -------
    arrays : dict
        None.
    values : dict
        Mean log-likelihood of the test images in nats, ``<setting>_ll``, and the width,
        ``<setting>_sigma``, of: ``table``, as in Table 2; ``grid``, widths in steps of 0.01 (Li et
        al. 2015); ``width``, the given one; ``few`` samples; ``draws``, binary ones whose
        probabilities the samples are; ``binary``, validation and test images made binary.
    """
    samples, images = inputs["samples"], inputs["test"]
    validation = dataset.X[PROTOCOLS["goodfellow"].split(len(dataset.X))[1]]
    draws = np.random.default_rng([seed, STREAM]).random(samples.shape) < samples
    white = [(points >= BINARY).astype(np.float32) for points in (validation, images)]
    asked = {
        "table": (ParzenWindow(), samples, validation, images),
        "grid": (ParzenWindow.from_protocol("gmmn"), samples, validation, images),
        "width": (ParzenWindow(width), samples, validation, images),
        "few": (ParzenWindow(), samples[:n_few], validation, images),
        "draws": (ParzenWindow(), draws.astype(np.float32), validation, images),
        "binary": (ParzenWindow(), samples, *white),
    }
    values = {}
    for name, (window, centres, chosen_on, scored) in asked.items():
        window.fit(centres, validation=chosen_on)
        values[f"{name}_ll"] = window.score(scored)
        values[f"{name}_sigma"] = window.width_
    return {}, values
