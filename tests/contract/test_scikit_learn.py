"""The scikit-learn contract of every estimator of the library."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from mixnet_core import Autoencoder, MixtureOfNetworks
from mixnet_core.choosing.consensus import ClosestPartition, Consensus
from mixnet_core.choosing.starts import StartSelection
from mixnet_core.manifold import NeighbourAutoencoder

QUICK = dict(
    n_components=3, structure="2-8-x", t1=5, t2=2, updates=5, n_samples=20, n_final_samples=50
)
ESTIMATORS = [
    MixtureOfNetworks(**QUICK),
    Autoencoder(code_dim=2, hidden=(4,), epochs=2, min_updates=2),
    NeighbourAutoencoder(code_dim=2, hidden=(4,), epochs=2, min_updates=2, batch_size=20),
    StartSelection(n_clusters=2, n_splits=1),
    Consensus(n_clusters=2, n_init=1),
    ClosestPartition(n_clusters=2),
]
FLOAT32 = (
    "float32: a product of matrices may round another way for another number or order of rows, by "
    "more than the 1e-7 or 1e-9 that are asked for"
)
EXPECTED = {
    "Autoencoder": {"check_methods_sample_order_invariance": FLOAT32},
    "NeighbourAutoencoder": {"check_methods_sample_order_invariance": FLOAT32},
    "MixtureOfNetworks": {
        "check_methods_sample_order_invariance": FLOAT32,
        "check_methods_subset_invariance": FLOAT32,
    },
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:feature")
@parametrize_with_checks(
    ESTIMATORS, expected_failed_checks=lambda e: EXPECTED.get(type(e).__name__, {})
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:feature")
@parametrize_with_checks(
    [MixtureOfNetworks(**QUICK, recipe="mixnet")],
    expected_failed_checks=lambda e: EXPECTED.get(type(e).__name__, {}),
)
def test_scikit_learn_checks_of_the_other_recipe(estimator, check):
    check(estimator)
