"""The records of a section of the board over time: what a history is. leaderboard/replay.py makes it.

Values only; texts in them are as contestants and maintainers wrote them: not fit to print as they are.
"""

from typing import Literal

import msgspec

from harness.result import Author, DatasetRef, Tier, TrackRef
from leaderboard.stats import Interval


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Why a step stands where it does."""

    words: str
    gain: float | None = None  # over the record before, in the track's measure; above zero: better
    p_value: float | None = None  # of Welch's test against the record before
    target_p: float | None = None  # of the test that the mean loss lies below the target
    duel_id: str | None = None
    interval: Interval | None = None  # of that duel, from this variant's side: ratio of times, difference of losses


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A record, or what stands beside the records."""

    kind: Literal["record", "re-timing", "retracted", "claim"]
    number: int | None  # of the record, from 1; of a re-timing: of the record that it re-times
    entry: str
    title: str
    authors: tuple[Author, ...]
    technique: str
    source_sha256: str
    overrides: tuple[tuple[str, str], ...]
    torch: str  # version
    tier: Tier
    measure: float  # what the track decides by: mean loss in nats, or mean training time in seconds
    measure_sd: float | None
    loss_nats: float | None  # mean
    train_s: float | None  # mean
    run_ids: tuple[str, ...]  # behind the means, oldest first
    losses_nats: tuple[float, ...]
    times_s: tuple[float, ...]
    since: str  # date on which the evidence was complete, UTC
    last_run: str  # date, UTC
    evidence: Evidence


class LostDuel(msgspec.Struct, frozen=True, kw_only=True):
    """A variant that can't take the record, for it lost a duel with it."""

    entry: str
    source_sha256: str
    overrides: tuple[tuple[str, str], ...]
    duel_id: str
    words: str


class History(msgspec.Struct, frozen=True, kw_only=True):
    """The records of one track (as its file was), one data set and one kind of hardware."""

    track: TrackRef
    dataset: DatasetRef
    hardware: str
    current_version: bool  # the track's version is today's
    marks: tuple[str, ...]  # as the section's on the board
    steps: tuple[Step, ...]  # oldest first; a record's re-timings right after it
    claims: tuple[Step, ...]  # best first: would be records, were they verified
    record_losses: tuple[tuple[str, tuple[float, ...]], ...] = ()  # version of torch → losses of the record's variant
    lost: tuple[LostDuel, ...] = ()  # to the standing record


def current(history: History) -> Step | None:
    """The record that stands; None: there is none yet."""
    return next((step for step in reversed(history.steps) if step.kind == "record"), None)
