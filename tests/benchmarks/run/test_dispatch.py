"""Nothing that happens to one cell reaches another; what is done is not done again."""

import os
import signal
import time

import pytest

from benchmarks.run.dispatch import forecast
from benchmarks.run.plan import artefact, cell_state


def statuses(box, summary):
    return {
        str(box.plan().nodes[key]).split(" ", 1)[1]: outcome.status
        for key, outcome in summary.outcomes.items()
    }


def records(box):
    return sorted(
        f"{r['cell']['method']} {r['cell']['seed']} {r['status']}" for r in box.store.all()
    )


def test_every_failure_is_a_record_and_takes_nothing_else_down(box):
    box.suite(["flat"], ["kmeans", "crash", "fail", "diverge", "hang", "exit"])
    begin = time.monotonic()
    summary = box.run(jobs=3, launch=box.patient)
    took = time.monotonic() - begin
    assert statuses(box, summary) == {
        "kmeans raw seed 0": "done",
        "crash raw seed 0": "killed",
        "fail raw seed 0": "error",
        "diverge raw seed 0": "diverged",
        "hang raw seed 0": "timeout",
        "exit raw seed 0": "error",
    }
    assert not summary.complete
    by_method = {r["cell"]["method"]: r for r in box.store.all()}
    assert "SIGKILL" in by_method["crash"]["error"]["reason"]
    assert by_method["fail"]["error"]["reason"].startswith("ValueError: X is unlucky, see …/file")
    assert "in fit" in by_method["fail"]["error"]["traceback"]
    assert by_method["diverge"]["error"]["reason"] == "nan in the loss"
    assert by_method["hang"]["error"]["reason"] == "longer than 2.5 s"
    assert 2.5 <= by_method["hang"]["provenance"]["wall_s"] <= took
    assert "last words" in by_method["exit"]["error"]["traceback"]
    for method in ("crash", "hang", "exit"):  # the fingerprint is known although they left none
        assert "fakepkg.cluster" in by_method[method]["provenance"]["modules"]
        assert by_method[method]["metrics"] == {} and by_method[method]["arrays"] is None


def test_a_second_run_repeats_only_what_can_end_otherwise(box):
    box.suite(["flat"], ["kmeans", "crash", "fail", "diverge"])
    box.run()
    box.clear()
    assert not box.run().complete
    assert box.ran() == ["crash 0"]  # a kill comes from outside; errors repeat themselves
    box.clear()
    box.run(retry_failed=True)
    assert box.ran() == ["crash 0", "diverge 0", "fail 0"]
    box.clear()
    box.edit("cluster", 'if self.mode == "fail"', 'if self.mode == "never"')
    box.run()
    assert "fail 0" in box.ran()
    assert "fail 0 done" in records(box) and "fail 0 error" in records(box)


def test_needs_first_then_nothing_twice(box):
    box.suite(["blobs", "flat"], ["kmeans", "mixnet"])
    assert box.run(jobs=2).complete
    assert box.ran() == sorted(f"{name} 0" for name in ["embed", "mix", "mix"] + ["good"] * 5)
    box.clear()
    summary = box.run()
    assert (
        summary.complete
        and box.ran() == []
        and not any(outcome.ran for outcome in summary.outcomes.values())
    )


def test_only_the_missing_cell_is_computed(box):
    box.ready(["blobs"], ["mixnet"], "0-1")
    node = next(n for n in box.plan().nodes.values() if str(n) == "blobs mixnet code seed 1")
    for path in box.store.folder(node.cell).glob(f"{node.key}-*"):
        path.unlink()
    assert box.run().complete and box.ran() == ["mix 1"]


def test_a_lost_artefact_is_remade_only_when_it_is_needed(box):
    box.ready(["blobs"], ["mixnet"])
    nodes = {str(n): n for n in box.plan().nodes.values()}
    (nodes["blobs autoencoder raw seed 0"].artifacts / "codes.npy").unlink()
    (nodes["blobs kmeans10 code seed 0"].artifacts / "labels.npy").unlink()
    assert box.run().complete and box.ran() == []
    mixture = nodes["blobs mixnet code seed 0"]
    for path in box.store.folder(mixture.cell).iterdir():
        path.unlink()
    assert box.run().complete
    assert box.ran() == ["embed 0", "mix 0"]  # same codes again: k-means is still fresh


def test_a_lost_model_is_remade_when_it_is_asked_for(box):
    box.ready(["blobs"], ["kmeans", "mixnet"])
    nodes = {str(n): n for n in box.plan().nodes.values()}
    mixture = nodes["blobs mixnet code seed 0"]
    (mixture.artifacts / "model.pt").unlink()
    (nodes["blobs kmeans code seed 0"].artifacts / "labels.npy").unlink()  # its record has them
    assert box.run().complete and box.ran() == []
    assert set(forecast(box.plan(), box.store, remake=True)) == {mixture.key}
    assert box.run(remake=True).complete and box.ran() == ["mix 0"]
    assert (mixture.artifacts / "model.pt").exists()
    assert [r["attempt"] for r in box.store.attempts(mixture.cell)] == [1, 2]
    box.clear()
    assert box.run(remake=True).complete and box.ran() == []


