"""About what maintainers decide."""

from typing import Literal

from harness.result import Record, TrackRef
from speedrun.answers.base import Answer


class Ruled(Answer, frozen=True, kw_only=True, tag="ruling"):
    """What was ruled on a run."""

    run_id: str
    entry: str
    track: str
    ruling: Literal["retraction", "waiver"]
    reason: str
    file: str


class Verified(Answer, frozen=True, kw_only=True, tag="verify"):
    """A maintainer's runs of an entry, and what they come to."""

    entry: str
    source_sha256: str
    track: TrackRef
    records: tuple[Record, ...]  # made now
    files: tuple[str, ...]  # written now: records and their signatures
    run_ids: tuple[str, ...]  # all verified runs of this source that were judged, oldest first, failed ones too
    runs_asked: int
    losses_nats: tuple[float, ...]  # of those that count
    loss_nats: float | None  # mean
    train_s: float | None  # mean
    outcome: Literal["stands", "does not stand", "not settled"]
    because: str
    place: int | None  # on the board; None: it has none
    is_record: bool
    record_words: str  # why it is the record, or what is missing; empty: it does not stand
    interrupted: bool

    @property
    def exit_code(self) -> int:
        if self.outcome == "stands":
            return 0
        return 130 if self.interrupted else 1
