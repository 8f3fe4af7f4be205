"""Tables of any width: no word is cut, what is left out is named, and what doesn't fit at all is told line by line."""

import io
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from leaderboard.table import Column
from speedrun import tables
from speedrun.tables import GAP, fitted


class Row(NamedTuple):
    """What a test table shows."""

    name: str
    value: str
    why: str


COLUMNS = (
    Column[Row]("name", "Name", "left", lambda row: row.name),
    Column[Row]("value", "Loss (nats/token)", "right", lambda row: row.value),
    Column[Row]("why", "Why", "left", lambda row: row.why),
)
ROWS = (Row("mine", "1.5000 ± 0.0010", "the first that qualifies"), Row("theirs", "1.4", "0.1 nats below record 1"))


def text(rows, width, spared=()):
    out = io.StringIO()
    tables.show(COLUMNS, rows, Console(file=out, width=width), spared=spared)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_wide_table_is_on_one_line_a_row():
    assert text(ROWS, 80) == [
        "Name    Loss (nats/token)  Why",
        "─" * 51,
        "mine      1.5000 ± 0.0010  the first that qualifies",
        "theirs                1.4  0.1 nats below record 1",
    ]


def test_words_wrap_first_and_numbers_never():
    assert text(ROWS, 44) == [
        "                   Loss",
        "Name       (nats/token)  Why",
        "─" * 44,
        "mine    1.5000 ± 0.0010  the first that",
        "                         qualifies",
        "theirs              1.4  0.1 nats below",
        "                         record 1",
    ]


def test_what_is_spared_is_named():
    assert text(ROWS, 30, spared=("value",)) == [
        "Name    Why",
        "─" * 30,
        "mine    the first that",
        "        qualifies",
        "theirs  0.1 nats below record",
        "        1",
        "not shown for want of width:",
        "loss (nats/token)",
    ]


def test_what_fits_into_no_table_is_told_line_by_line():
    assert text(ROWS, 30) == [
        "Name               mine",
        "Loss (nats/token)  1.5000 ± 0.0010",
        "Why                the first that",
        "                   qualifies",
        "",
        "Name               theirs",
        "Loss (nats/token)  1.4",
        "Why                0.1 nats below",
        "                   record 1",
    ]


def test_no_rows_are_a_table_too():
    assert text((), 80)[0] == "Name  Loss (nats/token)  Why"


WORDS = st.lists(st.text("abc–±·漢", min_size=1, max_size=30), max_size=8).map(" ".join)


@given(st.lists(st.builds(Row, WORDS, WORDS, WORDS), min_size=1, max_size=4), st.integers(20, 120), st.booleans())
def test_every_word_of_what_is_shown_is_there(rows, width, spares):
    cells = {column.key: [column.show(row) for row in rows] for column in COLUMNS}
    layout = fitted(COLUMNS, cells, width, ("value",) if spares else ())
    assert {*layout.columns, *layout.left_out} == {*COLUMNS}
    if layout.widths:
        assert sum(layout.widths) + GAP * (len(layout.widths) - 1) <= width
    lines = text(rows, width, ("value",) if spares else ())
    if layout.widths:
        assert all(len(line) <= width for line in lines)
    else:
        assert not layout.left_out
    printed = set(" ".join(lines).split())
    for column in layout.columns:
        # A word that is wider than a narrow terminal is folded where there is no table.
        words = {word for cell in cells[column.key] for word in cell.split()}
        assert {word for word in words if layout.widths or len(word) * 2 <= max(width - 19, 20)} <= printed
    assert not layout.left_out or "not shown for want of width: loss (nats/token)" in " ".join(lines)


@pytest.mark.parametrize("width", [1, 5, 19])
def test_no_width_is_too_small(width):
    assert text(ROWS, width)
