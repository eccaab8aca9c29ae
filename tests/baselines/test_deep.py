"""Deep clusterings: formulas against plain loops and torch.distributions, groups that are found,
interruptions, and what is refused."""

import itertools
import json
import math
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence

from baselines.deep.autoencoder import Autoencoder, dropped
from baselines.deep.idec import IDEC, clustering_loss, soft_assignment, target_distribution
from baselines.deep.n2d import N2D
from baselines.deep.vade import VaDE, VaDENetwork
from baselines.generative import checkpoints
from baselines.generative.training import streams
from baselines.generative.vae import divergence

TINY = dict(n_clusters=3, hidden=(8,), code_dim=2, batch_size=8, random_state=0)
LAYERS = dict(layer_updates=3, finetune_updates=4)
MODELS = {
    "idec": IDEC(**TINY, **LAYERS, updates=9, update_interval=4, tol=0.0, n_init=1),
    "dec": IDEC(**TINY, **LAYERS, updates=6, gamma=1.0, reconstruction=0.0, tol=0.0, n_init=1),
    "vade": VaDE(**TINY, **LAYERS, epochs=2),
    "gaussian vade": VaDE(**TINY, **LAYERS, output="gaussian", epochs=2),
    "n2d": N2D(**TINY, epochs=3),
}
#: Of small networks, for groups that are far apart, and for digits.
SHORT = dict(hidden=(32, 32, 64), layer_updates=20, finetune_updates=350, random_state=0)
CHECKED = dict(hidden=(8,), code_dim=2, layer_updates=0, batch_size=32)
FLOAT32 = (
    "float32: a product of matrices may round another way for another number or order of rows, by "
    "more than the 1e-7 or 1e-9 that are asked for"
)
EXPECTED = {
    name: {
        "check_methods_sample_order_invariance": FLOAT32,
        "check_methods_subset_invariance": FLOAT32,
    }
    for name in ("IDEC", "VaDE", "N2D")
}


class PrincipalUMAP(PCA):
    """The directions of largest variance in place of UMAP; remembers how it was asked."""

    asked = {}

    def __init__(self, n_components=2, **settings):
        super().__init__(n_components)
        type(self).asked = settings | {"n_components": n_components}

    def fit_transform(self, X, y=None):
        self.wanted_, self.n_components = self.n_components, min(self.n_components, *X.shape)
        return super().fit_transform(X)


@pytest.fixture(autouse=True)
def fake_umap(monkeypatch):
    module = ModuleType("umap")
    module.UMAP, module.__version__ = PrincipalUMAP, "fake"
    monkeypatch.setitem(sys.modules, "umap", module)


class Killed(Exception):
    pass


@pytest.fixture(params=MODELS)
def model(request):
    return clone(MODELS[request.param])


def blobs(n=120, d=4, gap=20.0):
    """Three groups of the same variance far apart, and which is whose."""
    rng, truth = np.random.default_rng(0), np.arange(n) % 3
    return rng.normal(size=(n, d)) + gap * np.eye(3, d)[truth], truth


def same(one, other):
    assert np.array_equal(one.labels_, other.labels_)
    for name, tensor in one.network_.state_dict().items():
        assert torch.equal(tensor, other.network_.state_dict()[name]), name
    assert one.history_ == other.history_ and one.values_ == other.values_


def accuracy(truth, labels):
    counts = np.zeros((10, 10))
    np.add.at(counts, (truth, labels), 1)
    return counts[linear_sum_assignment(-counts)].sum() / len(truth)


# ------------------------------------------------------------------------------- formulas: IDEC


def test_soft_assignments_are_students_t_point_by_point():
    rng = np.random.default_rng(1)
    codes, centres = rng.normal(size=(7, 3)), rng.normal(size=(4, 3))
    found = soft_assignment(torch.from_numpy(codes), torch.from_numpy(centres)).exp().numpy()
    for i, j in itertools.product(range(7), range(4)):
        kernels = [
            1 / (1 + sum((z - c) ** 2 for z, c in zip(codes[i], centre, strict=True)))
            for centre in centres
        ]
        assert found[i, j] == pytest.approx(kernels[j] / sum(kernels), rel=1e-12)


