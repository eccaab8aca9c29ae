"""The estimator as a whole: resuming, held-out points, round trips, doors, and what it learns."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError

from benchmarks.datasets import load
from benchmarks.records.metrics import purity
from mixnet_core import em
from mixnet_core.data import points
from mixnet_core.files import checkpoints
from mixnet_core.likelihood import log_likelihood
from mixnet_core.memberships import memberships, mixture_log_likelihood
from mixnet_core.mixture import MixtureOfNetworks
from mixnet_core.optimizers import SGD
from mixnet_core.training import curves, session, watch
from mixnet_core.training import fitted as fitted_state
from mixnet_core.training.adam import Adam

# Everything that a result depends on is stated, so that tuned defaults leave the tests alone.
SMALL = dict(
    n_components=3,
    structure="2-8-8-3",
    recipe="mixnet",
    t1=2,
    t2=3,
    min_updates=0,
    batch_size=10,
    batch_share=0.5,
    n_samples=40,
    optimizer="sgd",
    lr=0.3,
    momentum=0.9,
    weight_decay=1e-5,
    mmd_widths=(0.25, 0.5, 1.0),
    likelihood_widths=(0.2, 0.5, 1.0),
    threshold=0.001,
    validation_size=0.2,
    patience=50,
    random_state=4,
)


class Killed(Exception):
    pass


@pytest.fixture
def blobs(rng):
    """90 points in three unequal clusters in 3 dimensions, in units far from the box."""
    sizes, centres = (50, 28, 12), np.array([[0, 0, 0], [9, 9, 0], [0, 9, 9]])
    X = np.concatenate(
        [centre + rng.normal(size=(n, 3)) for n, centre in zip(sizes, centres, strict=True)]
    )
    return (X * 40 - 500).astype(np.float32), np.repeat([0, 1, 2], sizes)


def fitted(X, labels=None, checkpoint=None, progress=None, **changes):
    model = MixtureOfNetworks(**SMALL | changes)
    return model.fit(X, init_labels=labels, checkpoint=checkpoint, progress=progress)


def split_rows(n):
    """Rows that are trained on, drawn as the estimator draws them."""
    order = torch.randperm(n, generator=fitted_state.streams(SMALL["random_state"], 1)[0])
    return order[round(SMALL["validation_size"] * n) :].numpy()


def assert_same_model(a, b):
    for one, other in zip(a.bank_.tensors(), b.bank_.tensors(), strict=True):
        assert torch.equal(one, other)
    for name in ("priors_", "samples_"):
        assert torch.equal(getattr(a, name), getattr(b, name))
    assert np.array_equal(a.widths_, b.widths_)
    for name in ("scale_", "history_", "values_", "converged_", "seed_"):
        assert getattr(a, name) == getattr(b, name)
    one, other = a.fitted_.units, b.fitted_.units
    assert np.array_equal(one.origin, other.origin) and np.array_equal(one.shift, other.shift)
    assert (one.scale, one.offset, one.dtype) == (other.scale, other.offset, other.dtype)
    assert list(a.snapshots_) == list(b.snapshots_)
    assert all(np.array_equal(a.snapshots_[k], b.snapshots_[k]) for k in a.snapshots_)


def assert_same_result(a, b):
    assert_same_model(a, b)
    assert np.array_equal(a.labels_, b.labels_)
    assert np.array_equal(a.log_likelihood_, b.log_likelihood_)
    assert a.n_iter_ == b.n_iter_


# --- the same result again: seeds, interruptions, files ------------------------------------------


def test_the_seed_decides_and_the_global_state_does_not(blobs):
    one = fitted(*blobs)
    assert_same_result(one, fitted(*blobs))
    assert_same_result(one, clone(one).fit(blobs[0], init_labels=blobs[1]))
    other = fitted(*blobs, random_state=5)
    assert not torch.equal(one.bank_.weights[0], other.bank_.weights[0])


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_killed_training_goes_on_to_the_same_result(blobs, optimizer, tmp_path, monkeypatch):
    """Killed in the report of every epoch and iteration in turn (before it is saved)."""
    monkeypatch.setattr(session, "SECONDS_BETWEEN_CHECKPOINTS", -1)
    monkeypatch.setattr(curves, "SNAPSHOT_EVERY", 1)
    whole = fitted(*blobs, optimizer=optimizer)
    for stop in range(1, 6):
        path = tmp_path / f"kill-{stop}"

        def kill(done, total, text, stop=stop):
            if done == stop:
                raise Killed

        with pytest.raises(Killed):
            fitted(*blobs, checkpoint=path, progress=kill, optimizer=optimizer)
        steps = []
        resumed = fitted(
            *blobs,
            checkpoint=path,
            optimizer=optimizer,
            progress=lambda done, total, text, steps=steps: steps.append(done),
        )
        assert steps == list(range(stop, 6))  # it went on from the last save
        assert_same_result(whole, resumed)


def test_a_training_killed_after_every_save_gets_there(blobs, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "SECONDS_BETWEEN_CHECKPOINTS", -1)
    whole = fitted(*blobs)
    save, kills = checkpoints.save_checkpoint, 0

    def save_and_die(*args):
        save(*args)
        raise Killed

    monkeypatch.setattr(checkpoints, "save_checkpoint", save_and_die)
    while True:
        try:
            resumed = fitted(*blobs, checkpoint=tmp_path / "state")
            break
        except Killed:
            kills += 1
    assert kills == 5
    assert_same_result(whole, resumed)
    # A finished training is read back, not run again.
    assert_same_result(whole, fitted(*blobs, checkpoint=tmp_path / "state"))


def test_a_training_killed_between_the_algorithms(blobs, tmp_path, monkeypatch):
    """After Algorithm 1 has been saved, while the first likelihood matrix is computed."""
    monkeypatch.setattr(session, "SECONDS_BETWEEN_CHECKPOINTS", -1)
    whole = fitted(*blobs)

    def dies(*args):
        raise Killed

    for where, name in (
        (session, "choose_widths"),
        (session, "log_likelihood"),
        (em, "update_priors"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(where, name, dies)
            with pytest.raises(Killed):
                fitted(*blobs, checkpoint=tmp_path / name)
        assert_same_result(whole, fitted(*blobs, checkpoint=tmp_path / name))


def test_resuming_keeps_the_patience(blobs, tmp_path, monkeypatch):
    """The stopping rule counts over the interruption."""
    monkeypatch.setattr(session, "SECONDS_BETWEEN_CHECKPOINTS", -1)
    monkeypatch.setattr(watch, "MIN_GAIN", 1e9)
    settings = dict(t2=40, patience=5, n_samples=10)
    whole = fitted(*blobs, **settings)
    assert whole.n_iter_ == 1 + 5  # the first value counts as a rise, then five without one
    assert whole.converged_ and whole.values_["ended_by"] == "saturation"

    def kill(done, total, text):
        if done == 2 + 4:
            raise Killed

    with pytest.raises(Killed):
        fitted(*blobs, checkpoint=tmp_path / "s", progress=kill, **settings)
    assert_same_result(whole, fitted(*blobs, checkpoint=tmp_path / "s", **settings))


def test_checkpoints_are_not_written_all_the_time(blobs, tmp_path):
    fitted(*blobs, checkpoint=tmp_path / "state")
    assert not list(tmp_path.iterdir())


def test_save_and_load(blobs, tmp_path):
    X, labels = blobs
    model = fitted(X, labels)
    model.save(tmp_path / "model.pt")
    loaded = MixtureOfNetworks.load(tmp_path / "model.pt")
    assert_same_model(model, loaded)
    assert np.array_equal(loaded.predict(X), model.predict(X))
    assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert np.array_equal(loaded.score_samples(X), model.score_samples(X))
    for seed in (None, 8):
        for one, other in zip(
            model.sample(20, random_state=seed), loaded.sample(20, random_state=seed), strict=True
        ):
            assert np.array_equal(one, other)
    params, expected = loaded.get_params(), model.get_params()
    assert {k: tuple(v) if isinstance(v, list) else v for k, v in params.items()} == expected


# --- what it computes -----------------------------------------------------------------------------


def test_fit_predict_is_predict(blobs):
    X, labels = blobs
    model = MixtureOfNetworks(**SMALL)
    found = model.fit_predict(X, init_labels=labels)
    assert np.array_equal(found, model.labels_)
    assert np.array_equal(found, model.predict(X))
    assert found.shape == (90,) and found.dtype == np.int64
    assert model.log_likelihood_.shape == (90,) and model.log_likelihood_.dtype == np.float64
    np.testing.assert_array_equal(model.log_likelihood_, model.score_samples(X))
    assert model.score(X) == pytest.approx(model.score_samples(X).mean(), rel=1e-6)
    m = model.predict_proba(X)
    np.testing.assert_allclose(m.sum(1), 1, atol=1e-5)
    assert np.array_equal(m.argmax(1), found)


def test_labels_follow_eq_5_of_the_stored_samples(blobs):
    X, labels = blobs
    model = fitted(X, labels)
    low, high = points.LIMITS
    box = low + (X - X.min(0)) * (high - low) / (X.max(0) - X.min(0)).max()
    assert box.min() >= low - 1e-6 and box.max() <= high + 1e-6
    log_lik = log_likelihood(
        torch.from_numpy(box).double(), model.samples_.double(), model.fitted_.noise
    )
    expected = memberships(log_lik, model.priors_.double())
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-3)
    density = mixture_log_likelihood(log_lik, model.priors_.double())
    volume = 3 * np.log(0.9 / (X.max(0) - X.min(0)).max())
    np.testing.assert_allclose(model.log_likelihood_, density + volume, atol=1e-2)


def test_one_point_at_a_time_is_predicted_alike(blobs):
    X, labels = blobs
    model = fitted(X, labels)
    together = model.predict_proba(X)
    alone = np.concatenate([model.predict_proba(X[i : i + 1]) for i in range(0, 90, 7)])
    np.testing.assert_allclose(alone, together[::7], atol=1e-3)


@pytest.mark.parametrize("validation_size", [0.2, 18])
def test_held_out_points_are_never_trained_on(blobs, validation_size, monkeypatch):
    X, labels = blobs
    seen, run = set(), session.BankTrainer.run

    def spy(self, x, queues, factors):
        for queue in queues:
            seen.update(map(tuple, x[queue[queue >= 0]].tolist()))
        run(self, x, queues, factors)

    monkeypatch.setattr(session.BankTrainer, "run", spy)
    model = fitted(X, labels, validation_size=validation_size, t1=30, t2=30)
    box = model.fitted_.units.put(X).tolist()
    held_out = np.array([tuple(row) not in seen for row in box])
    assert held_out.sum() == 18 == model.values_["n_held_out"]
    assert len(seen) == 72  # and every other point is trained on
    assert model.values_["heldout_log_likelihood"] == pytest.approx(
        float(model.log_likelihood_[held_out].mean()), rel=1e-4
    )


def test_held_out_points_do_not_move_algorithm_1(blobs):
    """Other places within the box for the held-out points leave every weight as it is."""
    X, labels = blobs
    order = fitted_state.streams(SMALL["random_state"], 4)[0]
    held_out = torch.randperm(90, generator=order)[:18].numpy()
    corners = set(X.argmin(0)) | set(X.argmax(0))
    moved = np.array([i for i in held_out if i not in corners])
    assert len(moved) > 10
    other = X.copy()
    other[moved] = X.mean(0)
    one, two = fitted(X, labels, t2=0), fitted(other, labels, t2=0)
    assert one.scale_ == two.scale_
    for a, b in zip(one.bank_.tensors(), two.bank_.tensors(), strict=True):
        assert torch.equal(a, b)
    assert one.history_["heldout"] != two.history_["heldout"]
    # Nor do they enter the priors and the batches of Algorithm 2, but for rounding.
    one, two = (fitted(data, labels, likelihood_widths=(0.5,)) for data in (X, other))
    torch.testing.assert_close(one.priors_, two.priors_, rtol=0, atol=1e-4)
    for a, b in zip(one.bank_.tensors(), two.bank_.tensors(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-3)


def test_initial_priors_are_cluster_shares(blobs):
    X, labels = blobs
    model = fitted(X, labels, t2=0, validation_size=1)
    np.testing.assert_allclose(model.priors_, np.array([50, 28, 12]) / 90, atol=0.012)


def test_the_width_is_the_candidate_under_which_held_out_points_are_most_likely(blobs):
    X, labels = blobs
    alone = {c: fitted(X, labels, t2=0, likelihood_widths=(c,)) for c in (0.3, 1.0, 5.0)}
    # Candidates are multiples of one length, which the data and the initial clusters fix.
    assert alone[1.0].widths_[0] / alone[0.3].widths_[0] == pytest.approx(1 / 0.3)
    assert alone[5.0].scale_ == alone[0.3].scale_
    best = max(alone.values(), key=lambda model: model.values_["heldout_log_likelihood"])
    together = fitted(X, labels, t2=0, likelihood_widths=(5.0, 0.3, 1.0))
    assert np.array_equal(together.widths_, best.widths_)
    assert together.values_["width_ratio"] == pytest.approx(best.widths_[0] / best.scale_)
    assert_same_result(together, best)


def test_history_and_progress(blobs):
    told = []
    model = fitted(*blobs, progress=lambda *args: told.append(args))
    assert [done for done, _, _ in told] == [1, 2, 3, 4, 5]
    assert {total for _, total, _ in told} == {5}
    assert all(len(curve) == 4 for curve in model.history_.values())
    assert model.history_["changed"][0] == 0
    assert all(np.isfinite(curve).all() for curve in model.history_.values())
    assert list(model.snapshots_) == [0] and model.snapshots_[0].shape == (90,)
    assert model.values_["iterations"] == model.n_iter_ == 3


def test_min_updates_prolongs_algorithm_1(blobs):
    X, labels = blobs
    model = fitted(X, labels, t1=1, min_updates=20, batch_size=6, t2=0)
    # 72 points to train on, 24 a cluster, four batches of six an epoch.
    assert model.values_["batch_size"] == 6 and model.values_["t1"] == 5
    assert fitted(X, labels, t1=9, min_updates=20, batch_size=6, t2=0).values_["t1"] == 9


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_settings_reach_the_optimiser(blobs, optimizer, monkeypatch):
    seen = []

    class Spy(session.BankTrainer):
        def run(self, *args):
            seen.append(self.optimizer)
            super().run(*args)

    monkeypatch.setattr(session, "BankTrainer", Spy)
    fitted(*blobs, optimizer=optimizer, lr=0.0123, momentum=0.7, weight_decay=0.004)
    assert len(seen) == 5 and len(set(map(id, seen))) == 1  # one for both algorithms
    assert isinstance(seen[0], {"sgd": SGD, "adam": Adam}[optimizer])
    assert seen[0].lr == 0.0123 and seen[0].weight_decay == 0.004
    assert optimizer == "adam" or seen[0].momentum == 0.7


def test_without_labels_k_means_starts(blobs):
    X, _ = blobs
    train = np.sort(split_rows(90))
    seen = points.Units.spread(X, train)
    start = KMeans(3, n_init=10, random_state=SMALL["random_state"]).fit(seen.put(X)).labels_
    assert_same_result(fitted(X), fitted(X, start))


def test_units_of_the_data_do_not_matter(blobs):
    X, labels = blobs
    one, other = fitted(X, labels), fitted(X / 64 + 2, labels)
    assert np.array_equal(one.labels_, other.labels_)
    assert one.scale_ == pytest.approx(64 * other.scale_, rel=1e-6)
    volume = 3 * np.log(64)
    np.testing.assert_allclose(one.log_likelihood_ + volume, other.log_likelihood_, atol=0.01)


def test_samples_are_in_the_units_of_the_data(blobs):
    X, labels = blobs
    model = fitted(X, labels, t1=60, t2=2, structure="2-16-16-3")
    for j in range(3):
        drawn, components = model.sample(200, component=j, random_state=1)
        assert drawn.shape == (200, 3) and drawn.dtype == np.float32
        assert components.tolist() == [j] * 200
        nearest = [np.linalg.norm(drawn.mean(0) - X[labels == c].mean(0)) for c in range(3)]
        assert int(np.argmin(nearest)) == j
    drawn, components = model.sample(3000)
    shares = np.bincount(components, minlength=3) / 3000
    np.testing.assert_allclose(shares, model.priors_, atol=0.04)
    again, _ = model.sample(3000)
    other, _ = model.sample(3000, random_state=99)
    assert np.array_equal(drawn, again) and not np.array_equal(drawn, other)


# --- odd clusters ---------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_clusters_of_one_point_of_none_and_smaller_than_a_batch(rng, optimizer):
    X = rng.random((60, 3)).astype(np.float32)
    labels = np.full(60, 0)
    labels[:6], labels[6] = 1, 2  # cluster 3 has no point
    model = fitted(X, labels, n_components=4, t1=3, optimizer=optimizer, validation_size=1)
    assert np.isfinite(model.log_likelihood_).all()
    assert all(torch.isfinite(t).all() for t in model.bank_.tensors())
    assert np.isfinite(model.predict_proba(X)).all()
    # The empty component has its prior back after an iteration: at least the share of one point.
    assert float(model.priors_.min()) > 0.5 / 60
    assert float(model.priors_.sum()) == pytest.approx(1, abs=1e-5)


def test_one_component_and_equal_points(rng):
    X = rng.random((20, 3)).astype(np.float32)
    assert not fitted(X, n_components=1).labels_.any()
    with pytest.warns(match="distinct clusters"):
        model = fitted(np.ones((20, 3)))
    assert np.isfinite(model.log_likelihood_).all()


def test_few_points(rng):
    X = rng.random((5, 3)).astype(np.float32)
    model = fitted(X, np.array([0, 1, 2, 0, 1]), validation_size=1)
    assert np.isfinite(model.log_likelihood_).all()


def test_inputs_are_left_as_they_were(blobs):
    X, labels = blobs
    copies = X.copy(), labels.copy()
    X.setflags(write=False)
    labels.setflags(write=False)
    model = fitted(X, labels)
    model.predict(X)
    assert np.array_equal(X, copies[0]) and np.array_equal(labels, copies[1])


# --- doors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_components": 0}, "n_components must be a whole number of 1 or more; got 0"),
        ({"batch_size": 0}, "batch_size must be a whole number of 1 or more"),
        ({"batch_share": 0.0}, "batch_share must be positive"),
        ({"n_samples": -1}, "n_samples must be a whole number of 1 or more; got -1"),
        ({"lr": 0.0}, "lr must be positive"),
        ({"n_components": 3.0}, "n_components must be a whole number of 1 or more; got 3.0"),
        ({"batch_size": 20.0}, "batch_size must be a whole number of 1 or more; got 20.0"),
        ({"n_samples": 50.0}, "n_samples must be a whole number of 1 or more; got 50.0"),
        ({"validation_size": float("inf")}, "validation_size must be positive; got inf"),
        ({"recipe": "mixnet++"}, "recipe must be one of 'mixnet', 'mixnet.'; got 'mixnet..'"),
        ({"units": "metres"}, "units must be one of 'w', 'box'"),
        ({"output": "tanh"}, "output must be one of"),
        ({"last_layer": "zero"}, "last_layer must be one of"),
        ({"kernel": "full"}, "kernel must be one of"),
        ({"order": None, "keep": "first"}, "keep must be one of 'best', 'last'"),
        ({"schedule": "linear"}, "schedule must be one of"),
        ({"cuts": 1.5}, "cuts must be a whole number"),
        ({"revive": "yes"}, "revive must be true or false"),
        ({"prior_floor": -1.0}, "prior_floor must be zero or more"),
        ({"device": "nowhere"}, "device must be one that torch can use here"),
        ({"lr": float("nan")}, "lr must be positive; got nan"),
        ({"lr": float("inf")}, "lr must be positive; got inf"),
        ({"lr": "fast"}, "lr must be positive; got 'fast'"),
        ({"momentum": 1.5}, "momentum must be 0 or more and below 1; got 1.5"),
        ({"n_components": 2.5}, "n_components must be a whole number of 1 or more; got 2.5"),
        ({"n_components": float("inf")}, "n_components must be a whole number"),
        ({"memory": 1.0}, "memory must be 0 or more and below 1"),
        ({"mmd_widths": 0.5}, "mmd_widths must be one or more positive"),
        ({"mmd_widths": ("a",)}, "mmd_widths must be one or more positive"),
        ({"init": "kmeans"}, "init must be None or a clusterer with fit_predict; got 'kmeans'"),
        ({"random_state": -1}, "random_state must be a whole number of 0 or more"),
        ({"patience": 0}, "patience must be a whole number of 1 or more"),
        ({"t1": -1}, "t1 must be a whole number of 0 or more; got -1"),
        ({"t2": -3}, "t2 must be a whole number of 0 or more"),
        ({"min_updates": -1}, "min_updates must be a whole number of 0"),
        ({"momentum": -0.1}, "momentum must be 0 or more"),
        ({"weight_decay": -1e-5}, "weight_decay must be zero or more"),
        ({"threshold": -1}, "threshold must be zero or more"),
        ({"mmd_widths": ()}, "mmd_widths must be one or more positive"),
        ({"likelihood_widths": (0.2, -1.0)}, "likelihood_widths must be one or more positive"),
        ({"optimizer": "rmsprop"}, "optimizer must be one of 'sgd', 'adam'; got 'rmsprop'"),
        ({"structure": "2-x-3"}, "structure must be"),
        ({"structure": "2-8-4"}, "structure must end with as many values as X has features, 3"),
        ({"validation_size": 0}, "validation_size must be positive"),
        ({"validation_size": 90}, "validation_size must be"),
        ({"validation_size": 89}, "validation_size must be"),
        ({"validation_size": 1.5}, "validation_size must be"),
        ({"n_components": 90}, "X needs more rows than n_components=90; got n_samples = 90"),
    ],
)
def test_bad_settings_are_named(blobs, changes, message):
    X, labels = blobs
    with pytest.raises(ValueError, match=message):
        fitted(X, labels, **changes)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros(4), "Expected 2D array"),
        (np.zeros((1, 3)), "minimum of 2 is required"),
        (np.full((9, 3), np.inf), "Input X contains infinity"),
        (np.array([["a"] * 3] * 9), "could not convert string"),
        (np.zeros((9, 5)), "structure must end with as many values as X has features, 5"),
        (np.linspace(-1.1, 1.1, 27).reshape(9, 3) * 1e308, "range float64 can hold"),
        (np.full((9, 3), np.nan), "Input X contains NaN"),
    ],
)
def test_bad_data_is_named(bad, message):
    with pytest.raises(ValueError, match=message):
        fitted(bad)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(5, int), "init_labels must be 90 integers; got shape"),
        (np.zeros(90), "init_labels must be 90 integers.*float64"),
        (np.full(90, 3), "init_labels must lie in 0..2; got 3..3"),
        (np.full(90, -1), "init_labels must lie in 0..2; got -1..-1"),
    ],
)
def test_bad_labels_are_named(blobs, labels, message):
    with pytest.raises(ValueError, match=message):
        fitted(blobs[0], labels)


@pytest.mark.parametrize(
    "changes", [{"lr": 1e6}, {"objective": lambda x, y, mask: y.sum((1, 2)) * 1e30}]
)
def test_a_diverged_training_is_an_error(blobs, changes):
    with pytest.raises(FloatingPointError, match="the training diverged.*smaller lr"):
        fitted(*blobs, t1=20, **changes)


def test_points_beyond_float32_are_refused(blobs):
    model = fitted(*blobs)
    for far in (1e300, 1e25):
        with pytest.raises(ValueError, match="points so far away"):
            model.predict(np.full((1, 3), far))


def test_bad_calls_after_fitting(blobs):
    X, labels = blobs
    model = fitted(X, labels)
    with pytest.raises(ValueError, match="component must be in 0..2; got 3"):
        model.sample(2, component=3)
    with pytest.raises(ValueError, match="X has 2 features, but MixtureOfNetworks is expecting 3"):
        model.predict(X[:, :2])


@pytest.mark.parametrize("call", ["predict", "score_samples", "sample", "save"])
def test_not_fitted_is_said(call, tmp_path):
    argument = {"sample": 3, "save": tmp_path / "m"}.get(call, np.zeros((2, 3)))
    with pytest.raises(NotFittedError):
        getattr(MixtureOfNetworks(**SMALL), call)(argument)


# --- what it learns -------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_moon(tmp_path):
    """§4.1.1: the k-means start cuts both moons; the mixture puts them together.

    Not with every seed: with these settings about one in eight ends no better than it started,
    and which one depends on the last bits of the arithmetic. Hence the median of three.
    """
    data = load("two-moon", cache_dir=tmp_path)
    purities = []
    for seed in range(3):
        start = KMeans(2, n_init=10, random_state=seed).fit(data.X).labels_
        assert purity(data.y, start) < 0.9
        model = fitted(
            data.X,
            start,
            n_components=2,
            structure="2-32-128-32-2",
            t1=30,
            t2=100,
            batch_size=100,
            n_samples=500,
            patience=100,
            random_state=seed,
            validation_size=0.1,
            likelihood_widths=(0.4, 1.0),
        )
        purities.append(purity(data.y, model.labels_))
        drawn, components = model.sample(300)
        assert (model.predict(drawn) == components).mean() > 0.85
    assert sorted(purities)[1] >= 0.97
