"""Which pages there are, what each of them is made of, and how it is made.

A page's digest covers everything that goes into it: the bytes of its records (or, where it shows but a line of each,
these lines), what maintainers ruled on them, who stands where, and the templates and the code that make it. So a page
whose digest is the one that it was written with says what it would say now, and need not be made again. A record is
read twice, for its digest and when its page must be made; its bytes are decoded in the latter case only.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
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
from leaderboard.site.entry_view import Sources, entry_page_view, standings
from leaderboard.site.folder import UNKNOWN
from leaderboard.site.index_view import all_tracks, index_page
from leaderboard.site.rendering import Templates
from leaderboard.site.run_view import run_page_view, unreadable_page
from leaderboard.site.track_view import track_page_view
from leaderboard.store import Broken


class Made(NamedTuple):
    """A page as it is to be written."""

    data: bytes
    broken: Broken | None = None  # a record that could not be read whole


class Page(NamedTuple):
    path: str  # inside the site
    digest: str
    make: Callable[[Templates], Made]


def digest(*parts: bytes) -> str:
    """One hash for several values; no two sequences of them share it."""
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        found.update(len(part).to_bytes(8, "little"))
        found.update(part)
    return found.hexdigest()


def all_pages(contents: Contents, version: str) -> list[Page]:
    """Every page of the site but its scripts and styles.

    version: of the templates and the code; another one makes every page anew.
    """
    return list(_Site(contents, version).pages())


class _Run(NamedTuple):
    summary: Summary
    digest: str  # of its file and of what was ruled on it; UNKNOWN: it could not be read


class _Site:
    """The contents, sorted by who asks for them."""

    def __init__(self, contents: Contents, version: str) -> None:
        self._contents = contents
        self._version = version.encode()
        self._of_track: dict[str, list[_Run]] = defaultdict(list)
        self._of_entry: dict[str, list[_Run]] = defaultdict(list)
        self._runs = [_Run(run, self._run_digest(run)) for run in in_order(contents.runs)]
        for run in self._runs:
            self._of_track[run.summary.track.id].append(run)
            self._of_entry[run.summary.entry.name].append(run)
        self._rows: dict[str, list[tuple[Section, Row]]] = defaultdict(list)
        for section in contents.board.sections:
            for entry in dict.fromkeys(row.entry for row in section.rows):
                self._rows[entry] += standings([section], entry)

    def pages(self) -> Iterator[Page]:
        contents = self._contents
        for run in self._runs:
            yield Page(f"runs/{run.summary.run_id}.html", run.digest, partial(_make_run, run.summary, contents))
        for name, runs in self._of_entry.items():
            yield self._entry(name, runs)
        for card in all_tracks(contents):
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
        places = self._rows.get(name, [])
        made_of = [*runs, *([base_run] if base_run else [])]
        # Of the other rows of a section only their number is shown.
        told = [(section.track, section.hardware, section.marks, _ranked(section), row) for section, row in places]
        summaries = [run.summary for run in runs]
        return Page(
            f"entries/{name}.html",
            self._digest(made_of, (len(runs), told)),
            partial(_make_entry, summaries, places, base_run.summary if base_run else None, self._contents),
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
        )

    def _run_digest(self, run: Summary) -> str:
        contents = self._contents
        try:
            data = _read(contents.results, run)
        except RecordError:
            return UNKNOWN
        ruled = (
            run.tier,
            run.run_id in contents.unsigned,
            contents.retracted.get(run.run_id),
            contents.waived.get(run.run_id),
            contents.below.get(run.run_id),
        )
        return digest(self._version, data, msgspec.json.encode(ruled))

    def _digest(self, runs: Sequence[_Run], others: object) -> str:
        if any(run.digest == UNKNOWN for run in runs):
            return UNKNOWN
        told = "".join(run.digest for run in runs)
        return digest(self._version, told.encode(), msgspec.json.encode(others))


def _ranked(section: Section) -> int:
    return sum(row.rank is not None for row in section.rows)


def _read(results: Path, run: Summary) -> bytes:
    """The record's file as it is now. Raises RecordError."""
    return read_regular(results / run.track.id / f"{run.run_id}.json", RECORD_CAP_BYTES, "record")


def _record(results: Path, run: Summary) -> Record:
    """Raises RecordError: a summary leaves things out, and may be fine where the whole is not."""
    return decode(_read(results, run))


def _broken(contents: Contents, run: Summary, error: RecordError) -> Broken:
    return Broken(f"{contents.results.name}/{run.track.id}/{run.run_id}.json", str(error))


def _make_run(run: Summary, contents: Contents, templates: Templates) -> Made:
    try:
        record = _record(contents.results, run)
    except RecordError as error:
        return Made(
            templates.render("unreadable.html", unreadable_page(run, str(error))), _broken(contents, run, error)
        )
    return Made(templates.render("run.html", run_page_view(record, run, contents)))


def _make_entry(
    runs: Sequence[Summary],
    places: Sequence[tuple[Section, Row]],
    base: Summary | None,
    contents: Contents,
    templates: Templates,
) -> Made:
    ours = base_record = broken = None
    if base is not None:
        try:
            base_record = _record(contents.results, base)
        except RecordError as error:
            broken = _broken(contents, base, error)
    try:
        ours = _record(contents.results, runs[-1])
    except RecordError as error:
        broken = _broken(contents, runs[-1], error)
    sources = Sources(ours, base_record, problem="" if broken is None else broken.reason)
    page = entry_page_view(runs, places, sources, contents, known=base is not None)
    return Made(templates.render("entry.html", page), broken)


def _make_track(
    card: TrackCard,
    sections: Sequence[Section],
    histories: Sequence[History],
    published: Published | None,
    runs: Sequence[Summary],
    contents: Contents,
    templates: Templates,
) -> Made:
    page = track_page_view(card, contents, sections, histories, published, runs)
    return Made(templates.render("track.html", page))


def _make_index(contents: Contents, templates: Templates) -> Made:
    return Made(templates.render("index.html", index_page(contents)))


def _make_compare(page: ComparePage, templates: Templates) -> Made:
    return Made(templates.render("compare.html", page))
