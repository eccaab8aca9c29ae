"""Cells that compute what a figure shows, from data to record to files."""

import sys
import types

import numpy as np

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