def test_a_comment_leaves_all_fresh_and_code_makes_stale_what_imports_it(box):
    box.ready(["blobs", "flat"], ["mixnet"])
    box.edit("mix", "note(", "# another comment\n        note(")
    assert forecast(box.plan(), box.store) == {}
    box.edit("mix", "-np.square(X)", "-2 * np.square(X)")
    states = {str(n): cell_state(n, box.store) for n in box.plan().nodes.values()}
    stale = {name: state.why for name, state in states.items() if state.name != "done"}
    assert set(stale) == {"blobs mixnet code seed 0", "flat mixnet raw seed 0"}
    assert set(stale.values()) == {"code changed: fakepkg.mix"}
    assert box.run().complete
    assert box.ran() == ["mix 0", "mix 0"]


def test_new_codes_make_everything_on_them_stale_and_equal_ones_do_not(box):
    box.ready(["blobs"], ["kmeans", "mixnet"])
    box.edit("embed", "** self.power", "** (self.power + 0)")  # other code, same codes
    assert box.run().complete and box.ran() == ["embed 0"]
    box.clear()
    box.edit("embed", "** (self.power + 0)", "** (self.power + 1)")
    assert box.run().complete
    assert box.ran() == ["embed 0", "good 0", "good 0", "mix 0"]


def test_another_estimator_behind_the_name_is_stale(box):
    box.ready(["flat"], ["kmeans"])
    path = box.registry / "methods.toml"
    path.write_text(path.read_text().replace("fakepkg.cluster:Cluster", "fakepkg.other:Cluster"))
    (state,) = (cell_state(n, box.store) for n in box.plan().nodes.values())
    assert state.name == "stale" and "estimator was fakepkg.cluster:Cluster" in state.why


def test_a_cell_whose_need_failed_is_skipped_with_the_reason(box):
    box.suite(["blobs"], ["kmeans", "mixnet"])
    box.edit("embed", 'note("embed", self.seed)', "raise ValueError('no codes today')")
    summary = box.run()
    assert statuses(box, summary) == {
        "autoencoder raw seed 0": "error",
        "kmeans raw seed 0": "done",
        "kmeans code seed 0": "skipped",
        "kmeans10 code seed 0": "skipped",
        "mixnet code seed 0": "skipped",
    }
    (skipped,) = [r for r in box.store.all() if r["cell"]["method"] == "mixnet"]
    assert skipped["error"]["reason"] == "needs blobs autoencoder raw seed 0: error"
    before = len(box.store.all())
    box.run()
    assert len(box.store.all()) == before  # the same failure again adds no record
    box.edit("embed", "raise ValueError('no codes today')", "pass")
    assert box.run().complete


def test_a_missing_dataset_stops_nothing_else(box):
    box.suite(["absent", "flat"], ["kmeans", "spectral"], "0-1")
    summary = box.run(jobs=1)
    found = {f"{r['cell']['dataset']} {r['status']}" for r in box.store.all()}
    assert found == {"absent no data", "flat done"}
    assert summary.failures == {"absent": "Absent: put absent.bin into /some/where/raw"}
    assert len([o for o in summary.outcomes.values() if o.status == "no data"]) == 4
    assert len([o for o in summary.outcomes.values() if o.ran and o.status == "no data"]) == 1


def test_a_damaged_record_is_computed_again(box):
    box.ready(["flat"], ["kmeans"])
    (path,) = box.results.rglob("*-1.json")
    path.write_text(path.read_text()[:100])
    summary = box.run()
    assert summary.complete and box.ran() == ["good 0"]
    assert len(list(box.results.rglob("*.json"))) == 2


def test_damaged_arrays_are_computed_again(box):
    box.ready(["flat"], ["kmeans"])
    (path,) = box.results.rglob("*.npz")
    path.write_bytes(b"")
    assert box.run().complete and box.ran() == ["good 0"]


