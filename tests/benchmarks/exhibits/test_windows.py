"""Scores of the same samples in other settings, against a Parzen window written out."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from baselines.protocols import PROTOCOLS
from benchmarks.exhibits.windows import windows

RNG = np.random.default_rng(0)
SAMPLES = RNG.random((30, 4), dtype=np.float32)
TEST = RNG.random((20, 4), dtype=np.float32)
TRAINING = RNG.random((60_000, 4), dtype=np.float32)  # rows that the protocol names


def written_out(points, centres, width):
    """log (1/m) Σ_r N(x; y_r, σ² I), in the mean."""
    kernel = -cdist(points, centres, "sqeuclidean") / (2 * width**2)
    norm = np.log(len(centres)) + centres.shape[1] * np.log(width * np.sqrt(2 * np.pi))
    return (logsumexp(kernel, axis=1) - norm).mean()


def chosen(centres, validation, widths):
    return max(widths, key=lambda width: written_out(validation, centres, width))


@pytest.fixture(scope="module")
def values():
    inputs = {"samples": SAMPLES, "test": TEST}
    arrays, values = windows(
        SimpleNamespace(X=TRAINING), inputs, 0, None, test="some", n_few=10, width=0.3
    )
    assert arrays == {}
    return values


@pytest.mark.parametrize(
    ("setting", "centres", "protocol"),
    [("table", SAMPLES, "goodfellow"), ("grid", SAMPLES, "gmmn"), ("few", SAMPLES[:10], None)],
)
def test_a_width_is_chosen_on_validation_images_and_scores_test_images(
    values, setting, centres, protocol
):
    validation = TRAINING[50_000:51_000]
    width = chosen(centres, validation, PROTOCOLS[protocol or "goodfellow"].widths)
    assert values[f"{setting}_sigma"] == width
    assert values[f"{setting}_ll"] == pytest.approx(written_out(TEST, centres, width), abs=1e-4)


def test_the_given_width_is_not_chosen(values):
    assert values["width_sigma"] == 0.3
    assert values["width_ll"] == pytest.approx(written_out(TEST, SAMPLES, 0.3), abs=1e-4)


def test_images_are_made_binary_where_they_are_scored_and_where_the_width_is_chosen(values):
    white, validation = (TEST >= 0.5) * 1.0, (TRAINING[50_000:51_000] >= 0.5) * 1.0
    width = chosen(SAMPLES, validation, PROTOCOLS["goodfellow"].widths)
    assert values["binary_sigma"] == width
    assert values["binary_ll"] == pytest.approx(written_out(white, SAMPLES, width), abs=1e-4)


def test_draws_have_the_samples_as_their_probabilities():
    black_and_white = np.repeat(np.eye(4, dtype=np.float32), 5, axis=0)  # nothing is left to draw
    inputs = {"samples": black_and_white, "test": TEST}
    values = windows(
        SimpleNamespace(X=TRAINING), inputs, 3, None, test="some", n_few=10, width=0.3
    )[1]
    assert values["draws_ll"] == values["table_ll"]
