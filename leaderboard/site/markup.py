"""The parts that stand on many pages, as HTML: lists of facts, tables and their filters, the way to where one is.

Two thirds of what a page shows stands in them, piece by piece, and a piece costs a template several times what it costs
here. Every text goes through `escape`, which does what Jinja2 does; each result says of itself that it is HTML by now.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from markupsafe import Markup

from leaderboard.site.contents import Fact
from leaderboard.site.phases import Phase
from leaderboard.site.source_view import DiffLine
from leaderboard.site.tables import Cell, Filter, Piece, Table, TableRow

_DIFF: Final = {
    "added": "<ins>%s</ins>\n",
    "removed": "<del>%s</del>\n",
    "place": '<span class="hunk">%s</span>\n',
    "same": "%s\n",
}


def escape(text: str) -> str:
    """A text as it stands between tags, or between the quotes of an attribute."""
    return (
        text.replace("&", "&amp;").replace(">", "&gt;").replace("<", "&lt;").replace("'", "&#39;").replace('"', "&#34;")
    )


def pieces(those: Iterable[Piece]) -> Markup:
    """Texts one after the other, some of them links."""
    return Markup(_pieces(those))


def facts(those: Sequence[Fact], first: str = "") -> Markup:
    """A list of labels and what stands beside them. first: HTML of what stands above them in the list."""
    lines = [f"<div><dt>{escape(label)}</dt><dd>{escape(words)}</dd></div>\n" for label, words in those]
    return Markup(f'<dl class="facts">\n{first}{"".join(lines)}</dl>\n')


def crumbs(way: Sequence[Piece], here: str) -> Markup:
    """The way from the top of the site to this page."""
    steps = "".join(f"<li>{_piece(step)}</li>" for step in way)
    return Markup(
        f'<nav class="crumbs" aria-label="Where you are"><ol>{steps}<li aria-current="page">{escape(here)}</li></ol>'
        "</nav>\n"
    )


def phase_bar(those: Sequence[Phase]) -> Markup:
    """The phases as parts of a bar."""
    parts = (f'<span class="phase {phase.key}" style="width: {phase.width}%"></span>' for phase in those)
    return Markup("".join(parts))


def phase_rows(those: Sequence[Phase], worked: bool, worked_devices: bool) -> Markup:
    """The rows of the table under the bar. worked, worked_devices: there are columns for what was counted."""
    return Markup(
        "".join(
            f'<tr><th scope="row"><span class="key {phase.key}" aria-hidden="true"></span>{escape(phase.name)}</th>'
            f"{_number(phase.seconds)}{_number(phase.share)}"
            f"{_number(phase.processor) if worked else ''}{_number(phase.device) if worked_devices else ''}</tr>\n"
            for phase in those
        )
    )


def diff(lines: Iterable[DiffLine]) -> Markup:
    """The lines of a unified diff."""
    return Markup("".join(_DIFF[line.kind] % escape(line.text) for line in lines))


def filters(form: Filter) -> Markup:
    """The form by which a reader chooses among rows; the page's script shows it."""
    return Markup(
        f'<form class="filters" data-key="{escape(form.key)}" data-tables="{escape(" ".join(form.tables))}"'
        f' aria-label="Filter: {escape(form.label)}" hidden>\n'
        f"{_choice('tier', 'Tier', form.tiers)}\n{_choice('hardware', 'Hardware', form.hardware)}\n"
        '<label>Words <input name="words" type="search" autocomplete="off"></label>\n<output></output>\n</form>\n'
    )


def table(shown: Table) -> Markup:
    """A table that a reader may sort, with its filter where it has one."""
    caption = escape(shown.caption)
    headings = "".join(
        f'<th scope="col" data-sort="{heading.sort}"{_right(heading.right)}>{escape(heading.text)}</th>'
        for heading in shown.headings
    )
    return Markup(
        f"{filters(shown.filter) + chr(10) if shown.filtered else ''}"
        f'<div class="scroll" role="region" aria-label="{caption}" tabindex="0">\n'
        f'<table class="sortable" id="{escape(shown.id)}">\n<caption>{caption}</caption>\n'
        f"<thead><tr>{headings}</tr></thead>\n<tbody>\n{''.join(map(_row, shown.rows))}</tbody>\n</table>\n</div>\n"
    )


PARTS: Final = (
    crumbs,
    diff,
    facts,
    filters,
    phase_bar,
    phase_rows,
    pieces,
    table,
)  # a template's filters of the same names


def _row(row: TableRow) -> str:
    names = (("class", row.kind), ("data-tier", row.tier), ("data-hardware", row.hardware))
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in names if value)
    return f"<tr{attributes}>\n{''.join(map(_cell, row.cells))}</tr>\n"


def _cell(cell: Cell) -> str:
    value = "" if cell.value is None else f' data-value="{escape(cell.value)}"'
    return f"<td{_right(cell.right)}{value}>{_pieces(cell.pieces)}</td>\n"


def _pieces(those: Iterable[Piece]) -> str:
    return "".join(map(_piece, those))


def _piece(piece: Piece) -> str:
    text, href = piece
    return f'<a href="{escape(href)}">{escape(text)}</a>' if href else escape(text)


def _number(words: str) -> str:
    return f'<td class="number">{escape(words)}</td>'


def _right(right: bool) -> str:
    return ' class="number"' if right else ""


def _choice(name: str, label: str, values: Sequence[str]) -> str:
    """Nothing where there is no choice."""
    if len(values) < 2:
        return ""
    options = "".join(f'<option value="{value}">{value}</option>' for value in map(escape, values))
    return f'<label>{label} <select name="{name}"><option value="">any</option>{options}</select></label>'
