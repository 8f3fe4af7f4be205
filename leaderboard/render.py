"""A board as markdown, with strangers' words in it made harmless.

Every character of theirs that markdown, GitHub or HTML could read as markup is written as a character reference, which
CommonMark never takes for structure. A link is kept only when it is a plain http(s) address of harmless characters.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote

from harness.errors import UserError
from harness.result import Author
from leaderboard.ranking import Board, Row, Section
from leaderboard.table import Column, columns, heading, others, shown_authors, terms

BEGIN = "<!-- board:begin -->"
END = "<!-- board:end -->"

# Besides the usual markup this takes ':' (bare addresses, emoji), '@' (mentions, mail) and '$' (formulas).
_MARKUP = re.compile(r"[!\"#$&'*:<>@\[\\\]^_`{|}~]")
_BARE_ADDRESS = re.compile(r"(?i)www\.")
_LINK = re.compile(r"https?://[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]{1,5})?(/[A-Za-z0-9._~/%+?=&#@:-]*)?")
_LINK_CAP = 200  # characters


def escape(text: str) -> str:
    """One line of text (leaderboard.text.plain) as markdown that shows just this text."""
    text = _MARKUP.sub(lambda match: f"&#{ord(match[0])};", text)
    return _BARE_ADDRESS.sub(lambda match: f"{match[0][:-1]}&#46;", text)


def render_markdown(board: Board, root: str = "../") -> str:
    """Every section as a heading, a line of terms and a table; ends with a newline.

    root: the way from the page to the top of the repository, for links to entries.
    """
    parts = [_section(section, root) for section in board.sections]
    if board.tracks_without_runs:
        names = ", ".join(escape(track) for track in board.tracks_without_runs)
        parts.append(f"No ranked runs yet on {names}.\n")
    if not parts:
        parts.append("No ranked runs yet.\n")
    return "\n".join(parts)


def render_readme(existing: str, board: Board, root: str = "../") -> str:
    """`existing` with the board between its two markers; rendering again gives the same text.

    Raises:
        UserError: a marker is missing, stands there twice, or they are in the wrong order.
    """
    for marker in (BEGIN, END):
        found = existing.count(marker)
        if found != 1:
            raise UserError(f"the page has the marker {marker} {found} times; it needs it once")
    before, rest = existing.split(BEGIN)
    if END not in rest:
        raise UserError(f"the page has {END} before {BEGIN}; swap them")
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n{render_markdown(board, root)}\n{END}{after}"


def _section(section: Section, root: str) -> str:
    shown = columns(section)
    lines = [
        f"### {escape(heading(section))}",
        "",
        escape(terms(section)),
        "",
        _line(escape(column.heading) for column in shown),
        _line("---:" if column.align == "right" else ":---" for column in shown),
        *(_line(_cell(column, row, root) for column in shown) for row in section.rows),
    ]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(column: Column, row: Row, root: str) -> str:
    if column.key == "entry":
        name = column.show(row)
        return f"[{escape(name)}]({root}speedrun/submissions/{quote(name, safe='')})"
    if column.key == "authors":
        shown = shown_authors(row)
        return ", ".join(map(_author, shown.authors)) + others(shown.more)
    return escape(column.show(row))


def _author(author: Author) -> str:
    name = escape(author.name)
    if len(author.link) <= _LINK_CAP and _LINK.fullmatch(author.link):
        return f"[{name}]({author.link})"
    return name
