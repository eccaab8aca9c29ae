"""The page as a function of records: its numbers against table1.csv, its markup, its commands."""

import base64
import csv
import hashlib
import io
import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from benchmarks import registry
from benchmarks.cli.arguments import parser
from benchmarks.cli.main import main
from benchmarks.report import page, tables
from benchmarks.report.page.cells import span
from benchmarks.report.page.parts import Section, for_claim
from benchmarks.report.page.suites import older
from benchmarks.run.plan import suite_plan

EVIL = "<script>window.pwned"
VOID = {"meta", "link", "img", "input", "br"}


class Page(HTMLParser):
    """Elements of a page: ids, links, tables as rows of (text, attributes), well nested."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.ids, self.links, self.buttons, self.images = [], [], [], [], []
        self.tables, self.contents, self.text, self.cell = {}, [], "", None
        self.attributes = set()
        self.feed(text)
        self.close()
        assert not self.stack, f"left open: {self.stack}"

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.attributes |= set(attributes)
        if tag not in VOID:
            self.stack.append(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "table":
            self.rows = self.tables[attributes.get("id")] = []
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.cell = [tag, "", attributes]
            self.rows[-1].append(self.cell)
        elif tag in ("script", "style"):
            self.contents.append([tag, attributes, ""])
        for names, found in (
            (("a", "link"), self.links),
            (("img",), self.images),
            (("button",), self.buttons),
        ):
            if tag in names:
                found.append(attributes)

    def handle_startendtag(self, tag, attributes):  # <path/> of a picture: nothing to close
        pass

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag, f"</{tag}> closes something else"
        if tag in ("td", "th"):
            self.cell = None

    def handle_data(self, words):
        if self.stack and self.stack[-1] in ("script", "style"):
            self.contents[-1][2] += words
            return
        self.text += words
        if self.cell is not None:
            self.cell[1] += words

    def table(self, id):
        """Rows as dicts of column -> (text, value)."""
        head, *rows = self.tables[id]
        names = [" ".join(cell[1].split()) for cell in head]
        return [
            {
                name: (" ".join(text.split()), attributes.get("data-value"))
                for name, (_, text, attributes) in zip(names, row, strict=True)
            }
            for row in rows
        ]

    @property
    def digest(self):
        return next(
            json.loads(words)
            for tag, attributes, words in self.contents
            if attributes.get("id") == "digest"
        )


@pytest.fixture
def made(shelf):
    return Page(page.page(shelf.store))


def test_every_number_of_table1_is_on_the_page(shelf, made):
    tables.write("table1", suite_plan("table1", store=shelf.store), shelf.store, False)
    datasets, methods = registry.datasets(), registry.methods()
    title = {name: stanza["title"] for name, stanza in datasets.items()}
    rows = {
        (r["Dataset"][0], r["Method"][0].partition(" " + r["Dataset"][0])[0], r["Features"][0]): r
        for r in made.table("table1-measures")
    }
    beside = {
        (r["Dataset"][0], r["Method"][0].partition(" " + r["Dataset"][0])[0], r["Features"][0]): r
        for r in made.table("table1-beside")
    }
    data = {r["Dataset"][0]: r for r in made.table("data-table")}
    read = list(csv.DictReader((shelf.results / "table1.csv").open(encoding="utf-8")))
    assert len(read) == len(rows) == 8
    checked = 0
    for row in read:
        key = title[row["dataset"]], methods[row["method"]]["label"], row["space"]
        shown = rows[key]
        assert shown["n"][0] == f"{row['n']}/{row['n_asked']}"
        for measure, name in (
            ("purity", "Purity"),
            ("acc", "ACC"),
            ("nmi", "NMI"),
            ("ari", "ARI"),
            ("seconds", "Seconds"),
        ):
            text, value = shown[name]
            assert float(value) == pytest.approx(float(row[f"{measure}_mean"]), abs=6e-5)
            digits = 2 if name == "Seconds" else 1
            assert text.startswith(f"{float(value):.{digits}f}")
            if row.get(f"{measure}_std"):
                assert text.endswith(f"± {float(row[f'{measure}_std']):.1f}")
            checked += 1
        trouble = [f"{row['stale']} stale"] if row["stale"] != "0" else []
        assert shown["Missing or stale"][0] == ", ".join(
            trouble + [row["missing"]][: bool(row["missing"])]
        )
        assert (key in beside) == bool(row["paper_mean"])
        if row["paper_mean"]:
            printed = f"{float(row['paper_mean']):.1f} ± {float(row['paper_std']):.1f}"
            assert beside[key]["Paper, %"][0].startswith(printed)
            assert row["verdict"] in beside[key]["Verdict"][0]
        of = data[title[row["dataset"]]]
        assert [of[name][0] for name in ("n", "d", "p", "Classes")] == [
            row[name] for name in ("n_points", "d", "p", "L")
        ]
    assert checked == 40


def test_intervals_are_those_of_welch(shelf, made):
    """Against scipy, with ten runs made up to have the paper's mean and deviation."""
    spread = np.linspace(-1, 1, 10)
    spread /= spread.std(ddof=1)
    paper = registry.paper()["table1"]["datasets"]
    checked = 0
    for row in made.table("table1-beside"):
        if row["Difference"][1] is None:  # a single run
            continue
        dataset = {"COIL-20": "coil20", "USPS & co": "usps"}[row["Dataset"][0]]
        method = {"k": "kmeans", "M": "mixnet", "<": "ldmgi"}[row["Method"][0][0]]
        ours = [
            r["metrics"]["purity"]
            for r in shelf.store.all()
            if (r["cell"]["dataset"], r["cell"]["method"], r["cell"]["params"]["space"])
            == (dataset, method, row["Features"][0])
            and r["cell"]["seed"] < 3
        ]
        printed = paper[dataset][method]
        theirs = printed["mean"] + printed["std"] * spread
        low, high = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
        text = row["95% interval"][0].replace("−", "-")
        assert [float(end) for end in text.split(" to ")] == pytest.approx([low, high], abs=0.051)
        assert float(row["Difference"][1]) == pytest.approx(np.mean(ours) - printed["mean"])
        checked += 1
    assert checked == 5


