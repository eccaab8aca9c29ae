"""The plot of the knee: its table against the suggestion, and the picture against its table."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.report import knee
from mixnet_core.choosing.components import Knee, Suggestion

K = np.arange(2, 13)
GRAPHS = np.stack([100 / K + r for r in range(3)])


@pytest.fixture
def suggestion():
    fit = Knee(5, (-9.0, 70.0), (-1.0, 27.0), np.arange(3, 9), np.ones(6), 10)
    knees = np.array([[4, 5], [5, 5], [5, 7]])
    return Suggestion(5, 4 / 6, {5: 4, 4: 1, 7: 1}, knees, (10, 12), K, GRAPHS, fit, 1)


def rows(frame, series):
    return frame[frame.series == series]


def test_csv_holds_the_suggestion(suggestion, tmp_path):
    paths = knee.plot_knee(suggestion, tmp_path / "new" / "yale", "Yale B", paper=4)
    assert {kind: path.name for kind, path in paths.items()} == {
        "csv": "yale.csv",
        "png": "yale.png",
        "pdf": "yale.pdf",
    }
    frame = pd.read_csv(paths["csv"])
    assert list(frame.columns) == ["series", "restart", "k", "value"]
    graphs = rows(frame, "graph").pivot(index="restart", columns="k", values="value")
    np.testing.assert_array_equal(graphs.to_numpy(), GRAPHS)
    np.testing.assert_array_equal(graphs.columns, K)
    left, right = rows(frame, "left line"), rows(frame, "right line")
    assert left.k.tolist() == [2, 3, 4, 5] and left.value.tolist() == [52, 43, 34, 25]
    # to the fit's cutoff, not to the graph's end
    assert right.k.tolist() == [6, 7, 8, 9, 10] and right.value.tolist() == [21, 20, 19, 18, 17]
    assert set(left.restart) == set(right.restart) == {1}
    assert rows(frame, "knees")[["k", "value"]].to_numpy().tolist() == [[4, 1], [5, 4], [7, 1]]
    assert rows(frame, "suggested")[["k", "value"]].to_numpy().tolist() == [[5, 4 / 6]]
    assert rows(frame, "paper").k.tolist() == [4]
    assert len(frame) == 3 * 11 + 4 + 5 + 3 + 1 + 1
    again = knee.plot_knee(suggestion, tmp_path / "again", "Yale B", paper=4)
    for kind, path in paths.items():  # no dates, nothing of the machine
        assert path.stat().st_size > 500 and path.read_bytes() == again[kind].read_bytes()


def test_picture_shows_its_table(suggestion):
    frame = knee.knee_frame(suggestion, paper=4)
    figure = knee._figure(frame, "Yale B")
    curve, counts = figure.axes
    assert figure.get_suptitle() == "Yale B"
    lines = {line.get_label(): line for line in curve.lines}
    for label, x, y in (
        ("k-means", K, GRAPHS[1]),
        ("left line", [2, 3, 4, 5], [52, 43, 34, 25]),
        ("right line", [6, 7, 8, 9, 10], [21, 20, 19, 18, 17]),
    ):
        np.testing.assert_array_equal(lines[label].get_xdata(), x)
        np.testing.assert_array_equal(lines[label].get_ydata(), y)
    grey = [line.get_ydata() for line in curve.lines if line.get_color() == knee.GREY]
    np.testing.assert_array_equal(grey, GRAPHS[[0, 2]])
    assert set(lines["suggested: 5"].get_xdata()) == {5}
    assert set(lines["paper: 4"].get_xdata()) == {4}
    legend = [text.get_text() for text in curve.get_legend().get_texts()]
    assert legend == [
        "other restarts",
        "k-means",
        "left line",
        "right line",
        "suggested: 5",
        "paper: 4",
    ]
    # dots, lines and dashes: what a photocopy leaves of the colours
    marks = ["k-means", "left line", "right line", "suggested: 5", "paper: 4"]
    assert len({lines[label].get_linestyle() for label in marks}) == 5
    bars = [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in counts.patches]
    np.testing.assert_allclose(bars, [(4, 100 / 6), (5, 400 / 6), (7, 100 / 6)])
    assert [bool(bar.get_hatch()) for bar in counts.patches] == [False, True, False]
    assert counts.get_title() == "stability 0.67"


def test_everything_drawn_is_within_the_axes(suggestion):
    curve, counts = knee._figure(knee.knee_frame(suggestion, paper=40), "t").axes
    low, high = curve.get_ylim()
    for line in curve.lines[:5]:
        assert low <= min(line.get_ydata()) and max(line.get_ydata()) <= high
    assert counts.get_xlim()[1] > 40 and curve.get_xlim()[1] > 40


def test_without_a_figure_of_the_paper_and_with_one_restart(suggestion):
    alone = Suggestion(5, 1.0, {5: 1}, np.array([[5]]), (12,), K, GRAPHS[:1], suggestion.knee, 0)
    frame = knee.knee_frame(alone)
    assert "paper" not in set(frame.series)
    curve, _ = knee._figure(frame, "t").axes
    legend = [text.get_text() for text in curve.get_legend().get_texts()]
    assert legend == ["k-means", "left line", "right line", "suggested: 5"]
