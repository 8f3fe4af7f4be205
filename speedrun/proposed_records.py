"""The records that a pull request adds: whether each is what the harness would have written for this very entry.

Nobody can tell from a record alone that it was not made up; that is what a maintainer's own runs are for. These rules
refuse what contradicts itself, the entry beside it, or the results that are there already.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from harness.result import Record, SourceFile, Tier, Verdict
from harness.submission import Submission
from harness.track import Track
from leaderboard import plausibility
from leaderboard.plausibility import Check, doubts
from leaderboard.schema import RecordError, Summary, decode
from leaderboard.store import Held
from leaderboard.text import plain
from speedrun.pull_request import Refusal, refusal

# (record's bytes, signature, when the run began) → the maintainer whose key signed it, or None.
Vouch = Callable[[bytes, bytes, str], str | None]


class ProposedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record that the change adds."""

    run_id: str
    track: str
    verdict: Verdict
    ranked: bool
    loss_nats: float | None
    train_s: float | None
    tier: Tier
    signed_by: str | None


class RecordFile(NamedTuple):
    """A record as it was committed."""

    path: str
    data: bytes
    signature: bytes | None


@dataclass(frozen=True)
class Facts:
    """What the records are held against."""

    entry: str
    submission: Submission | None  # as the change has it; None: it breaks a rule of its own
    tracks: Mapping[str, Track]  # the base's
    earlier: Sequence[Summary]  # the base's records
    plausible: plausibility.Facts  # for what is asked of every record on the board


class Judged(NamedTuple):
    """Every record that can be read, and everything that speaks against them."""

    records: tuple[ProposedRecord, ...]
    refusals: tuple[Refusal, ...]
    remarks: tuple[str, ...]


def judge(files: Sequence[RecordFile], facts: Facts, vouch: Vouch) -> Judged:
    """Holds every new record against the facts and against the other new ones."""
    records: list[ProposedRecord] = []
    refusals: list[Refusal] = []
    remarks: list[str] = []
    earlier = [_Known.of(summary) for summary in facts.earlier]
    for file in files:
        try:
            record = decode(file.data)
        except RecordError as error:
            refusals.append(refusal(file.path, f"holds no valid record: {error}"))
            continue
        signer = vouch(file.data, file.signature, record.started_at) if file.signature is not None else None
        held = Held(record, file.path, file.data, file.signature, signer)
        # What the track's rules are, is asked below, and more strictly: of a new record only today's will do.
        said = [say for say in doubts(held, facts.plausible) if say.check is not Check.TRACK]
        reasons = [
            *_place(file.path, record, facts),
            *_signature(held),
            *_track(record, facts.tracks.get(record.track.id)),
            *_source(record, facts.submission),
            *_known(record, earlier),
            *(say.words for say in said if say.grave),
        ]
        remarks += (f"run {record.run_id}: {say.words}" for say in said if not say.grave)
        refusals += (refusal(file.path, reason) for reason in reasons)
        earlier.append(_Known.of(record))
        records.append(_proposed(record, signer))
    return Judged(tuple(records), tuple(refusals), tuple(remarks))


def _proposed(record: Record, signer: str | None) -> ProposedRecord:
    return ProposedRecord(
        run_id=record.run_id,
        track=record.track.id,
        verdict=record.verdict,
        ranked=record.ranked,
        loss_nats=record.score.loss_nats if record.score is not None else None,
        train_s=record.times.train_s,
        tier=record.tier,
        signed_by=signer,
    )


def _place(path: str, record: Record, facts: Facts) -> Iterator[str]:
    folder, _, name = path.rpartition("/")
    if folder.rpartition("/")[2] != record.track.id or name != f"{record.run_id}.json":
        yield f"holds run {record.run_id} on {record.track.id}: a record lies in <track>/<run id>.json"
    if record.entry.name != facts.entry:
        yield f"is a record of the entry {record.entry.name}, not of {facts.entry}"


def _signature(held: Held) -> Iterator[str]:
    """A verified record without a valid one is refused anyway."""
    if held.record.tier is not Tier.VERIFIED and held.signature is not None:
        yield "is self-reported and comes with a signature, which says nothing; leave the .sig file out"


def _track(record: Record, track: Track | None) -> Iterator[str]:
    ran = record.track
    if track is None:
        yield f"ran on the track {ran.id}, which the base does not have"
    elif (ran.version, ran.sha256) != (track.version, track.sha256):
        yield f"ran on another state of {track.id} than the base's (version {track.version}); run it again with that"
    elif (ran.objective, ran.limit_s, ran.target_nats) != (
        track.objective,
        track.limits.train_s,
        track.score.target_nats,
    ):
        yield f"tells other terms of {track.id} than the track's file"


def _source(record: Record, submission: Submission | None) -> Iterator[str]:
    if submission is None:
        return
    ran, there = _texts(record.source.files), _texts(submission.source.files)
    differ = sorted(path for path in ran.keys() | there.keys() if ran.get(path) != there.get(path))
    if differ:
        first = plain(differ[0], 100) + (f" and {len(differ) - 1} more" if len(differ) > 1 else "")
        yield f"was made with another source than the folder holds ({first}); run the entry again as it is now"
    elif record.entry != submission.entry:
        yield "names the entry's title, authors or technique otherwise than its submission.toml"


def _texts(files: Sequence[SourceFile]) -> dict[str, str]:
    return {file.path: file.text for file in files}


class _Known(NamedTuple):
    """What no other run may have."""

    run_id: str
    entry: str
    seed: int
    twin_seed: int | None
    artifact: str | None
    repeated: bool  # a reproduction has the seed of what it repeats, and often its artifact

    @classmethod
    def of(cls, run: Record | Summary) -> "_Known":
        return cls(
            run_id=run.run_id,
            entry=run.entry.name,
            seed=run.seed,
            twin_seed=run.twin.seed if run.twin is not None else None,
            artifact=run.artifact.sha256 if run.artifact is not None else None,
            repeated=run.series is not None and run.series.purpose == "reproduce",
        )


def _known(record: Record, earlier: Sequence[_Known]) -> Iterator[str]:
    """One run handed in twice. An entry that leaves nothing to chance may save its own artifact again."""
    mine = _Known.of(record)
    for other in earlier:
        if mine.run_id == other.run_id:
            yield "is there already: the base, or this change, has a record with this id"
        elif mine.twin_seed is not None and mine.twin_seed == other.twin_seed:
            yield f"has the twin's seed of run {other.run_id}: it is that run, handed in again"
        elif mine.seed == other.seed and not (mine.repeated or other.repeated):
            yield f"has the seed of run {other.run_id}, and the harness draws a fresh one for every run"
        elif mine.artifact is not None and mine.artifact == other.artifact and mine.entry != other.entry:
            yield f"has the artifact of run {other.run_id}, of the entry {other.entry}"
