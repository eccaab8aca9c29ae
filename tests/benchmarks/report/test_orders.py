"""Whether measures agree with the Parzen order, against scipy and orders counted by hand."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from benchmarks.report import orders

NATS = {"a": 300.0, "b": 200.0, "c": 150.0, "d": 100.0}
LABELS = {(name, "raw"): name.upper() for name in NATS}


def rows(values, real=0.5):
    found = [{"method": name, "space": "raw", "m_mean": value} for name, value in values.items()]
    return [*found, {"method": "test-images", "space": "raw", "m_mean": real}]


def scores(extra=()):
    found = [{"method": name, "space": "raw", "ll_mean": nats} for name, nats in NATS.items()]
    return found + [{"method": name, "space": "raw", "ll_mean": 400.0} for name in extra]


def test_the_rank_correlation_is_scipys_and_without_ties_spearmans_formula():
    x, y = [3.0, 1.0, 4.0, 1.5, 9.0], [2.0, 7.0, 1.0, 8.0, 5.0]
    apart = np.array([3, 1, 4, 2, 5]) - np.array([2, 4, 1, 5, 3])  # of the ranks
    assert orders.spearman(x, y) == pytest.approx(1 - 6 * (apart**2).sum() / (5 * 24))
    rng = np.random.default_rng(0)
    for n in (6, 9, 20):
        x, y = rng.normal(size=n), rng.integers(4, size=n)
        assert orders.spearman(x, y) == pytest.approx(spearmanr(x, y).statistic)
    assert orders.spearman([1, 2, 3], [5, 5, 5]) is None


def test_nearness_to_real_images_is_what_is_ordered_not_the_figure():
    values = {"a": 0.9, "b": 0.1, "c": 0.6, "d": 0.5}  # distances 0.4, 0.4, 0.1, 0
    (found,) = orders.agreement(scores(), rows(values), ["m"])
    assert found["n"] == 4 and found["nearest"] == ("d", "raw") and found["place"] == 4
    assert found["first"] == ("a", "raw")
    assert (found["other_way"], found["pairs"]) == (5, 6)  # a and b are equally near
    assert found["rho"] == pytest.approx(spearmanr([4, 3, 2, 1], [1, 1, 3, 4]).statistic)
    said = orders.said([found], LABELS)
    assert "By m D is nearest to real images" in said
    assert "place 4 of 4, behind A" in said and "go against its order" in said


def test_the_same_order_is_no_contradiction():
    (found,) = orders.agreement(scores(), rows({"a": 0.5, "b": 0.6, "c": 0.3, "d": 0.9}), ["m"])
    assert (found["rho"], found["other_way"], found["place"]) == (pytest.approx(1), 0, 1)
    assert orders.said([found], LABELS) == "None puts another model first than the Parzen window."
    assert "| m | 4 | +1.00 | 0 of 6 | A | 1 |" in "\n".join(orders.lines([found], LABELS))


def test_anchors_and_what_was_not_measured_do_not_count():
    values = {"a": 0.5, "b": 0.6, "centroids": 0.5, "d": None}
    assert orders.agreement(scores(["centroids"]), rows(values), ["m"]) == []
    assert orders.agreement(scores(), rows(dict.fromkeys(NATS, 0.4), real=None), ["m"]) == []
    assert orders.lines([], LABELS) == []
