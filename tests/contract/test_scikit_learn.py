"""The scikit-learn contract of the mixture."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from mixnet_core.mixture import MixtureOfNetworks

QUICK = MixtureOfNetworks(
    n_components=3, structure="2-8-x", t1=20, t2=2, min_updates=0, n_samples=20, n_final_samples=50
)


@parametrize_with_checks([QUICK])
def test_scikit_learn_checks(estimator, check):
    check(estimator)
