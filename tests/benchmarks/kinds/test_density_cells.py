"""The density baselines as cells: from stanza to record, on raw features and codes."""

import json

import numpy as np
import pytest

from baselines.density.held_out import draw_held_out
from benchmarks.cli.main import main


@pytest.fixture(scope="module")
def method(request):
    return request.param


@pytest.fixture(scope="module")
def records(tmp_path_factory, method):
    """Records of a method's --fast run on digits, by space, each with its arrays."""
    folder = tmp_path_factory.mktemp("density")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RESULTS", "ARTIFACTS", "CACHE"):
            patch.setenv(f"MIXNET_{name}", str(folder / name.lower()))
        words = ["--datasets", "digits", "--methods", method, "--seeds", "3", "--fast"]
        assert main(["run", "quickstart", *words]) == 0
    found = {}
    for path in folder.glob("results/records/digits/*/*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        cell = record["cell"]
        if cell["method"] == method:
            with np.load(path.with_suffix(".npz")) as arrays:
                found[cell["params"]["space"]] = record, dict(arrays)
    return found


@pytest.mark.slow  # of every method the contract is tested, tests/contract/
@pytest.mark.parametrize("space", ["raw", "code"])
@pytest.mark.parametrize(
    "method",
    ["gaussian-mixture", "mixture-of-ppca"],
    indirect=True,
)
def test_a_fast_run_on_digits_records_labels_and_held_out_nats(records, space):
    record, arrays = records[space]
    assert record["status"] == "done"
    assert arrays["labels"].shape == arrays["log_likelihood"].shape == (1797,)
    values = record["values"]
    assert values["n_held_out"] == 180 and values["iterations"] <= 20
    assert record["metrics"]["purity"] > 50
    # The mean over the points that the seed holds out, which the record can give again.
    held_out = draw_held_out(3, 1797, 180)
    mean = arrays["log_likelihood"][held_out].mean(dtype=np.float64)
    assert mean == pytest.approx(values["heldout_log_likelihood"], rel=1e-5)
