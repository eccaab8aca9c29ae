"""Commands that a person waits for, as processes, on what is on record in this checkout.

Beside them stands what they cannot do without: starting Python, and reading every record as JSON.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECORDS = ROOT / "results" / "records"


def command(*words):
    def run():
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks", *words], cwd=ROOT, capture_output=True
        )
        assert done.returncode in (0, 1) and done.stdout, done.stderr  # 1: something is not done

    return run


def plain():
    """Python is started, as for any command."""
    subprocess.run([sys.executable, "-c", "import json, tomllib, argparse"], check=True)


def parse():
    for path in RECORDS.glob("*/*/*.json"):
        json.loads(path.read_bytes())


@pytest.mark.parametrize(
    "words, target",
    [(("status",), 3.0), (("list", "methods"), 1.0)],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_answers_at_once(compare, device, words, target):
    if device != "cpu":
        pytest.skip("commands do not use a GPU")
    others = {"starting Python": (plain, 1, None)}
    if words == ("status",):
        others["reading the records as JSON"] = (parse, 1, 1 / 10)
    compare(
        f"mixnet {' '.join(words)}",
        command(*words),
        target_seconds=target,
        others=others,
        records=len(list(RECORDS.glob("*/*/*.json"))),
    )
