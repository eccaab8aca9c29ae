"""Names, seeds and parameters from TOML; nothing heavy is imported for it."""

import inspect
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import registry
from benchmarks.kinds.base import resolve
from benchmarks.run.plan import Plan, suite_plan


@pytest.mark.parametrize(
    "text, seeds",
    [
        ("0-9", list(range(10))),
        ("0,3", [0, 3]),
        ("0-2,7,1", [0, 1, 2, 7]),
        ("5", [5]),
        (4, [4]),
        ([2, 2, 1], [2, 1]),
        (" 1 , 2 ", [1, 2]),
    ],
)
def test_seeds(text, seeds):
    assert registry.parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "3-1", "1-", "-1", "1,,2", "1.5"])
def test_bad_seeds_say_what_they_got(text):
    with pytest.raises(ValueError, match="seeds is"):
        registry.parse_seeds(text)


@given(st.lists(st.integers(0, 500), unique=True, min_size=1))
def test_seeds_round_trip(seeds):
    assert registry.parse_seeds(",".join(map(str, seeds))) == seeds


def test_unknown_name_has_a_suggestion():
    with pytest.raises(registry.UnknownName, match="did you mean kmeans"):
        registry.get({"kmeans": {}, "llc": {}}, "kmens", "method")
    with pytest.raises(registry.UnknownName, match="known: kmeans, llc"):
        registry.get({"kmeans": {}, "llc": {}}, "zzzz", "method")


def test_parameters_come_from_the_dataset_and_fast_overrides(box):
    assert registry.resolve_params("autoencoder", "blobs") == {"code_dim": 2, "power": 1}
    assert registry.resolve_params("autoencoder", "blobs", fast=True)["power"] == 2
    with pytest.raises(registry.RegistryError, match="no 'code_dim'"):
        registry.resolve_params("autoencoder", "flat")


def test_a_method_like_another_differs_where_it_says_so(box):
    stanza = """
        [base]
        kind = "mixture"
        estimator = "a:B"
        needs = { start = "k/code" }
        params.one = { value = 1, source = "ours" }
        params.two = { value = 2, source = "ours" }
        fast = { one = 0 }
        [other]
        label = "Other"
        like = "base"
        without = ["two"]
        params.three = { value = 3, source = "paper" }
        needs = { start = "n/raw" }
    """
    (box.registry / "methods.toml").write_text(stanza)
    base, other = (registry.methods()[name] for name in ("base", "other"))
    assert {n: e["value"] for n, e in other["params"].items()} == {"one": 1, "three": 3}
    assert {n: e["value"] for n, e in base["params"].items()} == {"one": 1, "two": 2}
    assert other["label"] == "Other" and other["needs"] == {"start": "n/raw"}
    assert other["kind"] == "mixture" and other["fast"] == {"one": 0}
    assert (other["like"], "like" in base, "without" in other) == ("base", False, False)


def test_a_method_may_be_like_one_that_is_like_a_third(box):
    stanza = """
        [third]
        label = "Third"
        like = "second"
        params.c = { value = 3, source = "ours" }
        [second]
        label = "Second"
        like = "first"
        without = ["a"]
        params.b = { value = 2, source = "ours" }
        [first]
        kind = "clustering"
        estimator = "a:B"
        params.a = { value = 1, source = "ours" }
        params.b = { value = 1, source = "ours" }
    """
    (box.registry / "methods.toml").write_text(stanza)
    third = registry.methods()["third"]
    assert {n: e["value"] for n, e in third["params"].items()} == {"b": 2, "c": 3}
    assert third["label"] == "Third" and third["estimator"] == "a:B"


@pytest.mark.parametrize(
    "stanza, message",
    [
        ('like = "n"', "like is 'n', needs a method"),
        ('like = "m"', "not itself like this one"),
        ('like = "n"\n[n]\nlike = "m"', "not itself like this one"),
        (
            'kind = "mixture"\nestimator = "a:B"\nneeds.start = "k"\nown_start = true',
            "either the cell",
        ),
        ('kind = "x"\nestimator = "a:B"', "kind is 'x'"),
        ('kind = "clustering"\nestimator = "a.B"', "package.module:Class"),
        ('kind = "clustering"\nestimator = "a:B"\nspaces = ["pixels"]', "spaces has"),
        (
            'kind = "clustering"\nestimator = "a:B"\nparams.k.value = 1',
            "needs `value` and `source`",
        ),
        (
            'kind = "clustering"\nestimator = "a:B"\ndefaults.k.value = 1',
            r"\[m\].defaults.k: needs `value` and `source`",
        ),
        (
            'kind = "clustering"\nestimator = "a:B"\nparams.k = { value = 1, source = "ours" }\n'
            'defaults.k = { value = 1, source = "ours" }',
            r"\['k'\] stand in params",
        ),
        ("kind = ", "methods.toml"),
        ('kind = "mixture"\nestimator = "a:B"', "needs.start"),
        ('kind = "selection"\nestimator = "a:B"', "cells to choose from"),
    ],
)
def test_a_bad_stanza_is_named(box, stanza, message):
    (box.registry / "methods.toml").write_text("[m]\n" + stanza)
    with pytest.raises(registry.RegistryError, match=message):
        registry.methods()


