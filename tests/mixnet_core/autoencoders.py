"""What tests of both autoencoders share: points, bad data, kills, how models are compared."""

import numpy as np
import pytest
import scipy.sparse
import torch

from mixnet_core.files import checkpoints

#: X, and words of the error; the same for every estimator that takes any features.
BAD_DATA = [
    (np.zeros(5), "Expected 2D array"),
    (np.zeros((1, 5)), "minimum of 2 is required"),
    (np.full((5, 2), np.nan), "NaN"),
    (np.full((5, 2), -np.inf), "infinity"),
    (np.array([["a", "b"]] * 3), "could not convert string"),
    (np.zeros((5, 0)), "0 feature"),
    (scipy.sparse.eye(5), "Sparse data was passed"),
    (
        np.ma.masked_less(np.arange(10.0).reshape(5, 2), 3),
        "X must not have masked entries; got 3",
    ),
]


class Killed(Exception):
    pass


def bent_surface(rng):
    """200 points on a bent surface of dimension 3 in 12 dimensions, off centre and scale."""
    latent = rng.random((200, 3))
    mixed = np.tanh(latent @ rng.normal(size=(3, 12)))
    return (mixed * 20 + 300 + 0.1 * rng.normal(size=(200, 12))).astype(np.float32)


def assert_same_model(a, b, X):
    for name, tensor in a.network_.state_dict().items():
        assert torch.equal(tensor, b.network_.state_dict()[name])
    assert a.history_ == b.history_
    assert a.values_ == b.values_
    assert np.array_equal(a.transform(X), b.transform(X))


def check_each_kill(make, X, folder, n_reports):
    """A training killed at each report in turn goes on from there to the same model."""
    whole = make().fit(X)
    for stop in range(1, n_reports + 1):
        path = folder / f"kill-{stop}"

        def kill(done, total, text, stop=stop):
            if done == stop:
                raise Killed

        with pytest.raises(Killed):
            make().fit(X, checkpoint=path, progress=kill)
        steps = []
        resumed = make().fit(
            X, checkpoint=path, progress=lambda done, total, text, steps=steps: steps.append(done)
        )
        assert steps == list(range(stop + 1, n_reports + 1))  # it did not start again
        assert_same_model(whole, resumed, X)


def fitted_through_kills(make, X, path, monkeypatch, most=None):
    """A model whose training is killed at every save, or the first `most`; how often it was."""
    kills, save = 0, checkpoints.save_checkpoint

    def save_and_die(*args):
        save(*args)
        if most is None or kills < most:
            raise Killed

    monkeypatch.setattr(checkpoints, "save_checkpoint", save_and_die)
    while True:
        try:
            return make().fit(X, checkpoint=path), kills
        except Killed:
            kills += 1
