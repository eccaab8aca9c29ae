"""One table in every form, against readers that are not ours."""

import csv
import io
from html.parser import HTMLParser

import pandas as pd
import pytest

from benchmarks.report.table import FORMS, Table

HEAD = ("name", "n", "value", "note")
ROWS = [("a|b", 3, 1.23456, None), ('<é & "co">', None, -2.0, "x,\ny"), ("c", 10, 0.5, "")]


def test_text_stands_in_columns_as_pandas_has_them():
    table = Table(HEAD, [("alpha", 3, "1.2", ""), ("b", None, "-2.0", "last")])
    found = pd.read_fwf(io.StringIO(table.text()), keep_default_na=False, dtype=str)
    assert found.values.tolist() == [["alpha", "3", "1.2", ""], ["b", "", "-2.0", "last"]]
    lines = table.text().splitlines()
    assert [
        line.index(cell) for line, cell in zip(lines, ("value", "1.2", "-2.0"), strict=True)
    ] == [10, 10, 10]
    assert not any(line.endswith(" ") for line in lines)


def test_csv_reads_back_with_four_decimals_and_nothing_for_none():
    found = list(csv.reader(io.StringIO(Table(HEAD, ROWS).csv())))
    assert found == [
        list(HEAD),
        ["a|b", "3", "1.2346", ""],
        ['<é & "co">', "", "-2.0000", "x,\ny"],
        ["c", "10", "0.5000", ""],
    ]


def test_rows_by_name_have_nothing_where_a_name_is_missing():
    assert Table(("a", "b"), [{"b": 2, "c": 3}, {"a": 1, "b": None}]).rows == [(None, 2), (1, None)]


def test_markdown_keeps_one_line_a_row_and_its_bars():
    lines = Table(HEAD, ROWS).markdown().splitlines()
    assert len(lines) == 2 + len(ROWS) and lines[1] == "| --- | --- | --- | --- |"
    assert lines[2] == r"| a\|b | 3 | 1.23456 |  |" and lines[3].endswith("| x, y |")


def test_html_says_what_the_cells_say():
    class Cells(HTMLParser):
        def __init__(self):
            super().__init__()
            self.lines = []

        def handle_starttag(self, tag, attrs):
            if tag == "tr":
                self.lines.append([])
            elif tag in ("td", "th"):
                self.lines[-1].append("")

        def handle_data(self, data):
            if self.lines and self.lines[-1] and data != "\n":
                self.lines[-1][-1] += data

    parser = Cells()
    parser.feed(Table(HEAD, ROWS)._repr_html_())
    assert parser.lines == [
        list(HEAD),
        ["a|b", "3", "1.23456", ""],
        ['<é & "co">', "", "-2.0", "x,\ny"],
        ["c", "10", "0.5", ""],
    ]


def test_latex_is_a_tabular_of_booktabs():
    assert Table(("a", "b"), [("1", r"$\pm$")]).latex("lr") == "\n".join(
        [
            r"\begin{tabular}{lr}",
            r"\toprule",
            r"a & b \\",
            r"\midrule",
            r"1 & $\pm$ \\",
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="has 1 cells, needs 2"):
        Table(("a", "b"), [("1",)])


@pytest.mark.parametrize("ending", list(FORMS))
def test_a_file_has_the_form_that_its_name_ends_in(tmp_path, ending):
    table = Table(("a_b", "c"), [("5%", None)])
    path = table.write(tmp_path / f"t{ending}")
    assert (
        path.read_text()
        == {
            ".csv": "a_b,c\n5%,\n",
            ".txt": "a_b  c\n5%\n",
            ".md": "| a_b | c |\n| --- | --- |\n| 5% |  |\n",
            ".html": table.html() + "\n",
            ".tex": "\n".join(
                [
                    r"\begin{tabular}{ll}",
                    r"\toprule",
                    r"a\_b & c \\",
                    r"\midrule",
                    r"5\% &  \\",
                    r"\bottomrule",
                    r"\end{tabular}",
                    "",
                ]
            ),
        }[ending]
    )


def test_a_name_of_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"t\.xlsx needs a name that ends in one of \.csv"):
        Table(("a",), []).write(tmp_path / "t.xlsx")
    assert not list(tmp_path.iterdir())