def test_the_target_squares_and_divides_by_the_size_of_the_cluster():
    q = np.random.default_rng(2).dirichlet(np.ones(3), size=6)
    found = target_distribution(torch.from_numpy(q)).numpy()
    sizes = [sum(q[i][j] for i in range(6)) for j in range(3)]
    for i, j in itertools.product(range(6), range(3)):
        terms = [q[i][k] ** 2 / sizes[k] for k in range(3)]
        assert found[i, j] == pytest.approx(terms[j] / sum(terms), rel=1e-12)


def test_the_clustering_loss_is_the_divergence_of_torch_also_where_p_is_zero():
    p = torch.tensor([[0.0, 0.3, 0.7], [1.0, 0.0, 0.0]], dtype=torch.float64)
    q = torch.tensor([[0.2, 0.2, 0.6], [0.5, 0.25, 0.25]], dtype=torch.float64)
    expected = (0.3 * math.log(0.3 / 0.2) + 0.7 * math.log(0.7 / 0.6) + math.log(2)) / 2
    assert float(clustering_loss(p, q.log())) == pytest.approx(expected, rel=1e-12)
    dense = torch.softmax(torch.randn(5, 3, generator=streams(0, 1)[0]), 1).double()
    wanted = kl_divergence(Categorical(dense), Categorical(dense.flip(0))).mean()
    assert float(clustering_loss(dense, dense.flip(0).log())) == pytest.approx(float(wanted))


@pytest.mark.parametrize(("gamma", "reconstruction"), [(0.1, 1.0), (1.0, 0.0), (0.0, 2.0)])
def test_a_step_follows_the_gradient_of_both_weighted_losses(gamma, reconstruction):
    model = clone(MODELS["idec"]).fit(blobs(30)[0])
    network = model.network_.requires_grad_(True)
    model.gamma, model.reconstruction = gamma, reconstruction
    x = torch.randn(6, 4, generator=streams(3, 1)[0])
    p = target_distribution(network.log_q(x).exp().detach())
    seen = {}

    class Watch:
        def zero_grad(self):
            network.zero_grad()

        def step(self):
            seen.update(
                {k: v.grad.clone() for k, v in network.named_parameters() if v.grad is not None}
            )

    kl, error = model._step(x, p, Watch())
    network.zero_grad()
    codes = network.encode(x)
    q = 1 / (1 + torch.cdist(codes, network.centres) ** 2)
    q = q / q.sum(1, keepdim=True)
    wanted = [(p * (p / q).log()).sum() / 6, ((network.decode(codes) - x) ** 2).mean()]
    (gamma * wanted[0] + reconstruction * wanted[1]).backward()
    assert kl.item() == pytest.approx(wanted[0].item(), rel=1e-4)
    assert error.item() == pytest.approx(wanted[1].item() if reconstruction else 0.0, rel=1e-5)
    for name, parameter in network.named_parameters():
        if parameter.grad is not None and parameter.grad.abs().max() > 0:
            torch.testing.assert_close(seen[name], parameter.grad, rtol=1e-3, atol=1e-6)


def test_the_target_changes_every_interval_and_training_ends_when_labels_stay():
    X = blobs()[0]
    model = clone(MODELS["idec"]).set_params(updates=10, update_interval=4).fit(X)
    assert model.history_["update"] == [0, 4, 8, 10] and model.values_["stopped_by"] == "length"
    model.set_params(tol=1.0, updates=100).fit(X)  # fewer than all points change sides
    assert model.history_["update"] == [0, 4]
    assert (model.values_["stopped_by"], model.values_["updates"]) == ("tolerance", 4)
    model.set_params(tol=0.0, updates=16, update_interval="auto").fit(X)
    assert model.history_["update"] == [0, 15, 16]  # a pass: 120 points by 8


# --------------------------------------------------------------------------- formulas: autoencoder


def test_layers_are_relus_but_for_code_and_output():
    network = Autoencoder((5, 4, 3, 2))
    network.initialise(streams(0, 1)[0])
    x = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)

    def affine(layer, value):
        return value @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()

    h = x
    for i, layer in enumerate(network.encoder):
        h = affine(layer, h) if i == 2 else np.maximum(affine(layer, h), 0)
    np.testing.assert_allclose(network.encode(torch.from_numpy(x)).detach(), h, atol=1e-6)
    assert (h < 0).any()
    for i, layer in enumerate(network.decoder):
        h = affine(layer, h) if i == 2 else np.maximum(affine(layer, h), 0)
    found = network.loss(torch.from_numpy(x))
    assert found.item() == pytest.approx(((h - x) ** 2).mean(), rel=1e-5)


