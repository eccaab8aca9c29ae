"""What every generative model promises: the same result after an interruption, files, doors."""

import json

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from baselines.generative import checkpoints
from baselines.generative.contractive import StackedCAE
from baselines.generative.dbn import DBN
from baselines.generative.gan import GAN
from baselines.generative.gmmn import GMMN
from baselines.generative.gmmn_autoencoder import GMMNAutoencoder
from baselines.generative.gmmn_scaled import ScaledGMMN
from baselines.generative.gsn import GSN
from baselines.generative.vae import VAE

MMD = dict(latent_dim=2, hidden=(8,), variances=(0.1,), batch_size=8, updates=6)
MODELS = {
    "gmmn": GMMN(**MMD),
    "scaled gmmn": ScaledGMMN(**MMD),
    "gmmn+ae": GMMNAutoencoder(code_hidden=(6, 3), code_updates=4, code_batch_size=5, **MMD),
    "gan": GAN(
        latent_dim=3, generator_hidden=(6,), units=(4, 3), pieces=2, batch_size=5, updates=10
    ),
    "vae": VAE(latent_dim=2, hidden=(6,), batch_size=5, updates=9, every=2, patience=2, lr=0.01),
    # A DBN has one sample for each state of its top layer: units enough to tell them apart.
    "dbn": DBN(hidden=(5, 20), batch_size=5, epochs=(1, 2), n_chains=6, burn_in=2, thin=1),
    "cae": StackedCAE(
        hidden=(5, 4), batch_size=5, epochs=(1, 2), patience=1, n_chains=6, burn_in=2, thin=1
    ),
    "gsn": GSN(hidden=(6, 5), batch_size=5, epochs=2),
}
PHASES = {"gmmn+ae": 4, "dbn": 2, "cae": 2}
SETTINGS = [
    (kind, name) for kind, one in MODELS.items() for name in one.get_params() if name != "device"
]


class Killed(Exception):
    pass


@pytest.fixture(params=MODELS)
def kind(request):
    return request.param


@pytest.fixture
def model(kind):
    return clone(MODELS[kind])


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    return rng.random((23, 2)).astype(np.float32) @ np.array(
        [[0.5, 0.1, 0.9, 0], [0.5, 0.8, 0, 0.3]], dtype=np.float32
    )


@pytest.fixture
def validation(X):
    return X[::-3] * np.float32(0.9)


def draw(model, n=5):
    return model.sample(n, torch.Generator().manual_seed(3))


def assert_same(a, b):
    for name, tensor in a.network_.state_dict().items():
        assert torch.equal(tensor, b.network_.state_dict()[name]), name
    assert a.history_ == b.history_ and a.values_ == b.values_
    assert np.array_equal(draw(a), draw(b))


@pytest.mark.parametrize("validated", [False, True])
def test_a_training_killed_at_every_save_gets_to_the_same_result(
    model, X, validation, validated, tmp_path, monkeypatch
):
    held_out = validation if validated else None
    whole, kills = clone(model).fit(X, validation=held_out), 0
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    write = checkpoints.Checkpoint.write

    def write_and_die(self, *args, **kwargs):
        write(self, *args, **kwargs)
        raise Killed

    monkeypatch.setattr(checkpoints.Checkpoint, "write", write_and_die)
    while True:
        try:
            model.fit(X, validation=held_out, checkpoint=tmp_path / "state")
            break
        except Killed:
            kills += 1
    assert kills == whole.values_["updates"] >= 6
    assert_same(whole, model)


def test_progress_counts_all_phases_and_changes_nothing(model, X, tmp_path):
    told = []
    whole = clone(model).fit(X)
    model.fit(X, progress=lambda *a: told.append(a), checkpoint=tmp_path / "s")
    assert_same(whole, model)
    done, totals, texts = zip(*told, strict=True)
    assert len(set(totals)) == 1 and done[-1] == totals[0] == model.values_["updates"]
    assert list(done) == sorted(set(done)) and all(isinstance(text, str) for text in texts)


def test_a_checkpoint_of_other_data_or_settings_is_not_used(model, X, tmp_path):
    path = tmp_path / "state"
    clone(model).fit(X[::-1], checkpoint=path)
    assert_same(clone(model).fit(X), clone(model).fit(X, checkpoint=path))
    other = clone(model).set_params(random_state=1)
    assert_same(clone(other).fit(X), other.fit(X, checkpoint=path))
    # Nor that of a smaller budget: schedules and history follow from the budget.
    clone(model).set_params(max_updates=4).fit(X, checkpoint=path)
    assert_same(clone(model).fit(X), clone(model).fit(X, checkpoint=path))


def test_the_seed_decides_and_no_global_state_is_touched(model, X):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    one, again = clone(model).fit(X), clone(model).fit(X)
    assert_same(one, again)
    other = clone(model).set_params(random_state=1).fit(X)
    assert not np.array_equal(draw(one), draw(other))
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_samples(model, X):
    model.fit(X)
    samples = draw(model, 2300)
    assert samples.shape == (2300, 4) and samples.dtype == np.float32
    assert (samples >= 0).all() and (samples <= 1).all()
    assert np.array_equal(samples, draw(model, 2300))
    assert len(np.unique(samples, axis=0)) > 2000


