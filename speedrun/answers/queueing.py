"""About the entries that wait for a maintainer's verification."""

from typing import Literal

from harness.result import Author
from speedrun.answers.base import Answer, Part
from speedrun.answers.board import BrokenRecord
from speedrun.waiting import Claim, Why


class Waiting(Part, frozen=True, kw_only=True):
    """An entry that waits. Its texts are as a stranger wrote them."""

    place: int  # in the queue, from 1
    entry: str
    title: str
    authors: tuple[Author, ...]
    source_sha256: str  # as it lies in the checkout
    track: str | None  # None: it has no results, and waits for a maintainer to name a track
    why: Why
    since: str | None  # UTC; None: nobody knows
    since_by: Literal["commit", "record", "nothing"]  # what says so
    claim: Claim | None  # None: its own runs say nothing of this source
    runs_made: int  # verified ones that count
    runs_asked: int | None  # None: no track is named
    expected_s: float | None  # of the runs that are left, at most; likewise
    verifiable: bool  # its source is committed as it is
    note: str


class RefusedEntry(Part, frozen=True, kw_only=True):
    """An entry that would wait, and breaks a static rule."""

    entry: str
    because: str  # the first one
    more: int  # that it breaks besides


class Queue(Answer, frozen=True, kw_only=True, tag="queue"):
    """Who waits, oldest first."""

    track: str | None  # None: all of them
    waiting: tuple[Waiting, ...]
    refused: tuple[RefusedEntry, ...]
    not_waiting: dict[str, int]  # why → entries; on all tracks, an entry for each
    remark: str  # what git could not say of the checkout; "": nothing is missing
    broken: tuple[BrokenRecord, ...]

    @property
    def exit_code(self) -> int:
        return 1 if self.refused or self.broken else 0


class VerifiedEntry(Part, frozen=True, kw_only=True):
    """What came of one entry of the queue."""

    entry: str
    outcome: Literal["stands", "does not stand", "not settled"]
    because: str
    run_ids: tuple[str, ...]  # made now
    files: tuple[str, ...]  # written now
    loss_nats: float | None  # mean of all verified runs that count; None: there are none
    train_s: float | None  # likewise
    place: int | None  # on the board; None: it has none
    is_record: bool  # when it was made: a later one of the queue may have taken it
    record_words: str


class VerifiedAll(Answer, frozen=True, kw_only=True, tag="verify-all"):
    """The queue of a track, worked off."""

    track: str
    entries: tuple[VerifiedEntry, ...]  # in the order in which they were taken
    left: tuple[str, ...]  # entries that were not begun, in the order of the queue
    interrupted: bool
    broken: tuple[BrokenRecord, ...]
    broken_off: str = ""  # why entries are left that were to be verified; empty: nothing kept them from it

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return 130
        return 0 if not self.broken_off and all(each.outcome != "not settled" for each in self.entries) else 1
