"""The queue of a checkout: its entries, its records and its history, put together. Nothing is kept between two looks.

Static rules are checked for those alone who would wait: an entry that stands need not be looked at again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.folder import Problem
from harness.result import TrackRef
from harness.track import Track, find_track
from leaderboard.alike import Variant, in_order
from leaderboard.ranking import waived_variants
from leaderboard.schema import Summary
from speedrun import queue_entries, queue_history, standings, waiting
from speedrun.answers import BrokenRecord, Queue, RefusedEntry, Waiting
from speedrun.queue_entries import FoundEntry
from speedrun.queue_history import FolderHistory
from speedrun.standings import Standings
from speedrun.waiting import Claim, Terms, Why
from speedrun.workspace import Workspace

NOT_COMMITTED = "not committed as it is, so it can't be verified yet"


Waivers = Mapping[tuple[TrackRef, Variant], str]


class _Place(NamedTuple):
    """Where an entry stands with one track, or with none in particular."""

    why: Why
    folder: Path
    row: Waiting | None  # None: it does not wait


class _Race(NamedTuple):
    """A track, and what its verifications take."""

    track: Track
    terms: Terms
    overhead_s: float  # of a run, besides its training


def read(workspace: Workspace, track_id: str | None = None, runs: int | None = None) -> Queue:
    """Who waits on a track, or on any.

    Args:
        workspace: the checkout.
        track_id: None: on any; an entry without results is then listed once, without a track.
        runs: so many verified runs settle an entry; None: as many as its track asks.

    Raises:
        UserError: an unknown track, records or tracks that can't be read.
    """
    if track_id is not None:
        find_track(track_id, workspace.tracks)  # who misspelt it need not wait for the records
    known = standings.read(workspace)
    tracks = [find_track(each, workspace.tracks) for each in known.rules if track_id in (None, each)]
    waived = waived_variants(known.runs, known.rulings)
    races = tuple(_race(track, known, waived, runs) for track in tracks)
    history = queue_history.read(workspace.root, workspace.submissions)
    by_entry = _by_entry(known.runs)
    places: list[_Place] = []
    for entry in queue_entries.each(workspace.submissions):
        own = by_entry.get(entry.name, ())
        places += _places(entry, own, races, history) if track_id is None else _named(entry, own, races, history)
    waits = [place for place in places if place.row is not None]
    broken = _broken({place.folder: None for place in waits})
    rows = sorted((place.row for place in waits if place.row and place.folder not in broken), key=_order)
    return Queue(
        track=track_id,
        waiting=tuple(msgspec.structs.replace(row, place=number) for number, row in enumerate(rows, start=1)),
        refused=tuple(
            RefusedEntry(entry=folder.name, because=str(problems[0]), more=len(problems) - 1)
            for folder, problems in broken.items()
        ),
        not_waiting=dict(sorted(Counter(place.why.value for place in places if place.row is None).items())),
        remark=history.lacking,
        broken=tuple(BrokenRecord(path=path, reason=reason) for path, reason in known.broken),
    )


def _named(
    entry: FoundEntry, runs: Sequence[Summary], races: Iterable[_Race], history: FolderHistory
) -> Iterator[_Place]:
    """Where an entry stands with each of these tracks."""
    for race in races:
        why = waiting.why(entry.source_sha256, runs, race.terms)
        yield _Place(why, entry.folder, _row(entry, runs, race, why, history) if why.waits else None)


def _places(
    entry: FoundEntry, runs: Sequence[Summary], races: Iterable[_Race], history: FolderHistory
) -> Iterator[_Place]:
    """Where it stands with every track that it has to do with; without any results, with none in particular."""
    found = list(_named(entry, runs, races, history))
    if any(place.why is Why.NO_RESULTS for place in found):
        yield _Place(Why.NO_RESULTS, entry.folder, _row(entry, runs, None, Why.NO_RESULTS, history))
        return
    yield from (place for place in found if place.why is not Why.ELSEWHERE)


def _row(entry: FoundEntry, runs: Sequence[Summary], race: _Race | None, why: Why, history: FolderHistory) -> Waiting:
    source = entry.source_sha256
    committed = history.holds(entry.name, entry.texts)
    told = None if race is None else waiting.first_told(source, runs, race.terms)
    dated = history.since.get(entry.name) if committed else None
    claim = None if race is None else waiting.claim(source, runs, race.terms)
    made = 0 if race is None else waiting.verified_runs(source, runs, race.terms)
    return Waiting(
        place=0,  # given when all of them are known
        entry=entry.name,
        title=entry.title,
        authors=entry.authors,
        source_sha256=source,
        track=None if race is None else race.track.id,
        why=why,
        since=dated or told,
        since_by="commit" if dated else "record" if told else "nothing",
        claim=claim,
        runs_made=made,
        runs_asked=None if race is None else race.terms.asked,
        expected_s=None if race is None else _expected_s(race, made),
        verifiable=committed,
        note=_note(why, race, claim, committed=committed or history.hash_name is None),
    )


def _expected_s(race: _Race, made: int) -> float:
    return max(0, race.terms.asked - made) * (race.track.limits.train_s + race.overhead_s)


def _note(why: Why, race: _Race | None, claim: Claim | None, *, committed: bool) -> str:
    """What a maintainer should know before a verification begins."""
    told = [] if why is Why.RESULTS else [why.value]
    if race is not None and claim is not None and claim.version != race.track.version:
        told.append(f"its results are of version {claim.version} of the track")
    if not committed:
        told.append(NOT_COMMITTED)
    return "; ".join(told)


def _broken(folders: Iterable[Path]) -> dict[Path, tuple[Problem, ...]]:
    """Of these entries' folders those that break static rules, and which."""
    looked_at = list(folders)
    found = zip(looked_at, queue_entries.problems(looked_at), strict=True)
    return {folder: problems for folder, problems in found if problems}


def _order(row: Waiting) -> tuple[bool, str, str, str]:
    """Oldest first; whoever's date nobody knows comes last."""
    return row.since is None, (row.since or "")[:19], row.entry, row.track or ""


def _by_entry(runs: Iterable[Summary]) -> Mapping[str, Sequence[Summary]]:
    found: dict[str, list[Summary]] = {}
    for run in in_order(runs):
        found.setdefault(run.entry.name, []).append(run)
    return found


def _race(track: Track, known: Standings, waived: Waivers, runs: int | None) -> _Race:
    terms = Terms(
        track=waiting.track_ref(track),
        dataset=track.dataset,
        asked=track.ranking.runs if runs is None else runs,
        alpha=track.ranking.alpha,
        retracted=known.rulings.retracted,
        waived=waived,
    )
    return _Race(track, terms, waiting.overhead_s(known.runs, track.id) or 0.0)
