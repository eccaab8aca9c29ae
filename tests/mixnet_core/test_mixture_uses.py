"""What people build on the mixture: pipelines, searches, files, other structures and objectives."""

import functools
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from mixnet_core.files.describe import fingerprint
from mixnet_core.files.storage import save_model
from mixnet_core.mixture import MixtureOfNetworks
from mixnet_core.objectives.kernels import EnergyDistance
from mixnet_core.training import prepare, session

QUICK = dict(
    n_components=3,
    structure="2-16-x",
    recipe="mixnet",
    t1=10,
    t2=6,
    min_updates=0,
    batch_size=10,
    batch_share=0.5,
    n_samples=100,
    n_final_samples=300,
    random_state=3,
)


@pytest.fixture
def X(rng):
    centres = np.array([[0, 0, 0, 0], [6, 6, 0, 0], [0, 6, 6, 0]])
    return (centres[np.arange(150) % 3] + rng.normal(size=(150, 4))).astype(np.float32)


def fitted(X, **changes):
    return MixtureOfNetworks(**QUICK | changes).fit(X)


def factory(generator):
    network = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 4), nn.Sigmoid())
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5, generator=generator)
    return network


def distance(x, y, mask):
    """A user's objective: squared distance of the means."""
    weight = torch.ones(x.shape[:2]) if mask is None else mask.to(x.dtype)
    mean = (x * weight.unsqueeze(-1)).sum(1) / weight.sum(1, keepdim=True)
    return (mean - y.mean(1)).square().sum(1)


# --- scikit-learn's tools -------------------------------------------------------------------------


def test_in_a_pipeline_and_a_search(X):
    pipeline = make_pipeline(StandardScaler(), PCA(3), MixtureOfNetworks(**QUICK | {"t2": 2}))
    labels = pipeline.fit_predict(X)
    assert np.array_equal(labels, pipeline.predict(X)) and len(set(labels)) == 3
    search = GridSearchCV(
        MixtureOfNetworks(**QUICK), {"t1": [0, 60], "likelihood_widths": [(1.0,), (30.0,)]}, cv=2
    )
    search.fit(X)
    # Trained networks and a fitting width make held-out points likelier.
    assert search.best_params_ == {"t1": 60, "likelihood_widths": (1.0,)}
    assert search.best_score_ == pytest.approx(search.cv_results_["mean_test_score"].max())


def test_score_is_a_density_in_the_units_of_the_data(rng):
    """A density integrates to one, whatever the units; here over a grid around the whole box."""
    X = rng.normal(size=(200, 2)).astype(np.float32) * [20, 40]
    model = fitted(X, n_components=2, t2=1, likelihood_widths=(2.0,))
    span = np.ptp(X, 0).max()
    axes = [low + span * np.linspace(-0.6, 1.6, 500) for low in X.min(0)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    assert np.exp(model.score_samples(grid).astype(float)).sum() * cell == pytest.approx(
        1, abs=0.02
    )


def test_pickles_and_data_frames(X):
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = fitted(frame)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict_proba(frame), model.predict_proba(frame))
    assert list(again.feature_names_in_) == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["b", "a", "c", "d"]])


# --- more training --------------------------------------------------------------------------------


def test_warm_start_goes_on(X):
    model = MixtureOfNetworks(**QUICK | {"t2": 3, "warm_start": True}).fit(X)
    first = model.history_, model.widths_, [t.clone() for t in model.bank_.tensors()]
    model.fit(X)
    assert model.n_iter_ == 6 and np.array_equal(model.widths_, first[1])
    assert model.history_["heldout"][: 3 + 1] == first[0]["heldout"]
    assert all(len(curve) == 6 + 1 for curve in model.history_.values())
    other = fitted(X, random_state=9).bank_.tensors()
    for a, b, c in list(zip(first[2], model.bank_.tensors(), other, strict=True))[:2]:
        assert 0 < (a - b).abs().mean() < 0.5 * (a - c).abs().mean()  # trained on, not anew
    cold = MixtureOfNetworks(**QUICK | {"t2": 3}).fit(X).fit(X)
    assert cold.n_iter_ == 3
    with pytest.raises(ValueError, match="structure and n_components must stay"):
        model.set_params(structure="2-8-x").fit(X)
    with pytest.raises(ValueError, match="X has 3 features"):
        model.set_params(structure="2-16-x").fit(X[:, :3])


def test_a_continued_training_holds_the_same_points_out(X, monkeypatch):
    seen = []
    whole = prepare.split
    monkeypatch.setattr(prepare, "split", lambda *a: seen.append(whole(*a)) or seen[-1])
    model = MixtureOfNetworks(**QUICK | {"t2": 0, "warm_start": True}).fit(X)
    drawn = model.history_["heldout"]
    model.set_params(t2=2).fit(X).fit(X[:100])
    assert torch.equal(seen[0][0], seen[1][0])
    assert len(seen[2][0]) == 10 and model.n_iter_ == 4
    assert model.history_["heldout"][:1] == drawn
    with pytest.raises(ValueError, match="init_labels must be None where warm_start"):
        model.fit(X, init_labels=np.zeros(150, int))


