"""Codes that keep neighbours: what they keep, and that nothing else changes them."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.exceptions import NotFittedError

from mixnet_core.autoencoder import Autoencoder
from mixnet_core.manifold import NeighbourAutoencoder
from mixnet_core.manifold.autoencoder import LinearCodes
from tests.mixnet_core.autoencoders import (
    BAD_DATA,
    assert_same_model,
    bent_surface,
    check_each_kill,
    fitted_through_kills,
)

SMALL = dict(
    code_dim=3,
    hidden=(24,),
    n_neighbors=8,
    batch_size=32,
    epochs=0,
    min_updates=5,
    lr=5e-3,
    random_state=1,
)


@pytest.fixture
def X(rng):
    return bent_surface(rng)


def test_filling_the_box_keeps_reconstructions_and_ratios_of_distances(rng):
    network = LinearCodes(6, (8,), 3, torch.Generator().manual_seed(0))
    x = torch.from_numpy(rng.normal(size=(50, 6)).astype(np.float32))
    with torch.no_grad():
        codes, back = network.encode(x), network(x)
        network.fill_box(codes)
        moved = network.encode(x)
        torch.testing.assert_close(network(x), back, rtol=0, atol=1e-5)
    ratio = pdist(moved.numpy()) / pdist(codes.numpy())
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
    torch.testing.assert_close(moved.amin(0), torch.full((3,), 0.05))
    assert float(moved.max()) == pytest.approx(0.95, abs=1e-5)


def test_codes_all_alike_fill_the_box_too():
    network = LinearCodes(2, (3,), 2, torch.Generator().manual_seed(0))
    x = torch.ones(4, 2)
    with torch.no_grad():
        back = network(x)
        network.fill_box(network.encode(x))
        torch.testing.assert_close(network.encode(x), torch.full((4, 2), 0.05))
        torch.testing.assert_close(network(x), back, rtol=0, atol=1e-5)


def test_unseen_points_have_codes_and_come_back(X):
    model = NeighbourAutoencoder(**SMALL | {"min_updates": 250}).fit(X[:150])
    codes = model.transform(X[:150])
    assert codes.dtype == np.float32
    assert codes.min() >= 0.05 - 1e-5 and codes.max() <= 0.95 + 1e-5
    unseen = X[150:]
    codes = model.transform(unseen)
    assert codes.shape == (50, 3)
    back = model.inverse_transform(codes)
    assert back.shape == unseen.shape and back.dtype == np.float32
    error = ((back - unseen) ** 2).mean() / ((unseen - X[:150].mean(0)) ** 2).mean()
    assert error < 0.25
    inside = model.inverse_transform(model.transform(X[:150])) - X[:150]
    assert model.values_["reconstruction_error"] == pytest.approx(
        (inside**2).mean() / X[:150].var(0).mean(), rel=1e-2
    )
    assert model.values_["code_std"] == pytest.approx(
        model.transform(X[:150]).std(0).mean(), rel=1e-4
    )
    assert model.values_["updates"] == model.history_["update"][-1] == 250
    assert model.history_["neighbours"][-1] < 0.8 * model.history_["neighbours"][0]


def test_scale_and_shift_of_the_data_do_not_matter(X):
    one = NeighbourAutoencoder(**SMALL).fit(X).transform(X)
    moved = X.astype(np.float64) / 16 - 1000
    np.testing.assert_allclose(
        NeighbourAutoencoder(**SMALL).fit(moved).transform(moved), one, atol=1e-3
    )


def test_the_seed_decides(X):
    one, again = (NeighbourAutoencoder(**SMALL).fit(X) for _ in range(2))
    assert_same_model(one, again, X)
    other = NeighbourAutoencoder(**SMALL | {"random_state": 2}).fit(X)
    assert not np.array_equal(one.transform(X), other.transform(X))
    new = (NeighbourAutoencoder(**SMALL | {"random_state": None}).fit(X) for _ in range(2))
    assert not np.array_equal(*(model.transform(X) for model in new))


def test_a_killed_training_goes_on_to_the_same_result(X, tmp_path):
    check_each_kill(partial(NeighbourAutoencoder, **SMALL), X, tmp_path, 5)


def test_a_training_killed_at_every_save_gets_there(X, tmp_path, monkeypatch):
    params = SMALL | {"min_updates": 104}  # reports are two updates apart
    whole = NeighbourAutoencoder(**params).fit(X)
    assert whole.history_["update"] == list(range(2, 105, 2))
    make = partial(NeighbourAutoencoder, **params)
    resumed, kills = fitted_through_kills(make, X, tmp_path / "state", monkeypatch, most=6)
    assert kills == 6
    assert_same_model(whole, resumed, X)


def test_a_checkpoint_that_is_damaged_or_of_another_training_is_not_used(X, tmp_path):
    path = tmp_path / "state"
    whole = NeighbourAutoencoder(**SMALL).fit(X)
    path.write_bytes(b"damaged")
    told = []
    model = NeighbourAutoencoder(**SMALL).fit(
        X, checkpoint=path, progress=lambda *a: told.append(a)
    )
    assert_same_model(whole, model, X)
    assert [(done, total) for done, total, _ in told] == [(i, 5) for i in range(1, 6)]
    assert all(isinstance(text, str) for *_, text in told)
    other = NeighbourAutoencoder(**SMALL | {"negatives": 2}).fit(X, checkpoint=path)
    assert_same_model(NeighbourAutoencoder(**SMALL | {"negatives": 2}).fit(X), other, X)


def test_save_and_load(X, tmp_path):
    model = NeighbourAutoencoder(**SMALL).fit(X)
    model.save(tmp_path / "file")
    loaded = NeighbourAutoencoder.load(tmp_path / "file")
    assert type(loaded) is NeighbourAutoencoder and loaded.get_params() == model.get_params()
    assert_same_model(model, loaded, X)
    codes = model.transform(X)
    assert np.array_equal(loaded.inverse_transform(codes), model.inverse_transform(codes))


def test_each_class_refuses_the_other_s_file(X, tmp_path):
    """Their codes differ in the last layer: read as the other, a file would give wrong codes."""
    NeighbourAutoencoder(**SMALL).fit(X).save(tmp_path / "neighbours")
    Autoencoder(code_dim=3, hidden=(24,), epochs=1, min_updates=1).fit(X).save(tmp_path / "plain")
    with pytest.raises(ValueError, match="neighbours is a damaged autoencoder"):
        Autoencoder.load(tmp_path / "neighbours")
    with pytest.raises(ValueError, match="plain is a damaged autoencoder"):
        NeighbourAutoencoder.load(tmp_path / "plain")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        NeighbourAutoencoder.load(tmp_path / "absent")


def test_few_points_constant_data_and_duplicates(rng):
    for X in (
        np.array([[0.0, 1.0], [1.0, 0.0]]),
        np.full((10, 4), 3.0),
        np.repeat(rng.normal(size=(6, 4)), 5, axis=0),
    ):
        model = NeighbourAutoencoder(**SMALL).fit(X)
        assert np.isfinite(model.transform(X)).all()
        assert np.isfinite(model.inverse_transform(model.transform(X))).all()


def test_without_the_error_of_reconstructions_it_trains(X):
    model = NeighbourAutoencoder(**SMALL | {"reconstruction_weight": 0}).fit(X)
    assert np.isfinite(model.transform(X)).all()


def test_inputs_are_left_as_they_were_and_may_be_read_only(X):
    copy = X.copy()
    X.setflags(write=False)
    model = NeighbourAutoencoder(**SMALL).fit(X)
    model.inverse_transform(model.transform(X))
    assert np.array_equal(X, copy)


@pytest.mark.parametrize(
    ("bad", "message"),
    BAD_DATA,
)
def test_bad_data(bad, message):
    with pytest.raises((ValueError, TypeError), match=message):
        NeighbourAutoencoder(**SMALL).fit(bad)


def test_wrong_number_or_order_of_features(X):
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(12)])
    model = NeighbourAutoencoder(**SMALL).fit(frame)
    with pytest.raises(ValueError, match="5 features, but NeighbourAutoencoder is expecting 12"):
        model.transform(X[:, :5])
    with pytest.raises(ValueError, match="feature names"):
        model.transform(frame[frame.columns[::-1]])
    with pytest.raises(ValueError, match="3 features; got 12"):
        model.inverse_transform(X)
    assert list(model.get_feature_names_out()) == [f"neighbourautoencoder{i}" for i in range(3)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of 1 or more; got 0"),
        ({"code_dim": 2.5}, "code_dim must be a whole number"),
        ({"n_neighbors": 0}, "n_neighbors must be a whole number of 1 or more; got 0"),
        ({"negatives": 0}, "negatives must be a whole number of 1 or more; got 0"),
        ({"hidden": ()}, "hidden must be one or more sizes"),
        ({"hidden": (0,)}, "every size in hidden must be a whole number"),
        ({"lr": 0}, "lr must be positive; got 0"),
        ({"epochs": -1}, "epochs must be a whole number of 0 or more"),
        ({"min_updates": 1.5}, "min_updates must be a whole number"),
        ({"reconstruction_weight": -0.1}, "reconstruction_weight must be 0 or more; got -0.1"),
        ({"random_state": -1}, "random_state must be"),
        ({"device": "nowhere"}, "device must be one that torch can use here; got 'nowhere'"),
    ],
)
def test_bad_settings_are_named(X, changes, message):
    with pytest.raises(ValueError, match=message):
        NeighbourAutoencoder(**SMALL | changes).fit(X)


def test_not_fitted_is_said(X):
    model = NeighbourAutoencoder()
    for call in (model.transform, model.inverse_transform, model.save):
        with pytest.raises(NotFittedError):
            call(X)


def test_a_diverged_training_is_an_error_and_leaves_no_trace(X):
    model = NeighbourAutoencoder(**SMALL).fit(X)
    codes = model.transform(X)
    with pytest.raises(FloatingPointError, match="the training diverged.*smaller lr"):
        model.set_params(lr=1e30).fit(X[:, :5])
    assert np.array_equal(model.transform(X), codes)


def test_modes_of_torch_around_it_change_nothing(X):
    expected = NeighbourAutoencoder(**SMALL).fit(X).transform(X)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert np.array_equal(NeighbourAutoencoder(**SMALL).fit(X).transform(X), expected)
    finally:
        torch.set_default_dtype(before)
    for mode in (torch.no_grad(), torch.inference_mode(), torch.autocast("cpu", torch.bfloat16)):
        with mode:
            assert np.array_equal(NeighbourAutoencoder(**SMALL).fit(X).transform(X), expected)