def test_other_suites_have_their_tables(shelf, made):
    (dbn,) = made.table("table2-scores")
    scored = [r["values"]["ll"] for r in shelf.store.all() if r["cell"]["method"] == "parzen"]
    assert float(dbn["Log-likelihood"][1]) == pytest.approx(np.mean(scored))
    assert dbn["Seconds"][0] == "12.5" and dbn["Stopped by"][0] == "budget 2"
    assert made.table("table2-beside")[0]["Paper, nats"][0].startswith("138.0 ± 2.0")
    assert made.table("table2-measures")[0]["Density"][0].startswith("0.9")
    (knee,) = made.table("components-knees")
    assert knee["Components"][0] == "5"  # the last k before its two lines cross, at 5.7
    assert knee["n"][0] == "2/2"
    chosen = made.table("chosen-measures")
    assert [row["n"][0] for row in chosen] == ["4/4", "4/4"]
    assert all(row["Negative"][0].startswith("−") for row in chosen)
    assert made.table("choices-table")[0]["Source"][0] == "ours"


def test_how_cells_stand_is_counted_and_said(shelf, made):
    cells = made.digest["cells"]
    group = made.digest["groups"]["table1/coil20/ldmgi/raw"]
    failed, stale, missing = (cells[index] for index in group["cells"])
    assert [c["state"] for c in (failed, stale, missing)] == ["failed", "stale", "missing"]
    assert failed["why"].startswith("error: ValueError: <script>")
    assert stale["why"] == "code changed: nowhere" and "path" not in missing
    label = next(
        b["aria-label"]
        for b in made.buttons
        if b.get("data-group") == "table1/coil20/ldmgi/raw" and "aria-label" in b
    )
    assert label.endswith("raw features: 1 stale, 1 failed, 1 missing")
    n = len(cells)
    said = " ".join(made.text.split())
    assert f"{n - 3} done 1 stale 1 failed 1 missing of {n} cells" in said
    for cell in cells:
        if "path" in cell:
            record = json.loads((shelf.results / "records" / cell["path"]).read_text())
            assert (record["key"], record["cell"]["seed"]) == (cell["key"], cell["seed"])
            assert record["provenance"]["commit"] == cell["commit"]
            found = made.digest["environments"][cell["environment"]]
            assert found["versions"] == record["provenance"]["versions"]
            for name in ("purity", "ll", "train_seconds"):
                value = {**record["values"], **record["metrics"]}.get(name)
                assert cell["values"].get(name) == (
                    value if value is None else pytest.approx(value, rel=1e-5)
                )


