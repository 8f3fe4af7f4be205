"""The board and its histories as markdown, with strangers' words in them made harmless.

Every character of theirs that markdown, GitHub or HTML could read as markup is written as a character reference, which
CommonMark never takes for structure. A link is kept only when it is a plain http(s) address of harmless characters.
A page is a pure function of its values: it holds no date of today, and the order of runs does not matter.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import quote

from harness.errors import UserError
from harness.result import Author
from leaderboard.history import History, Step
from leaderboard.published import Published
from leaderboard.ranking import Board, Row, Section
from leaderboard.table import Column, Line, columns, heading, legend, others, shown_authors, terms
from leaderboard.timeline import claims_title, elsewhere, result_columns, step_columns

BEGIN = "<!-- board:begin -->"
END = "<!-- board:end -->"
LONG = 10  # lines of a table that is folded, unless it is the ranking itself

# Besides the usual markup this takes ':' (bare addresses, emoji), '@' (mentions, mail) and '$' (formulas).
_MARKUP = re.compile(r"[!\"#$&'*:<>@\[\\\]^_`{|}~]")
_BARE_ADDRESS = re.compile(r"(?i)www\.")
_LINK = re.compile(r"https?://[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]{1,5})?(/[A-Za-z0-9._~/%+?=&#@:-]*)?")
_LINK_CAP = 200  # characters


def escape(text: str) -> str:
    """One line of text (leaderboard.text.plain) as markdown that shows just this text."""
    text = _MARKUP.sub(lambda match: f"&#{ord(match[0])};", text)
    return _BARE_ADDRESS.sub(lambda match: f"{match[0][:-1]}&#46;", text)


def is_link(address: str) -> bool:
    """Whether a stranger's address may be one to click on: plain http(s), of harmless characters, not too long."""
    return len(address) <= _LINK_CAP and _LINK.fullmatch(address) is not None


def render_markdown(
    board: Board,
    root: str = "../",
    histories: Sequence[History] = (),
    published: Sequence[Published] = (),
) -> str:
    """Every section as a heading, a line of terms, its table and its history; ends with a newline.

    Args:
        board: the ranking.
        root: the way from the page to the top of the repository, for links to entries.
        histories: of the board's sections; those of others are not shown.
        published: results of other projects, shown after the last section of their track.
    """
    parts: list[str] = []
    pending = {each.track: each for each in published}
    for index, section in enumerate(board.sections):
        parts.append(_section(section, root))
        parts += [_history(each, root) for each in histories if _belongs(each, section)]
        following = board.sections[index + 1 : index + 2]
        if not (following and following[0].track.id == section.track.id) and section.track.id in pending:
            parts.append(_published(pending.pop(section.track.id)))
    if board.tracks_without_runs:
        names = ", ".join(escape(track) for track in board.tracks_without_runs)
        parts.append(f"No ranked runs yet on {names}.\n")
    if not parts:
        parts.append("No ranked runs yet.\n")
    parts += [f"### {escape(track)}\n\n{_published(each)}" for track, each in pending.items()]
    return "\n".join(parts)


def render_readme(
    existing: str,
    board: Board,
    root: str = "../",
    histories: Sequence[History] = (),
    published: Sequence[Published] = (),
) -> str:
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
    return f"{before}{BEGIN}\n\n{render_markdown(board, root, histories, published)}\n{END}{after}"


def _belongs(history: History, section: Section) -> bool:
    ours = (history.track, history.dataset, history.hardware)
    return ours == (section.track, section.dataset, section.hardware)


def _section(section: Section, root: str) -> str:
    above = [row for row in section.rows if row.rank is not None]
    below = [row for row in section.rows if row.rank is None]
    folded = below if len(below) > LONG else []
    shown = columns(section)

    def cell(column: Column[Row], row: Row) -> str:
        return _cell(column, row, root)

    lines = [f"### {escape(heading(section))}", "", escape(terms(section)), ""]
    if above or not folded:
        lines += _table(shown, above if folded else section.rows, cell)
    if words := legend(section):
        lines += ["", escape(words)]
    if folded:
        lines += ["", *_details(f"{len(folded)} rows below the line", _table(shown, folded, cell))]
    return "\n".join(lines) + "\n"


def _history(history: History, root: str) -> str:
    def cell(column: Column[Step], step: Step) -> str:
        return _cell(column, step, root)

    lines: list[str] = []
    if history.steps:
        records = sum(step.kind == "record" for step in history.steps)
        title = f"{records} {'record' if records == 1 else 'records'} so far"
        lines += _foldable("Record history", title, _table(step_columns(history, history.steps), history.steps, cell))
    if history.claims:
        lines += [""] if lines else []
        table = _table(step_columns(history, history.claims), history.claims, cell)
        lines += _foldable("Claims", claims_title(history), table)
    return "\n".join(lines) + "\n"


def _published(published: Published) -> str:
    table = _table(result_columns(published), published.results, lambda column, result: escape(column.show(result)))
    return "\n".join(_foldable("Published results", elsewhere(published), table)) + "\n"


def _foldable(name: str, title: str, table: Sequence[str]) -> list[str]:
    """A table of its own under a small heading, folded when it is long."""
    head = [f"#### {name}", ""]
    if len(table) - 2 > LONG:
        return [*head, *_details(title, table)]
    return [*head, f"{escape(title)}.", "", *table]


def _details(summary: str, table: Sequence[str]) -> list[str]:
    # The empty lines end the raw HTML, so that what is between them is read as markdown.
    return ["<details>", f"<summary>{escape(summary)}</summary>", "", *table, "", "</details>"]


def _table(
    shown: Sequence[Column[Line]], lines: Iterable[Line], cell: Callable[[Column[Line], Line], str]
) -> list[str]:
    return [
        _line(escape(column.heading) for column in shown),
        _line("---:" if column.align == "right" else ":---" for column in shown),
        *(_line(cell(column, line) for column in shown) for line in lines),
    ]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(column: Column[Line], line: Line, root: str) -> str:
    if isinstance(line, Row | Step):
        if column.key == "entry":
            name = column.show(line)
            return f"[{escape(name)}]({root}speedrun/submissions/{quote(name, safe='')})"
        if column.key == "authors":
            shown = shown_authors(line.authors)
            return ", ".join(map(_author, shown.authors)) + others(shown.more)
    return escape(column.show(line))


def _author(author: Author) -> str:
    name = escape(author.name)
    if is_link(author.link):
        return f"[{name}]({author.link})"
    return name
