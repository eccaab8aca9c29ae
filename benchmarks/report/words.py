"""Numbers and words as the tables write them."""

from __future__ import annotations

from collections import Counter

from benchmarks.records.whole import write_atomic

#: What a reader of seconds must know: cells may have run beside others.
SHARED = (
    "A run that shared its machine took longer than its processor time, which its record has "
    "(`provenance.cpu_s`)."
)


def pm(mean, std):
    """Mean and deviation to one decimal; empty where nothing was measured."""
    if mean is None:
        return ""
    return f"{mean:.1f}" if std is None else f"{mean:.1f} ± {std:.1f}"


def fixed(value):
    """One decimal, or empty."""
    return "" if value is None else f"{value:.1f}"


def interval(middle, low, high) -> str:
    """A difference and its interval, as "+1.1 [−5.5, +7.7]"; alone where it is known exactly."""
    said = [f"{round(v, 1) + 0.0:+.1f}".replace("-", "−") for v in (middle, low, high)]
    return said[0] if low == high else f"{said[0]} [{said[1]}, {said[2]}]"


def runs(row) -> str:
    """Runs averaged of those asked for, such as "3/10", or "10/10 alike"."""
    if not row.get("alike"):
        return f"{row['n']}/{row['n_asked']}"
    return f"{row['alike']}/{max(row['alike'], row['n_asked'])} alike"


def csv(value, form=".4f"):
    """A cell of a CSV file: numbers that are not whole in that form, empty for None."""
    return "" if value is None else f"{value:{form}}" if isinstance(value, float) else value


def line(cells):
    """A line of a Markdown table."""
    return (
        "| " + " | ".join(str(cell).replace("|", r"\|").replace("\n", " ") for cell in cells) + " |"
    )


def tex(words):
    """Plain words with what LaTeX reads otherwise escaped."""
    for plain, escaped in (
        ("\\", r"\textbackslash "),
        ("&", r"\&"),
        ("%", r"\%"),
        ("_", r"\_"),
        ("#", r"\#"),
        ("$", r"\$"),
        ("{", r"\{"),
        ("}", r"\}"),
        ("^", r"\^{}"),
        ("~", r"\~{}"),
        ("±", r"$\pm$"),
        ("×", r"$\times$"),
        ("§", r"\S"),
        ("–", "--"),
        ("`", ""),
    ):
        words = words.replace(plain, escaped)
    return words


def tally(statuses):
    """How often each of some words comes, most frequent first, such as "7 no data, 3 not run"."""
    return ", ".join(f"{n} {word}" for word, n in Counter(statuses).most_common())


def trouble(row, *more):
    """What a reader must know of a row: how many runs are stale, what became of others."""
    return ", ".join(
        filter(None, [*more, f"{row['stale']} stale" if row["stale"] else "", row["missing"]])
    )


def replace(path, content):
    """Write a text file whole; returns its path."""
    write_atomic(path, lambda file: file.write(content.encode()))
    return path


def frame(path, found, **how):
    """Write a DataFrame as a CSV file, whole; returns its path. `how` is for `to_csv`."""
    return replace(path, found.to_csv(index=False, lineterminator="\n", **how))


def span(seeds) -> str:
    """Seeds as the command line takes them, such as ``0-2,7``."""
    runs: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def opening(suite: dict) -> list[str]:
    """First lines of a suite's page in Markdown: its title and what it is about."""
    return [f"# {suite['title']}", "", suite.get("text", "").strip(), ""]
