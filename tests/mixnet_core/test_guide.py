"""Every code block of the user guide runs, in order, in one session."""

import re
from pathlib import Path

import pytest

import mixnet_core
from mixnet_core.training import linear

GUIDE = Path(mixnet_core.__file__).parent / "GUIDE.md"


@pytest.mark.parametrize(
    "iterations",
    [pytest.param(1, id="shortened"), pytest.param(5, id="as written", marks=pytest.mark.slow)],
)
def test_the_guide_runs(tmp_path, monkeypatch, iterations):
    monkeypatch.chdir(tmp_path)
    text = GUIDE.read_text(encoding="utf-8")
    for cap in ("t1", "t2"):
        assert text.count(f"    {cap}=5,\n") == 1
        text = text.replace(f"    {cap}=5,\n", f"    {cap}={iterations},\n")
    if iterations == 1:  # and fewer points and updates
        monkeypatch.setattr(linear, "ITERATIONS", 5)
        for long, short in (("    t2=1,\n", "    t2=1,\n    updates=4,\n"), ("=300", "=50")):
            assert text.count(long) == 1
            text = text.replace(long, short)
        load = "digits = load_digits()\n"
        assert text.count(load) == 1
        text = text.replace(
            load,
            f"{load[:-1]}; digits.data, digits.target = digits.data[:240], digits.target[:240]\n",
        )
    blocks = list(re.finditer(r"^```python\n(.*?)^```", text, re.M | re.S))
    assert len(blocks) > 15
    session = {"__name__": "guide"}
    for block in blocks:
        line = text[: block.start(1)].count("\n")
        code = compile("\n" * line + block[1], str(GUIDE), "exec")  # tracebacks name the line
        exec(code, session)
    assert 0.5 < session["accuracy"] <= 1
