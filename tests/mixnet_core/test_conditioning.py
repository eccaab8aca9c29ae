"""Well conditioned: place, units, turn and distance of the data do not matter to the defaults."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_wine, make_blobs
from sklearn.preprocessing import StandardScaler

from benchmarks.records.metrics import purity
from mixnet_core.mixture import MixtureOfNetworks

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
QUICK = dict(structure="10-16-64-64-x", t1=3, t2=4, patience=3, cuts=0, random_state=0)
ENTROPY = 0.5 * np.log(2 * np.pi * np.e)


def blobs(std, n=500):
    return make_blobs(n, 10, centers=5, cluster_std=std, random_state=0)


@pytest.mark.parametrize(
    "std",
    [
        1.0,
        pytest.param(0.3, marks=pytest.mark.slow),
        pytest.param(0.1, marks=pytest.mark.slow),
        0.01,
    ],
)
def test_blobs_keep_their_start_and_come_near_the_true_density(std):
    """The easiest data there is: perfect k-means clusters, at any distance from each other."""
    X, y = blobs(std, 1000)
    start = KMeans(5, n_init=10, random_state=0).fit(X).labels_
    model = MixtureOfNetworks(5, **QUICK).fit(X)
    assert purity(y, model.labels_) >= purity(y, start) == 1.0
    truth = -10 * ENTROPY - 10 * np.log(std) - np.log(5)
    assert abs(model.values_["heldout_log_likelihood"] - truth) < 1.5
    assert model.values_["dead_components"] == 0
    drawn, components = model.sample(300, random_state=1)
    assert (model.predict(drawn) == components).mean() > 0.95


def fitted(X):
    model = MixtureOfNetworks(5, **QUICK).fit(X)
    return model.labels_, model.values_["heldout_log_likelihood"]


@pytest.mark.parametrize(
    ("place", "exact", "other_unit"),
    [
        (2.0**33, 2.0**-500, 1e250),
        pytest.param(-1e6, 2.0**500, 3e-200, marks=pytest.mark.slow),
    ],
)
def test_place_and_units_change_nothing(place, exact, other_unit):
    X = np.round(blobs(1.5)[0] * 1024) / 1024  # so that shifts are exact in float64
    labels, nats = fitted(X)
    other, moved = fitted((X + place) * exact)
    assert np.array_equal(labels, other)
    assert moved == pytest.approx(nats - 10 * np.log(exact), abs=1e-6)
    other, moved = fitted(X * other_unit)  # rounding may move a last bit
    assert (labels == other).mean() > 0.995
    assert moved == pytest.approx(nats - 10 * np.log(other_unit), abs=0.05)


def test_a_rotation_changes_no_more_than_a_seed():
    X, y = blobs(2.0)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(10, 10)))[0]
    plain, turned = (fitted(data) for data in (X, X @ turn))
    assert abs(purity(y, plain[0]) - purity(y, turned[0])) < 0.02
    assert abs(plain[1] - turned[1]) < 0.3


@pytest.mark.slow
def test_wine_scaled_or_not():
    """178 rows; one feature has all of the variance, and k-means sees nothing else (0.70)."""
    X, y = load_wine(return_X_y=True)
    with pytest.warns(UserWarning, match="feature 12 has 99.8% of the variance"):
        raw = MixtureOfNetworks(3, **QUICK).fit(X)
    scaled = MixtureOfNetworks(3, **QUICK).fit(StandardScaler().fit_transform(X))
    assert purity(y, raw.labels_) > 0.8 and purity(y, scaled.labels_) > 0.93


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"units": "w", "output": "linear"},
        {"units": "w", "output": "linear", "last_layer": "cluster"},
        {"units": "w"},
        {"kernel": "component"},
        {"objective": "smoothed_mmd"},
        {"objective": "likelihood"},
        {"optimizer": "adam"},
        {"batches": "drawn"},
        {"draws": "fixed"},
        {"output": "linear", "last_layer": "cluster", "kernel": "covariance"},
        {
            "output": "linear",
            "last_layer": "frame",
            "kernel": "covariance",
            "objective": "smoothed_mmd",
        },
        {"objective": "likelihood", "local_scale": True, "optimizer": "adam"},
        {"linear_stage": True},
        {"memory": 0.0, "momentum": 0.0, "prior_floor": 0.0},
    ],
    ids=lambda changes: ",".join(changes) or "none",
)
def test_every_step_of_the_ladder_is_a_parameter(changes):
    """From `mixnet` towards `mixnet+`, each alone or with what it needs: all of them run."""
    X, _ = make_blobs(150, 3, centers=3, random_state=0)
    model = MixtureOfNetworks(
        3, "2-8-x", "mixnet", t1=3, t2=2, n_samples=50, n_final_samples=60, **changes
    ).fit(X)
    assert np.isfinite(model.score(X)) and np.array_equal(model.predict(X), model.labels_)


def test_what_a_recipe_cannot_have_it_goes_without_and_what_was_asked_for_is_an_error():
    X, _ = make_blobs(60, 4, centers=2, random_state=0)
    maps = MixtureOfNetworks(2, "2-2x2", t1=1, t2=1, n_samples=20, n_final_samples=20)
    settings = maps.fit(X).fitted_.settings
    assert settings["kernel"] == "component" and settings["last_layer"] == "cluster"
    for changes, message in [
        ({"kernel": "covariance"}, "kernel='covariance' needs a structure of plain sizes"),
        ({"structure": "2-x", "output": "sigmoid", "last_layer": "frame"}, "needs output='linear'"),
        ({"structure": "2-x", "objective": "mmd", "local_scale": True}, "needs objective='like"),
        ({"structure": "2-x", "kernel": "shared", "last_layer": "frame"}, "needs kernel='cov"),
    ]:
        with pytest.raises(ValueError, match=message):
            maps.set_params(
                **{
                    "structure": "2-2x2",
                    "output": None,
                    "objective": None,
                    "local_scale": None,
                    "last_layer": None,
                    "kernel": None,
                }
                | changes
            ).fit(X)


def test_a_default_model_comes_back_from_its_file(tmp_path):
    X, _ = blobs(1.0)
    model = MixtureOfNetworks(5, **QUICK).fit(X)
    model.save(tmp_path / "model")
    again = MixtureOfNetworks.load(tmp_path / "model")
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    assert np.array_equal(again.score_samples(X), model.score_samples(X))
    assert np.array_equal(again.sample(9)[0], model.sample(9)[0])
    assert np.array_equal(again.widths_, model.widths_)


def degenerate(name):
    X, y = make_blobs(240, 4, centers=4, random_state=0)
    return {
        "a line without noise": (np.outer(np.arange(240), [1.0, 2.0, -1.0]), np.arange(240) // 60),
        "every cluster in one place": (np.eye(4)[y], y),
        "features twice": (np.hstack([X, X]), y),
        "few features of many": (X @ np.ones((4, 12)) * np.arange(1, 13), y),
        "yes and no": (np.hstack([np.eye(4)[y], np.eye(2)[y % 2]]), y),
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "a line without noise",
        "every cluster in one place",
        "features twice",
        "few features of many",
        "yes and no",
    ],
)
def test_points_that_leave_no_covariance_are_fitted(name):
    """Their kernels are singular to the last digit: a factorization was refused."""
    X, y = degenerate(name)
    start = KMeans(4, n_init=10, random_state=0).fit(X).labels_
    model = MixtureOfNetworks(4, **QUICK).fit(X)
    assert np.isfinite(model.log_likelihood_).all()
    assert purity(y, model.labels_) >= purity(y, start) - 0.05