@pytest.mark.parametrize("suite", sorted(registry.suites()))
def test_own_suites_resolve(suite, tmp_path, monkeypatch):
    monkeypatch.setenv("MIXNET_DATA", str(tmp_path))  # planning needs no data
    plan = suite_plan(suite, seeds=[0])
    cells = [node.cell for node in plan.nodes.values() if node.requested]
    stanza = registry.suites()[suite]
    assert {c["method"] for c in cells} == {*stanza["methods"], *stanza.get("evaluations", ())}
    seen = set()
    for node in plan.nodes.values():  # needs come first
        assert all(need.key in seen for need in node.needs.values())
        seen.add(node.key)


def suite_file(box, text):
    (box.registry / "suites" / "mine.toml").write_text(
        'title = "Mine"\ndatasets = ["blobs"]\nmethods = ["kmeans", "mixnet"]\n' + text
    )


@pytest.mark.parametrize(
    "text, message",
    [
        (
            'columns = ["purity"]\npaired = ["purity"]\nagainst = { mixnet = "ncut" }',
            r"against has \['ncut'",
        ),
        ('columns = ["purity"]\npaired = ["nmi"]\nagainst = { mixnet = "kmeans" }', r"\['nmi'\]"),
        ('columns = ["purity"]\nkeeps = "purity"', "keeps is 'purity', needs a dict"),
        ('columns = ["purity"]\nkeeps = { mixnet = "purity" }', "keeps is {'mixnet': 'purity'}"),
        ('columns = ["purity"]\nagainst = { mixnet = "kmeans" }', "paired is missing"),
        ('columns = "purity"', "columns is 'purity', needs a list"),
        ('raw_up_to = "many"', "raw_up_to is 'many', needs a int"),
    ],
)
def test_a_suite_that_compares_what_it_has_not_is_named(box, text, message):
    suite_file(box, text)
    with pytest.raises(registry.RegistryError, match=message):
        registry.suites()


def test_data_of_few_features_are_taken_raw_and_others_as_codes():
    suite, both, one = {"raw_up_to": 100}, {"spaces": ["raw", "code"]}, {"spaces": ["code"]}

    def asked(d, stanza=both, embedding="autoencoder"):
        return registry.asked_spaces(suite, "m", stanza, "x", {"d": d, "embedding": embedding})

    assert asked(100) == ["raw"] and asked(101) == ["code"] and asked(500, both, "none") == ["raw"]
    assert asked(3, one) == ["code"]
    suite["only_datasets"] = {"m": ["y"]}
    assert asked(100) == []


def test_every_own_choice_has_a_reason():
    for name, stanza in registry.methods().items():
        entries = stanza.get("params", {}) | stanza.get("defaults", {})
        for parameter, entry in entries.items():
            known = ("paper", "published: ")
            assert entry["source"] == "ours" or entry["source"].startswith(known), name
            assert entry.get("why"), f"{name}.{parameter}"


def test_needs_become_inputs_and_toys_have_raw_only(box):
    nodes = {str(node): node for node in box.plan().nodes.values()}
    mixture = nodes["blobs mixnet code seed 0"]
    assert {role: need.cell["method"] for role, need in mixture.needs.items()} == {
        "codes": "autoencoder",
        "start": "kmeans10",
    }
    assert "flat kmeans raw seed 0" in nodes and "flat kmeans code seed 0" not in nodes
    assert nodes["flat mixnet raw seed 0"].needs["start"].cell["params"]["space"] == "raw"


def test_a_suite_may_ask_for_a_method_at_some_seeds_and_on_some_datasets_only(box):
    box.suite(["blobs", "flat"], ["kmeans", "spectral"], seeds="0-1")
    with open(box.registry / "suites" / "small.toml", "a") as suite:
        suite.write("only_seeds = { spectral = [1] }\nonly_datasets = { spectral = ['flat'] }\n")
    asked = {str(node) for node in box.plan().nodes.values() if node.requested}
    assert {words for words in asked if "spectral" in words} == {"flat spectral raw seed 1"}
    assert sum("kmeans" in words for words in asked) == 6


def test_a_selection_takes_the_labels_of_other_cells(box):
    box.suite(["blobs", "flat"], ["mixnet+"])
    nodes = {str(node): node for node in box.plan().nodes.values()}
    needs = {role: str(need) for role, need in nodes["blobs pick code seed 0"].needs.items()}
    assert needs == {
        "codes": "blobs autoencoder raw seed 0",
        "c0": "blobs kmeans raw seed 0",
        "c1": "blobs kmeans code seed 0",
    }
    assert nodes["blobs mixnet+ code seed 0"].needs["start"] is nodes["blobs pick code seed 0"]
    flat = nodes["flat pick raw seed 0"].needs  # no embedding: both stand for one cell
    assert flat["c0"] is flat["c1"] and "codes" not in flat


