"""What the page of an entry shows: where it stands, its runs, its latest source, and what that changes."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from harness.result import Record
from leaderboard.downstream import cell, title
from leaderboard.ranking import Row, Section
from leaderboard.schema import Summary
from leaderboard.site.contents import Contents
from leaderboard.site.run_rows import run_table
from leaderboard.site.source_view import FileDiff, FileView, differences, files, summary
from leaderboard.site.tables import Piece, Table, authors, entry_page, run_page, track_page
from leaderboard.site.words import many
from leaderboard.table import heading, with_sd
from leaderboard.text import plain

_ROOT: Final = "../"
_TASKS: Final = 8  # whose scores stand beside a place


class Standing(NamedTuple):
    """Its place in a section of the board."""

    track: str
    href: str
    place: str  # "1st" …; empty: below the line
    of: str  # how many have a place there
    measure: str
    hardware: str
    tasks: str  # mean scores on tasks; empty: there are none
    note: str
    first: bool


class EntryPage(NamedTuple):
    name: str
    way: tuple[Piece, ...]
    title: str
    technique: str
    authors: tuple[Piece, ...]
    based_on: Piece | None
    standings: tuple[Standing, ...]
    runs: Table
    latest: Piece  # the run whose source is shown
    files: tuple[FileView, ...]
    problem: str  # why there is no record of it; empty: there is
    diff_words: str  # empty: it is based on nothing
    diff: tuple[FileDiff, ...]
    made_of: str


class Sources(NamedTuple):
    """The whole records of the latest runs, where they could be read."""

    ours: Record | None
    base: Record | None  # of the entry that it is based on; None also where there is no such entry
    problem: str  # why one of them could not; empty: it could


def entry_page_view(
    runs: Sequence[Summary], places: Sequence[tuple[Section, Row]], sources: Sources, contents: Contents, known: bool
) -> EntryPage:
    """runs: all of the entry, oldest first, at least one. known: the entry that it is based on has a page."""
    last = runs[-1]
    entry = last.entry
    base = plain(entry.based_on or "", 60)
    diff: tuple[FileDiff, ...] = ()
    words = ""
    if base and base == entry.name:
        words = "It says that it is based on itself."
    elif base and not known:
        words = f"It says that it is based on {base}, of which there is no run here."
    elif base and sources.ours is not None:
        if sources.base is None:
            words = f"The latest record of {base} can't be read."
        else:
            diff = differences(sources.base.source, sources.ours.source)
            words = summary(diff, base)
    return EntryPage(
        name=entry.name,
        way=(Piece("Entries", f"{_ROOT}index.html#all-entries"),),
        title=plain(entry.title, 200),
        technique=plain(entry.technique, 300),
        authors=authors(entry.authors),
        based_on=Piece(base, entry_page(_ROOT, base) if known and base != entry.name else "") if base else None,
        standings=tuple(_standing(section, row) for section, row in places),
        runs=run_table(
            "runs", "Runs, the youngest first", runs, contents, root=_ROOT, without="entry", filtered=len(runs) > 1
        ),
        latest=Piece(last.run_id, run_page(_ROOT, last.run_id)),
        files=() if sources.ours is None else files(sources.ours.source),
        problem="" if sources.ours is not None else plain(sources.problem, 300) or "nobody knows why",
        diff_words=words,
        diff=diff,
        made_of=many(len(runs), "record"),
    )


def _standing(section: Section, row: Row) -> Standing:
    timed = section.track.objective == "fastest-to-loss"
    measure = (
        f"{with_sd(row.train_s, row.train_sd_s, 2)} s"
        if timed
        else f"{with_sd(row.loss_nats, row.loss_sd_nats, 4)} nats/token"
    )
    ranked = sum(each.rank is not None for each in section.rows)
    return Standing(
        track=heading(section),
        href=track_page(_ROOT, section.track.id),
        place="" if row.rank is None else ordinal(row.rank),
        of=f"of {ranked:,}" if row.rank is not None else "",
        measure=measure,
        hardware=plain(section.hardware, 120),
        tasks=", ".join(f"{title(mean.task, own=mean.own)} {cell(mean)}" for mean in row.downstream[:_TASKS]),
        note=plain(row.note, 400),
        first=row.rank == 1,
    )


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"