def test_a_continued_training_is_resumed_as_such(X, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "SECONDS_BETWEEN_CHECKPOINTS", -1)
    settings = QUICK | {"t2": 3, "warm_start": True}
    whole = MixtureOfNetworks(**settings).fit(X).fit(X)
    model = MixtureOfNetworks(**settings).fit(X, checkpoint=tmp_path / "state")
    before = model.predict_proba(X)

    def stop(done, total, text):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(X, checkpoint=tmp_path / "state", progress=stop)
    assert np.array_equal(model.predict_proba(X), before) and model.n_iter_ == 3  # as it was
    model.fit(X, checkpoint=tmp_path / "state")
    assert model.history_ == whole.history_
    assert np.array_equal(model.predict_proba(X), whole.predict_proba(X))


def test_a_fit_that_fails_changes_nothing(X):
    model = fitted(X)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="validation_size"):
        model.set_params(validation_size=149).fit(X * 1000 + 5)
    assert np.array_equal(model.predict_proba(X), before)
    first = MixtureOfNetworks(**QUICK | {"warm_start": True})
    with pytest.raises(FloatingPointError):
        first.set_params(lr=1e6).fit(X)
    assert np.isfinite(first.set_params(lr=0.3).fit(X).score(X))  # starts, as nothing is fitted


def test_seeds_of_all_kinds(X):
    one, other = (fitted(X, random_state=None).log_likelihood_ for _ in range(2))
    assert not np.array_equal(one, other)
    three = (fitted(X, random_state=np.random.RandomState(3)) for _ in range(2))
    a, b = three
    assert np.array_equal(a.log_likelihood_, b.log_likelihood_)
    assert np.array_equal(a.sample(5)[0], a.sample(5)[0])


def test_callbacks_see_and_stop_the_training(X):
    steps = []

    def watch(step):
        steps.append((step.algorithm, step.done, step.total, len(step.history["heldout"])))

    model = MixtureOfNetworks(**QUICK).fit(X, callbacks=[watch])
    assert steps[:10] == [(1, i, 16, 0) for i in range(1, 11)]
    assert steps[10:] == [(2, 10 + i, 16, i + 1) for i in range(1, 7)]
    assert model.n_iter_ == 6
    early = MixtureOfNetworks(**QUICK).fit(X, callbacks=[lambda step: step.done == 12])
    assert early.n_iter_ == 2 and early.history_["mmd"] == model.history_["mmd"][:3]
    at_once = MixtureOfNetworks(**QUICK).fit(X, callbacks=[lambda step: np.int64(step.done) == 4])
    assert at_once.n_iter_ == 0 and np.isfinite(at_once.score(X))


def test_a_stopped_training_goes_on_from_its_checkpoint(X, tmp_path):
    path = tmp_path / "state"
    MixtureOfNetworks(**QUICK).fit(X, checkpoint=path, callbacks=[lambda step: step.done == 12])
    resumed = MixtureOfNetworks(**QUICK).fit(X, checkpoint=path)
    assert resumed.history_ == fitted(X).history_


def test_other_settings_do_not_take_up_a_checkpoint(X, tmp_path):
    path = tmp_path / "state"

    def sized(power):
        return lambda x, y, mask: distance(x, y, mask) ** power

    pairs = [
        ({"mmd_widths": np.array([0.25, 0.5])}, {"mmd_widths": np.array([5.0, 9.0])}),
        (
            {"objective": functools.partial(distance)},
            {"objective": functools.partial(distance, mask=None)},
        ),
        ({"objective": sized(1)}, {"objective": sized(2)}),
    ]
    for one, other in pairs:
        assert fingerprint(QUICK | one) != fingerprint(QUICK | other)
        assert fingerprint(QUICK | one) == fingerprint(QUICK | one)
    widths = {"mmd_widths": np.array([0.25]), "likelihood_widths": np.array([0.5, 1], "f4")}
    stop = [lambda step: step.done == 12]
    MixtureOfNetworks(**QUICK | widths).fit(X, checkpoint=path, callbacks=stop)
    steps = []
    MixtureOfNetworks(**QUICK | widths).fit(
        X, checkpoint=path, callbacks=[lambda step: steps.append(step.done)]
    )
    assert steps == [13, 14, 15, 16]


