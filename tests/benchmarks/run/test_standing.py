"""One command parses each table once and judges each cell once; an edit is seen by the next."""

import tomllib
from collections import Counter

import pytest

from benchmarks import registry, stanzas
from benchmarks.cli.main import main
from benchmarks.run.plan import Standing, cell_state


@pytest.fixture
def counted(monkeypatch):
    """How often a text was parsed as TOML, a cell judged, a module's hash looked up."""
    from benchmarks.records import provenance

    found = {"parsed": Counter(), "judged": Counter(), "hashed": Counter()}
    stanzas._parse.cache_clear()
    stanzas._datasets.cache_clear()
    registry._methods.cache_clear()

    def counting(what, function, name):
        def count(*args):
            found[what][name(*args)] += 1
            return function(*args)

        return count

    monkeypatch.setattr(
        stanzas.tomllib, "loads", counting("parsed", tomllib.loads, lambda text: text)
    )
    monkeypatch.setattr(
        Standing, "_judge", counting("judged", Standing._judge, lambda self, node: node.key)
    )
    monkeypatch.setattr(
        provenance, "module_hash", counting("hashed", provenance.module_hash, lambda name: name)
    )
    return found


def chain(box, n):
    """Mixtures, done, each started from the one before: what is stale below is stale above."""
    added = [
        f'[chain{i}]\nkind = "mixture"\nestimator = "fakepkg.mix:Mix"\nspaces = ["code"]\n'
        f'needs.start = "{f"chain{i - 1}" if i else "kmeans10"}/code"\n'
        for i in range(n)
    ]
    methods = box.registry / "methods.toml"
    methods.write_text(methods.read_text() + "\n".join(added))
    box.ready(["blobs"], [f"chain{i}" for i in range(n)])


def test_status_of_all_suites_does_each_thing_once(box, counted, capsys):
    chain(box, 6)
    box.suite(["blobs", "flat"], ["kmeans", "mixnet"], "0-1", name="other")
    box.edit("embed", "import", "import sys\nimport")  # all on codes is stale, cell by cell
    for counts in counted.values():
        counts.clear()
    stanzas._parse.cache_clear()
    stanzas._datasets.cache_clear()
    registry._methods.cache_clear()
    assert main(["status"]) == 1
    said = capsys.readouterr().out
    assert "chain5 is stale" not in said and "chain4 is stale" in said
    files = list(box.registry.glob("*.toml")) + list(box.registry.glob("suites/*.toml"))
    assert 4 <= len(counted["parsed"]) <= len(files)
    assert len(counted["judged"]) > 8 and len(counted["hashed"]) > 4
    assert set(counted["parsed"].values()) == {1}
    assert set(counted["judged"].values()) == {1}
    assert max(counted["hashed"].values()) <= 2  # by the cells of suites, and by those of none


def test_a_question_about_one_cell_judges_each_below_it_once(box, counted):
    chain(box, 6)
    box.edit("embed", "import", "import sys\nimport")
    counted["judged"].clear()
    *_, top = box.plan().nodes.values()
    state = cell_state(top, box.store)
    assert state.name == "stale" and state.other[-1] == "chain4 is stale"
    assert len(counted["judged"]) == 8 and set(counted["judged"].values()) == {1}


def test_the_next_question_sees_an_edit_of_code_and_of_tables(box):
    box.ready(["flat"], ["kmeans"])
    store = box.store
    (node,) = box.plan().nodes.values()
    assert cell_state(node, store).name == "done"
    box.edit("helper", "x + 0.0", "x - 0.0")
    assert cell_state(node, store).modules == ["fakepkg.helper"]
    box.edit("helper", "x - 0.0", "x + 0.0")
    assert cell_state(node, store).name == "done"
    box.suite(["flat"], ["kmeans"], "3-5")
    assert [node.cell["seed"] for node in box.plan().nodes.values()] == [3, 4, 5]


def test_what_a_caller_does_to_a_stanza_stays_with_it(box):
    registry.methods()["kmeans"]["spaces"].append("elsewhere")
    registry.methods()["autoencoder"]["params"]["power"]["value"] = 7
    assert registry.methods()["kmeans"]["spaces"] == ["raw", "code"]
    assert registry.methods()["autoencoder"]["params"]["power"]["value"] == 1
