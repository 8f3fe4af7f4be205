"""The red team's table: what was attacked, at which sandbox level, what was expected, what came.

A test gets `tally` and calls it before it asserts, so that a failure stands in the table too. `make redteam` prints the
table at its end, and `make redteam-page` writes it to docs/redteam.md, from which README's totals come. With several
test processes the rows travel with their reports.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

import pytest

BEGIN, END = "<!-- redteam:begin -->", "<!-- redteam:end -->"  # of README's table

_NAME = "red team"
_HEAD = """# What the red team tried

Every row is one attack, one fault or one honest control that was run here, in real sandboxes and real processes, with
what must come and what came. `make redteam` runs all of it again; `make redteam-page` writes this page. Which levels
stand here depends on the machine. A control's row says in how many runs of how many it passed.
[security.md](security.md) says what the rows mean.
"""


class Row(NamedTuple):
    """One line of the table."""

    group: str  # the test's module: "cheats", "sandbox", …
    attack: str
    level: str  # of the sandbox; "" where none is concerned
    expected: str
    got: str


def row_of(item: pytest.Item) -> Callable[..., None]:
    """What adds rows to a test's report."""
    group = item.path.stem.removeprefix("test_").replace("_", " ")

    def add(attack: str, *, level: str = "", expected: str, got: str) -> None:
        item.user_properties.append((_NAME, (group, attack, str(level), str(expected), str(got))))

    return add


def rows_of(reports: Iterable[pytest.TestReport]) -> list[Row]:
    """Every row of the reports, sorted. A test that failed, though all its rows came as expected, spoils them all."""
    found = set()
    for report in reports:
        rows = [Row(*value) for name, value in report.user_properties if name == _NAME]
        if report.failed and all(row.expected == row.got for row in rows):
            rows = [row._replace(got=f"FAILED ({row.got})") for row in rows]
        found |= set(rows)
    return sorted(found)


def merged(page_text: str, rows: list[Row]) -> list[Row]:
    """The rows of a page, with those replaced that are among `rows`, and these added."""
    fresh = {row[:3] for row in rows}
    return sorted([*(row for row in rows_on(page_text) if row[:3] not in fresh), *rows])


def lines(rows: list[Row]) -> list[str]:
    """The table, and a line of totals a group."""
    if not rows:
        return []
    titles = Row("group", "attack", "level", "expected", "got")
    widths = [max(len(row[column]) for row in (titles, *rows)) for column in range(len(titles))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (titles, *rows)]
    told = [
        f"{line}  {'✓' if row.expected == row.got else '✗ NOT AS EXPECTED'}"
        for line, row in zip(table[1:], rows, strict=True)
    ]
    return [table[0], *told, "", *(str(total) for total in totals(rows))]


class Total(NamedTuple):
    """How a group did."""

    group: str
    rows: int
    good: int

    def __str__(self) -> str:
        return f"{self.group}: {self.good} of {self.rows} as expected"


def totals(rows: list[Row]) -> list[Total]:
    """One a group, in the rows' order."""
    every, good = Counter(row.group for row in rows), Counter(row.group for row in rows if row.expected == row.got)
    return [Total(group, count, good[group]) for group, count in every.items()]


def page(rows: list[Row]) -> str:
    """docs/redteam.md"""
    parts = [_HEAD]
    for total in totals(rows):
        parts.append(f"\n## {total}\n\n| attack | level | expected | got |\n|---|---|---|---|\n")
        cells = [[cell.replace("|", "/") or "–" for cell in row[1:]] for row in rows if row.group == total.group]
        parts += [f"| {' | '.join(each)} |\n" for each in cells]
    return "".join(parts)


def quoted(readme: str, rows: list[Row]) -> str:
    """README with its table of totals made anew."""
    table = "".join(f"| {total.group} | {total.rows} | {total.good} |\n" for total in totals(rows))
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n\n| tried | cases | as expected |\n|---|---:|---:|\n{table}\n{END}{rest.split(END)[1]}"


def rows_on(text: str) -> list[Row]:
    """The rows of a page."""
    rows, group = [], ""
    for line in text.splitlines():
        if line.startswith("## "):
            group = line.removeprefix("## ").partition(":")[0]
        elif line.startswith("| ") and not line.startswith("| attack |"):
            attack, level, expected, got = (cell.replace("–", "") for cell in line[2:-2].split(" | "))
            rows.append(Row(group, attack, level, expected, got))
    return rows
