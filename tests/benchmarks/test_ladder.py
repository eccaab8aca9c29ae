"""The recipes' stanzas say what the library does, and the ladder leads from one to the other."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from baselines.clustering.kmeans import KMeans
from benchmarks import registry
from mixnet_core.mixture import MixtureOfNetworks
from mixnet_core.training.recipes import RECIPES, for_data, resolve

METHODS, SUITE = registry.methods(), registry.suites()["ladder"]
STEPS = [m for m in SUITE["methods"] if m.startswith("ladder-")]
DEPARTURES = [m for m in SUITE["methods"] if m.startswith("mixnet-")]
#: Of no effect under Adam and with drawn batches; and the recipe's name, where all is given.
IDLE = {"momentum", "order", "recipe"}


def params(method, dataset="digits"):
    return registry.resolve_params(method, dataset)


def settings(given, n_features=32):
    """What a fit with these parameters goes by."""
    given = MixtureOfNetworks().get_params(deep=False) | given
    found = vars(for_data(resolve(given), given, n_features))
    return {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}


def changed(one, other):
    one, other = settings(params(one)), settings(params(other))
    return {name for name in one if one[name] != other[name]} - IDLE


@pytest.mark.parametrize("name", ["mixnet", "mixnet+"])
def test_a_recipe_and_its_stanza_agree(name):
    given = params(name, "digits")
    recipe = {k: v for k, v in RECIPES[name].items() if k in given}
    assert {k: given[k] for k in recipe} == recipe
    assert given["recipe"] == name and len(recipe) > 10


def test_each_step_of_the_ladder_is_like_the_one_before():
    order = ["mixnet", *STEPS, "mixnet+"]
    assert SUITE["methods"][-len(order) :] == order
    assert {m: SUITE["against"][m] for m in order[1:]} == dict(zip(order[1:], order, strict=False))
    for before, step in zip(order, order[1:], strict=False):
        assert changed(before, step), step


@pytest.mark.parametrize(
    "step, names",
    [
        ("ladder-units", {"units", "output", "last_layer", "lr"}),
        ("ladder-width", {"kernel", "likelihood_widths"}),
        ("ladder-smoothed", {"objective"}),
        ("ladder-adam", {"optimizer", "lr", "weight_decay"}),
        ("ladder-likelihood", {"objective"}),
        ("ladder-covariance", {"kernel", "last_layer", "likelihood_widths"}),
        ("ladder-scale", {"local_scale"}),
        ("mixnet+", {"linear_stage"}),
    ],
)
def test_a_step_changes_what_it_names_and_nothing_else(step, names):
    assert changed(SUITE["against"][step], step) == names


@pytest.mark.parametrize(
    "method, name, value",
    [
        ("mixnet-no-momentum", "momentum", 0),
        ("mixnet-no-memory", "memory", 0),
        ("mixnet-no-floor", "prior_floor", 0),
        ("mixnet-one-batch", "batch_share", 1),
    ],
)
def test_a_departure_is_taken_back_alone(method, name, value):
    one, other = params("mixnet"), params(method)
    assert {k for k in one if one[k] != other[k]} == {name} and other[name] == value
    assert method in DEPARTURES and SUITE["against"][method] == "mixnet"


def test_the_printed_length_is_the_only_difference_of_its_row():
    one, other = params("mixnet", "mnist"), params("mixnet-printed", "mnist")
    assert {k for k in one if one[k] != other[k]} == {"t2"}
    assert other["t2"] == 200 < one["t2"]


@pytest.mark.parametrize("dataset", SUITE["datasets"])
def test_every_step_is_allowed_on_every_dataset(dataset):
    p = registry.datasets()[dataset]["code_dim"]
    for method in ("mixnet", *STEPS, "mixnet+"):
        found = settings(params(method, dataset), p)
        assert found["kernel"] == params(method, dataset).get("kernel", "shared")


def test_the_defaults_of_the_library_are_given_no_setting():
    assert params("mixnet-defaults") == {} and "start" not in METHODS["mixnet-defaults"].get(
        "needs", {}
    )


def test_where_the_graph_is_in_pieces_the_own_start_is_the_k_means_that_it_is_compared_with():
    X, _ = make_blobs(300, 4, centers=5, cluster_std=0.5, random_state=3)
    X = X.astype(np.float32)
    start = KMeans(5, n_init=10, random_state=7).fit(X).labels_
    own, given = (
        MixtureOfNetworks(5, "2-8-x", t1=1, t2=0, random_state=7).fit(X, **options)
        for options in ({}, {"init_labels": start})
    )
    np.testing.assert_array_equal(own.log_likelihood_, given.log_likelihood_)