def test_every_number_opens_cells_that_are_there(made):
    opened = [b for b in made.buttons if "data-group" in b]
    assert len(opened) > 60
    groups, cells = made.digest["groups"], made.digest["cells"]
    for button in opened:
        mine = [cells[index] for index in groups[button["data-group"]]["cells"]]
        measures = button["data-measure"].split("+")
        if measures != [""]:
            assert any(set(measures) & {"seconds", *cell.get("values", ())} for cell in mine)


def test_claims_and_tables_come_first_and_the_status_last(made):
    linked = {link["href"][1:] for link in made.links} - {"top"}
    sections = [id for id in made.ids if id in linked and not id.startswith("note-")]
    assert sections[:4] == ["claims", "suite-table1", "suite-table2", "figures"]
    assert sections[-1] == "status"


CLAIMS = """claim,group,says,where,verdict,part,part_verdict,said,command
a,Is it so?,It is <so>.,Table 1,confirmed,COIL-20,confirmed,"77 against 76",mixnet run table1
b,Is it so?,It is more.,§4,not confirmed,USPS,confirmed,1,mixnet run mnist
b,Is it so?,It is more.,§4,not confirmed,MNIST,not confirmed,2,mixnet run mnist
b,Is it so?,It is more.,§4,not confirmed,Isolet,not run,,mixnet run mnist
"""


def test_claims_stand_with_their_verdicts(shelf, made):
    assert "None is judged yet: mixnet table claims does it" in made.text
    (shelf.results / "claims.csv").write_text(CLAIMS, encoding="utf-8")
    judged = Page(page.page(shelf.store))
    head, group, first, second = (
        [" ".join(cell[1].split()) for cell in row] for row in judged.tables["claims-table"]
    )
    assert head == ["The paper says", "Verdict", "What was measured"] and group == ["Is it so?"]
    assert first == ["It is <so>. Table 1", "▲ confirmed", "COIL-20: 77 against 76"]
    assert second[:2] == ["It is more. §4", "▼ not confirmed"]
    assert second[2].startswith("1 confirmed, 1 not confirmed, 1 not runUSPS: 1 confirmed")
    assert second[2].endswith("Isolet not run mixnet run mnist")
    assert "1 confirmed, 1 not confirmed. Every verdict" in " ".join(judged.text.split())


@pytest.mark.parametrize("content", [b"", b"\xff\n", b"claim,group\na,b\n", b'claim\n"open'])
def test_a_claims_file_that_cannot_be_read_is_none(shelf, content):
    (shelf.results / "claims.csv").write_bytes(content)
    assert "None is judged yet" in Page(page.page(shelf.store)).text


@pytest.mark.parametrize(
    ("verdict", "of_mixture", "claim"),
    [
        ("above", True, "helped"),
        ("below", True, "hurt"),
        ("above", False, "hurt"),  # a baseline better than printed makes the mixture's lead smaller
        ("below", False, "helped"),
        ("level", True, "level"),
        ("level", False, "level"),
        ("", True, ""),
    ],
)
def test_a_verdict_helps_or_hurts_the_claim(verdict, of_mixture, claim):
    assert for_claim(verdict, of_mixture) == claim


