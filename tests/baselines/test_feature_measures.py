"""Precision, recall and the Fréchet distance, against loops, closed forms and scipy."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from baselines import feature_measures as module
from baselines import tiles
from baselines.feature_measures import (
    features,
    frechet_distance,
    measures,
    measures_of_test_images,
    precision_recall,
)
from benchmarks.records.store import Store

ROOT = Path(__file__).parents[2]
IMAGES = np.random.default_rng(0).random((60, 784), dtype=np.float32)


def looped(samples, reference, k):
    """Share of samples in a ball of the reference, one by one (eq. 1 and 2)."""
    inside = 0
    for x in samples:
        for i, y in enumerate(reference):
            others = np.delete(reference, i, axis=0)
            radius = np.sort(np.linalg.norm(others - y, axis=1))[k - 1]
            if np.linalg.norm(x - y) <= radius:
                inside += 1
                break
    return inside / len(samples)


@pytest.mark.parametrize(("n", "m", "k"), [(30, 40, 3), (41, 17, 1), (20, 20, 5)])
def test_precision_and_recall_are_the_loops(n, m, k, monkeypatch):
    monkeypatch.setattr(tiles, "TILE", 16)
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, 3)), 0.5 + 2 * rng.normal(size=(m, 3))
    found = precision_recall(x, y, k)
    assert found == (looped(x, y, k), looped(y, x, k)) and 0 < min(found) < 1


def test_on_a_line_the_balls_are_known():
    """Real points 0, 1, 2, 10 with k = 1: balls [-1, 1], [0, 2], [1, 3] and [2, 18]."""
    reference = np.array([[0.0], [1.0], [2.0], [10.0]])
    samples = np.array([[-1.0], [3.0], [18.0], [18.5], [-1.5]])
    precision, recall = precision_recall(samples, reference, 1)
    assert precision == 3 / 5  # the surface belongs to a ball
    # The samples' balls: [-1.5, -0.5], [-1, 7], [17.5, 18.5], [18, 19] and [-2, -1].
    assert recall == 3 / 4


def test_samples_that_are_the_reference_have_all_and_those_far_away_nothing():
    points = np.random.default_rng(1).normal(size=(50, 4))
    assert precision_recall(points, points) == (1, 1)
    assert precision_recall(points, points + 100) == (0, 0)


def test_what_clumps_is_precise_and_recalls_little():
    rng = np.random.default_rng(2)
    reference, clump = rng.normal(size=(300, 2)), 0.1 * rng.normal(size=(300, 2))
    precision, recall = precision_recall(clump, reference)
    assert precision > 0.95 and recall < 0.2
    assert precision_recall(reference, clump) == (recall, precision)


def test_the_frechet_distance_is_scipys_square_root():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(80, 5)) @ rng.normal(size=(5, 5)), 0.3 + rng.normal(size=(70, 5))
    a, b = np.cov(x.T), np.cov(y.T)
    gap = x.mean(0) - y.mean(0)
    exact = gap @ gap + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert frechet_distance(x, y) == pytest.approx(exact, rel=1e-9)
    assert frechet_distance(y, x) == pytest.approx(exact, rel=1e-9)


def test_the_frechet_distance_of_two_normals_on_a_line():
    """(m - n)² + (s - t)², of samples with these moments exactly."""
    base = np.array([[-1.0], [0.0], [1.0]])  # mean 0, deviation 1
    assert frechet_distance(2 + 3 * base, 1 + 0.5 * base) == pytest.approx(1 + 2.5**2)


def test_equal_sets_are_at_distance_zero_and_a_shift_is_its_square():
    rng = np.random.default_rng(4)
    flat = rng.normal(size=(40, 3)) @ np.array([[1.0, 0, 1], [0, 1, 1], [0, 0, 0]])  # rank 2
    assert frechet_distance(flat, flat) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(flat + [0, 3, 4], flat) == pytest.approx(25, abs=1e-6)


def test_all_measures_are_those_of_the_parts():
    samples, test = IMAGES[:30], IMAGES[30:]
    found = measures(samples, test, None, 0)
    x, y = features(samples), features(test)
    assert x.shape == (30, 64) and x.min() >= 0
    assert (found["precision"], found["recall"]) == precision_recall(x, y)
    assert found["frechet"] == frechet_distance(x, y)
    assert (found["pixel_precision"], found["pixel_recall"]) == precision_recall(samples, test)


def test_sets_of_one_size_are_compared_and_the_seed_draws_them():
    one, again, other = (measures(IMAGES, IMAGES[:20], None, seed) for seed in (0, 0, 1))
    assert one == again and one != other
    halves = measures_of_test_images(IMAGES, None, 0)
    assert halves.keys() == one.keys() and halves == measures_of_test_images(IMAGES, None, 0)


def test_an_image_has_the_same_features_among_others():
    alone = features(IMAGES[:1])
    np.testing.assert_allclose(features(IMAGES)[:1], alone, rtol=1e-4, atol=1e-5)


def test_the_weights_are_those_of_the_classifier_on_record():
    content = module.WEIGHTS.read_bytes()
    assert hashlib.sha256(content).hexdigest() == module.SHA256
    records = Store(ROOT / "results").of_method("mnist", "digit-classifier")
    assert module.SHA256 in [record["arrays"]["sha256"] for record in records]


def test_other_weights_are_refused(monkeypatch, tmp_path):
    copy = tmp_path / "digit_features.npz"
    copy.write_bytes(module.WEIGHTS.read_bytes() + b"0")
    monkeypatch.setattr(module, "WEIGHTS", copy)
    module._network.cache_clear()
    with pytest.raises(ValueError, match="sha256"):
        features(IMAGES)
    monkeypatch.undo()
    module._network.cache_clear()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: measures(IMAGES, IMAGES[:, :5]), "test must have 784 features"),
        (lambda: measures(IMAGES, IMAGES[:3]), "more than k = 3"),
        (lambda: measures(IMAGES, IMAGES, k=0), "k must be"),
        (lambda: measures(IMAGES, IMAGES, random_state=-1), "random_state"),
        (lambda: measures(2 * IMAGES, IMAGES), "samples must be finite and lie in"),
        (lambda: precision_recall(np.eye(5), np.eye(4)), "reference must have 5 features"),
        (lambda: precision_recall(np.eye(5), np.full((4, 5), np.nan)), "reference must be finite"),
        (lambda: precision_recall(np.eye(3), np.eye(3)), "samples must have more than"),
        (lambda: frechet_distance(np.zeros(4), np.eye(4)), "samples must be"),
        (lambda: frechet_distance(np.eye(4)[:1], np.eye(4)), "at least 2 points"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_nothing_is_drawn_from_the_global_state():
    state = torch.get_rng_state()
    measures(IMAGES, IMAGES[:20], None, 0)
    assert torch.equal(torch.get_rng_state(), state)
