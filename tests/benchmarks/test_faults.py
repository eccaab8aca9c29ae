"""Whatever is killed, full or damaged: nothing finished is lost, and nothing runs on alone."""

import contextlib
import os
import signal
import subprocess
import sys

import psutil
import pytest

from benchmarks import child, provenance, worker

NAP = 'time.sleep(float(os.environ.get("FAKE_SLEEP", "2")))'
HOG = "import time; kept = b'1' * 300_000_000; time.sleep(600)"


def outcomes(box, summary):
    return {box.plan().nodes[key].cell["method"]: outcome
            for key, outcome in summary.outcomes.items()}


@pytest.mark.parametrize("act", [
    HOG,
    # the worker stays small, a process of its own does not
    f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOG!r}])",
], ids=["worker", "grandchild"])
def test_a_cell_over_its_memory_is_killed_with_all_its_processes(box, act):
    box.suite(["flat"], ["slow", "kmeans"])
    box.edit("cluster", NAP, act)
    found = outcomes(box, box.run(memory_gb=0.3))
    assert found["kmeans"].status == "done" and found["slow"].status == "killed"
    words = found["slow"].reason.split()
    assert words[0] == "memory:" and words[2:] == ["GB", "of", "0.30", "GB"]
    assert 0.3 < float(words[1]) < 0.6
    (record,) = [r for r in box.store.all() if r["status"] == "killed"]
    assert record["error"]["reason"] == found["slow"].reason
    (pid,) = [int(line.split()[-1]) for line in box.log.read_text().splitlines()
              if line.startswith("slow")]
    box.wait_for(lambda: not child.group_rss(pid))


def test_memory_is_that_of_the_group_and_shared_by_the_cells_at_a_time(box):
    nap = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]
    pair = "import subprocess, sys, time; kept = b'1' * 10**8; subprocess.run(sys.argv[1:])"
    with subprocess.Popen([sys.executable, "-c", pair, *nap], stdout=subprocess.PIPE,
                          start_new_session=True) as process:
        try:
            process.stdout.readline()
            both = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
            assert len(both) == 2
            assert child.group_rss(process.pid) == sum(p.memory_info().rss for p in both) > 1e8
        finally:
            os.killpg(process.pid, 9)
    assert child.group_rss(process.pid) == 0
    assert 0 < provenance.memory_gb() <= psutil.virtual_memory().total / 1e9
    job = {"artifacts": str(box.root / "cell"), "threads": 1, "parent": os.getpid()}
    limits = []
    for more in ({"at_once": 4}, {"memory_gb": 1.5, "at_once": 4}):
        cell = child.Child({**job, **more}, 60)
        cell.close()
        limits.append(cell.memory_gb)
    assert limits == [pytest.approx(0.9 * provenance.memory_gb() / 4), 1.5]


class OutOfMemoryError(RuntimeError):
    """Named as torch names it on a GPU."""


@pytest.mark.parametrize("error, reason", [
    (MemoryError(), "memory: MemoryError: MemoryError"),
    (MemoryError("Unable to allocate 9 TiB"), "memory: MemoryError: Unable to allocate 9 TiB"),
    (OutOfMemoryError("CUDA"), "memory: OutOfMemoryError: CUDA"),
    (RuntimeError("[enforce] DefaultCPUAllocator: can't"),
     "memory: RuntimeError: [enforce] DefaultCPUAllocator: can't"),
    (RuntimeError("other"), "RuntimeError: other"),
    (FloatingPointError("nan"), "nan"),
])
def test_the_reason_says_when_it_was_memory(error, reason):
    assert worker.reason_of(error) == reason


def test_an_allocation_that_fails_is_an_error_of_its_cell_alone(box):
    box.suite(["flat"], ["slow", "kmeans"])
    box.edit("cluster", NAP, "np.zeros(10**15)")
    found = outcomes(box, box.run())
    assert found["kmeans"].status == "done" and found["slow"].status == "error"
    assert found["slow"].reason.startswith("memory: ") and "allocate" in found["slow"].reason


GRANDCHILDREN = """
            import multiprocessing, subprocess, sys

            def deaf():
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                note("deaf", self.seed)
                time.sleep(600)

            multiprocessing.get_context("fork").Process(target=deaf).start()
            sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            with open(os.environ["FAKE_LOG"], "a") as log:
                log.write(f"sleeper 0 {sleeper.pid}\\n")
            time.sleep(600)
"""


@pytest.mark.parametrize("killed", ["harness", "both", "worker", "stopped"])
def test_no_orphan_outlives_its_harness(box, killed):
    box.suite(["flat"], ["slow"])
    box.edit("cluster", f"            {NAP}", GRANDCHILDREN.strip("\n"))
    process = box.spawn("run", "small")
    try:
        box.wait_for(lambda: len(started(box)) == 3)
        pids = started(box)
        group = os.getpgid(pids["slow"])
        assert {os.getpgid(pid) for pid in pids.values()} == {group} != {os.getpgid(process.pid)}
        assert child.group_rss(group) > 0
        if killed in ("both", "harness"):
            process.kill()
        if killed in ("both", "worker"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pids["slow"], signal.SIGKILL)
        if killed == "stopped":
            process.terminate()
        box.wait_for(lambda: not child.group_rss(group), 10)
        process.communicate(timeout=60)
    finally:
        process.kill()
        with contextlib.suppress(OSError):
            os.killpg(started(box)["slow"], signal.SIGKILL)
    assert box.store.problems == {}
    assert [r["status"] for r in box.store.all()] == {
        "worker": ["killed"], "stopped": ["interrupted"]}.get(killed, [])


def started(box):
    lines = (line.split() for line in box.log.read_text().splitlines())
    return {name: int(pid) for name, _, pid in lines}
