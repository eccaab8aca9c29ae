"""Cells that compute what a figure shows, from data to record to files."""

import sys
import types

import numpy as np
import pytest

from benchmarks.cli.main import main

STANZA = """
[shown]
kind = "exhibit"
estimator = "fakepkg.exhibit:shown"
spaces = ["raw"]
needs.labels = "mixnet/code"
params.scale = { value = 2.0, source = "ours" }
"""
CODE = """
def shown(dataset, inputs, seed, progress, scale):
    return {"points": scale * dataset.X, "sides": inputs["labels"]}, {"largest": scale}
"""
SUITE = """
title = "figure"
report = "figure_of_a_test"
datasets = ["blobs"]
methods = ["mixnet", "shown"]
seeds = "0-2"
[only_seeds]
shown = [1]
"""


def test_what_a_figure_shows_is_kept_in_a_record_and_drawn_from_it(box, monkeypatch):
    box.ready(["blobs"], ["mixnet"], "0-2")
    methods = box.registry / "methods.toml"
    methods.write_text(methods.read_text() + STANZA)
    (box.registry / "suites" / "picture.toml").write_text(SUITE)
    (box.package / "exhibit.py").write_text(CODE)

    def report(records, suite, out, stem):
        (shown,) = [r for r in records if r["kind"] == "exhibit"]
        drawn.append(shown["load"]())
        return "DRAWN", {"png": out / f"{stem}.png"}

    drawn, module = [], types.ModuleType("benchmarks.report.figure_of_a_test")
    module.report = report
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert main(["run", "picture", "--jobs", "2"]) == 0

    (shown,) = [r for r in box.store.all() if r["kind"] == "exhibit"]
    assert shown["cell"]["seed"] == 1 and shown["values"] == {"largest": 2.0}
    assert set(shown["outputs"]) == {"points", "sides"}
    (arrays,) = drawn
    from fakepkg.data import load

    X = load("blobs", source=None).X
    np.testing.assert_array_equal(arrays["points"], 2 * X)
    (mixture,) = [
        r for r in box.store.all() if (r["cell"]["method"], r["cell"]["seed"]) == ("mixnet", 1)
    ]
    assert shown["outputs"]["sides"] == mixture["outputs"]["labels"]

    box.clear()
    drawn.clear()
    assert main(["table", "picture"]) == 0  # without any cell
    assert len(drawn) == 1 and not box.ran()


LOADED = """
    @classmethod
    def load(cls, path):
        with open(path) as file:
            if file.read() != "model":
                raise ERROR
        return cls(2, 0)
"""


@pytest.mark.parametrize(
    "error, status, again",
    [
        ("ValueError('it is cut short')", "killed", ["mix 1"]),
        ("ImportError('no package of that name')", "error", []),
    ],
)
def test_a_model_that_is_damaged_is_set_aside_and_made_again(
    box, capsys, monkeypatch, error, status, again
):
    box.edit(
        "mix",
        "    def save(self, path):",
        f"{LOADED.replace('ERROR', error)}\n    def save(self, path):",
    )
    box.ready(["blobs"], ["mixnet"], "1")
    methods, suite = box.registry / "methods.toml", box.registry / "suites" / "picture.toml"
    methods.write_text(methods.read_text() + STANZA.replace("needs.labels", "needs.model"))
    suite.write_text(SUITE.replace("0-2", "1"))
    (box.package / "exhibit.py").write_text(CODE.replace('inputs["labels"]', "dataset.X[0]"))
    module = types.ModuleType("benchmarks.report.figure_of_a_test")
    module.report = lambda records, suite, out, stem: ("DRAWN", {})
    monkeypatch.setitem(sys.modules, module.__name__, module)
    (path,) = (box.root / "artifacts").rglob("mixnet/*/model.pt")
    path.write_text("mod")

    assert main(["run", "picture"]) == 1
    (shown,) = [r for r in box.store.all() if r["kind"] == "exhibit"]
    assert shown["status"] == status and not box.ran()
    if status == "killed":
        assert "model that it needs is damaged (it is cut short)" in shown["error"]["reason"]
        assert path.with_name("model.pt.damaged").read_text() == "mod" and not path.exists()
    else:
        assert path.read_text() == "mod"
    assert main(["run", "picture"]) == (0 if status == "killed" else 1)
    assert box.ran() == again