def test_save_and_load(model, X, tmp_path):
    with pytest.raises(NotFittedError):
        model.save(tmp_path / "model.npz")
    model.fit(X)
    model.save(tmp_path / "model.npz")
    loaded = type(model).load(tmp_path / "model.npz")
    assert_same(model, loaded)
    assert loaded.get_params() == model.get_params()
    assert all(p.requires_grad is False for p in loaded.network_.parameters())
    with np.load(tmp_path / "model.npz", allow_pickle=False) as file:  # no pickle anywhere in it
        assert "device" not in json.loads(str(file["head"]))["params"]
    model.set_params(device=torch.device("cpu")).save(tmp_path / "again.npz")
    assert_same(model, type(model).load(tmp_path / "again.npz", device=torch.device("cpu")))


@pytest.mark.parametrize("budget", [1, 5])
def test_a_budget_ends_the_training(kind, model, X, budget):
    model.set_params(max_updates=budget).fit(X)
    assert model.values_["stopped_by"] == "budget"
    assert model.values_["updates"] == max(budget, PHASES.get(kind, 1))  # one a phase at least
    assert model.set_params(max_updates=100_000).fit(X).values_["stopped_by"] == "length"


def test_data_is_left_as_it_was_and_may_be_read_only(model, X):
    copy = X.copy()
    X.setflags(write=False)
    model.fit(X, validation=X[:4])
    assert np.array_equal(X, copy)


def test_few_points_fewer_than_a_batch(model, X):
    model.fit(X[:2])
    assert np.isfinite(draw(model)).all()


def test_doors_of_fit_and_sample(model, X):
    for bad, message in [
        (X[0], "X must be a matrix"),
        (X * 3, r"X must be finite and lie in"),
        (X[:1], "X needs at least 2 rows"),
        (X * np.nan, "X must be finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            clone(model).fit(bad)
    with pytest.raises(ValueError, match="validation must have 4 features; got 3"):
        clone(model).fit(X, validation=X[:, :3])
    with pytest.raises(ValueError, match="validation must be finite and lie in"):
        clone(model).fit(X, validation=X + 1)
    for bad in (0, -1, 1.5, "all"):
        with pytest.raises(ValueError, match="max_updates must be a whole number from 1"):
            clone(model).set_params(max_updates=bad).fit(X)
    with pytest.raises(ValueError, match="random_state must be a whole number"):
        clone(model).set_params(random_state=None).fit(X)
    with pytest.raises(NotFittedError):
        draw(model)
    if hasattr(model, "reconstruct"):
        with pytest.raises(NotFittedError):
            model.reconstruct(X)
    if hasattr(model, "elbo"):
        with pytest.raises(NotFittedError):
            model.elbo(X, torch.Generator())
        with pytest.raises(ValueError, match="generator must be a torch.Generator; got 3"):
            clone(model).fit(X).elbo(X, 3)
    model.fit(X)
    for n in (0, 2.5):
        with pytest.raises(ValueError, match="n must be a whole number from 1"):
            model.sample(n, torch.Generator())
    with pytest.raises(ValueError, match="generator must be a torch.Generator; got 3"):
        model.sample(2, 3)


@pytest.mark.parametrize(("kind", "name"), SETTINGS)
@pytest.mark.parametrize("bad", [-1, "many", float("nan")])
def test_doors_of_settings(model, X, name, bad):
    with pytest.raises(ValueError, match=f"{name} must be"):
        model.set_params(**{name: bad}).fit(X)


@pytest.mark.parametrize("bad", [0, None])
def test_doors_of_rates_and_lengths(model, X, bad):
    found = set(model.get_params()) & {"lr", "batch_size", "updates", "epochs", "latent_dim"}
    assert {"lr", "batch_size"} < found
    for name in found:
        with pytest.raises(ValueError, match=f"{name} must be"):
            clone(model).set_params(**{name: bad}).fit(X)


def test_load_refuses_other_files(model, X, tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="is not a model that was saved here"):
        type(model).load(path)
    np.savez(tmp_path / "g.npz", a=1)
    with pytest.raises(ValueError, match="is not a model that was saved here"):
        type(model).load(tmp_path / "g.npz")
    model.fit(X).save(path)
    other = VAE if isinstance(model, GAN) else GAN
    with pytest.raises(ValueError, match=f"holds a {type(model).__name__}, not a"):
        other.load(path)
    with pytest.raises(FileNotFoundError):
        type(model).load(tmp_path / "none")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu(model, X, validation, tmp_path):
    model.set_params(device="cuda").fit(X, validation=validation, checkpoint=tmp_path / "s")
    model.save(tmp_path / "m")
    loaded = type(model).load(tmp_path / "m")
    np.testing.assert_allclose(draw(model), draw(loaded), atol=1e-4)
