"""Figure 3: the settings of the paper, brightness by cluster, and the page."""

import csv
import io
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.feature_selection import f_classif

from benchmarks import registry
from benchmarks.exhibits import lighting
from benchmarks.report.figures import figure3

SIZE = {"height": 4, "width": 6, "order": "F"}
Q = list(lighting.QUANTITIES)


def test_yale_b_is_trained_as_the_paper_prints_and_nothing_else_changed():
    params = registry.resolve_params("mixnet-printed", "yaleb")
    printed = {
        "structure": "10-32-128-256-512-128",
        "t1": 10,
        "t2": 100,
        "batch_size": 120,
        "validation_size": 214,
        "min_updates": 0,
    }
    assert {name: params[name] for name in printed} == printed
    params = registry.resolve_params("mixnet", "yaleb")
    assert [name for name in printed if params[name] != printed[name]] == ["t2"]  # there a cap
    assert registry.datasets()["yaleb"]["n_clusters"] == 4
    for method in ("mixnet", "mixnet-conv"):
        for name, stanza in registry.datasets().items():
            if (method, name) != ("mixnet", "yaleb") and (
                method == "mixnet" or "conv_structure" in stanza
            ):
                params = registry.resolve_params(method, name)
                assert (params["t1"], params["batch_size"]) == (30, 100), (method, name)


# --- brightness ---------------------------------------------------------------------------------


def test_sides_of_a_picture_by_hand():
    picture = np.zeros((1, 4, 6), dtype=np.uint8)
    picture[0, :, :3] = 255  # the left half white
    picture[0, :2] //= 5  # of the upper half a fifth is left
    found = dict(zip(Q, lighting.brightness(picture)[0], strict=True))
    assert found == pytest.approx(
        {
            "left": 0.6,
            "right": 0,
            "top": 0.1,
            "bottom": 0.5,
            "left - right": 0.6,
            "top - bottom": -0.4,
            "whole": 0.3,
        }
    )


def test_the_middle_of_an_odd_picture_is_in_neither_half():
    picture = np.zeros((1, 3, 5), dtype=np.uint8)
    picture[0, 1, :] = picture[0, :, 2] = 255
    found = dict(zip(Q, lighting.brightness(picture)[0], strict=True))
    assert found["left"] == found["right"] == pytest.approx(1 / 3)
    assert found["top"] == found["bottom"] == pytest.approx(1 / 5)


def test_spread_is_what_an_analysis_of_variance_finds():
    rng = np.random.default_rng(0)
    values, labels = rng.random((200, 3)), rng.integers(0, 4, 200)
    values[:, 1] += labels
    share = (lighting.spread(values, labels, 4) / values.std(0)) ** 2
    f = f_classif(values, labels)[0] * 3 / 196  # (between / 3) / (within / 196)
    np.testing.assert_allclose(share, f / (1 + f))
    means = lighting.cluster_means(values, labels, 5)
    for j in range(4):
        np.testing.assert_allclose(means[j], values[labels == j].mean(0))
    assert np.isnan(means[4]).all()
    np.testing.assert_allclose(
        lighting.spread(values, labels, 5), lighting.spread(values, labels, 4)
    )


@pytest.fixture(scope="module")
def faces():
    """Half of the pictures are white on the left, in rows that store columns first."""
    rng = np.random.default_rng(1)
    X = 0.2 * rng.random((80, 24))
    X[:40, :12] += 0.8
    y = np.full(80, -1)  # a label that is read would be an error
    return SimpleNamespace(name="faces", X=X, y=y, image=SIZE, n_clusters=3)


@pytest.fixture(scope="module")
def labels():
    return {"mixture": np.repeat([0, 2], 40), "start": np.arange(80) % 3}


