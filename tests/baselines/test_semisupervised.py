"""The semi-supervised baselines: scikit-learn's own results, and labels in every form."""

import numpy as np
import pandas as pd
import pytest
import sklearn.semi_supervised
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from baselines.semisupervised import LabelSpreading, SelfTraining

BOTH = [SelfTraining, LabelSpreading]


def some_labels(seed=0):
    """Blobs of three classes, and one label in five of them."""
    rng = np.random.default_rng(seed)
    truth = np.arange(120) % 3
    X = rng.normal(size=(120, 4)) + 8 * np.eye(3, 4)[truth]
    y = np.where(np.arange(120) % 5 == 0, truth, -1)
    return X, y, truth


def expected_failures(estimator):
    if isinstance(estimator, SelfTraining):
        return {"check_classifiers_classes": "takes -1 for a class, which here is unknown"}
    return {}


@parametrize_with_checks(
    [SelfTraining(), LabelSpreading()], expected_failed_checks=expected_failures
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_they_are_scikit_learns():
    X, truth = load_digits(return_X_y=True)
    y = np.where(np.random.default_rng(0).random(len(truth)) < 0.1, truth, -1)
    spreading = sklearn.semi_supervised.LabelSpreading(
        kernel="knn", n_neighbors=7, alpha=0.2, max_iter=200
    ).fit(X, y)
    assert np.array_equal(LabelSpreading().fit(X, y).labels_, spreading.transduction_)
    base = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    training = sklearn.semi_supervised.SelfTrainingClassifier(base, threshold=0.75).fit(X, y)
    ours = SelfTraining().fit(X, y)
    assert np.array_equal(ours.predict(X), training.predict(X))
    assert np.array_equal(ours.labels_, np.where(y == -1, training.predict(X), y))


FORMS = {
    "list": list,
    "tuple": tuple,
    "floats": lambda y: y.astype(float),
    "small integers": lambda y: y.astype(np.int8),
    "series": lambda y: pd.Series(y, index=np.arange(len(y))[::-1]),
    "nullable series": lambda y: pd.Series(y, dtype="Int64"),
    "objects": lambda y: y.astype(object),
    "a mask that hides nothing": lambda y: np.ma.array(y),
}


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("form", FORMS)
def test_labels_may_come_in_any_form(make, form):
    X, y, truth = some_labels()
    model = make().fit(X, FORMS[form](y))
    assert np.array_equal(model.labels_, truth) and model.labels_.dtype == np.int64
    assert np.array_equal(model.predict(X), truth) and list(model.classes_) == [0, 1, 2]


@pytest.mark.parametrize("make", BOTH)
def test_a_column_of_labels_is_taken_with_a_warning(make):
    X, y, truth = some_labels()
    with pytest.warns(sklearn.exceptions.DataConversionWarning):
        assert np.array_equal(make().fit(X, y[:, None]).labels_, truth)


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("form", [list, np.array, pd.Series, lambda y: np.array(y, dtype=object)])
def test_classes_may_have_names(make, form):
    X, y, truth = some_labels()
    names = np.array(["cat", "ant", "bee"])
    model = make().fit(X, form([str(names[v]) if v >= 0 else -1 for v in y]))
    assert list(model.labels_) == list(names[truth])
    assert list(model.predict(X[:6])) == list(names[truth[:6]])
    assert list(model.classes_) == ["ant", "bee", "cat"]


@pytest.mark.parametrize("make", BOTH)
def test_labels_need_not_begin_at_0(make):
    X, y, truth = some_labels()
    model = make().fit(X, np.where(y >= 0, 10 * y + 7, -1))
    assert np.array_equal(model.labels_, 10 * truth + 7)


@pytest.mark.parametrize("make", BOTH)
def test_the_origin_of_the_features_does_not_matter(make):
    X, y, truth = some_labels()
    X = np.hstack([np.round(X * 64) / 64] * 5)
    assert np.array_equal(make().fit(X + 1e9, y).labels_, truth)
    assert np.array_equal(make().fit(X + 1e9, y).predict(X + 1e9), truth)


def test_a_label_that_is_known_is_kept_by_self_training():
    X, y, _ = some_labels()
    y[0] = 1  # a wrong one
    assert SelfTraining().fit(X, y).labels_[0] == 1


UNKNOWN = {
    "NaN": np.nan,
    "None": None,
    "NA": pd.NA,
    "NaT": pd.NaT,
}


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("word", UNKNOWN)
@pytest.mark.parametrize("names", [False, True])
def test_unknown_labels_other_than_minus_1_are_refused(make, word, names):
    X, y, _ = some_labels()
    values = [UNKNOWN[word] if v < 0 else (f"c{v}" if names else v) for v in y.tolist()]
    for form in (list, pd.Series, lambda y: np.array(y, dtype=object)):
        with pytest.raises(ValueError, match="y must have -1 where a label is unknown"):
            make().fit(X, form(values))


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.full(120, -1), "label for one point at least; got -1 for all"),
        (["-1"] * 120, "label for one point at least"),
        (None, "y must be given"),
        (np.zeros(119, int), "label for each of the 120 points of X; got 119"),
        (np.linspace(0, 1, 120), "not a continuous quantity"),
        (["a", 1] * 60, "integers or names, not both"),
        (np.ma.array(np.zeros(120, int), mask=np.arange(120) > 100), "y must have no masked"),
        (np.zeros((120, 2), int), "y should be a 1d array"),
    ],
)
def test_bad_labels_are_named(make, y, words):
    with pytest.raises(ValueError, match=words):
        make().fit(some_labels()[0], y)


@pytest.mark.parametrize("make", BOTH)
def test_columns_in_another_order_are_refused(make):
    X, y, _ = some_labels()
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = make().fit(frame, y)
    assert list(model.feature_names_in_) == list("abcd")
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[list("dcba")])
