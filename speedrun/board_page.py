"""The board on a terminal: a table for each section, as many columns as the width has room for."""

from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from leaderboard.ranking import Row, Section
from leaderboard.table import Column, columns, heading, terms
from speedrun.answers import Shown

# Columns that a narrow terminal does without, the first one first.
_SPARED = ("last_run", "tier", "declared_tokens", "failed", "authors", "technique", "train", "floor_gap", "runs")
_FLEXIBLE = {"authors": 16, "technique": 24, "note": 24}  # columns that wrap, and the least width they keep
_GAP = 2  # blanks between columns


def show(value: Shown, console: Console) -> None:
    """Every section with its heading and terms."""
    for path in value.written:
        console.print(Text(f"wrote {path}"), soft_wrap=True)
    board = value.board
    if board is None:
        return
    for section in board.sections:
        console.print(Text(heading(section), style="bold"), soft_wrap=True)
        console.print(Text(terms(section), style="dim"))
        rows = section.rows[: value.rows_shown]
        _table(section, rows, console)
        if len(rows) < len(section.rows):
            more = len(section.rows) - len(rows)
            console.print(Text(f"… and {more} more; --top {len(section.rows)} shows them", style="dim"))
        console.print()
    if board.tracks_without_runs:
        what = "runs" if value.practice else "ranked runs"
        console.print(Text(f"No {what} yet on {', '.join(board.tracks_without_runs)}."))
    if not board.sections and not board.tracks_without_runs:
        console.print(Text("No runs yet."))


def _table(section: Section, rows: Sequence[Row], console: Console) -> None:
    cells = {column.key: [column.show(row) for row in rows] for column in columns(section)}
    shown, left_out = fitting(columns(section), cells, console.width)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, _GAP, 0, 0), pad_edge=False, show_edge=False)
    for column in shown:
        wraps = column.key in _FLEXIBLE
        table.add_column(
            Text(column.heading),
            justify=column.align,
            no_wrap=not wraps,
            overflow="fold" if wraps else "ellipsis",
            min_width=min(_width(column, cells[column.key]), _FLEXIBLE.get(column.key, 1)),
        )
    for index, row in enumerate(rows):
        style = "" if row.rank is not None else "dim"
        table.add_row(*(Text(cells[column.key][index]) for column in shown), style=style)
    console.print(table)
    if left_out:
        names = ", ".join(column.heading.lower() for column in left_out)
        console.print(Text(f"not shown for want of width: {names}", style="dim"))


def fitting(
    candidates: Sequence[Column], cells: dict[str, list[str]], width: int
) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
    """The columns that fit into `width`, and those that do not; wrapping columns count with the least they need."""
    kept = list(candidates)
    for key in _SPARED:
        if _needed(kept, cells) <= width:
            break
        kept = [column for column in kept if column.key != key]
    return tuple(kept), tuple(column for column in candidates if column not in kept)


def _needed(candidates: Sequence[Column], cells: dict[str, list[str]]) -> int:
    natural = {column.key: _width(column, cells[column.key]) for column in candidates}
    return sum(min(width, _FLEXIBLE.get(key, width)) + _GAP for key, width in natural.items())


def _width(column: Column, cells: Sequence[str]) -> int:
    """What it takes to show every cell on one line."""
    return max(map(cell_len, (column.heading, *cells)))
