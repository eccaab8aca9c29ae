"""Evaluation graphs as cells, and the report that judges them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans

from benchmarks.kinds import counting
from benchmarks.report import knee

METHOD = {"estimator": "mixnet_core.choosing.components:evaluation_graph"}


def cell(seed):
    return {
        "dataset": "yaleb",
        "seed": seed,
        "params": {"space": "code", "max_components": 12, "n_init": 2, "inputs": {}},
    }


def blobs():
    rng = np.random.default_rng(0)
    corners = np.array([[0, 0], [10, 0], [5, 8.66]])
    return (corners[np.arange(150) % 3] + rng.normal(size=(150, 2))).astype(np.float32)


def test_one_graph_a_cell():
    X = blobs()
    result = counting.KIND.run(cell(4), METHOD, SimpleNamespace(X=None), {"codes": X}, None, None)
    assert result.values["k"] == list(range(2, 13)) and result.values["n"] == 150
    assert result.values["knee"] == 3 and result.labels is None
    exact = KMeans(3, n_init=20, random_state=0).fit(X.astype(float)).inertia_
    np.testing.assert_allclose(result.values["graph"][1], exact, rtol=1e-6)


def test_the_report_judges_all_seeds(tmp_path):
    X = blobs()
    records = []
    for seed in (0, 1):
        result = counting.KIND.run(
            cell(seed), METHOD, SimpleNamespace(X=None), {"codes": X}, None, None
        )
        records.append({"cell": cell(seed), "status": "done", "values": result.values})
    records.append({"cell": cell(2), "status": "timeout", "values": {}})
    suite = {"datasets": ["yaleb", "mnist"], "seeds": [0, 1, 2], "paper": {"yaleb": 4}}
    text, files = knee.report(records, suite, tmp_path, "components")
    table = pd.read_csv(files["csv"]).set_index("dataset")
    assert table.loc["yaleb", "suggested"] == 3 and table.loc["yaleb", "paper"] == 4
    assert table.loc["yaleb", "n"] == 2 and table.loc["yaleb", "n_asked"] == 3
    assert table.loc["mnist", "n"] == 0 and pd.isna(table.loc["mnist", "suggested"])
    assert "yaleb: 3 components" in text and "n 2/3" in text
    assert {path.name for path in files.values()} == {
        "components.csv",
        *(f"components-yaleb.{kind}" for kind in ("csv", "png", "pdf")),
    }