@pytest.mark.parametrize("i", [0, 1, 2])
def test_a_layer_alone_reconstructs_its_own_input(i):
    network = Autoencoder((5, 4, 3, 2))
    network.initialise(streams(1, 1)[0])
    x = torch.randn(6, 5, generator=streams(2, 1)[0])
    below = x
    for layer in network.encoder[:i]:
        below = layer(below).relu()
    h = network.encoder[i](below)
    outputs = network.decoder[2 - i](h if i == 2 else h.relu())
    wanted = ((outputs if i == 0 else outputs.relu()) - below).square().mean()
    found = network.layer_loss(x, i, 0.0, streams(0, 1)[0])
    assert found.item() == pytest.approx(wanted.item(), rel=1e-6)
    found.backward()
    trained = {name for name, p in network.named_parameters() if p.grad is not None}
    assert trained == {
        f"{part}.{k}.{kind}"
        for part, k in (("encoder", i), ("decoder", 2 - i))
        for kind in ("weight", "bias")
    }


def test_dropped_entries_are_a_share_and_the_mean_stays():
    x = torch.ones(200, 500)
    found = dropped(x, 0.2, streams(0, 1)[0])
    assert set(found.unique().tolist()) == {0.0, 1.25}
    assert float((found == 0).float().mean()) == pytest.approx(0.2, abs=0.005)
    assert dropped(x, 0.0, None) is x


# ------------------------------------------------------------------------------- formulas: VaDE


def vade_network(k, output="bernoulli", seed=0):
    network = VaDENetwork((4, 5, 2), k, output).requires_grad_(False)
    first, second = streams(seed, 2)
    network.initialise(first)
    for parameter in network.mixture():
        parameter.copy_(torch.randn(parameter.shape, generator=second))
    return network


def test_responsibilities_are_bayes_rule():
    network, z = vade_network(3), torch.randn(7, 2, generator=streams(5, 1)[0])
    prior = torch.softmax(network.logits, 0)
    joint = torch.stack(
        [
            prior[c]
            * Normal(network.means[c], (network.log_variances[c] / 2).exp())
            .log_prob(z)
            .sum(1)
            .exp()
            for c in range(3)
        ],
        1,
    )
    torch.testing.assert_close(
        network.log_responsibilities(z).exp(), joint / joint.sum(1, keepdim=True)
    )


def test_the_divergence_is_that_of_torch_distributions():
    network, generator = vade_network(3), streams(6, 1)[0]
    mean, log_variance, z = torch.randn(3, 7, 2, generator=generator)
    q = Normal(mean, (log_variance / 2).exp())
    gamma = network.log_responsibilities(z).exp()
    wanted = kl_divergence(Categorical(gamma), Categorical(logits=network.logits))
    for c in range(3):
        p = Normal(network.means[c], (network.log_variances[c] / 2).exp())
        wanted = wanted + gamma[:, c] * kl_divergence(q, p).sum(1)
    torch.testing.assert_close(network.divergence(mean, log_variance, z), wanted)


def test_the_divergence_is_the_mean_of_what_it_is_the_expectation_of():
    """log q(z|x) + log γ_c − log p(z|c) − log π_c over draws of z and c."""
    network, generator = vade_network(2), streams(7, 1)[0]
    mean, log_variance, z = torch.randn(3, 1, 2, generator=generator)
    gamma = network.log_responsibilities(z).exp()[0]
    q = Normal(mean[0], (log_variance[0] / 2).exp())
    draws = mean + (log_variance / 2).exp() * torch.randn(200_000, 2, generator=generator)
    values = torch.zeros(len(draws))
    for c in range(2):
        p = Normal(network.means[c], (network.log_variances[c] / 2).exp())
        term = q.log_prob(draws).sum(1) - p.log_prob(draws).sum(1)
        values += gamma[c] * (term + gamma[c].log() - network.logits.log_softmax(0)[c])
    error = float(values.std()) / math.sqrt(len(draws))
    assert float(network.divergence(mean, log_variance, z)) == pytest.approx(
        float(values.mean()), abs=5 * error
    )


