"""Results as notebooks read them: found from where one stands, missing without a traceback."""

import pytest

from benchmarks.records.store import default_results
from benchmarks.report import reading


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.delenv("MIXNET_RESULTS", raising=False)
    for folder in ("clone/results/records", "clone/results/notebooks", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("start", ["clone", "clone/results", "clone/results/notebooks"])
def test_results_are_those_around_the_working_directory(tree, monkeypatch, start):
    monkeypatch.chdir(tree / start)
    assert reading.results_folder() == tree / "clone" / "results"
    monkeypatch.chdir(tree / "elsewhere")
    assert reading.results_folder(tree / start) == tree / "clone" / "results"


def test_results_elsewhere_are_those_named_or_of_the_checkout(tree, monkeypatch):
    assert reading.results_folder(tree / "elsewhere") == default_results()
    monkeypatch.setenv("MIXNET_RESULTS", str(tree / "elsewhere"))
    assert reading.results_folder(tree / "clone") == tree / "elsewhere"


@pytest.mark.parametrize(
    ("dataset", "method", "message"),
    [
        ("digit", "mixnet", "did you mean digits"),
        ("digits", "mixnett", "did you mean mixnet"),
        ("digits", "kmeans", "needs one of kind mixture"),
    ],
)
def test_a_run_that_cannot_be_is_said(tmp_path, capsys, dataset, method, message):
    assert reading.saved_run(tmp_path, dataset, method) is None
    assert message in capsys.readouterr().out


def test_a_missing_dataset_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MIXNET_DATA", str(tmp_path))
    assert reading.dataset("usps") is None
    said = capsys.readouterr().out
    assert "usps.bz2" in said and "mixnet data usps" in said
    assert len(reading.dataset("digits").X) == 1797
