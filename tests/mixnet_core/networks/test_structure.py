"""Structure strings, read and resolved."""

import pytest

from mixnet_core.networks.structure import n_values, parse_structure, resolve_structure


@pytest.mark.parametrize(
    ("structure", "sizes"),
    [
        ("2-32-128-32-2", [2, 32, 128, 32, 2]),
        ("10-64-256-256-512-32", [10, 64, 256, 256, 512, 32]),
        ("3-1", [3, 1]),
        ("10-64-x", [10, 64, "x"]),
        ("2-x", [2, "x"]),
        ("10-256-4x4x64-8x8-16x16x3", [10, 256, (4, 4, 64), (8, 8, 1), (16, 16, 3)]),
        ("5-2x3x4-7", [5, (2, 3, 4), 7]),
    ],
)
def test_structure_string(structure, sizes):
    assert parse_structure(structure) == sizes


@pytest.mark.parametrize("bad", ["", "5", "2-", "2-0-3", "2--3", "a-b", "2-3.5", None, [2, 3], 7])
def test_bad_structure_is_named(bad):
    with pytest.raises(ValueError, match="structure must be"):
        parse_structure(bad)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("7", "fewer than two"),
        ("3-0", "'0' is neither"),
        ("3-x-4", "only the last size"),
        ("x-4", "only the last size"),
        ("x-x", "only the last size"),
        ("4x4-8", "input must be"),
        ("3-4x", "'4x' is neither"),
        ("3-x4", "'x4' is neither"),
        ("3-4x0", "'4x0' is neither"),
        ("3-4x4x1x1", "'4x4x1x1' is neither"),
        ("3-4X4", "'4X4' is neither"),
        ("3-4 ", "'4 ' is"),
        ("3-\u0664", "is neither"),
        ("3-4\n", "is neither"),
    ],
)
def test_bad_structure_says_what_is_wrong(bad, reason):
    with pytest.raises(ValueError, match=reason) as raised:
        parse_structure(bad)
    assert repr(bad) in str(raised.value)


def test_values_of_an_element():
    assert [n_values(element) for element in parse_structure("7-3x5-3x5x2")] == [7, 15, 30]


@pytest.mark.parametrize(
    ("structure", "n_features", "resolved"),
    [
        ("10-64-x", 5, "10-64-5"),
        ("2-x", 64, "2-64"),
        ("2-8-5", 5, "2-8-5"),
        ("2-4x4-8x8x3", 192, "2-4x4-8x8x3"),
        ("2-4x4-x", 9, "2-4x4-9"),
    ],
)
def test_the_last_size_follows_the_data(structure, n_features, resolved):
    assert resolve_structure(structure, n_features) == resolved


@pytest.mark.parametrize(
    ("structure", "n_features", "got"), [("10-64-32", 31, 32), ("2-4x4-8x8x3", 64, 192)]
)
def test_a_size_that_is_not_the_datas_is_an_error(structure, n_features, got):
    with pytest.raises(ValueError, match=f"features, {n_features} .* ends with {got}"):
        resolve_structure(structure, n_features)