def test_one_component_at_the_origin_is_the_plain_variational_autoencoder():
    network = vade_network(1)
    network.means.zero_(), network.log_variances.zero_()
    x = torch.rand(6, 4, generator=streams(8, 1)[0])
    draws = torch.randn(6, 2, generator=streams(9, 1)[0])
    mean, log_variance = network.posterior(x)
    z = mean + (log_variance / 2).exp() * draws
    loss, penalty = network.negative_elbo(x, draws)
    assert float(penalty) == pytest.approx(float(divergence(mean, log_variance).mean()), rel=1e-5)
    p = network.decode(z).sigmoid()
    wanted = -(x * p.log() + (1 - x) * (1 - p).log()).sum(1).mean()
    assert float(loss) == pytest.approx(float(wanted), rel=1e-5)
    binary = (x > 0.5).float()
    wanted = -Bernoulli(probs=p).log_prob(binary).sum(1).mean()
    assert float(network.reconstruction(network.decode(z), binary).mean()) == pytest.approx(
        float(wanted), rel=1e-5
    )


def test_gaussian_outputs_have_variance_one_half():
    network = vade_network(2, "gaussian")
    x = torch.randn(5, 4, generator=streams(8, 1)[0])
    outputs = network.decode(network.encode(x))
    density = Normal(outputs, math.sqrt(0.5)).log_prob(x).sum(1)
    constant = 2 * math.log(math.pi)  # d/2 log(2 pi / 2), d = 4
    torch.testing.assert_close(network.reconstruction(outputs, x), -density - constant)


@pytest.mark.parametrize("output", ["bernoulli", "gaussian"])
def test_samples_lie_where_their_component_does(output):
    X = blobs()[0]
    model = VaDE(3, output=output, max_updates=150, **SHORT).fit(X)
    drawn, components = model.sample(400, random_state=1)
    assert drawn.shape == (400, 4) and drawn.dtype == np.float32
    assert set(components) == {0, 1, 2}
    for c in range(3):
        own = X[model.labels_ == c].mean(0)
        one, only = model.sample(200, component=c, random_state=2)
        assert set(only) == {c}
        assert np.linalg.norm(one.mean(0) - own) < 5  # groups are 28 apart
    again = model.sample(400, random_state=1)
    assert np.array_equal(again[0], drawn) and np.array_equal(again[1], components)
    if output == "bernoulli":
        assert drawn.min() >= X.min() - 1e-4 and drawn.max() <= X.max() + 1e-4


# -------------------------------------------------------------------------------- formulas: N2D


def test_umap_and_the_mixture_get_what_the_paper_says():
    X, truth = blobs()
    model = N2D(3, hidden=(16,), epochs=40, random_state=0).fit(X)
    asked = PrincipalUMAP.asked
    assert (asked["n_neighbors"], asked["min_dist"], asked["n_components"]) == (20, 0.0, 3)
    assert asked["n_jobs"] == 1 and isinstance(asked["random_state"], int)
    assert model.encode(X).shape == (120, 3)  # as many features as clusters
    mixture = GaussianMixture(3, random_state=model.mixture_.random_state).fit(model.embedding_)
    assert np.array_equal(model.labels_, mixture.predict(model.embedding_))
    np.testing.assert_allclose(PCA(3).fit_transform(model.encode(X)), model.embedding_, atol=1e-4)
    assert adjusted_rand_score(truth, model.labels_) == 1
    N2D(
        2,
        code_dim=4,
        n_components=3,
        n_neighbors=7,
        min_dist=0.1,
        hidden=(8,),
        epochs=1,
        random_state=0,
    ).fit(X[:6])
    asked = PrincipalUMAP.asked
    assert (asked["n_neighbors"], asked["min_dist"], asked["n_components"]) == (5, 0.1, 3)


