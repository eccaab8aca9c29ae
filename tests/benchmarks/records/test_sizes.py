"""Sizes of classes and clusters on record, and what counts as collapsed."""

import numpy as np
import pytest
import scipy.stats

from baselines.clustering import collapse
from benchmarks.records.sizes import collapsed, sizes


@pytest.mark.parametrize("counts", [(976, 10, 9, 5), (25, 25, 25, 25), (60, 20, 10, 10)])
def test_sizes_as_by_scipy_and_as_the_baselines_judge_them(counts):
    labels = np.repeat(np.arange(4), counts)
    y = np.random.default_rng(0).permutation(np.arange(len(labels)) % 3 > 1)
    found = sizes(y, labels)
    assert found["largest_cluster"] == pytest.approx(100 * max(counts) / sum(counts))
    assert found["largest_class"] == pytest.approx(100 * max(y.mean(), 1 - y.mean()))
    assert found["effective_clusters"] == pytest.approx(np.exp(scipy.stats.entropy(counts)))
    record = {"cell": {"params": {"n_clusters": 4}}, "values": found}
    assert collapsed(record) == collapse.is_collapsed(labels, 4)


def test_a_record_that_says_no_sizes_is_not_judged():
    assert collapsed({"cell": {"params": {"n_clusters": 4}}, "values": {}}) is None
    assert collapsed({"cell": {"params": {}}, "values": {"effective_clusters": 1.0}}) is None
