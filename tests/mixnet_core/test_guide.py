"""Every code block of the user guide runs, in order, in one session."""

import re
from pathlib import Path

import mixnet_core

GUIDE = Path(mixnet_core.__file__).parent / "GUIDE.md"


def test_the_guide_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = GUIDE.read_text(encoding="utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```", text, re.M | re.S))
    assert len(blocks) > 15
    session = {"__name__": "guide"}
    for block in blocks:
        line = text[: block.start(1)].count("\n")
        code = compile("\n" * line + block[1], str(GUIDE), "exec")  # tracebacks name the line
        exec(code, session)  # noqa: S102
    assert 0.5 < session["accuracy"] <= 1