def test_without_umap_the_error_names_the_extra_before_anything_is_trained(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    told = []
    with pytest.raises(ImportError, match=r"pip install 'mixnet\[n2d\]'"):
        N2D(3, random_state=0).fit(blobs()[0], progress=lambda *a: told.append(a))
    assert not told


@pytest.mark.slow
def test_the_real_umap_finds_groups_repeats_itself_and_places_new_points(monkeypatch):
    monkeypatch.delitem(sys.modules, "umap")
    pytest.importorskip("umap")
    X, truth = blobs()
    one, again = (N2D(3, hidden=(32,), epochs=200, random_state=0).fit(X) for _ in range(2))
    assert adjusted_rand_score(truth, one.labels_) == 1
    assert np.array_equal(one.embedding_, again.embedding_)
    assert np.array_equal(one.predict(X), one.labels_)
    new, theirs = blobs(60)
    assert adjusted_rand_score(theirs, one.predict(new + 0.1)) == 1


# ------------------------------------------------------------------------------------ what is found


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda k: IDEC(k, updates=100, **SHORT), id="idec"),
        pytest.param(
            lambda k: IDEC(k, updates=100, gamma=1, reconstruction=0, **SHORT),
            id="dec",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lambda k: VaDE(k, max_updates=120, **SHORT), id="vade", marks=pytest.mark.slow
        ),
        pytest.param(lambda k: VaDE(k, output="gaussian", max_updates=120, **SHORT), id="gaussian"),
        pytest.param(
            lambda k: N2D(k, hidden=(32, 32, 64), max_updates=300, random_state=0), id="n2d"
        ),
    ],
)
def test_groups_are_found_in_small_units_and_most_digits_too(make):
    X, truth = blobs()
    data = (1e-4 * X).astype(np.float32)
    model = make(3).fit(data)
    assert adjusted_rand_score(truth, model.labels_) > 0.95
    assert np.array_equal(model.predict(data), model.labels_)
    proba = model.predict_proba(data)
    assert proba.shape == (120, 3) and np.array_equal(proba.argmax(1), model.labels_)
    np.testing.assert_allclose(proba.sum(1), 1, atol=1e-5)
    images, digits = load_digits(return_X_y=True)
    assert accuracy(digits[:600], make(10).fit(images[:600]).labels_) > 0.5


# ----------------------------------------------------------------------------- of every estimator


