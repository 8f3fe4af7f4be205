"""What the site is made of: values, handed in by the command, so that nothing here reads a track's file or ranks a run.

Texts in them are as contestants and maintainers wrote them: not fit to print as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import msgspec

from leaderboard.alike import set_apart
from leaderboard.history import History
from leaderboard.published import Published
from leaderboard.ranking import Board
from leaderboard.schema import Summary
from leaderboard.store import Broken


class Fact(NamedTuple):
    """A label and what stands beside it: plain lines, yet to be escaped."""

    label: str
    words: str


class TrackCard(msgspec.Struct, frozen=True, kw_only=True):
    """A track in words, each of them a plain line."""

    id: str
    title: str
    race: str  # e.g. "fastest to 3.28"
    brief: tuple[Fact, ...]  # what one must know at first sight: limit, hardware, data set
    facts: tuple[Fact, ...]  # everything that its file fixes
    rules: tuple[str, ...]  # paragraphs


@dataclass(frozen=True)
class Contents:
    """Everything that the records say, and who stands where."""

    tracks: tuple[TrackCard, ...]  # in order
    runs: tuple[Summary, ...]  # one without a valid signature is self-reported
    digests: Mapping[str, str]  # run id → sha256 of its file when it was read, in hexadecimal; of every run
    unsigned: frozenset[str]  # ids of the runs that say verified without one
    retracted: Mapping[str, str]  # run id → why
    waived: Mapping[str, str]  # run id → why
    board: Board
    histories: tuple[History, ...]
    published: tuple[Published, ...]
    broken: tuple[Broken, ...]  # files that could not be read
    results: Path  # the folder in which the records lie

    @cached_property
    def cards(self) -> tuple[TrackCard, ...]:
        """Of the tracks that have a file, in order, then of those that records or published results only name."""
        known = {card.id for card in self.tracks}
        named = {run.track.id for run in self.runs} | {each.track for each in self.published}
        return (*self.tracks, *map(_unknown, sorted(named - known)))

    @cached_property
    def below(self) -> Mapping[str, str]:
        """Run id → why it has no place on the board, where its row has none or it never enters a row."""
        aside = {run.run_id: why for run in self.runs if (why := set_apart(run))}
        rows = (row for section in self.board.sections for row in section.rows if row.rank is None)
        return aside | {run_id: row.note for row in rows for run_id in row.run_ids}


def _unknown(track_id: str) -> TrackCard:
    words = "This track is not known here: no file says its rules."
    return TrackCard(id=track_id, title=words, race="", brief=(), facts=(), rules=())
