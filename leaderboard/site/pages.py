"""Which pages there are, what each of them is made of, and how it is made.

A page's digest covers everything that goes into it: the bytes of its records, what maintainers ruled on them, who
stands where, and the templates and the code that make it. So a page whose digest is the one that it was written with
says what it would say now, and need not be made again. A record's bytes are known by their hash from when the board was
read. They are read again only when a page is made of the whole record; if they are others by then, the page shows
these, and is marked so that the next build makes it again.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from harness.result import Record
from leaderboard.alike import in_order
from leaderboard.history import History
from leaderboard.published import Published
from leaderboard.ranking import Row, Section
from leaderboard.reading import read_regular
from leaderboard.schema import RECORD_CAP_BYTES, RecordError, Summary, decode
from leaderboard.site.compare_view import ComparePage, compare_page
from leaderboard.site.contents import Contents, TrackCard
from leaderboard.site.rendering import Templates
from leaderboard.store import Broken


class Made(NamedTuple):
    """A page as it is to be written."""

    data: bytes
    current: bool = True  # made of the very bytes that its digest is of
    broken: Broken | None = None  # a record that could not be read whole; such a page is not current


class Page(NamedTuple):
    path: str  # inside the site
    digest: str
    make: Callable[[Templates], Made]
    work: int = 1  # how long making it takes, measured in pages of a run; roughly


def digest(data: bytes) -> str:
    """What pages and what they are made of are known by."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def all_pages(contents: Contents, version: str) -> list[Page]:
    """Every page of the site but its scripts and styles.

    version: of the templates and the code; another one makes every page anew.
    """
    return list(_Site(contents, version).pages())


class _Run(NamedTuple):
    summary: Summary
    digest: str  # of its file and of what was ruled on it


class _Place(NamedTuple):
    """Where an entry stands on the board."""

    section: Section
    row: Row
    ranked: int  # rows of the section that have a rank


class _Site:
    """The contents, sorted by who asks for them."""

    def __init__(self, contents: Contents, version: str) -> None:
        self._contents = contents
        self._version = version
        self._of_track: dict[str, list[_Run]] = defaultdict(list)
        self._of_entry: dict[str, list[_Run]] = defaultdict(list)
        self._runs = [_Run(run, self._run_digest(run)) for run in in_order(contents.runs)]
        for run in self._runs:
            self._of_track[run.summary.track.id].append(run)
            self._of_entry[run.summary.entry.name].append(run)
        self._places: dict[str, list[_Place]] = defaultdict(list)
        for section in contents.board.sections:
            ranked = sum(row.rank is not None for row in section.rows)
            for entry, row in _best_rows(section).items():
                self._places[entry].append(_Place(section, row, ranked))

    def pages(self) -> Iterator[Page]:
        contents = self._contents
        for run in self._runs:
            yield Page(f"runs/{run.summary.run_id}.html", run.digest, partial(_make_run, run.summary, contents))
        for name, runs in self._of_entry.items():
            yield self._entry(name, runs)
        for card in contents.cards:
            yield self._track(card)
        everything = (
            contents.tracks,
            contents.board.tracks_without_runs,
            contents.histories,
            contents.published,
            contents.broken,
        )
        yield Page("index.html", self._digest(self._runs, everything), partial(_make_index, contents))
        compared = compare_page([run.summary for run in self._runs])
        yield Page("compare.html", self._digest([], compared), partial(_make_compare, compared))

    def _entry(self, name: str, runs: Sequence[_Run]) -> Page:
        last = runs[-1].summary
        base = self._of_entry.get(last.entry.based_on or "", ())
        base_run = base[-1] if base and last.entry.based_on != name else None
        places = self._places.get(name, [])
        made_of = [*runs, *([base_run] if base_run else [])]
        # Of the other rows of a section only their number is shown.
        told = [(section.track, section.hardware, section.marks, ranked, row) for section, row, ranked in places]
        summaries = [run.summary for run in runs]
        rows = [(section, row) for section, row, _ in places]
        return Page(
            f"entries/{name}.html",
            self._digest(made_of, (len(runs), told)),
            partial(_make_entry, summaries, rows, base_run.summary if base_run else None, self._contents),
            work=5 + len(runs) // 20,
        )

    def _track(self, card: TrackCard) -> Page:
        contents = self._contents
        runs = self._of_track.get(card.id, [])
        sections = [section for section in contents.board.sections if section.track.id == card.id]
        histories = [history for history in contents.histories if history.track.id == card.id]
        published = next((each for each in contents.published if each.track == card.id), None)
        summaries = [run.summary for run in runs]
        return Page(
            f"tracks/{card.id}.html",
            self._digest(runs, (card, sections, histories, published)),
            partial(_make_track, card, sections, histories, published, summaries, contents),
            work=5 + len(runs) // 20,
        )

    def _run_digest(self, run: Summary) -> str:
        contents = self._contents
        told = (
            self._version,
            contents.digests[run.run_id],
            run.tier,
            run.run_id in contents.unsigned,
            contents.retracted.get(run.run_id),
            contents.waived.get(run.run_id),
            contents.below.get(run.run_id),
        )
        return digest(msgspec.json.encode(told))

    def _digest(self, runs: Sequence[_Run], others: object) -> str:
        return digest(msgspec.json.encode((self._version, [run.digest for run in runs], others)))