# Grey values of two features are too little for Bernoulli outputs to tell groups apart by.
@parametrize_with_checks(
    [
        IDEC(3, **CHECKED, finetune_updates=20, updates=4, n_init=1),
        VaDE(3, **CHECKED, finetune_updates=5, output="gaussian", max_updates=3),
        N2D(3, hidden=(8,), batch_size=32, max_updates=20),
    ],
    expected_failed_checks=lambda e: EXPECTED[type(e).__name__],
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_a_training_killed_at_every_save_gets_to_the_same_result(model, tmp_path, monkeypatch):
    X = blobs(30)[0]
    whole, kills = clone(model).fit(X), 0
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    write = checkpoints.Checkpoint.write

    def write_and_die(self, *args, **kwargs):
        write(self, *args, **kwargs)
        raise Killed

    monkeypatch.setattr(checkpoints.Checkpoint, "write", write_and_die)
    while True:
        try:
            model.fit(X, checkpoint=tmp_path / "state")
            break
        except Killed:
            kills += 1
            assert kills < 100
    assert kills >= 9
    same(whole, model)


def test_a_checkpoint_of_other_data_seed_or_settings_is_not_used(model, tmp_path):
    X, path = blobs(30)[0], tmp_path / "state"
    clone(model).fit(X[::-1], checkpoint=path)
    same(clone(model).fit(X), clone(model).fit(X, checkpoint=path))
    other = clone(model).set_params(random_state=1)
    same(clone(other).fit(X), other.fit(X, checkpoint=path))


def test_progress_counts_all_stages_and_changes_nothing(model, tmp_path):
    X, told = blobs(30)[0], []
    whole = clone(model).fit(X)
    model.fit(X, progress=lambda *a: told.append(a), checkpoint=tmp_path / "s")
    same(whole, model)
    done, totals, texts = zip(*told, strict=True)
    assert len(set(totals)) == 1 and done[-1] == totals[0]
    assert list(done) == sorted(done) and all(isinstance(text, str) for text in texts)


def test_the_seed_decides_no_global_state_is_touched_and_results_are_plain(model):
    X = blobs(30)[0]
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    one, again = clone(model).fit(X), clone(model).fit(X)
    same(one, again)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    other = clone(model).set_params(random_state=1).fit(X)
    assert not np.array_equal(one.encode(X), other.encode(X))
    json.dumps([one.values_, one.history_], allow_nan=False)
    assert one.labels_.dtype == np.int64 and set(one.labels_) <= {0, 1, 2}
    assert not any(p.requires_grad for p in one.network_.parameters())


@pytest.mark.parametrize(
    "X",
    [
        pytest.param(np.ones((20, 3)), id="all points equal"),
        pytest.param(np.zeros((20, 3)), id="zeros"),
        pytest.param(blobs(3)[0], id="a point a cluster"),
        pytest.param(blobs(20, 3)[0][:, :1], id="one feature"),
    ],
)
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@pytest.mark.filterwarnings("ignore:Best performing initialization did not converge")
@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")  # the fake's, of zeros
def test_degenerate_data(model, X):
    model.fit(X)
    assert np.isfinite(model.encode(X)).all() and set(model.labels_) <= {0, 1, 2}


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"n_clusters": 0}, ValueError, "n_clusters"),
        ({"n_clusters": 31}, ValueError, "n_clusters=31 is more than the number of points"),
        ({"hidden": 8}, TypeError, "hidden must be a tuple"),
        ({"hidden": (8, 0)}, ValueError, "each of hidden must be >= 1"),
        ({"code_dim": 0}, ValueError, "code_dim"),
        ({"batch_size": 2.5}, TypeError, "batch_size"),
        ({"random_state": -1}, ValueError, "random_state"),
        ({"layer_updates": -1}, ValueError, "layer_updates"),
        ({"finetune_updates": 0}, ValueError, "finetune_updates"),
        ({"corruption": 1}, ValueError, "corruption must be below 1"),
        ({"pretrain_lr": 0}, ValueError, "pretrain_lr must be > 0"),
        ({"lr": float("nan")}, ValueError, "lr"),
        ({"tol": -1}, ValueError, "tol"),
        ({"gamma": 0, "reconstruction": 0}, ValueError, "gamma or reconstruction"),
        ({"update_interval": "often"}, ValueError, "update_interval must be 'auto'"),
        ({"update_interval": 0}, ValueError, "update_interval"),
        ({"updates": 0}, ValueError, "updates"),
        ({"n_init": 0}, ValueError, "n_init"),
        ({"output": "poisson"}, ValueError, "output must be 'bernoulli' or 'gaussian'"),
        ({"epochs": 0}, ValueError, "epochs"),
        ({"max_updates": 0}, ValueError, "max_updates"),
        ({"n_neighbors": 1}, ValueError, "n_neighbors must be >= 2"),
        ({"min_dist": -0.1}, ValueError, "min_dist"),
        ({"n_components": 0}, ValueError, "n_components"),
    ],
)
def test_bad_settings_are_named(settings, error, words):
    tried = [one for one in MODELS.values() if set(settings) <= set(one.get_params())]
    assert tried
    for one in tried:
        with pytest.raises(error, match=words):
            clone(one).set_params(**settings).fit(blobs(30)[0])


def test_bad_data_and_calls_are_named(model):
    X = blobs(30)[0]
    with pytest.raises(NotFittedError):
        model.encode(X)
    with pytest.raises(ValueError, match="X must have entries below 1e"):
        clone(model).fit(1e200 * X)
    model.fit(X)
    with pytest.raises(ValueError, match="4 features"):
        model.predict(X[:, :3])
    if hasattr(model, "sample"):
        with pytest.raises(ValueError, match="n_samples must be >= 1"):
            model.sample(0)
        with pytest.raises(ValueError, match="component must be below n_clusters = 3"):
            model.sample(1, component=3)


def test_a_training_that_diverges_says_so():
    X = blobs(30)[0]
    with pytest.raises(FloatingPointError, match="diverged|not finite"):
        clone(MODELS["idec"]).set_params(pretrain_lr=1e30).fit(X)
    with pytest.raises(FloatingPointError, match="a smaller lr may help"):
        clone(MODELS["idec"]).set_params(lr=1e30).fit(X)
    with pytest.raises(FloatingPointError, match="a smaller learning rate may help"):
        clone(MODELS["vade"]).set_params(lr=1e30).fit(X)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu(model, tmp_path):
    X = blobs()[0]
    model.set_params(device="cuda").fit(X, checkpoint=tmp_path / "s")
    assert set(model.labels_) <= {0, 1, 2} and np.isfinite(model.encode(X)).all()
