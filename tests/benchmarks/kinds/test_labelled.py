"""Few labels: who is labelled, what is counted, and that the baselines are scikit-learn's."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading

from baselines.semisupervised import LabelSpreading as OurSpreading
from baselines.semisupervised import SelfTraining
from benchmarks.kinds import labelled


def test_the_seed_draws_the_same_number_of_each_class():
    y = np.repeat([0, 1, 2], [50, 20, 9])
    known = labelled.known_labels(y, 12, 3)
    assert np.bincount(known[known >= 0]).tolist() == [4, 4, 4]
    assert np.array_equal(known[known >= 0], y[known >= 0])
    assert np.array_equal(known, labelled.known_labels(y, 12, 3))
    assert not np.array_equal(known, labelled.known_labels(y, 12, 4))
    for bad in (0, 10, 30):
        with pytest.raises(ValueError, match=f"multiple of 3 classes with at most 9.*got {bad}"):
            labelled.known_labels(y, bad, 0)


@pytest.fixture
def blobs():
    rng = np.random.default_rng(5)
    y = np.repeat([0, 1, 2], 60)
    X = rng.normal(size=(180, 3)) * 0.8 + np.eye(3)[y] * 3
    return X.astype(np.float32), y


def test_baselines_are_those_of_scikit_learn(blobs):
    X, y = blobs
    known = labelled.known_labels(y, 9, 0)
    theirs = LabelSpreading(kernel="knn", n_neighbors=7, max_iter=200).fit(X, known)
    assert np.array_equal(OurSpreading().fit(X, known).labels_, theirs.transduction_)
    ours = SelfTraining().fit(X, known)
    assert np.array_equal(ours.labels_[known >= 0], y[known >= 0])
    taught, answers = known.copy(), known.copy()
    for _ in range(10):  # Yarowsky's loop by hand
        scaler = StandardScaler().fit(X[taught >= 0])
        model = LogisticRegression(max_iter=1000).fit(
            scaler.transform(X[taught >= 0]), taught[taught >= 0]
        )
        chances = model.predict_proba(scaler.transform(X))
        sure = (chances.max(1) > 0.75) & (taught < 0)
        if not sure.any():
            break
        taught[sure] = chances.argmax(1)[sure]
    scaler = StandardScaler().fit(X[taught >= 0])
    model = LogisticRegression(max_iter=1000).fit(
        scaler.transform(X[taught >= 0]), taught[taught >= 0]
    )
    answers = np.where(known >= 0, known, model.predict(scaler.transform(X)))
    assert np.array_equal(ours.labels_, answers)


@pytest.mark.parametrize(
    "estimator",
    ["baselines.semisupervised.spreading:LabelSpreading", "mixnet_core.mixture:MixtureOfNetworks"],
)
def test_accuracy_counts_the_unlabelled_points_only(blobs, estimator, tmp_path):
    X, y = blobs
    mixture = "mixture" in estimator
    params = {"space": "raw", "n_clusters": 3, "n_labels": 9}
    if mixture:
        params |= dict(structure="2-16-x", t1=40, t2=2, min_updates=0, n_samples=50)
    cell = {"params": params, "seed": 1}
    inputs = {"start": (y + 1) % 3} if mixture else {}
    dataset = SimpleNamespace(X=X, y=y)
    result = labelled.KIND.run(cell, {"estimator": estimator}, dataset, inputs, tmp_path, None)
    known = labelled.known_labels(y, 9, 1)
    assert np.array_equal(result.labels[known >= 0], y[known >= 0])
    free = known < 0
    assert result.values["accuracy_unlabelled"] == pytest.approx(
        100 * (result.labels[free] == y[free]).sum() / free.sum()
    )
    assert result.values["accuracy_unlabelled"] > 85 and result.values["n_labels"] == 9