def test_marks_say_what_a_verdict_is_to_the_claim(shelf):
    """Printed: k-means 64.9 on raw USPS, the mixture 78.3 on codes. Both far above."""
    for path in (shelf.results / "records" / "usps").glob("*/*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        record["metrics"] = {"purity": 95 + record["cell"]["seed"] / 10}
        path.write_text(json.dumps(record), encoding="utf-8")
    rows = {
        row["Method"][0].partition(" USPS")[0]: row["Verdict"][0]
        for row in Page(page.page(shelf.store)).table("table1-beside")
        if row["Dataset"][0] == "USPS & co"
    }
    assert rows["k-means"].startswith("▼ ours above, against the claim")
    assert rows["Mixture"].startswith("▲ ours above, for the claim")


def test_a_variant_of_a_suite_stands_in_its_section(shelf):
    suites = shelf.registry / "suites"
    text = (suites / "table2.toml").read_text(encoding="utf-8")
    title = re.search('title = "(.*)"', text)[1]
    full = text.replace(title, f"{title}, at full length")
    (suites / "table2-full.toml").write_text(full, encoding="utf-8")
    text = page.page(shelf.store)
    start = text.index('<section id="suite-table2"')
    assert start < text.index('id="suite-table2-full"') < text.index("</section>", start)
    assert ">At full length</span>" in text
    links = [link["href"] for link in Page(text).links]
    assert "#suite-table2" in links and "#suite-table2-full" not in links


def test_a_picture_says_how_old_its_runs_are(shelf):
    section = Section("some", "Some", tally=[("done", 2), ("missing", 1)])
    assert older(section) == ""
    section.tally = [("done", 2), ("stale", 3)]
    assert older(section) == "3 of its 5 runs are of older code."
    section.tally = [("failed", 1), ("missing", 4)]
    assert older(section).startswith("None of its runs is on record")
    text = Page(page.page(shelf.store)).text
    assert re.search(r"Table 1: of a test\.\s+1 of its \d+ runs are of older code\.", text)


def test_every_command_asks_for_the_cell_that_it_stands_under(made):
    suites = registry.suites()
    for name, group in made.digest["groups"].items():
        dataset, method = name.split("/")[1:3]
        for cell in (made.digest["cells"][index] for index in group["cells"]):
            args = parser().parse_args(shlex.split(cell["command"])[1:])
            assert (args.datasets, args.methods) == ([dataset], [method])
            assert args.suite in suites and args.seeds == [cell["seed"]]
            assert (str(args.results) == "again") == (cell["state"] == "done")
            assert args.retry_failed == (cell["state"] == "failed")
            environment = made.digest["environments"][cell["environment"]] if "key" in cell else {}
            assert args.threads == environment.get("threads", 1)
            if "key" in cell:
                assert (
                    cell["key"]
                    in suite_plan(args.suite, args.datasets, args.methods, args.seeds).nodes
                )


def test_the_command_of_a_done_cell_computes_it_again(box, monkeypatch):
    box.ready(["flat"], ["kmeans"], "0-1")
    made = Page(page.page(box.store))
    cell = next(c for c in made.digest["cells"] if c["seed"] == 1)
    monkeypatch.chdir(box.root)
    assert main(shlex.split(cell["command"])[1:]) == 0
    assert box.ran() == ["good 1"]
    old = json.loads((box.results / "records" / cell["path"]).read_text())
    (new,) = (box.root / "again" / "records").rglob("*.json")
    assert json.loads(new.read_text())["outputs"] == old["outputs"]


def test_data_that_was_not_there_is_fetched_first(box):
    box.suite(["absent"], ["kmeans"], "0")
    assert main(["run", "small"]) == 1
    (cell,) = Page(page.page(box.store)).digest["cells"]
    assert cell["command"] == (
        "mixnet data absent --fetch && mixnet run small --datasets absent "
        "--methods kmeans --seeds 0"
    )
    assert "put absent.bin into" in cell["why"]


def test_what_is_shown_is_escaped(shelf):
    text = page.page(shelf.store)
    assert EVIL not in text and "<img src=x" not in text
    made = Page(text)
    assert [(tag, attributes.get("type")) for tag, attributes, _ in made.contents] == [
        ("style", None),
        ("script", "application/json"),
        ("script", None),
    ]
    assert made.text.count(EVIL) >= 6  # label in several tables, text, attempt, machine
    (index,) = [i for i, c in enumerate(made.digest["cells"]) if c["state"] == "failed"]
    assert EVIL in made.digest["cells"][index]["why"]


def test_ids_and_links(made):
    assert len(made.ids) == len(set(made.ids)) > 20
    inner = {link["href"][1:] for link in made.links if link["href"].startswith("#")}
    assert inner <= set(made.ids) and len(inner) > 10


def test_nothing_is_loaded_and_the_policy_says_so(shelf):
    text = page.page(shelf.store)
    made = Page(text)
    assert made.images and all(image["src"].startswith("data:image/webp;") for image in made.images)
    outside = {link["href"] for link in made.links if "//" in link["href"]}
    assert outside == {"https://arxiv.org/abs/1702.03307"}  # a link, not a file that it needs
    assert "@import" not in text and "url(" not in text
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag, attributes, words in made.contents:
        if "type" not in attributes:
            digest = base64.b64encode(hashlib.sha256(words.encode()).digest()).decode()
            assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert not [name for name in made.attributes if name == "style" or name.startswith("on")]


def test_figures_are_embedded_and_missing_ones_named(shelf):
    shelf.picture(shelf.results / "figures" / "another.png")
    colours = np.random.default_rng(0).integers(0, 256, (2, 9, 3), dtype=np.uint8)
    Image.fromarray(colours).save(shelf.results / "figures" / "figure9-usps.png")
    whole = (shelf.results / "table1.png").read_bytes()
    (shelf.results / "components-usps.png").write_bytes(whole[:45])
    (shelf.results / "components-digits.png").write_bytes(b"not a picture")
    text = page.page(shelf.store)
    made = Page(text)
    sources = {(i["width"], i["height"], i["alt"]): i["src"] for i in made.images}
    assert set(sources) == {
        ("8", "4", "Table 1: of a test"),
        ("9", "2", "Figure 9 · USPS & co"),
        ("8", "4", "another"),
    }
    embedded = base64.b64decode(sources["9", "2", "Figure 9 · USPS & co"].partition(",")[2])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(embedded))), colours)
    assert "components-usps.png (damaged): mixnet run components" in made.text
    assert "components-digits.png (damaged): mixnet run components" in made.text
    (shelf.results / "figures" / "figure9-usps.png").unlink()
    assert "figures/figure9.png: mixnet run figure9" in Page(page.page(shelf.store)).text


