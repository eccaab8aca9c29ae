"""What a page is made of, before any HTML: tables with their entries, and sections."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.report import stats, words


@dataclass
class Column:
    """Head of a column.

    ``kind``: `number` is aligned and sorted as such; `head` holds what a row is about; `aside` is
    left out on narrow screens, where the head says it; `line` is drawn and does not sort; `text`.
    ``marks`` are of notes.
    """

    name: str
    kind: str = "number"
    marks: tuple[str, ...] = ()


@dataclass
class Entry:
    """One cell of a table.

    ``value`` is what sorting goes by. ``group`` and ``measure`` name the records that the number
    opens, ``label`` what it is called there if not as the measure. ``where`` is what a narrow
    screen shows under a row's head, ``folded`` what a press unfolds. ``interval`` is low, middle
    and high, as shares of the widest. ``claim`` is what a ``verdict`` says for the paper, see
    `for_claim`.
    """

    text: str = ""
    value: float | None = None
    spread: str = ""
    group: str = ""
    measure: str = ""
    label: str = ""
    best: bool = False
    verdict: str = ""
    claim: str = ""
    paper: str = ""
    marks: tuple[str, ...] = ()
    aside: str = ""
    where: str = ""
    folded: tuple[str, ...] = ()
    interval: tuple[float, float, float] | None = None


@dataclass
class Table:
    """A table: an entry of each row for each column; one with a ``title`` is folded under it."""

    id: str
    caption: str
    columns: list[Column]
    rows: list[list[Entry]]
    title: str = ""


@dataclass
class Section:
    """What the page says of one suite; ``more`` are variants of it, folded at its end."""

    name: str
    title: str
    text: str = ""
    command: str = ""
    empty: bool = False
    problem: str = ""
    tables: list[Table] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    figures: list = field(default_factory=list)
    groups: dict = field(default_factory=dict)
    tally: list[tuple[str, int]] = field(default_factory=list)
    more: list[Section] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Anchor of the section."""
        return f"suite-{self.name}"


def table(id, caption, columns, rows, title="") -> Table:
    """A `Table` of rows of a summary; `columns` are heads with what gives the entry of a row."""
    entries = [[entry(row) for _, entry in columns] for row in rows]
    return Table(id, caption, [head for head, _ in columns], entries, title)


def texts(*heads: str) -> list[Column]:
    """Heads of columns of words."""
    return [Column(head, "text") for head in heads]


def for_claim(verdict: str, of_mixture: bool) -> str:
    """What a verdict says for the claim that the mixture is the better: helped, hurt or level.

    Our mixture above its printed figure helps the claim; a baseline above its own hurts it.
    """
    if verdict not in ("above", "below"):
        return "level" if verdict else ""
    return "helped" if (verdict == "above") == of_mixture else "hurt"


def number(mean, std=None, form="{:.1f}", spread=None, **more) -> Entry:
    """A mean with its deviation; empty where nothing was measured."""
    if mean is None:
        return Entry()
    return Entry(
        form.format(mean).replace("-", "−"),
        float(mean),
        "" if std is None else (spread or form).format(std),
        **more,
    )


def count(row, **more) -> Entry:
    """How many runs of those asked for are averaged."""
    return Entry(words.runs(row), row["n"], label="Runs", **more)


def state(row) -> Entry:
    """What is stale or missing of a row."""
    parts = [f"{row['stale']} stale"] if row.get("stale") else []
    return Entry(", ".join([*parts, *([row["missing"]] if row.get("missing") else [])]))


def difference(mean, std, n, paper_mean, paper_std) -> tuple[float | None, ...]:
    """Ours minus the paper's and its 95% Welch interval, as the verdict has it; Nones without."""
    if None in (mean, std, paper_mean, paper_std) or n < 2:
        return None, None, None
    return stats.welch(mean, std, n, paper_mean, paper_std, stats.PAPER_RUNS)[:3]


def beside(id, caption, heads, rows, unit) -> Table:
    """Ours beside the paper's figures: difference, interval and verdict.

    Parameters
    ----------
    id, caption : str
    heads : list of Column
        Leading columns.
    rows : list of dict
        ``lead`` (entries), ``ours`` (entry), ``difference`` (middle, low, high, or Nones),
        ``paper_mean, paper_std``, ``verdict``, its ``claim`` (`for_claim`), what is ``said`` of
        it, and ``marks`` of notes on the paper's figure.
    unit : str
        Of all figures, for the heads.
    """
    known = [abs(end) for row in rows for end in row["difference"] if end is not None]
    widest = max(known, default=1.0) or 1.0
    lines = []
    for row in rows:
        ours, (middle, low, high) = row["ours"], row["difference"]
        again = {"group": ours.group, "measure": ours.measure, "label": "Ours minus the paper's"}
        line = [*row["lead"], ours, number(row["paper_mean"], row["paper_std"], marks=row["marks"])]
        verdict = {"verdict": row["verdict"], "claim": row["claim"]}
        if middle is not None:
            line += [
                number(middle, form="{:+.1f}", **again),
                Entry(f"{low:+.1f} to {high:+.1f}".replace("-", "−"), low),
                Entry(interval=tuple(v / widest for v in (low, middle, high)), **verdict),
            ]
        else:
            line += [Entry(), Entry(), Entry()]
        lines.append([*line, Entry(row["said"], **verdict)])
    numbers = (f"Ours, {unit}", f"Paper, {unit}", "Difference", "95% interval")
    line = Column("below ┊ above", "line")
    columns = [*heads, *map(Column, numbers), line, *texts("Verdict")]
    return Table(id, caption, columns, lines, "Ours less the paper's figures, with intervals")
