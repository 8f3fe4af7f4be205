"""The board in words: one set of columns and headings for the terminal and for markdown, so that both show the same.

Every text from here is one line without control characters. It may still hold what markdown, HTML or rich reads as
markup: escaping is up to whoever prints it.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar

from harness.result import Author
from leaderboard import downstream
from leaderboard.history import History
from leaderboard.ranking import Row, Section
from leaderboard.text import plain

NOTHING = "–"
NEAR = "≈"
TASK_KEY = "task:"  # begins the keys of columns for tasks
MOST_TASKS = 8  # columns for tasks: the page of a run has all of them

_AUTHORS_SHOWN = 4

Line = TypeVar("Line")  # of a table: a row of the board, a step of a history


@dataclass(frozen=True)
class Column(Generic[Line]):
    """One column: `show` gives the text of its cell, "" where there is nothing to show."""

    key: str
    heading: str
    align: Literal["left", "right"]
    show: Callable[[Line], str]
    optional: bool = False  # left out of a table in which every cell is empty


class ShownAuthors(NamedTuple):
    """The authors that a cell has room for."""

    authors: tuple[Author, ...]
    more: int


def shown_authors(authors: Sequence[Author]) -> ShownAuthors:
    """The first few authors, names as plain text; links are as the contestant wrote them."""
    shown = tuple(
        Author(name=plain(author.name, 40) or NOTHING, link=author.link) for author in authors[:_AUTHORS_SHOWN]
    )
    return ShownAuthors(shown, len(authors) - len(shown))


def authors_text(authors: Sequence[Author]) -> str:
    """The first few authors, without links."""
    shown = shown_authors(authors)
    return ", ".join(author.name for author in shown.authors) + others(shown.more)


def others(more: int) -> str:
    """What stands after the authors that are shown."""
    return f" and {more} more" if more else ""


def columns(section: Section) -> tuple[Column[Row], ...]:
    """The columns of this section's table: before the tier one for each of the first tasks."""
    asked = Counter((task.task, task.own) for row in section.rows for task in row.downstream)
    shown = [_task_column(name, own) for (name, own), _ in asked.most_common(MOST_TASKS)]
    place = next(index for index, column in enumerate(COLUMNS) if column.key == "tier")
    return filled((*COLUMNS[:place], *shown, *COLUMNS[place:]), section.rows)


def filled(candidates: Sequence[Column[Line]], lines: Sequence[Line]) -> tuple[Column[Line], ...]:
    """All of the columns, less the optional ones that would be empty."""
    return tuple(column for column in candidates if not column.optional or any(map(column.show, lines)))


def heading(section: Section | History) -> str:
    """Track, version, hardware, and what sets this section apart."""
    marks = f" ({', '.join(section.marks)})" if section.marks else ""
    return plain(f"{section.track.id} · version {section.track.version} · {section.hardware}{marks}", 200)


def terms(section: Section) -> str:
    """What is asked, in one line."""
    track = section.track
    if track.objective == "lowest-loss":
        asked = f"Lowest loss within {track.limit_s:,g} s"
    else:
        asked = f"Fastest to the target within {track.limit_s:,g} s"
    if track.target_nats is not None:
        asked += f", target {track.target_nats:g} nats a token"
    if section.runs_asked is not None:
        runs = "run" if section.runs_asked == 1 else "runs"
        asked += f", ranked by the mean of at least {section.runs_asked} {runs}"
    if section.dataset.floor_nats is not None:
        asked += f"; no model passes {section.dataset.floor_nats:.4f} nats a token"
    return plain(f"{asked}. Data set {section.dataset.id}.", 300)


def legend(section: Section) -> str:
    """What the marks of this section's table mean; empty where it has none."""
    if not any(row.near for row in section.rows):
        return ""
    return f"{NEAR} no test at p < {section.alpha:g} tells this row from the one above it."


def count(value: int) -> str:
    """A count with three or four digits: 999, 12.3 k, 1.05 M, 2.1 B."""
    size = abs(value)
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if size >= unit:
            return f"{value / unit:.3g} {name}" if size < 1000 * unit else f"{value / unit:,.0f} {name}"
    return str(value)


def number(value: float, digits: int) -> str:
    """With so many decimals, as long as that makes sense."""
    return f"{value:,.{digits}f}" if abs(value) < 1e6 else f"{value:.3g}"


def with_sd(value: float | None, sd: float | None, digits: int) -> str:
    """A mean and the standard deviation, where they are known."""
    if value is None:
        return NOTHING
    return number(value, digits) + ("" if sd is None else f" ± {number(sd, digits)}")


def _rank(row: Row) -> str:
    if row.rank is None:
        return NOTHING
    return f"{row.rank} {NEAR}" if row.near else str(row.rank)


def _task_column(task: str, own: bool) -> Column[Row]:
    """The mean of a task's own number, which one that is, and of how many documents: rows may differ."""

    def show(row: Row) -> str:
        found = next((mean for mean in row.downstream if (mean.task, mean.own) == (task, own)), None)
        return "" if found is None else downstream.cell(found)

    name = downstream.title(task, own=own)
    return Column(f"{TASK_KEY}{name}", name, "right", show, optional=True)


COLUMNS: tuple[Column[Row], ...] = (
    Column("rank", "Rank", "right", _rank),
    Column("entry", "Entry", "left", lambda row: plain(row.entry, 40)),
    Column("authors", "Authors", "left", lambda row: authors_text(row.authors)),
    Column("loss", "Loss (nats/token)", "right", lambda row: with_sd(row.loss_nats, row.loss_sd_nats, 4)),
    Column(
        "floor_gap",
        "Above floor",
        "right",
        lambda row: "" if row.floor_gap_nats is None else number(row.floor_gap_nats, 4),
        optional=True,
    ),
    Column("train", "Training (s)", "right", lambda row: with_sd(row.train_s, row.train_sd_s, 2)),
    Column("runs", "Runs", "right", lambda row: str(row.runs)),
    Column("failed", "Failed", "right", lambda row: str(row.failed) if row.failed else "", optional=True),
    Column(
        "declared_tokens",
        "Tokens (declared)",
        "right",
        lambda row: "" if row.declared_tokens is None else count(row.declared_tokens),
        optional=True,
    ),
    Column("tier", "Tier", "left", lambda row: row.tier.value),
    Column("last_run", "Last run", "left", lambda row: row.last_run),
    Column("technique", "Technique", "left", lambda row: plain(row.technique, 120)),
    Column("note", "Note", "left", lambda row: plain(row.note, 400), optional=True),
)
