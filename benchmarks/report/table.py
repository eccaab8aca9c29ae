"""One table in every form that it is written in: text, CSV, Markdown, LaTeX and HTML."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path

from benchmarks.report import words


class Table:
    """Rows under a head.

    Parameters
    ----------
    head : sequence of str
        Names of the columns.
    rows : iterable of sequence, or of dict
        A cell for each column; of a dict what stands under the column's name, None where nothing.
        `csv` writes numbers as they are, to four decimals; the other forms take the words of a
        cell, nothing for None.

    Raises
    ------
    ValueError
        For a row of another length than the head.
    """

    def __init__(self, head: Sequence[str], rows: Iterable[Sequence | dict]):
        self.head = tuple(head)
        self.rows = [
            tuple(row.get(name) for name in self.head) if isinstance(row, dict) else tuple(row)
            for row in rows
        ]
        for row in self.rows:
            if len(row) != len(self.head):
                raise ValueError(f"row {row} has {len(row)} cells, needs {len(self.head)}")

    @classmethod
    def of(cls, columns: dict[str, Callable], rows: Iterable) -> Table:
        """A table of rows by name of a column -> what stands there of a row."""
        return cls(tuple(columns), [[cell(row) for cell in columns.values()] for row in rows])

    def text(self) -> str:
        """Columns of one width, two blanks between them, for a terminal."""
        lines = [self.head, *map(_words, self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)

    def csv(self, form: str = ".4f") -> str:
        """Lines of a CSV file, the head first; empty where nothing was measured.

        `form` is that of numbers that are not whole, as `format` takes it.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.head)
        writer.writerows([words.csv(cell, form) for cell in row] for row in self.rows)
        return out.getvalue()

    def markdown(self) -> str:
        """A table of Markdown's extension for them."""
        return "\n".join(
            words.line(line)
            for line in (self.head, ["---"] * len(self.head), *map(_words, self.rows))
        )

    def latex(self, columns: str) -> str:
        r"""A `tabular` for booktabs, of cells that are LaTeX already; `columns` such as ``lrr``."""
        return "\n".join(
            [
                rf"\begin{{tabular}}{{{columns}}}",
                r"\toprule",
                _latex(self.head),
                r"\midrule",
                *map(_latex, self.rows),
                r"\bottomrule",
                r"\end{tabular}",
            ]
        )

    def html(self) -> str:
        """A `table` element, all that the cells say escaped; pandas and notebooks show the same."""

        def line(cells, tag):
            return "<tr>" + "".join(f"<{tag}>{escape(c)}</{tag}>" for c in cells) + "</tr>"

        body = "\n".join(line(_words(row), "td") for row in self.rows)
        return (
            f"<table>\n<thead>{line(self.head, 'th')}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"
        )

    def write(self, path: Path) -> Path:
        """Write the form that the ending of a file's name asks for; returns its path.

        Raises
        ------
        ValueError
            For an ending that is none of `FORMS`.
        OSError
            When the file cannot be written; what was there before stays.
        """
        if path.suffix not in FORMS:
            raise ValueError(f"{path} needs a name that ends in one of {', '.join(FORMS)}")
        return words.replace(path, FORMS[path.suffix](self))

    _repr_html_ = html  # what a notebook shows of it


def _words(row) -> tuple[str, ...]:
    return tuple("" if cell is None else str(cell) for cell in row)


def _latex(row) -> str:
    return " & ".join(_words(row)) + r" \\"


def _plain_latex(table: Table) -> str:
    """The tabular of a table of plain words."""
    return Table(
        [words.tex(name) for name in table.head],
        [map(words.tex, _words(row)) for row in table.rows],
    ).latex("l" * len(table.head))


#: Ending of a file's name -> what `Table.write` writes there.
FORMS = {
    ".csv": Table.csv,
    ".txt": lambda table: table.text() + "\n",
    ".md": lambda table: table.markdown() + "\n",
    ".html": lambda table: table.html() + "\n",
    ".tex": lambda table: _plain_latex(table) + "\n",
}