def test_history_of_priors_and_discrepancy(X):
    model = fitted(X, t1=60, t2=20)
    curves = model.history_
    assert np.shape(curves["priors"]) == (21, 3)
    np.testing.assert_allclose(np.sum(curves["priors"], 1), 1, rtol=1e-5)
    assert [min(p) for p in curves["priors"]] == curves["min_prior"]
    untrained = fitted(X, t1=0, t2=0)
    assert max(curves["mmd"]) < 0.5 * untrained.history_["mmd"][0]


# --- generating -----------------------------------------------------------------------------------


def test_lines_in_the_space_of_inputs(X):
    model = fitted(X)
    z0, z1 = [-1.0, 0.5], np.array([1.0, 0.0])
    line = model.interpolate(1, z0, z1, n=5)
    assert line.shape == (5, 4)
    for row, share in zip(line, np.linspace(0, 1, 5), strict=True):
        z = (1 - share) * np.array(z0) + share * z1
        np.testing.assert_allclose(row, model.generate([z], 1)[0], rtol=1e-5, atol=1e-5)
    # The same network by hand: ReLU, sigmoid, out of the box.
    (w1, w2, b1, b2) = (t[1].numpy() for t in model.bank_.tensors())
    h = np.maximum(np.array([z0]) @ w1 + b1, 0)
    y = 1 / (1 + np.exp(-(h @ w2 + b2)))
    expected = (y - 0.05) / 0.9 * np.ptp(X, 0).max() + X.min(0)
    np.testing.assert_allclose(line[:1], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.interpolate(0, [0, 0], [0, 0, 0]), "z0 and z1 must be vectors of one length"),
        (lambda m: m.interpolate(0, [[0, 0]], [[0, 0]]), "z0 and z1 must be vectors"),
        (lambda m: m.interpolate(0, [0, 0], [1, 1], n=1), "n must be at least 2"),
        (lambda m: m.interpolate(3, [0, 0], [1, 1]), "component must be in 0..2; got 3"),
        (lambda m: m.generate([[0, 0, 0]], 0), r"z must have shape \(n, 2\); got \(1, 3\)"),
        (lambda m: m.sample(0), "n_samples must be a whole number of 1 or more; got 0"),
        (lambda m: m.sample(1, component=0.5), "component must be in 0..2"),
    ],
)
def test_bad_inputs_are_named(X, call, message):
    model = fitted(X, t1=1, t2=0)
    with pytest.raises(ValueError, match=message):
        call(model)


# --- structures, objectives, starts ---------------------------------------------------------------


@pytest.mark.parametrize(
    "structure",
    ["2-16-x", "3-16-4", "2-2x2x8-2x2", factory, nn.Sequential(nn.Linear(2, 4), nn.Sigmoid())],
    ids=["any width", "fixed width", "maps", "factory", "module"],
)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_any_structure(X, structure, optimizer, tmp_path):
    model = fitted(
        X, structure=structure, optimizer=optimizer, lr={"sgd": 0.3, "adam": 0.01}[optimizer]
    )
    assert model.sample(7)[0].shape == (7, 4)
    assert np.array_equal(model.predict(X), model.labels_)
    model.save(tmp_path / "model")
    given = {} if isinstance(structure, str) else {"structure": structure}
    again = MixtureOfNetworks.load(tmp_path / "model", **given)
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    assert np.array_equal(again.sample(5)[0], model.sample(5)[0])


@pytest.mark.parametrize(
    "objective",
    [
        "mmd",
        pytest.param("rational_quadratic", marks=pytest.mark.slow),
        pytest.param("energy", marks=pytest.mark.slow),
        "sliced_wasserstein",
        "adversarial",
        distance,
    ],
)
def test_any_objective(X, objective, tmp_path):
    model = fitted(X, objective=objective, optimizer="adam", lr=0.01, t1=40)
    assert np.isfinite(model.score(X))
    resumed = MixtureOfNetworks(
        **QUICK | dict(objective=objective, optimizer="adam", lr=0.01, t1=40)
    )

    def stop(done, total, text):
        if done == 43:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "SECONDS_BETWEEN_CHECKPOINTS", -1)
        with pytest.raises(KeyboardInterrupt):
            resumed.fit(X, checkpoint=tmp_path / "state", progress=stop)
        resumed.fit(X, checkpoint=tmp_path / "state")
    for one, other in zip(model.bank_.tensors(), resumed.bank_.tensors(), strict=True):
        assert torch.equal(one, other)
    assert model.history_ == resumed.history_


@pytest.mark.parametrize(
    "init", [KMeans(3, n_init=1, random_state=1), AgglomerativeClustering(3), DBSCAN(3.0)]
)
def test_any_start(X, init):
    model = MixtureOfNetworks(**QUICK | {"init": init, "t2": 0})
    labels = clone(init).fit_predict(X)
    labels = np.where(labels < 0, labels.max() + 1, labels)
    expected = MixtureOfNetworks(**QUICK | {"t2": 0}).fit(X, init_labels=labels)
    assert np.array_equal(model.fit(X).log_likelihood_, expected.log_likelihood_)
    assert not hasattr(init, "labels_")  # a copy is fitted


