"""Pictures as they are stored."""

import io

import numpy as np
import pytest
from PIL import Image

from benchmarks.report import plot
from benchmarks.report.figures import differences, models

METHODS = {"a": {"label": "Method A"}, "b": {"label": "Method B"}}
DATASETS = {"x": {"title": "X (of it)"}, "y": {"title": "Y"}, "z": {"title": "Z"}}


def row(dataset, method, space, mean, **more):
    usual = {"purity_std": 1.5, "paper_mean": None, "n": 3, "n_asked": 3, "stale": 0}
    return {
        "dataset": dataset,
        "method": method,
        "space": space,
        "features": space,
        "purity_mean": mean,
        **usual,
        **more,
    }


def dots(axis):
    """(x, y, hollow) of the means of an axis."""
    return [
        (round(x, 3), round(y), line.get_markerfacecolor() == "white")
        for line in axis.lines
        if line.get_marker() not in ("|", "None")
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]


def fits(figure):
    """Whether all that is drawn lies within the figure, a legend too."""
    figure.canvas.draw()
    box, whole = figure.get_tightbbox(), figure.bbox_inches
    return box.x0 >= 0 and box.y0 >= 0 and box.x1 <= whole.x1 and box.y1 <= whole.y1


def test_purity_has_a_panel_a_dataset_and_a_line_a_method():
    rows = [
        row("x", "a", "raw", 50.0, paper_mean=60.0),
        row("x", "a", "code", 70.0, stale=2),
        row("x", "b", "code", 80.0, n=1, purity_std=None),
        row("y", "a", "raw", None, n=0),
        row("z", "b", "raw", 90.0),
    ]
    with plot.column_style():
        figure = plot.purity_figure(rows, METHODS, DATASETS)
        assert fits(figure)
    x, z = figure.axes  # nothing is known of the other
    assert (x.get_title(), z.get_title()) == ("X", "Z")
    assert [label.get_text() for label in x.get_yticklabels()] == ["Method A", "Method B"]
    assert dots(x) == [(50, 0, False), (70, 0, True), (80, 1, False)]
    assert [line.get_xdata()[0] for line in x.lines if line.get_marker() == "|"] == [60.0]
    assert [text.get_text() for text in x.texts] == ["1"]  # runs, where too few
    assert dots(z) == [(90, 1, False)]
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert set(words) == {"raw", "paper", "codes", plot.STALE}
    assert figure.get_figwidth() == plot.COLUMN


def test_nats_have_intervals_and_stand_against_real_images():
    def score(method, mean, paper=None):
        return {
            "method": method,
            "space": "raw",
            "n": 2,
            "n_asked": 2,
            "stale": method == "gan",
            "ll_mean": mean,
            "ll_std": 2**0.5,
            "paper_mean": paper,
        }

    scores = [score("gan", 200.0, 225.0), score("mixnet-samples", 300.0)]
    scores.append(score("training-images", 240.0))
    measured = [
        {"method": name, "space": "raw", "n": 2, "n_asked": 2, "stale": 0}
        for name in ("gan", "mixnet-samples", "training-images", "test-images")
    ]
    measured[0] |= {"mmd2_mean": 0.1, "mmd2_std": 0.0}
    measured[3] |= {"mmd2_mean": 0.01, "mmd2_std": 0.0}
    labels = {(r["method"], r["space"]): r["method"] for r in measured}
    with plot.column_style():
        figure = models.draw(scores, measured, labels)
        assert fits(figure)
    nats, mmd2, coverage, _ = figure.axes
    assert dots(nats) == [(200, 0, True), (300, 1, False), (240, 2, False)]
    (low, _), (high, _) = nats.collections[0].get_segments()[0]
    assert (low, high) == pytest.approx((200 - 12.7062, 200 + 12.7062), abs=1e-3)  # t, 1 degree
    lines = [
        [line.get_xdata()[0] for line in axis.lines if line.get_linestyle() == ":"]
        for axis in (nats, mmd2, coverage)
    ]
    assert lines == [[240.0], [0.01], []]
    assert dots(mmd2) == [(0.1, 0, False), (0.01, 3, False)] and dots(coverage) == []


def test_differences_have_a_dot_a_dataset_and_their_median():
    def compared(dataset, method, gain, stale=0):
        return {
            "dataset": dataset,
            "method": method,
            "against": "a",
            "stale": stale,
            "purity_gain": gain,
            "purity_pairs": 2,
        }

    rows = [compared(name, "b", gain) for name, gain in zip("xyz", (-4.0, 1.0, 30.0), strict=True)]
    rows += [compared("x", "a", None), {"against": "", "method": "a", "stale": 0}]
    with plot.column_style():
        figure = differences.draw([*rows, compared("w", "b", 2.0, 1)], ["purity"], METHODS)
        assert fits(figure)
    (axis,) = figure.axes
    assert dots(axis) == [(-4, 0, False), (1, 0, False), (30, 0, False), (2, 0, True)]
    assert [line.get_xdata()[0] for line in axis.lines if line.get_marker() == "|"] == [1.5]


def test_a_small_png_is_the_same_picture():
    """Up to 256 colours bit for bit; of more, white stays white and shades stay near."""
    rng = np.random.default_rng(0)
    few = rng.choice(np.arange(256, dtype=np.uint8), (40, 60))
    for given, near in ((np.dstack([few, few // 2, 255 - few]), 0), (_shades(), 24)):
        out = io.BytesIO()
        Image.fromarray(given).save(out, "PNG")
        small = plot.small_png(out.getvalue())
        found = np.asarray(Image.open(io.BytesIO(small)).convert("RGB")).astype(int)
        assert np.abs(found - given).max() <= near
        white = (given == 255).all(axis=2)
        assert (found[white] == 255).all()
    clear = np.zeros((2, 2, 4), dtype=np.uint8)  # what is transparent is on white
    out = io.BytesIO()
    Image.fromarray(clear).save(out, "PNG")
    assert (
        np.asarray(Image.open(io.BytesIO(plot.small_png(out.getvalue()))).convert("RGB")) == 255
    ).all()


def _shades():
    """A picture of 4096 colours, half of it white."""
    y, x = np.mgrid[:64, :64]
    left = np.dstack([4 * x, 4 * y, 2 * (x + y)]).astype(np.uint8)
    return np.hstack([left, np.full_like(left, 255)])