def test_two_harnesses_share_the_work(box):
    """Each has one of the two cells that wait: neither comes too late."""
    box.suite(["flat"], ["slow", "kmeans"], "0-1")
    go = box.root / "go"
    box.edit(
        "cluster",
        'time.sleep(float(os.environ.get("FAKE_SLEEP", "2")))',
        f"while not os.path.exists({str(go)!r}):\n                time.sleep(0.05)",
    )
    both = [box.spawn("run", "small", "--jobs", "1") for _ in range(2)]
    box.wait_for(lambda: box.ran().count("slow 0") == box.ran().count("slow 1") == 1)
    go.touch()
    texts = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], texts
    assert box.ran() == sorted(f"{m} {s}" for m in ("slow", "good") for s in range(2))
    assert all("4 done" in text for text in texts)
    assert len(records(box)) == 4


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGINT]
)
def test_a_stopped_run_goes_on_where_it_was(box, monkeypatch, number):
    monkeypatch.setenv("FAKE_SLEEP", "600")
    box.suite(["flat"], ["kmeans", "slow", "spectral"])
    process = box.spawn("run", "small", "--jobs", "1")
    box.wait_for(lambda: "slow 0" in box.ran())
    process.send_signal(number)
    text = process.communicate(timeout=300)[0]
    assert process.returncode == 130
    after = text.split("kmeans raw seed 0 done")[1].splitlines()[1:]
    assert after == ["stopped, 1 cell(s) in the middle; the same command goes on from here"]
    assert records(box) == ["kmeans 0 done", "slow 0 interrupted"]
    box.wait_for(lambda: not any(map(running, box.worker_pids())))
    monkeypatch.setenv("FAKE_SLEEP", "0")
    box.clear()
    assert box.run().complete and box.ran() == ["eigen 0", "slow 0"]


def test_no_worker_outlives_a_killed_harness(box, monkeypatch):
    monkeypatch.setenv("FAKE_SLEEP", "600")
    box.suite(["flat"], ["slow", "kmeans"], "0-1")
    process = box.spawn("run", "small", "--jobs", "2")
    box.wait_for(lambda: "slow 0" in box.ran() and "good 0" in box.ran())
    process.kill()
    process.communicate()
    box.wait_for(lambda: not any(map(running, box.worker_pids())))
    monkeypatch.setenv("FAKE_SLEEP", "0")
    finished = [line for line in records(box) if "done" in line]
    box.clear()
    assert box.run().complete
    again = {f"{line.split()[0].replace('kmeans', 'good')} {line.split()[1]}" for line in finished}
    assert not again & set(box.ran())


TRAINING = """
import os, time
import numpy as np
from fakepkg.helper import note


class Embed:
    def __init__(self, code_dim, power, random_state):
        self.code_dim, self.seed = code_dim, random_state

    def fit(self, X, checkpoint=None, progress=None):
        first = int(checkpoint.read_text()) if checkpoint.exists() else 0
        note(f"from {first}", self.seed)
        for step in range(first, 4):
            checkpoint.write_text(str(step + 1))
            if step == 1:
                time.sleep(float(os.environ["FAKE_SLEEP"]))
        self.values_ = {}

    def transform(self, X):
        return X[:, :self.code_dim]
"""


@pytest.mark.parametrize("changed", ["nothing", "code", "threads"])
def test_a_training_goes_on_from_its_checkpoint_if_nothing_changed(box, monkeypatch, changed):
    monkeypatch.setenv("FAKE_SLEEP", "600")
    box.suite(["blobs"], ["mixnet"])
    (box.package / "embed.py").write_text(TRAINING)
    process = box.spawn("run", "small")
    box.wait_for(lambda: [p for p in box.root.rglob("checkpoint-*.pt") if p.read_text() == "2"])
    process.terminate()
    process.communicate(timeout=300)
    monkeypatch.setenv("FAKE_SLEEP", "0")
    box.clear()
    if changed == "code":
        box.edit("embed", "range(first, 4)", "range(first, 5)")
    assert box.run(threads=2 if changed == "threads" else 1).complete
    assert box.ran()[0] == ("from 2 0" if changed == "nothing" else "from 0 0")
    assert not list(box.root.rglob("checkpoint-*"))


def test_raising_the_limit_repeats_a_timeout(box, monkeypatch):
    """The longer one is enough: how much of the shorter one the start took makes no difference."""
    monkeypatch.setenv("FAKE_SLEEP", "600")
    path, limit = box.registry / "methods.toml", "timeout_s = 600"
    longer = path.read_text()
    path.write_text(longer.replace(limit, "timeout_s = 1"))
    box.suite(["flat"], ["slow"])
    box.run()
    assert records(box) == ["slow 0 timeout"]
    box.clear()
    box.run()
    assert box.ran() == []
    path.write_text(longer)
    monkeypatch.setenv("FAKE_SLEEP", "0")
    box.run()
    assert box.ran() == ["slow 0"] and records(box) == ["slow 0 done", "slow 0 timeout"]


def test_labels_for_others_come_from_the_records(box):
    box.ready(["flat"], ["kmeans"])
    (node,) = box.plan().nodes.values()
    record = box.store.attempts(node.cell)[-1]
    path = node.artifacts / "labels.npy"
    path.write_bytes(b"damaged")
    time.sleep(0.01)
    assert artefact(node, record, box.store) == path and path.read_bytes() == b"damaged"
    assert artefact(node, record, box.store, unpack=True) == path and path.stat().st_size > 40


def running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
    except OSError:
        os.kill(pid, 0)
        return True
