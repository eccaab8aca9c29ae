"""The classifier that measures: what it is trained on, what it is judged by, what is kept of it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from baselines.digit_network import DigitNetwork
from baselines.protocols import Protocol
from benchmarks.exhibits.digit_classifier import digit_classifier

SETTINGS = dict(n_features=20, epochs=10, batch_size=20, lr=0.003)
N, HELD_OUT = 300, 60


@pytest.fixture
def bars(monkeypatch):
    """Ten classes of images: a bright bar in one of ten places, with noise."""
    monkeypatch.setattr(
        Protocol, "split", lambda self, n: (np.arange(n - HELD_OUT), np.arange(n - HELD_OUT, n))
    )
    rng = np.random.default_rng(0)
    y = rng.integers(10, size=N)
    images = rng.uniform(0, 0.3, size=(N, 28, 28)).astype(np.float32)
    for image, c in zip(images, y, strict=True):
        image[2 * c + 3 : 2 * c + 6] += 0.7
    return SimpleNamespace(X=images.reshape(N, -1), y=y)


def test_it_is_judged_by_the_kept_weights_on_images_that_it_was_not_trained_on(bars):
    weights, values = digit_classifier(bars, {}, 0, **SETTINGS)
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float16)}
    network = DigitNetwork(SETTINGS["n_features"])
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    found = network(torch.from_numpy(bars.X[-HELD_OUT:])).argmax(1).numpy()
    accuracy = 100 * (found == bars.y[-HELD_OUT:]).mean()
    assert values["accuracy"] == pytest.approx(accuracy) and accuracy > 60
    assert values["n_held_out"] == HELD_OUT and values["updates"] == 10 * 12


def test_held_out_images_and_labels_change_the_judgement_alone(bars):
    weights, values = digit_classifier(bars, {}, 0, **SETTINGS)
    bars.X[-HELD_OUT:] = 0
    bars.y[-HELD_OUT:] = (bars.y[-HELD_OUT:] + 1) % 10
    others, worse = digit_classifier(bars, {}, 0, **SETTINGS)
    assert all(np.array_equal(weights[name], others[name]) for name in weights)
    assert worse["accuracy"] < values["accuracy"]


def test_another_seed_is_another_classifier(bars):
    one, other = (digit_classifier(bars, {}, seed, **SETTINGS)[0] for seed in (0, 1))
    assert not np.array_equal(one["hidden.weight"], other["hidden.weight"])
