"""What people build on the mixture: pipelines, searches, files, other structures and objectives."""

import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from mixnet_core.mixture import MixtureOfNetworks
from mixnet_core.storage import save_model

QUICK = dict(
    n_components=3,
    structure="2-16-x",
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
        MixtureOfNetworks(**QUICK), {"t1": [0, 60], "likelihood_widths": [(1.0,), (30.0,)]}, cv=3
    )
    search.fit(X)
    # Trained networks and a fitting width make held-out points likelier.
    assert search.best_params_ == {"t1": 60, "likelihood_widths": (1.0,)}
    assert search.best_score_ == pytest.approx(search.cv_results_["mean_test_score"].max())


def test_score_is_a_density_in_the_units_of_the_data(rng):
    """A density integrates to one, whatever the units; here over a grid around the whole box."""
    X = rng.normal(size=(200, 2)).astype(np.float32) * [20, 40]
    model = fitted(X, n_components=2, t2=1, likelihood_widths=(2.0,))
    axes = [low + model.box_.span * np.linspace(-0.6, 1.6, 500) for low in model.box_.low]
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
    first = model.history_, model.width_, [t.clone() for t in model.bank_.tensors()]
    model.fit(X)
    assert model.n_iter_ == 6 and model.width_ == first[1]
    assert model.history_["heldout"][: 3 + 1] == first[0]["heldout"]
    assert len(model.history_["heldout"]) == 2 * (3 + 1)
    moved = [
        float((a - b).abs().max()) for a, b in zip(first[2], model.bank_.tensors(), strict=True)
    ]
    assert 0 < max(moved) < 0.5  # trained on, not started again
    cold = MixtureOfNetworks(**QUICK | {"t2": 3}).fit(X).fit(X)
    assert cold.n_iter_ == 3
    with pytest.raises(ValueError, match="structure and n_components must stay"):
        model.set_params(structure="2-8-x").fit(X)
    with pytest.raises(ValueError, match="X has 3 features"):
        model.set_params(structure="2-16-x").fit(X[:, :3])


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
    at_once = MixtureOfNetworks(**QUICK).fit(X, callbacks=[lambda step: step.done == 4])
    assert at_once.n_iter_ == 0 and np.isfinite(at_once.score(X))


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
    expected = (y - 0.05) / 0.9 * model.box_.span + model.box_.low
    np.testing.assert_allclose(line[:1], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.interpolate(0, [0, 0], [0, 0, 0]), "z0 and z1 must be vectors of one length"),
        (lambda m: m.interpolate(0, [[0, 0]], [[0, 0]]), "z0 and z1 must be vectors"),
        (lambda m: m.interpolate(0, [0, 0], [1, 1], n=1), "n must be at least 2"),
        (lambda m: m.interpolate(3, [0, 0], [1, 1]), "component must be in 0..2; got 3"),
        (lambda m: m.generate([[0, 0, 0]], 0), r"z must have shape \(n, 2\); got \(1, 3\)"),
        (lambda m: m.sample(0), "n_samples must be at least 1"),
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
    ["mmd", "rational_quadratic", "energy", "sliced_wasserstein", "adversarial", distance],
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

    from mixnet_core import fitting

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "SECONDS_BETWEEN_CHECKPOINTS", -1)
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
    labels = init.fit_predict(X)
    labels = np.where(labels < 0, labels.max() + 1, labels)
    expected = MixtureOfNetworks(**QUICK | {"t2": 0}).fit(X, init_labels=labels)
    assert np.array_equal(model.fit(X).log_likelihood_, expected.log_likelihood_)
    assert not hasattr(model.init, "labels_") or model.init is init  # a copy is fitted


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
        ({"n_components": 2.5}, "n_components must be a whole number; got 2.5"),
        ({"lr": "fast"}, "lr must be positive; got 'fast'"),
        ({"memory": 1.0}, "memory must be 0 or more and below 1"),
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
    with pytest.raises(ValueError, match="holds a autoencoder; needed a mixture of networks"):
        MixtureOfNetworks.load(tmp_path / "other")


# --- size and devices -----------------------------------------------------------------------------

LARGE = """
    import resource, numpy as np
    from mixnet_core.mixture import MixtureOfNetworks
    X = np.lib.format.open_memmap("X.npy", mode="w+", dtype=np.float32, shape=(1_000_000, 32))
    rng = np.random.default_rng(0)
    for start in range(0, 1_000_000, 100_000):
        X[start:start + 100_000] = rng.random((100_000, 32), dtype=np.float32)
    X.flush()
    model = MixtureOfNetworks(20, "4-16-x", t1=1, t2=1, min_updates=0, n_samples=20,
                              n_final_samples=20)
    model.fit(np.load("X.npy", mmap_mode="r"), init_labels=np.arange(1_000_000) % 20)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, len(model.labels_))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read in Linux units")
def test_a_million_points_fit_into_4_gigabytes(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LARGE)], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    megabytes, n = map(int, run.stdout.split())
    assert n == 1_000_000 and megabytes < 4000


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_finds_the_same(X):
    cpu, gpu = fitted(X), fitted(X, device="cuda")
    assert (cpu.labels_ == gpu.labels_).mean() > 0.95
    np.testing.assert_allclose(cpu.history_["heldout"][0], gpu.history_["heldout"][0], rtol=0.02)
    drawn = torch.from_numpy(X).cuda()
    assert np.array_equal(gpu.predict(drawn), gpu.predict(X))