def test_the_variant_comes_from_the_data_at_hand_and_for_tables_from_the_records(box, monkeypatch):
    with open(box.registry / "datasets.toml", "a") as stanzas:
        stanzas.write(
            '[news]\nn = 4\nd = 2\nn_classes = 2\nn_clusters = 2\ncontent_hash = ""\n'
            'loader = "nowhere:load"\nvariants = ["full", "subset"]\n'
            '[news.variant.subset]\ncontent_hash = "5b5"\n'
        )
    state = {"variant": "subset", "state": "present"}
    monkeypatch.setattr("benchmarks.datasets.status", lambda name, source=None: [state])

    def content(**how):
        plan = suite_plan("small", ["news"], ["kmeans"], [0], store=box.store, **how)
        return next(iter(plan.nodes.values())).cell

    assert content()["content_hash"] == content(recorded=True)["content_hash"] == "5b5"
    box.store.write(
        {
            "cell": content(),
            "status": "done",
            "variant": "subset",
            "provenance": {"started": "2026-01-01"},
        }
    )
    for state in ({"variant": "full", "state": "missing"}, {"variant": "full", "state": "present"}):
        here = "5b5" if state["state"] == "missing" else "variant:full"
        assert content()["content_hash"] == here
        assert content(recorded=True)["content_hash"] == "5b5"


def test_a_fast_run_asks_for_other_cells_downstream_too(box):
    full = {str(node): node.key for node in box.plan().nodes.values()}
    fast = {str(node): node.key for node in box.plan(fast=True).nodes.values()}
    assert full["blobs mixnet code seed 0"] != fast["blobs mixnet code seed 0"]
    assert full["blobs kmeans raw seed 0"] == fast["blobs kmeans raw seed 0"]


@pytest.mark.parametrize(
    "words",
    [["list", "methods"], ["list", "datasets"], ["list", "suites"], ["run", "table1", "--help"]],
)
def test_listing_imports_nothing_heavy(words):
    code = (
        "import sys\nfrom benchmarks.cli.main import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'sklearn', 'pandas', 'baselines', 'mixnet_core'} & set(sys.modules)"
        "\nassert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_a_file_without_a_hash_is_fetched_over_tls_only():
    for name, data in registry.datasets().items():
        for variant in (data, *data.get("variant", {}).values()):
            for file in variant.get("files", ()):
                if not file.get("sha256"):
                    assert all(url.startswith("https://") for url in file["urls"]), name


@pytest.mark.parametrize("name", [n for n, m in registry.methods().items() if "defaults" in m])
def test_listed_defaults_are_those_of_the_estimator(name):
    stanza = registry.methods()[name]
    # An estimator is called; of a function the signature has them.
    target = resolve(stanza["estimator"])
    signature = inspect.signature(target).parameters.values()
    made = (
        target().get_params() if inspect.isclass(target) else {p.name: p.default for p in signature}
    )
    listed = {k: entry["value"] for k, entry in stanza["defaults"].items()}
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in made.items()}
    assert {k: plain[k] for k in listed} == listed


def test_what_is_for_full_runs_only_is_in_a_fast_one_where_it_is_named(box):
    with open(box.registry / "suites" / "small.toml", "a") as suite:
        suite.write('full_only = ["blobs"]\n')

    def asked(**how):
        return {n.cell["dataset"] for n in suite_plan("small", **how).nodes.values()}

    assert asked() == {"blobs", "flat"} and asked(fast=True) == {"flat"}
    assert asked(fast=True, datasets=["blobs"]) == {"blobs"}


def test_methods_on_codes_of_their_own_take_them_where_the_dataset_has_none():
    """Not its features under another name: `mixnet+graph` has networks for ten codes."""
    methods, suite = registry.methods(), registry.suites()["table1"]
    for embedding in ("none", "autoencoder"):
        data = {"embedding": embedding, "d": 64}
        for name in ("kmeans10-graph", "gaussian-mixture-graph", "mixnet+graph"):
            assert registry.asked_spaces(suite, name, methods[name], "mine", data) == ["code"]
    raw = {"embedding": "none", "d": 64}
    assert registry.asked_spaces(suite, "kmeans10", methods["kmeans10"], "mine", raw) == ["raw"]


def test_on_data_without_codes_the_second_embedding_learns_from_the_features():
    plan = Plan()
    plan.add("pendigits", "mixnet+chosen", "code", 0)
    nodes = {f"{n.cell['method']}/{n.cell['params']['space']}": n for n in plan.nodes.values()}
    for name in ("kmeans10", "ncut", "llc", "ldmgi", "gaussian-mixture"):
        assert "codes" not in nodes[f"{name}/raw"].needs
        assert nodes[f"{name}-graph/code"].needs["codes"] is nodes["autoencoder-graph/raw"]
    mixture = nodes["mixnet+graph-consensus/code"]
    assert mixture.needs["codes"] is nodes["autoencoder-graph/raw"]
    assert (
        mixture.needs["start"]
        is nodes["consensus/raw"]
        is nodes["mixnet+chosen/raw"].needs["reference"]
    )
    assert not nodes["autoencoder-graph/raw"].needs
    assert not any(name.startswith("autoencoder/") for name in nodes)