def test_clusters_by_lighting_stand_out_and_others_do_not(faces, labels):
    arrays, values = lighting.lighting(faces, labels, 0, n_permutations=99)
    assert values == {"n": 80, "n_permutations": 99, "quantities": Q}
    side, top = Q.index("left - right"), Q.index("top - bottom")
    assert arrays["means"][0, side] == pytest.approx(0.8, abs=0.02)
    assert arrays["means"][2, side] == pytest.approx(0, abs=0.02)
    assert arrays["share"][side] > 0.95 and arrays["p"][side] == pytest.approx(0.01)
    assert arrays["share"][top] < 0.1
    assert arrays["start_share"][side] < 0.1 and arrays["start_p"][side] > 0.05
    # of a random partition into two halves: variance / (n - 1)
    expected = arrays["image_deviations"][side] / np.sqrt(79)
    assert np.sqrt(np.pi / 2) * arrays["random_mean"][side] == pytest.approx(expected, rel=0.2)
    assert (arrays["random_mean"] < arrays["random_q95"]).all()
    assert arrays["sizes"].tolist() == [40, 0, 40] and np.isnan(arrays["means"][1]).all()
    left, right = arrays["faces"][0][:, :3], arrays["faces"][0][:, 3:]
    assert arrays["faces"].shape == (3, 4, 6) and left.min() > 200 > 60 > right.max()
    again = lighting.lighting(faces, labels, 0, n_permutations=99)[0]
    assert all(np.array_equal(arrays[name], again[name], equal_nan=True) for name in arrays)


def test_images_are_needed(faces, labels):
    with pytest.raises(ValueError, match="the dataset must have images; faces has no `image`"):
        lighting.lighting(
            SimpleNamespace(**{**vars(faces), "image": None}), labels, 0, n_permutations=1
        )


# --- the page -----------------------------------------------------------------------------------


def generated(k=3):
    rng = np.random.default_rng(2)

    def several(*shape):
        return rng.integers(0, 256, (*shape, 4, 6), dtype=np.uint8)

    arrays = {
        "samples": several(4),
        "samples_networks": np.array([0, 1, 2, 0]),
        "neighbours": several(2),
        "networks": several(k, 4),
        "lines": several(k, 4),
        "lines_steps": rng.random((k, 3)),
        "priors": np.full(k, 1 / k),
    }
    for name, shape in (("samples", (4,)), ("networks", (k, 4)), ("lines", (k, 4))):
        arrays[f"{name}_rows"] = rng.integers(0, 80, shape)
        arrays[f"{name}_distances"] = rng.random(shape)
    for kind in ("samples", "held_out", "training"):
        arrays[f"nearest_{kind}"] = rng.random(10)
    return arrays


def record(method, seed, arrays, values):
    return {
        "cell": {"dataset": "yaleb", "method": method, "seed": seed, "params": {"n_pairs": 7}},
        "status": "done",
        "kind": "exhibit",
        "values": values,
        "stale": False,
        "load": lambda: arrays,
    }


@pytest.fixture(scope="module")
def records(faces, labels):
    found = [record("generated-faces", 0, generated(), {})]
    for seed in (1, 0):
        own = {**labels, "start": np.roll(labels["start"], seed)}
        found.append(
            record("lighting", seed, *lighting.lighting(faces, own, seed, n_permutations=19))
        )
    return found


SUITE = {"name": "figure3", "title": "Figure 3", "seeds": [0, 1, 2]}


def test_brightness_csv_has_clusters_reference_and_n(records, tmp_path):
    text, paths = figure3.report(records, SUITE, tmp_path, "figure3")
    assert {kind: path.name for kind, path in paths.items()} == {
        "csv": "figure3.csv",
        "brightness": "figure3-brightness.csv",
        "png": "figure3.png",
        "pdf": "figure3.pdf",
    }
    rows = list(csv.DictReader(io.StringIO(paths["brightness"].read_text())))
    arrays = {r["cell"]["seed"]: r["load"]() for r in records if r["cell"]["method"] == "lighting"}

    def the(**wanted):
        (row,) = [r for r in rows if all(r[name] == value for name, value in wanted.items())]
        return row

    mean = the(seed="0", partition="mixture", measure="mean of cluster", cluster="0")
    assert (mean["n"], mean["lighting"]) == ("40", "bright on the left")
    assert float(mean["left"]) == pytest.approx(arrays[0]["means"][0, 0], abs=1e-4)
    empty = the(seed="0", partition="mixture", measure="mean of cluster", cluster="1")
    assert (empty["n"], empty["left"]) == ("0", "")
    spread = the(seed="1", partition="k-means start", measure="spread over clusters")
    assert float(spread["whole"]) == pytest.approx(arrays[1]["start_spread"][-1], abs=1e-4)
    over = the(seed="mean over seeds", partition="k-means start", measure="spread over clusters")
    both = [a["start_spread"][Q.index("left - right")] for a in arrays.values()]
    assert over["n"] == "2"
    assert float(over["left - right"]) == pytest.approx(np.mean(both), abs=1e-4)
    deviation = the(
        seed="standard deviation over seeds",
        partition="k-means start",
        measure="spread over clusters",
    )
    assert float(deviation["left - right"]) == pytest.approx(np.std(both, ddof=1), abs=1e-4)
    assert "all four are there at 0 seeds (k-means start 0)" in text
    assert "n = 2/3 seeds" in text and "random partitions of the same sizes" in text
    side = arrays[0]["spread"][Q.index("left - right")]
    assert f"left − right {side:.3f} ± 0.000 (k-means start {np.mean(both):.3f}" in text


