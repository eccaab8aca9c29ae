"""One cell in its own process: what its record holds, and that it never outlives its harness."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.records.files import array_hash, load_array, shared_arrays
from benchmarks.run import worker
from benchmarks.run.child import Child
from benchmarks.run.worker import rounded


def only(box, text):
    (node,) = [n for n in box.plan().nodes.values() if str(n) == text]
    return node


def test_log_likelihoods_are_kept_to_a_256th_of_a_nat_and_large_ones_whole():
    given = np.array([-1234.5678, 0.001, -0.002, 2**15 - 0.002, -1e6 / 3, 3e38, -3e38], np.float32)
    kept = rounded(given)
    assert kept.dtype == np.float32
    assert kept[:3].tolist() == [-316049 / 256, 0.0, -1 / 256]
    np.testing.assert_array_equal(kept[4:], given[4:])
    assert (np.abs(kept.astype(float) - given) <= 0.5 / 256).all()
    assert rounded(np.zeros(0, np.float32)).shape == (0,)


def test_the_record_of_a_mixture(box):
    box.suite(["blobs"], ["mixnet"])
    assert box.run().complete
    node = only(box, "blobs mixnet code seed 0")
    (record,) = box.store.attempts(node.cell)
    assert record["status"] == "done" and record["variant"] == "only"
    assert record["metrics"] == {"purity": 100.0, "acc": 100.0, "nmi": 100.0, "ari": 100.0}
    assert record["values"] == {
        "n_clusters_found": 2,
        "n": 40,
        "held_out": -1.5,
        "none": None,
        "largest_class": 50.0,
        "largest_cluster": 50.0,
        "effective_clusters": pytest.approx(2),
    }
    arrays = box.store.arrays(record)
    assert arrays["labels"].dtype == np.uint8 and arrays["labels"].tolist() == [0] * 20 + [1] * 20
    assert arrays["log_likelihood"].dtype == np.float32
    assert record["outputs"]["labels"] == array_hash(arrays["labels"].astype(np.int64))
    codes = load_array(node.needs["codes"].artifacts / "codes.npy")
    assert codes.dtype == np.float32 and array_hash(codes) == record["inputs"]["codes"]["hash"]
    exact = -(codes**2).sum(1)  # kept to 1/256 nat; its hash is that of all bits
    np.testing.assert_allclose(arrays["log_likelihood"], exact, atol=0.5 / 256 + 1e-5)
    assert (arrays["log_likelihood"] * 256 % 1 == 0).all()
    assert record["outputs"]["log_likelihood"] == array_hash(exact.astype(np.float32))
    seen = record["provenance"]["modules"]
    assert {"fakepkg.mix", "fakepkg.helper", "fakepkg.data", "benchmarks.kinds.base"} <= set(seen)
    assert not {"fakepkg.cluster", "benchmarks.records.store", "benchmarks.run.worker"} & set(seen)
    assert record["seconds"] == pytest.approx(record["phases"]["fit"])
    assert record["provenance"]["peak_rss_mb"] > 5 and record["provenance"]["threads"] == 1
    assert json.loads((node.artifacts / "history.json").read_text()) == {"loss": [2, 1]}
    modes = {(node.artifacts / name).stat().st_mode for name in ("model.pt", "history.json")}
    assert len(modes) == 1, "a model can be read by whom the umask lets read the rest"


def test_a_selection_gets_points_and_a_column_for_each_candidate(box):
    box.ready(["blobs", "flat"], ["mixnet+"])
    record = box.store.attempts(only(box, "blobs pick code seed 0").cell)[-1]
    assert set(record["inputs"]) == {"codes", "c0", "c1"}
    assert record["values"]["agree"] == 1.0 and record["metrics"]["purity"] == 100.0
    box.edit("cluster", ".astype(int)", ".astype(int) * 0")  # other candidates: stale, redone
    assert box.run().complete and box.ran().count("pick 0") == 2


def test_no_record_holds_a_path(box):
    box.suite(["blobs", "absent"], ["fail", "kmeans"])
    box.run()
    texts = [p.read_text() for p in box.results.rglob("*.json")]
    assert len(texts) == 6
    for text in texts:
        assert str(box.root) not in text and "/home/" not in text
        assert not re.search(r"(?<![\w.…])/(usr|root|work|tmp|opt)/", text), text


def test_a_spectral_embedding_is_computed_once(box):
    box.suite(["blobs"], ["spectral"], "0-2")
    assert box.run(jobs=3).complete
    assert [line.split()[0] for line in box.ran()] == ["eigen"]
    records = [box.store.attempts(n.cell)[-1] for n in box.plan().nodes.values()]
    assert sorted(r["values"]["spectral_reused"] for r in records) == [False, True, True]
    assert len({r["phases"]["spectral"] for r in records}) == 1


def test_the_cache_of_embeddings_has_code_software_parameters_and_data_in_its_key(box, monkeypatch):
    from fakepkg.spectral import Spectral

    from benchmarks.kinds import clustering
    from benchmarks.records import provenance

    cell = {"params": {"space": "raw", "n_clusters": 2, "q": 1}}
    method, X = {"estimator": "fakepkg.spectral:Spectral"}, np.eye(3, dtype=np.float32)

    def reused(cell=cell, X=X):
        return clustering._spectral(Spectral(2, 0), cell, method, X)[2]

    assert [reused(), reused()] == [False, True]
    assert not reused(X=X * 2) and not reused({"params": {**cell["params"], "q": 2}})
    versions = provenance.versions()
    for change in ({**versions, "scipy": "0.1"}, {**versions, "torch": None}):
        with monkeypatch.context() as patch:
            patch.setattr(provenance, "versions", lambda change=change: change)
            assert not reused()
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "blas", lambda: [{"kernel": "Zen"}])
        assert not reused()
    (box.package.parent / "outside.py").write_text("x = 1")  # a helper of another package
    __import__("outside")
    assert not reused() and reused()


def test_the_cache_mends_itself(box):
    results = [shared_arrays({"k": 1}, lambda: np.arange(3)) for _ in range(2)]
    assert [r[2] for r in results] == [False, True] and results[1][0].tolist() == [0, 1, 2]
    (path,) = (box.root / "artifacts" / "cache").glob("*.npz")
    path.write_bytes(path.read_bytes()[:40])
    assert shared_arrays({"k": 1}, lambda: {"a": np.arange(2)})[0]["a"].tolist() == [0, 1]
    assert shared_arrays({"k": 2}, lambda: np.zeros(1))[2] is False
    with pytest.raises(TypeError, match="type object"):
        shared_arrays({"k": 3}, lambda: np.array([{}]))


@pytest.mark.parametrize(
    "old, new, status, reason",
    [
        ("return np.clip", "return np.nan * np.clip", "diverged", "codes are not finite"),
        (
            "return np.clip(shift(X[:, :self.code_dim]) ** self.power + self.seed * 1e-3, 0, 1)",
            "return X * 3",
            "error",
            r"need \[0, 1\]",
        ),
        ("return np.clip", "return X[:5] * np.clip(0, 0, 0)  #", "error", "shape"),
    ],
)
def test_bad_codes_are_refused(box, old, new, status, reason):
    box.suite(["blobs"], ["mixnet"])
    box.edit("embed", old, new)
    outcomes = {str(box.plan().nodes[k]): o for k, o in box.run().outcomes.items()}
    assert outcomes["blobs autoencoder raw seed 0"].status == status
    assert re.search(reason, outcomes["blobs autoencoder raw seed 0"].reason)
    assert outcomes["blobs mixnet code seed 0"].status == "skipped"


def test_an_input_that_is_damaged_after_it_was_looked_at_is_made_again(box):
    def launch(job, timeout):
        for path in job["paths"].values():
            Path(path).write_bytes(b"damaged")
        return Child(job, timeout)

    box.suite(["blobs"], ["kmeans10"])
    (failed,) = [o for o in box.run(launch=launch).outcomes.values() if o.status != "done"]
    assert failed.status == "killed" and "not the output that its record names" in failed.reason
    box.clear()
    assert box.run().complete and box.ran() == ["embed 0", "good 0"]


@pytest.mark.parametrize(
    "old, new, status",
    [
        ("self.labels_ = (", "self.labels_ = 0.5 * (", "error"),
        ("self.labels_ = (", "self.labels_ = -(", "error"),
        (".astype(int)", ".astype(int)[:7]", "error"),
    ],
)
def test_bad_labels_are_refused(box, old, new, status):
    box.suite(["flat"], ["kmeans"])
    box.edit("cluster", old, new)
    (outcome,) = box.run().outcomes.values()
    assert outcome.status == status and "labels_ has shape" in outcome.reason


def test_other_data_than_the_cell_names_is_refused(box):
    box.suite(["flat"], ["kmeans"])
    box.edit("data", '"f1a7"', '"0ther"')
    (outcome,) = box.run().outcomes.values()
    assert outcome.status == "error" and "content hash" in outcome.reason
    assert box.ran() == []


def test_damaged_data_read_no_data_and_are_tried_again(box):
    box.suite(["flat"], ["kmeans", "spectral"])
    box.edit("data", "import DatasetMissing", "import DatasetError, DatasetMissing")
    box.edit("data", "rng =", "raise DatasetError('Flat: flat.bin is cut short')\n    rng =")
    summary = box.run(jobs=1)
    assert [o.status for o in summary.outcomes.values()] == ["no data"] * 2
    assert summary.failures == {"flat": "Flat: flat.bin is cut short"} and box.ran() == []
    box.edit("data", "raise DatasetError('Flat: flat.bin is cut short')", "pass")
    assert box.run().complete


def test_time_of_an_interrupted_training_is_kept(tmp_path, monkeypatch):
    checkpoint = tmp_path / "checkpoint-a.pt"
    first = worker.Progress(checkpoint)
    first.kept -= 100
    first.start -= 100
    first(1, 10, "")
    assert not first.resumed and worker.Progress(checkpoint).before == 0.0
    checkpoint.write_text("state")
    second = worker.Progress(checkpoint)
    assert second.resumed and 100 <= second.before < 200  # 100 and what this test took so far


def test_a_worker_ends_with_its_parent(box):
    script = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import os, time\\n"
        "from benchmarks.run.worker import die_with\\ndie_with(os.getppid())\\n"
        "print(os.getpid(), flush=True)\\ntime.sleep(100)'])\n"
        "child.wait()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    box.wait_for(lambda: not alive(child))


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
    except OSError:
        os.kill(pid, 0)
        return True