def _best_rows(section: Section) -> dict[str, Row]:
    """By entry, the row that its page names: its ranked one, or where it has no rank its first below the line."""
    return {row.entry: row for row in reversed(section.rows)}  # a section's rows come in order: ranked ones first


# What a page shows is imported where one is made: a build that finds nothing to do is done before Python has read it.


class _Whole(NamedTuple):
    """What a run's file holds."""

    record: Record | None
    current: bool  # the bytes that the run's digest is of
    broken: Broken | None  # why there is no record


def _whole(run: Summary, contents: Contents) -> _Whole:
    """A summary leaves things out: it may be fine where the whole record is not."""
    path = contents.results / run.track.id / f"{run.run_id}.json"
    try:
        data = read_regular(path, RECORD_CAP_BYTES, "record")
        record = decode(data)
    except RecordError as error:
        return _Whole(None, False, Broken(f"{contents.results.name}/{run.track.id}/{path.name}", str(error)))
    return _Whole(record, hashlib.sha256(data).hexdigest() == contents.digests[run.run_id], None)


def _make_run(run: Summary, contents: Contents, templates: Templates) -> Made:
    from leaderboard.site.run_view import run_page_view, unreadable_page

    record, current, broken = _whole(run, contents)
    if record is None:
        problem = "" if broken is None else broken.reason
        return Made(templates.render("unreadable.html", unreadable_page(run, problem)), current, broken)
    return Made(templates.render("run.html", run_page_view(record, run, contents)), current)


def _make_entry(
    runs: Sequence[Summary],
    places: Sequence[tuple[Section, Row]],
    base: Summary | None,
    contents: Contents,
    templates: Templates,
) -> Made:
    from leaderboard.site.entry_view import Sources, entry_page_view

    ours = _whole(runs[-1], contents)
    theirs = _whole(base, contents) if base is not None else None
    broken = ours.broken or (theirs.broken if theirs is not None else None)
    sources = Sources(ours.record, theirs.record if theirs is not None else None, broken.reason if broken else "")
    page = entry_page_view(runs, places, sources, contents, known=base is not None)
    return Made(templates.render("entry.html", page), ours.current and (theirs is None or theirs.current), broken)


def _make_track(
    card: TrackCard,
    sections: Sequence[Section],
    histories: Sequence[History],
    published: Published | None,
    runs: Sequence[Summary],
    contents: Contents,
    templates: Templates,
) -> Made:
    from leaderboard.site.track_view import track_page_view

    page = track_page_view(card, contents, sections, histories, published, runs)
    return Made(templates.render("track.html", page))


def _make_index(contents: Contents, templates: Templates) -> Made:
    from leaderboard.site.index_view import index_page

    return Made(templates.render("index.html", index_page(contents)))


def _make_compare(page: ComparePage, templates: Templates) -> Made:
    return Made(templates.render("compare.html", page))
