"""Tables and labelled lines on a terminal of any width: no word is ever cut, and what is left out is named.

Words wrap between words, numbers stand on one line. A table that is too wide first does without some columns, then its
columns of words become narrow; where even that is too wide, every row is a block of labelled lines.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.style import StyleType
from rich.text import Text

from leaderboard.table import Column, Line

GAP = 2  # blanks between columns
EASY = 20  # columns of text that are easy to read: some columns are left out before words get less

_MEASURE = Console()  # wraps text; nothing is printed on it


class Layout(NamedTuple, Generic[Line]):
    """How a table fits."""

    columns: tuple[Column[Line], ...]  # shown
    widths: tuple[int, ...]  # of each; none: there is no room for a table, and every row is a block of lines
    left_out: tuple[Column[Line], ...]


def show(
    columns: Sequence[Column[Line]],
    lines: Sequence[Line],
    console: Console,
    *,
    spared: Sequence[str] = (),
    dim: Callable[[Line], bool] = lambda _: False,
) -> None:
    """Prints a table.

    Args:
        columns: in order.
        lines: one a row.
        console: as wide as the table may be.
        spared: keys of the columns that a narrow terminal does without, the first one first.
        dim: whether a row matters less.
    """
    cells = {column.key: [column.show(line) for line in lines] for column in columns}
    layout = fitted(columns, cells, console.width, spared)
    styles = ["dim" if dim(line) else "" for line in lines]
    if not layout.widths:
        _blocks(columns, cells, styles, console)
        return
    console.print(_drawn(layout, cells, styles), soft_wrap=True)
    if layout.left_out:
        names = ", ".join(column.heading.lower() for column in layout.left_out)
        console.print(Text(f"not shown for want of width: {names}", style="dim"))


def _drawn(layout: Layout[Line], cells: dict[str, list[str]], styles: Sequence[str]) -> Text:
    """All lines in one piece. rich's own table measures and wraps every cell again, which takes ten times as long."""
    width = sum(layout.widths) + GAP * (len(layout.widths) - 1)
    headings = _wrapped([column.heading for column in layout.columns], layout.widths)
    high = max(map(len, headings))
    on_the_line = [[""] * (high - len(heading)) + heading for heading in headings]
    lines = [*_row(layout, on_the_line, "bold"), Text("─" * width)]
    for index, style in enumerate(styles):
        lines += _row(layout, _wrapped([cells[column.key][index] for column in layout.columns], layout.widths), style)
    return Text("\n").join(lines)


def _row(layout: Layout[Line], wrapped: Sequence[Sequence[str]], style: str) -> Iterator[Text]:
    """The lines of one row, from the lines of its cells; the highest cell says how many."""
    for parts in itertools.zip_longest(*wrapped, fillvalue=""):
        aligned = (
            " " * (width - cell_len(part)) + part if column.align == "right" else part + " " * (width - cell_len(part))
            for part, column, width in zip(parts, layout.columns, layout.widths, strict=True)
        )
        yield Text((" " * GAP).join(aligned), style=style)


def _wrapped(cells: Sequence[str], widths: Sequence[int]) -> list[list[str]]:
    """Each cell as lines that fit; rich knows where to break them, and how wide a character is."""
    return [
        [cell]
        if cell_len(cell) <= width and "\n" not in cell
        else [line.plain.rstrip() for line in Text(cell, overflow="fold").wrap(_MEASURE, width)]
        for cell, width in zip(cells, widths, strict=True)
    ]


def labelled(
    pairs: Iterable[tuple[str, str]], console: Console, label_columns: int, style: StyleType = "", label: StyleType = ""
) -> None:
    """Labels on the left, words on the right, wrapped under themselves on a narrow terminal."""
    for name, words in pairs:
        # A path is one word, to be copied in one piece.
        body = Text(words).wrap(console, max(EASY, console.width - label_columns)) if " " in words else [Text(words)]
        for number, part in enumerate(body):
            line = Text("", style=style)
            line.append(f"{name if number == 0 else '':<{label_columns}}", style=label)
            line.append_text(part)
            console.print(line, soft_wrap=True)


def fitted(
    columns: Sequence[Column[Line]], cells: dict[str, list[str]], width: int, spared: Sequence[str]
) -> Layout[Line]:
    """The columns that a table of this width shows, and how wide they are. Pure."""
    kept = list(columns)
    for key in ("", *spared):
        kept = [column for column in kept if column.key != key]
        if (widths := _widths(kept, cells, width, EASY)) is not None:
            break
    else:
        widths = _widths(kept, cells, width, 0)
    if widths is None:
        return Layout(tuple(columns), (), ())
    return Layout(tuple(kept), widths, tuple(column for column in columns if column not in kept))


def _widths(
    columns: Sequence[Column[Line]], cells: dict[str, list[str]], width: int, easy: int
) -> tuple[int, ...] | None:
    """As wide as they like, or as there is room for; None: there is no room for this table.

    easy: no column of words gets less, if it has so much to say.
    """
    natural = [max(map(cell_len, (column.heading, *cells[column.key]))) for column in columns]
    widths = [
        max(_least(column, cells[column.key]), min(wish, easy if column.align == "left" else 0))
        for column, wish in zip(columns, natural, strict=True)
    ]
    room = width - GAP * (len(columns) - 1) - sum(widths)
    if room < 0:
        return None
    words = [index for index, column in enumerate(columns) if column.align == "left"]
    while room > 0 and (narrow := [index for index in words if widths[index] < natural[index]]):
        widths[max(narrow, key=lambda index: natural[index] / widths[index])] += 1  # where the most lines are
        room -= 1
    # Then the headings of numbers on one line, where there is room for all.
    return tuple(natural) if sum(natural) - sum(widths) <= room else tuple(widths)


def _least(column: Column[Line], cells: Sequence[str]) -> int:
    """Where no word is cut; a number is one word, with whatever belongs to it."""
    words = [word for cell in cells for word in cell.split()] if column.align == "left" else cells
    return max(map(cell_len, (*column.heading.split(), *words)))


def _blocks(
    columns: Sequence[Column[Line]], cells: dict[str, list[str]], styles: Sequence[str], console: Console
) -> None:
    """Every row as lines of its own, with all that it has."""
    label_columns = max(cell_len(column.heading) for column in columns) + GAP
    for index, style in enumerate(styles):
        if index:
            console.print()
        pairs = [(column.heading, cells[column.key][index]) for column in columns if cells[column.key][index]]
        labelled(pairs, console, label_columns, style)
