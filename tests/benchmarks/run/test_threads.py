"""Every pool of threads in a cell has the size that was asked for."""

import pytest

from benchmarks.cli.main import main
from benchmarks.records.provenance import n_cores

COUNTING = """
import os

import numpy as np
import scipy.linalg
import sklearn.cluster
import threadpoolctl
import torch


class Cluster:
    def __init__(self, n_clusters, random_state, mode=None):
        pass

    def fit(self, X):
        np.linalg.svd(np.ones((64, 64)))
        scipy.linalg.svd(np.ones((64, 64)))
        sklearn.cluster.KMeans(2, n_init=1, random_state=0).fit(X)
        torch.ones(300, 300) @ torch.ones(300, 300)
        self.labels_ = np.zeros(len(X), dtype=int)
        self.values_ = {"torch": torch.get_num_threads(), "cores": min(
            len(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")),
            "pools": [
            [pool["user_api"], pool["num_threads"]] for pool in threadpoolctl.threadpool_info()]}
        return self
"""


@pytest.mark.parametrize("threads", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_pools_of_threads(box, monkeypatch, threads):
    """Whatever the user's own environment asks of the libraries."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "7")
    monkeypatch.setenv("OMP_PROC_BIND", "true")  # would tie every cell to the same first cores
    wanted, cores = min(threads, n_cores()), n_cores()  # torch makes no more than there are cores
    box.suite(["flat"], ["kmeans"])
    (box.package / "cluster.py").write_text(COUNTING)
    assert box.run(threads=threads).complete
    (record,) = box.store.all()
    assert record["values"]["torch"] == wanted
    assert record["values"]["cores"] == cores
    pools = record["values"]["pools"]
    assert {api for api, _ in pools} >= {"blas", "openmp"}
    assert {n for _, n in pools} <= {threads, wanted}


def test_the_number_of_cells_at_a_time_follows_the_threads(box, capsys, monkeypatch):
    monkeypatch.setattr("benchmarks.records.provenance.n_cores", lambda: 4)
    box.suite(["flat"], ["kmeans"])
    assert main(["run", "small", "--threads", "2"]) == 0
    text = capsys.readouterr().err
    assert "2 at a time, 2 thread(s) each" in text and "warning" not in text
    assert main(["run", "small", "--threads", "2", "--jobs", "3"]) == 0
    text = capsys.readouterr().err
    (warning,) = [line for line in text.splitlines() if "warning" in line]
    assert warning == (
        "warning: 3 cells of 2 thread(s) at a time on 4 cores: they wait for each "
        "other, and their seconds grow"
    )
