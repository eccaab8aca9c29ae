"""Tables say when their rows come from different machines, and only then."""

import json
import re

import pytest

from benchmarks.cli.main import main
from benchmarks.report import notes


def runs(dataset, method, n, cpu="EPYC", cores=2, device="cpu", gpu=None, **extra):
    return [
        {
            "cell": {
                "dataset": dataset,
                "method": method,
                "params": {"space": "raw"},
                "seed": seed,
            },
            "status": "done",
            "kind": "clustering",
            "provenance": {
                "cpu": cpu,
                "cores": cores,
                "system": "Linux x86_64",
                "device": device,
                "versions": {"torch": "2"},
            }
            | ({"gpu": gpu} if gpu else {}),
        }
        | extra
        for seed in range(n)
    ]


@pytest.mark.parametrize(
    "others",
    [
        [],
        runs("usps", "ncut", 4),
        runs("usps", "ncut", 4, "Xeon", status="killed"),  # not averaged
        # no row of the table
        runs("usps", "autoencoder", 4, "Xeon", kind="embedding", outputs={"codes": "0"}),
    ],
)
def test_one_machine_needs_no_words(others):
    assert notes.machines([*runs("usps", "kmeans", 3), *others]) == []


def test_each_machine_and_its_rows():
    (line,) = notes.machines(
        [
            *runs("usps", "kmeans", 3),
            *runs("usps", "llc", 2, "Xeon", 8),
            *runs("coil20", "llc", 1, "Xeon", 8),
            *runs("usps", "mixnet", 2, device="cuda:1"),
            *runs("mnist", "gan", 1, device="cuda", gpu="NVIDIA H100"),
        ]
    )
    assert line == (
        "Rows come from different machines, so their seconds do not compare. "
        "EPYC, 2 cores, Linux x86_64: 3 runs, all that are not named here; "
        "Xeon, 8 cores, Linux x86_64: 3 runs (coil20 llc raw ×1, usps llc raw ×2); "
        "EPYC, 2 cores, Linux x86_64, cuda: 2 runs (usps mixnet raw ×2); "
        "EPYC, 2 cores, Linux x86_64, NVIDIA H100: 1 runs (mnist gan raw ×1)."
    )


@pytest.mark.parametrize("columns", [None, ["purity", "seconds"], ["purity"]])
def test_a_table_after_a_merge_says_so_if_it_has_seconds(box, capsys, columns):
    box.ready(["flat"], ["kmeans", "spectral"], "0")
    if columns:
        path = box.registry / "suites" / "small.toml"
        path.write_text(path.read_text() + f'columns = {json.dumps(columns)}\ntitle = "small"\n')
    assert main(["run", "small", "--jobs", "2"]) == 0
    before = (box.results / "small.md").read_text()
    away = box.root / "away"
    (box.results / "records").rename(away)
    for path in (away / "flat" / "spectral").glob("*.json"):
        record = json.loads(path.read_text())
        record["provenance"] |= {"cpu": "Another", "cores": 96}
        path.write_text(json.dumps(record))
    (box.root / "other").mkdir()
    away.rename(box.root / "other" / "records")
    assert main(["merge", str(box.root / "other")]) == 0
    capsys.readouterr()
    assert main(["table", "small"]) == 0
    shown, after = capsys.readouterr().out, (box.results / "small.md").read_text()
    said = "Another, 96 cores"
    if columns == ["purity"]:
        assert after == before and said not in shown
    else:
        assert said not in before and said in shown
        assert re.search(r"different machines.*flat \w+ raw ×1", after)
        assert len(after.splitlines()) - len(before.splitlines()) in (1, 2)
    assert main(["report"]) == 0
    assert (said in (box.results / "report.html").read_text()) or columns == ["purity"]
