"""Damaged files in every parser: a clear error of the documented type or a result, nothing else."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from benchmarks.datasets import DatasetError, formats
from benchmarks.records.wellformed import flaw
from benchmarks.registry import parse_seeds
from tests.security.fuzzing import fuzz
from tests.security.guard import BYTES, SECONDS, Watch
from tests.security.mutation import OPERATIONS, mutate
from tests.security.targets import IMAGES, TARGETS, Target, idx_bytes, pack_z

ROOT = Path(__file__).resolve().parents[2]
THOROUGH = 80  # times as many files in the slow suite
FEWER = settings(max_examples=60)


class Worker:
    """The process that feeds the parsers; another one after a crash."""

    def __init__(self):
        self.process = None

    def __call__(self, name, folder, seed, n):
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", "-m", "tests.security.fuzzing"],
                cwd=ROOT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        self.process.stdin.write(json.dumps([name, str(folder), seed, n]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            code = self.close()
            pytest.fail(f"the parser ended its process ({code}), with {folder}/case/*")
        return json.loads(answer)

    def close(self):
        process, self.process = self.process, None
        if process is not None:
            process.stdin.close()
            process.stdout.close()
            return process.wait(300)
        return None


@pytest.fixture(scope="module")
def worker():
    found = Worker()
    yield found
    found.close()


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files(worker, name, tmp_path):
    assert worker(name, tmp_path, 0, TARGETS[name].n) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)  # each file has its own limit, of processor time: load is no failure
@pytest.mark.parametrize("name", TARGETS)
def test_many_damaged_files(worker, name, tmp_path):
    assert worker(name, tmp_path, 1, THOROUGH * TARGETS[name].n) == []


def _bad(parse):
    return Target("bad", lambda _: b"0123456789", parse)


def _refuses_damage(action):
    def parse(path):
        if path.read_bytes() != b"0123456789":
            action()

    return parse


def _spin():
    while True:
        pass


@pytest.mark.parametrize(
    "action, words, seconds",
    [
        (lambda: {}["x"], "KeyError", SECONDS),
        (_spin, "more than", 0.2),
        (lambda: bytearray(2 * BYTES), "MiB", SECONDS),  # a slow machine clears it for 0.3 s
    ],
    ids=["other error", "hang", "memory"],
)
def test_what_is_wrong_is_found(action, words, seconds, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.security.guard.SECONDS", seconds)
    found = fuzz(_bad(_refuses_damage(action)), tmp_path, 0, 3)
    assert len(found) == 1 and words in found[0]
    (kept, *_) = tmp_path.glob("trouble-*")
    assert kept.read_bytes() != b"0123456789"


def test_a_handler_that_takes_everything_does_not_hide_a_hang(monkeypatch):
    monkeypatch.setattr("tests.security.guard.SECONDS", 0.2)

    def parse():
        try:
            _spin()
        except Exception:
            pass

    with Watch() as watch:
        assert "more than" in watch.trouble(parse, (Exception,))
        assert watch.trouble(lambda: 1 / 0, (ZeroDivisionError,)) == ""
        assert "without words" in watch.trouble(lambda: _raise(ValueError()), (ValueError,))
    assert SECONDS > 0.2


def _raise(error):
    raise error


def test_a_crash_is_told(tmp_path):
    worker = Worker()
    worker.process = subprocess.Popen(
        [sys.executable, "-c", "import os; input(); os.abort()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with pytest.raises(pytest.fail.Exception, match=r"ended its process \(-6\)"):
        worker("idx", tmp_path, 0, 1)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda f: f.__name__)
def test_each_kind_of_damage_damages_and_is_repeatable(operation):
    good = bytes(range(200)) + b" 12 34"
    changed = [mutate(good, random.Random(i), [operation]) for i in range(20)]
    assert sum(data != good for data in changed) >= 10
    assert changed == [mutate(good, random.Random(i), [operation]) for i in range(20)]


def test_the_packed_form_of_tests_is_the_real_one():
    """Against `unlzw` of the project, which its own tests hold against gzip."""
    from benchmarks.datasets.rawfile import unlzw

    for n in (1, 239, 240, 241, 1000):
        text = bytes(i * 7 % 256 for i in range(n))
        assert unlzw(pack_z(text)) == text


# Hypothesis shrinks what it finds, so these are the ones to look at first.


@FEWER
@given(
    operations=st.lists(st.sampled_from(OPERATIONS), min_size=1, max_size=6),
    seed=st.integers(0, 2**32),
)
def test_idx_of_any_damage(tmp_path_factory, operations, seed):
    path = tmp_path_factory.mktemp("idx") / "raw"
    path.write_bytes(mutate(idx_bytes(IMAGES), random.Random(seed), operations))
    try:
        found = formats.idx(path)
    except DatasetError as error:
        assert str(path) in str(error)
    else:
        assert path.read_bytes().endswith(found.tobytes()) and found.dtype == "uint8"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    (
        "cell",
        "provenance",
        "arrays",
        "error",
        "metrics",
        "values",
        "inputs",
        "outputs",
        "phases",
        "seconds",
        "key",
        "attempt",
        "kind",
    )
)


@FEWER
@given(fields=st.dictionaries(FIELDS, JSON, max_size=6), name=st.text(max_size=12))
def test_any_fields_of_a_record_are_judged(fields, name):
    cell = {"dataset": name, "method": "kmeans", "params": {}, "seed": 0, "content_hash": ""}
    said = flaw({"cell": cell, **fields})
    assert said is None or isinstance(said, str)
    if "cell" not in fields and said is None:
        assert name.isascii() and "/" not in name and not name.startswith(".")


@FEWER
@given(text=st.text("0123456789,- x", max_size=14))
def test_seeds_of_any_words(text):
    try:
        seeds = parse_seeds(text)
    except ValueError as error:
        assert repr(text) in str(error)
    else:
        assert all(seed >= 0 for seed in seeds) and len(seeds) == len(set(seeds)) <= 150_000