def test_clusters_are_named_by_the_rule():
    names = ["left - right", "whole"]
    lit = {
        "means": np.array([[0.3, 0.1], [-0.3, 0.9], [0.05, 0.6], [0.05, 0.2], [np.nan, np.nan]]),
        "image_means": np.array([0, 0.5]),
        "image_deviations": np.array([0.4, 0.1]),
    }
    assert figure3.lighting_words(lit, names) == [
        "bright on the left",
        "bright on the right",
        "lit from the front",
        "dark",
        "empty",
    ]
    lit = {**lit, "start_means": -lit["means"]}
    assert figure3.lighting_words(lit, names, "start_")[:2] == [
        "bright on the right",
        "bright on the left",
    ]


def test_the_page_shows_faces_and_numbers(records):
    arrays, lit = records[0]["load"](), records[2]["load"]()
    sheet = figure3.draw(arrays, lit, Q, "t", "chosen", ["caption"])
    shown = [axis.images[0].get_array() for axis in sheet.figure.axes if axis.images]
    np.testing.assert_array_equal(shown[0][6:10, 8:14], arrays["samples"][3])
    np.testing.assert_array_equal(shown[1][6:10], arrays["neighbours"][1])
    np.testing.assert_array_equal(shown[3][12:16, 8:14], arrays["networks"][2, 3])
    np.testing.assert_array_equal(shown[4][6:10, 24:30], arrays["lines"][1, 3])
    np.testing.assert_array_equal(shown[5][:, 16:22], lit["faces"][2])
    (plot,) = [axis for axis in sheet.figure.axes if not axis.images]
    assert [tick.get_text() for tick in plot.get_xticklabels()] == [
        "left",
        "right",
        "top",
        "bottom",
    ]
    points = plot.containers[0].lines[0].get_ydata()
    np.testing.assert_allclose(points, lit["means"][0, :4])
    words = [text.get_text() for text in sheet.figure.texts]
    assert words.count("network 0\nbright on the left") == 2 and "caption" in words
    assert any(text.endswith("; chosen") for text in words)


@pytest.mark.slow
def test_the_same_records_give_the_same_bytes(records, tmp_path):
    _, first = figure3.report(records, SUITE, tmp_path / "one", "figure3")
    _, again = figure3.report(records[::-1], SUITE, tmp_path / "two", "figure3")
    for kind, path in first.items():
        assert path.stat().st_size > 500 and path.read_bytes() == again[kind].read_bytes()


def test_a_missing_record_is_named_with_the_command(records, tmp_path):
    text, paths = figure3.report(records[:2], SUITE, tmp_path, "figure3")
    assert text == "nothing is drawn: lighting of seed 0 is missing; run `mixnet run figure3`"
    assert paths == {} and not list(tmp_path.iterdir())


def test_one_seed_has_no_deviation(records, tmp_path):
    text, paths = figure3.report([records[0], records[2]], {**SUITE, "seeds": [0]}, tmp_path, "f")
    assert "n = 1/1 seeds" in text and "±" not in text.partition("left − right")[2]
    assert "nan" not in text
    rows = csv.DictReader(io.StringIO(paths["brightness"].read_text()))
    assert {row["left"] for row in rows if row["seed"] == "standard deviation over seeds"} == {""}
