"""The board on a terminal: a table for each section, with as many columns as the width has room for."""

from collections.abc import Callable, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from leaderboard.table import Column, Line, columns, heading, legend, terms
from speedrun.answers import Shown

# Columns that a narrow terminal does without, the first one first.
_SPARED = (
    *("last_run", "tier", "declared_tokens", "tokens", "failed", "authors", "technique"),
    *("train", "other", "floor_gap", "runs"),
)
_FLEXIBLE = {"authors": 16, "by": 16, "technique": 24, "note": 24, "why": 24}  # they wrap, and keep this width at least
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
        table(columns(section), rows, console, dim=lambda row: row.rank is None)
        if words := legend(section):
            console.print(Text(words, style="dim"))
        if len(rows) < len(section.rows):
            more = len(section.rows) - len(rows)
            console.print(Text(f"… and {more} more; --top {len(section.rows)} shows them", style="dim"))
        console.print()
    if board.tracks_without_runs:
        what = "runs" if value.practice else "ranked runs"
        console.print(Text(f"No {what} yet on {', '.join(board.tracks_without_runs)}."))
    if not board.sections and not board.tracks_without_runs:
        console.print(Text("No runs yet."))


def table(
    candidates: Sequence[Column[Line]], lines: Sequence[Line], console: Console, *, dim: Callable[[Line], bool]
) -> None:
    """Prints as many of the columns as the width has room for, and says which are left out."""
    cells = {column.key: [column.show(line) for line in lines] for column in candidates}
    shown, left_out = fitting(candidates, cells, console.width)
    drawn = Table(box=box.SIMPLE_HEAD, padding=(0, _GAP, 0, 0), pad_edge=False, show_edge=False)
    for column in shown:
        wraps = column.key in _FLEXIBLE
        drawn.add_column(
            Text(column.heading),
            justify=column.align,
            no_wrap=not wraps,
            overflow="fold" if wraps else "ellipsis",
            min_width=min(_width(column, cells[column.key]), _FLEXIBLE.get(column.key, 1)),
        )
    for index, line in enumerate(lines):
        drawn.add_row(*(Text(cells[column.key][index]) for column in shown), style="dim" if dim(line) else "")
    console.print(drawn)
    if left_out:
        names = ", ".join(column.heading.lower() for column in left_out)
        console.print(Text(f"not shown for want of width: {names}", style="dim"))


def fitting(
    candidates: Sequence[Column[Line]], cells: dict[str, list[str]], width: int
) -> tuple[tuple[Column[Line], ...], tuple[Column[Line], ...]]:
    """The columns that fit into `width`, and those that do not; wrapping columns count with the least they need."""
    kept = list(candidates)
    for key in _SPARED:
        if _needed(kept, cells) <= width:
            break
        kept = [column for column in kept if column.key != key]
    return tuple(kept), tuple(column for column in candidates if column not in kept)


def _needed(candidates: Sequence[Column[Line]], cells: dict[str, list[str]]) -> int:
    natural = {column.key: _width(column, cells[column.key]) for column in candidates}
    return sum(min(width, _FLEXIBLE.get(key, width)) + _GAP for key, width in natural.items())


def _width(column: Column[Line], cells: Sequence[str]) -> int:
    """What it takes to show every cell on one line."""
    return max(map(cell_len, (column.heading, *cells)))
