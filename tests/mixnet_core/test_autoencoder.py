"""The autoencoder: what it reconstructs, and that an interruption changes nothing."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError

from mixnet_core.autoencoder import Autoencoder
from tests.mixnet_core.autoencoders import (
    BAD_DATA,
    Killed,
    assert_same_model,
    bent_surface,
    check_each_kill,
    fitted_through_kills,
)

SMALL = dict(code_dim=3, hidden=(24,), batch_size=32, epochs=4, min_updates=0, random_state=1)


@pytest.fixture
def X(rng):
    return bent_surface(rng)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_it_reconstructs_better_than_the_mean(X, noise, rng):
    model = Autoencoder(**SMALL | {"epochs": 150, "input_noise": noise, "lr": 5e-3}).fit(X[:150])
    unseen = X[150:]
    codes = model.transform(unseen)
    assert codes.shape == (50, 3) and codes.dtype == np.float32
    assert (codes >= 0).all() and (codes <= 1).all()
    assert codes.std(0).min() > 0.02  # every code tells something
    back = model.inverse_transform(codes)
    assert back.shape == unseen.shape and back.dtype == np.float32
    error = ((back - unseen) ** 2).mean() / ((unseen - X[:150].mean(0)) ** 2).mean()
    assert error < 0.25
    assert model.values_["heldout_error"] < 0.25


def test_heldout_error_is_relative_to_predicting_the_mean(X):
    """The recorded error of the kept weights is the smallest of the history, on unseen points."""
    model = Autoencoder(**SMALL | {"epochs": 30}).fit(X)
    assert model.values_["heldout_error"] == min(model.history_["heldout"])
    assert model.values_["updates"] == 30 * (180 // 32)
    assert model.values_["code_std"] == pytest.approx(model.transform(X).std(0).mean(), rel=1e-4)
    # 20 of 200 points are held out: no subset of the rest reproduces that error, they do.
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))[:20].numpy()
    rest = model.inverse_transform(model.transform(X[order])) - X[order]
    assert float((rest**2).mean()) * model.fitted_.units.scale**2 == pytest.approx(
        model.values_["heldout_error"], rel=1e-3
    )


def test_the_weights_best_on_held_out_points_are_kept(rng, tmp_path):
    """Noise cannot be coded: the held-out error soon rises, and the end is not the best."""
    X = rng.normal(size=(40, 40))
    params = SMALL | {
        "hidden": (64,),
        "lr": 0.01,
        "epochs": 50,
        "batch_size": 4,
        "validation_fraction": 0.25,
    }
    model = Autoencoder(**params).fit(X)
    curve = model.history_["heldout"]
    assert min(curve) < 0.95 * curve[-1]
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))[:10].numpy()
    rest = model.inverse_transform(model.transform(X[order])) - X[order]
    error = float((rest**2).mean()) * model.fitted_.units.scale**2
    assert error == pytest.approx(min(curve), rel=1e-3)

    def kill(done, total, text):
        if done == 48:  # long past the best
            raise Killed

    with pytest.raises(Killed):
        Autoencoder(**params).fit(X, checkpoint=tmp_path / "s", progress=kill)
    assert_same_model(model, Autoencoder(**params).fit(X, checkpoint=tmp_path / "s"), X)


def test_min_updates_prolongs_the_training(X):
    model = Autoencoder(**SMALL | {"epochs": 1, "min_updates": 47}).fit(X)
    assert model.values_["updates"] == 50  # ten epochs of five mini-batches


def test_scale_and_shift_of_the_data_do_not_matter(X):
    one = Autoencoder(**SMALL).fit(X).transform(X)
    other = Autoencoder(**SMALL).fit(X / 16).transform(X / 16)
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_the_seed_decides(X):
    one, again = Autoencoder(**SMALL).fit(X), Autoencoder(**SMALL).fit(X)
    assert_same_model(one, again, X)
    other = Autoencoder(**SMALL | {"random_state": 2}).fit(X)
    assert not np.array_equal(one.transform(X), other.transform(X))


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_a_killed_training_goes_on_to_the_same_result(X, noise, tmp_path):
    params = SMALL | {"input_noise": noise, "epochs": 5}
    check_each_kill(partial(Autoencoder, **params), X, tmp_path, 5)


def test_a_training_killed_at_every_save_gets_there(X, tmp_path, monkeypatch):
    whole = Autoencoder(**SMALL).fit(X)
    make = partial(Autoencoder, **SMALL)
    resumed, kills = fitted_through_kills(make, X, tmp_path / "state", monkeypatch)
    assert kills == 4
    assert_same_model(whole, resumed, X)


def test_progress_and_a_damaged_checkpoint(X, tmp_path):
    path, told = tmp_path / "state", []
    path.write_bytes(b"damaged")
    whole = Autoencoder(**SMALL).fit(X)
    other = Autoencoder(**SMALL).fit(X, checkpoint=path, progress=lambda *a: told.append(a))
    assert_same_model(whole, other, X)
    assert [(done, total) for done, total, _ in told] == [(i, 4) for i in range(1, 5)]
    assert all(isinstance(text, str) for *_, text in told)


def test_save_and_load(X, tmp_path):
    model = Autoencoder(**SMALL).fit(X)
    model.save(tmp_path / "ae.pt")
    loaded = Autoencoder.load(tmp_path / "ae.pt")
    codes = model.transform(X)
    assert np.array_equal(loaded.transform(X), codes)
    assert np.array_equal(loaded.inverse_transform(codes), model.inverse_transform(codes))
    assert loaded.hidden in ((24,), [24]) and loaded.code_dim == 3


def test_load_refuses_other_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist; it should be an? autoencoder"):
        Autoencoder.load(tmp_path / "absent")
    (tmp_path / "f").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="is not an? autoencoder"):
        Autoencoder.load(tmp_path / "f")


def test_inputs_are_left_as_they_were_and_may_be_read_only(X):
    copy = X.copy()
    X.setflags(write=False)
    model = Autoencoder(**SMALL).fit(X)
    model.inverse_transform(model.transform(X))
    assert np.array_equal(X, copy)


def test_constant_data_and_two_points():
    for X in (np.full((10, 4), 3.0), np.array([[0.0, 1.0], [1.0, 0.0]])):
        model = Autoencoder(**SMALL | {"epochs": 2}).fit(X)
        assert np.isfinite(model.transform(X)).all()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        *BAD_DATA,
        (pd.DataFrame({"a": [1.0, None, 2.0]}).astype("Float64"), "NaN"),
    ],
)
def test_bad_data(bad, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Autoencoder(**SMALL).fit(bad)


def test_wrong_number_of_features(X):
    model = Autoencoder(**SMALL).fit(X)
    with pytest.raises(ValueError, match="X has 5 features, but Autoencoder is expecting 12"):
        model.transform(X[:, :5])
    with pytest.raises(ValueError, match="3 features; got 12"):
        model.inverse_transform(X)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of 1 or more; got 0"),
        ({"batch_size": 20.0}, "batch_size must be a whole number"),
        ({"code_dim": 2.5}, "code_dim must be a whole number"),
        ({"hidden": ()}, "hidden must be one or more sizes"),
        ({"lr": float("inf")}, "lr must be positive; got inf"),
        ({"input_noise": 1.0}, "input_noise must be 0 or more and below 1"),
        ({"validation_fraction": 1.5}, "validation_fraction must be above 0 and below 1"),
        ({"random_state": -1}, "random_state must be"),
        ({"device": "nowhere"}, "device must be one that torch can use here; got 'nowhere'"),
    ],
)
def test_bad_settings_are_named(X, changes, message):
    with pytest.raises(ValueError, match=message):
        Autoencoder(**SMALL | changes).fit(X)


def test_not_fitted_is_said(X):
    for call in (Autoencoder().transform, Autoencoder().inverse_transform, Autoencoder().save):
        with pytest.raises(NotFittedError):
            call(X)


@pytest.mark.parametrize("place", [1e8, -1e12])
@pytest.mark.parametrize("unit", [1.0, 1e18, 1e-25])
def test_data_far_from_zero_and_in_any_units_have_the_same_codes(X, place, unit):
    """Shifted in float64 before anything is rounded (X was cut to float32 first, and lost)."""
    X = np.round(X.astype(np.float64) * 64) / 64  # so that the shift is exact
    here = Autoencoder(**SMALL | {"epochs": 30}).fit(X)
    there = Autoencoder(**SMALL | {"epochs": 30}).fit((X + place) * unit)
    assert there.values_["heldout_error"] == pytest.approx(here.values_["heldout_error"], rel=1e-3)
    np.testing.assert_allclose(there.transform((X + place) * unit), here.transform(X), atol=1e-3)
    back = there.inverse_transform(there.transform((X + place) * unit)) / unit - place
    np.testing.assert_allclose(back, here.inverse_transform(here.transform(X)), atol=0.05)


def test_a_diverged_training_is_an_error(X):
    with pytest.raises(FloatingPointError, match="the training diverged.*smaller lr"):
        Autoencoder(**SMALL | {"lr": 1e30}).fit(X)


def test_columns_are_known_by_name(X):
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(12)])
    model = Autoencoder(**SMALL).fit(frame)
    with pytest.raises(ValueError, match="feature names"):
        model.transform(frame[frame.columns[::-1]])
    assert list(model.get_feature_names_out()) == ["autoencoder0", "autoencoder1", "autoencoder2"]


def test_what_is_fitted_does_not_follow_the_settings(X, tmp_path):
    model = Autoencoder(**SMALL).fit(X)
    codes = model.transform(X)
    model.set_params(code_dim=5, hidden=(3,), random_state=9)
    assert np.array_equal(model.transform(X), codes)
    model.save(tmp_path / "ae")
    assert np.array_equal(Autoencoder.load(tmp_path / "ae").transform(X), codes)
    with pytest.raises(ValueError):
        model.fit(np.full((5, 3), np.nan))
    assert np.array_equal(model.transform(X), codes)  # a fit that fails leaves no trace


def test_modes_of_torch_around_it_change_nothing(X):
    expected = Autoencoder(**SMALL).fit(X).transform(X)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert np.array_equal(Autoencoder(**SMALL).fit(X).transform(X), expected)
    finally:
        torch.set_default_dtype(before)
    for mode in (torch.no_grad(), torch.inference_mode(), torch.autocast("cpu", torch.bfloat16)):
        with mode:
            assert np.array_equal(Autoencoder(**SMALL).fit(X).transform(X), expected)


def test_random_state_none_draws_anew(X):
    one, other = (Autoencoder(**SMALL | {"random_state": None}).fit(X) for _ in range(2))
    assert not np.array_equal(one.transform(X), other.transform(X))
