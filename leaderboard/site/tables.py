"""Tables of the pages as values: what a cell shows, what it is sorted by, and where it leads.

Headings and texts come from the columns of leaderboard.table and leaderboard.timeline, so that the pages say what the
terminal and the markdown say.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar

from harness.result import Author
from leaderboard.render import is_link
from leaderboard.table import Column, others, shown_authors

Line = TypeVar("Line")


class Piece(NamedTuple):
    """A part of a cell."""

    text: str
    href: str = ""  # empty: it leads nowhere


class Cell(NamedTuple):
    """What stands in one cell."""

    pieces: tuple[Piece, ...]
    right: bool = False  # a number: aligned to the right
    value: str | None = None  # what it is sorted by; None: the text that it shows


class Heading(NamedTuple):
    text: str
    sort: Literal["number", "text"]
    right: bool


class TableRow(NamedTuple):
    cells: tuple[Cell, ...]
    kind: str = ""  # a class of the style sheet
    tier: str = ""
    hardware: str = ""


class Filter(NamedTuple):
    """A form by which a reader chooses among the rows of a table, or of several at once."""

    key: str  # names it in the page's address
    label: str  # what it filters
    tables: tuple[str, ...]  # ids
    tiers: tuple[str, ...]  # to choose from
    hardware: tuple[str, ...]  # likewise


class Table(NamedTuple):
    """A table that a reader may sort; with `filtered`, it has a filter of its own."""

    id: str
    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[TableRow, ...]
    filtered: bool = False

    @property
    def filter(self) -> Filter:
        """Its own."""
        return filter_of([self], key=self.id, label=self.caption)


def filter_of(tables: Sequence[Table], *, key: str, label: str) -> Filter:
    """What rows can be told apart by."""
    rows = [row for table in tables for row in table.rows]
    return Filter(
        key=key,
        label=label,
        tables=tuple(table.id for table in tables),
        tiers=tuple(sorted({row.tier for row in rows if row.tier}, reverse=True)),
        hardware=tuple(sorted({row.hardware for row in rows if row.hardware})),
    )


def headings(
    columns: Sequence[Column[Line]], numbers: Mapping[str, Callable[[Line], float | None]]
) -> tuple[Heading, ...]:
    """numbers: key of a column → the number that it is sorted by."""
    return tuple(
        Heading(column.heading, "number" if column.key in numbers else "text", column.align == "right")
        for column in columns
    )


def cell(
    column: Column[Line],
    line: Line,
    numbers: Mapping[str, Callable[[Line], float | None]],
    pieces: Mapping[str, Callable[[Line], tuple[Piece, ...]]],
) -> Cell:
    """One cell of a line. pieces: key of a column → its parts, where it holds more than a text."""
    value = numbers[column.key](line) if column.key in numbers else None
    return Cell(
        pieces=pieces[column.key](line) if column.key in pieces else (Piece(column.show(line)),),
        right=column.align == "right",
        value=(sortable(value) if column.key in numbers else None),
    )


def sortable(value: float | None) -> str:
    """A number for the script that sorts; empty, which comes last, where there is none."""
    return "" if value is None else repr(value)


def authors(those: Sequence[Author]) -> tuple[Piece, ...]:
    """The first few authors; a link only where it is a plain web address."""
    shown = shown_authors(those)
    pieces: list[Piece] = []
    for author in shown.authors:
        pieces += [Piece(", ")] if pieces else []
        pieces.append(Piece(author.name, author.link if is_link(author.link) else ""))
    return (*pieces, Piece(others(shown.more))) if shown.more else tuple(pieces)


def way(root: str, *steps: Piece) -> tuple[Piece, ...]:
    """The way from the list of the tracks to a page: what lies between them."""
    return (Piece("Tracks", f"{root}index.html"), *steps)


def entry_page(root: str, name: str) -> str:
    """root: the way from the page that holds the link to the top of the site."""
    return f"{root}entries/{name}.html"


def track_page(root: str, track_id: str) -> str:
    return f"{root}tracks/{track_id}.html"


def run_page(root: str, run_id: str) -> str:
    return f"{root}runs/{run_id}.html"