def test_without_any_record_it_says_what_to_run(empty_shelf, capsys):
    assert main(["report"]) == 0
    said = capsys.readouterr()
    assert "no record under" in said.err and "mixnet run" in said.err and "wrote" in said.out
    made = Page((empty_shelf.results / "report.html").read_text(encoding="utf-8"))
    for words in (
        "There is no record yet. mixnet run quickstart",
        "mixnet run table1 makes them",
        "mixnet run table2 makes them",
        "no attempts.csv",
        "table1.png: mixnet run table1",
        "mixnet doctor",
    ):
        assert words in made.text
    assert set(made.tables) == {None, "data-table", "choices-table"}


def test_the_same_records_give_the_same_bytes(shelf, tmp_path, monkeypatch):
    first = page.write(shelf.store, shelf.results / "report.html").read_bytes()
    monkeypatch.chdir(tmp_path)
    assert main(["report", "--output", str(shelf.results / "again.html")]) == 0
    assert (shelf.results / "again.html").read_bytes() == first
    newest = max(r["provenance"]["started"] for r in shelf.store.all())
    assert newest in first.decode()


def test_links_to_records_only_where_they_lie_beside_the_page(shelf, tmp_path):
    elsewhere = page.write(shelf.store, tmp_path / "other" / "page.html")
    assert not Page(elsewhere.read_text(encoding="utf-8")).digest["linked"]
    beside = Page(page.write(shelf.store, shelf.results / "p.html").read_text(encoding="utf-8"))
    assert beside.digest["linked"]
    files = [link["href"] for link in beside.links if link["href"].startswith("table1")]
    assert files and all((shelf.results / file).is_file() for file in files)


def test_a_file_that_cannot_be_written_is_named(shelf, tmp_path, capsys):
    (tmp_path / "file").touch()
    for wrong in (shelf.results, tmp_path / "file" / "page.html"):
        assert main(["report", "--output", str(wrong)]) == 2
        assert f"--output is {wrong}, needs a file" in capsys.readouterr().err


def test_what_a_summary_refuses_is_said_in_its_place(shelf, monkeypatch):
    from benchmarks.report import summary

    def refuse(*_):
        raise ValueError("usps/kmeans/raw mixes runs on 2 different data")

    monkeypatch.setattr(summary, "summarise", refuse)
    made = Page(page.page(shelf.store))
    assert "This table cannot be made: usps/kmeans/raw mixes runs" in made.text
    assert "table2-scores" in made.tables


def test_damaged_records_are_left_out_and_named(shelf):
    path = next(Path(shelf.results / "records").rglob("*.json"))
    path.write_text("{")
    made = Page(page.page(shelf.store))
    assert f"{path.relative_to(shelf.results / 'records')}: unreadable" in made.text


@pytest.mark.parametrize(
    "seeds, words", [([3], "3"), ([2, 0, 1], "0-2"), ([0, 1, 5, 7, 8], "0-1,5,7-8")]
)
def test_seeds_as_the_command_line_takes_them(seeds, words):
    assert span(seeds) == words and registry.parse_seeds(words) == sorted(seeds)