def test_bad_starts_structures_and_objectives_are_named(X):
    with torch.random.fork_rng():
        wide = nn.Linear(2, 9)
    for changes, message in [
        ({"init": AgglomerativeClustering(5)}, "init must find at most n_components=3.*found 5"),
        ({"structure": "2-3x3"}, "structure"),
        ({"structure": nn.Sequential(wide, nn.Sigmoid())}, "9"),
        ({"structure": 7}, "structure must be a string"),
        ({"objective": "mdm"}, "did you mean"),
        ({"objective": lambda x, y, mask: torch.zeros(3)}, "objective"),
    ]:
        with pytest.raises((ValueError, TypeError), match=message):
            fitted(X, **changes)


# --- files ----------------------------------------------------------------------------------------


def test_a_file_says_what_must_be_given_again(X, tmp_path):
    fitted(X, structure=factory).save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"give it again: load\(path, structure=...\)"):
        MixtureOfNetworks.load(tmp_path / "model")
    with pytest.raises(ValueError, match="holds networks of another structure than 2-5-x"):
        MixtureOfNetworks.load(tmp_path / "model", structure="2-5-x")
    save_model(tmp_path / "other", "autoencoder", 1, {}, {})
    with pytest.raises(ValueError, match="holds an autoencoder; needed a mixture of networks"):
        MixtureOfNetworks.load(tmp_path / "other")


class Shifted(nn.Module):
    """A module whose output hangs on a buffer."""

    def __init__(self, shift):
        super().__init__()
        self.line = nn.utils.skip_init(nn.Linear, 2, 4)
        nn.init.zeros_(self.line.bias)
        self.register_buffer("shift", torch.tensor(shift))

    def forward(self, z):
        return (self.line(z) + self.shift).sigmoid()


def test_buffers_settings_and_objectives_are_kept(X, tmp_path):
    settings = dict(
        structure=Shifted(0.5),
        objective=EnergyDistance(),
        init=KMeans(3, random_state=0),
        t1=np.int64(5),
        batch_size=np.int64(10),
        likelihood_widths=np.array([0.5, 1.0]),
        device=torch.device("cpu"),
        random_state=None,
        lr=0.01,
    )
    model = fitted(X, **settings)
    model.save(tmp_path / "model")
    again = MixtureOfNetworks.load(tmp_path / "model", structure=Shifted(-3.0))
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    assert isinstance(again.objective, EnergyDistance) and again.t1 == 5
    assert list(again.likelihood_widths) == [0.5, 1.0]
    fitted(X, objective=distance).save(tmp_path / "other")
    with pytest.raises(ValueError, match=r"load\(path, objective=...\)"):
        MixtureOfNetworks.load(tmp_path / "other")
    assert MixtureOfNetworks.load(tmp_path / "other", objective=distance).objective is distance


# --- size and devices -----------------------------------------------------------------------------

LARGE = """
    import sys, numpy as np
    from benchmarks.records.provenance import peak_rss_mb
    from mixnet_core.mixture import MixtureOfNetworks
    n = int(sys.argv[1])
    X = np.lib.format.open_memmap("X.npy", mode="w+", dtype=np.float32, shape=(n, 32))
    rng = np.random.default_rng(0)
    for start in range(0, n, 100_000):
        X[start:start + 100_000] = rng.random((100_000, 32), dtype=np.float32)
    X.flush()
    model = MixtureOfNetworks(20, "4-16-x", "mixnet", t1=1, t2=1, min_updates=0, n_samples=20,
                              n_final_samples=20)
    model.fit(np.load("X.npy", mmap_mode="r"), init_labels=np.arange(n) % 20)
    print(int(peak_rss_mb()), len(model.labels_))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read in Linux units")
@pytest.mark.parametrize(
    ("n", "most"),
    [
        # MB: distances of all points to all components by feature are 500 more
        pytest.param(200_000, 900, marks=pytest.mark.slow),
        pytest.param(1_000_000, 4000, marks=pytest.mark.slow),
    ],
)
def test_a_million_points_fit_into_4_gigabytes(tmp_path, n, most):
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LARGE), str(n)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    megabytes, fitted_points = map(int, run.stdout.split())
    assert fitted_points == n and megabytes < most


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_finds_the_same(X):
    cpu, gpu = fitted(X), fitted(X, device="cuda")
    assert (cpu.labels_ == gpu.labels_).mean() > 0.95
    np.testing.assert_allclose(cpu.history_["heldout"][0], gpu.history_["heldout"][0], rtol=0.02)
    drawn = torch.from_numpy(X).cuda()
    assert np.array_equal(gpu.predict(drawn), gpu.predict(X))
