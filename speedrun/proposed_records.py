"""The records that a pull request adds: whether each is what the harness would have written for this very entry.

Nobody can tell from a record alone that it was not made up; that is what a maintainer's own runs are for. These rules
refuse what contradicts itself, the entry beside it, or the results that are there already. What is only odd is told to
the reviewer: a loss that guessing beats, and runs of what was run often enough, whose authors may not have sent them.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from harness.result import Record, SourceFile, Tier, Verdict, encode
from harness.submission import Submission
from leaderboard.alike import place, set_apart, variant
from leaderboard.plausibility import Check, doubts
from leaderboard.schema import RecordError, Summary, decode, decode_summary
from leaderboard.store import Held
from leaderboard.text import plain
from speedrun.base_facts import BaseFacts
from speedrun.pull_request import Refusal, refusal

ABOVE_GUESSING_NATS = 1.0  # an honest run that went wrong may end a little above; beyond that nothing was learnt

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
    base: BaseFacts


class Judged(NamedTuple):
    """Every record that can be read, and everything that speaks against them."""

    records: tuple[ProposedRecord, ...]
    refusals: tuple[Refusal, ...]
    remarks: tuple[str, ...]


def judge(files: Sequence[RecordFile], facts: Facts, vouch: Vouch) -> Judged:
    """Holds every new record against the facts and against the other new ones."""
    records: list[ProposedRecord] = []
    summaries: list[Summary] = []
    refusals: list[Refusal] = []
    remarks: list[str] = []
    earlier = [_Known.of(summary) for summary in facts.base.earlier]
    for file in files:
        try:
            record = decode(file.data)
        except RecordError as error:
            refusals.append(refusal(file.path, f"holds no valid record: {error}"))
            continue
        signer = vouch(file.data, file.signature, record.started_at) if file.signature is not None else None
        held = Held(record, file.path, file.data, file.signature, signer)
        # What the track's rules are, is asked below, and more strictly: of a new record only today's will do.
        said = [say for say in doubts(held, facts.base.plausible) if say.check is not Check.TRACK]
        reasons = [
            *_canonical(file.data, record),
            *_place(file.path, record, facts.entry),
            *_signature(held),
            *_series(record, facts.base),
            *_track(record, facts.base),
            *_source(record, facts.submission),
            *_known(record, earlier),
            *(say.words for say in said if say.grave),
        ]
        odd = [*(say.words for say in said if not say.grave), *_worse_than_guessing(record)]
        remarks += (f"run {record.run_id}: {words}" for words in odd)
        refusals += (refusal(file.path, reason) for reason in reasons)
        earlier.append(_Known.of(record))
        summaries.append(decode_summary(file.data))
        records.append(_proposed(record, signer))
    remarks += _more_than_enough(summaries, facts.base)
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


def _canonical(data: bytes, record: Record) -> Iterator[str]:
    """What two programs may read in two ways (a name twice), and what was put in where nobody looks."""
    if encode(record) != data:
        yield "is not byte for byte what speedrun writes for it today; hand in the file that a run with the base wrote"


def _place(path: str, record: Record, entry: str) -> Iterator[str]:
    folder, _, name = path.rpartition("/")
    if folder.rpartition("/")[2] != record.track.id or name != f"{record.run_id}.json":
        yield f"holds run {record.run_id} on {record.track.id}: a record lies in <track>/<run id>.json"
    if record.entry.name != entry:
        yield f"is a record of the entry {record.entry.name}, not of {entry}"


def _signature(held: Held) -> Iterator[str]:
    """A verified record without a valid one is refused anyway."""
    if held.record.tier is not Tier.VERIFIED and held.signature is not None:
        yield "is self-reported and comes with a signature, which says nothing; leave the .sig file out"


def _series(record: Record, base: BaseFacts) -> Iterator[str]:
    """Runs that were made together are judged together: nobody adds one to what a maintainer has made."""
    series = record.series
    if record.tier is not Tier.VERIFIED and series is not None and series.id in base.vouched_series:
        yield f"says that it was made in {plain(series.id, 80)}, which the base has already, and is not signed"


def _track(record: Record, base: BaseFacts) -> Iterator[str]:
    ran = record.track
    track = base.tracks.get(ran.id)
    if ran.id in base.broken:
        yield f"ran on {ran.id}, which the base has broken ({base.broken[ran.id]}); a maintainer has to mend it first"
    elif track is None:
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


def _worse_than_guessing(record: Record) -> Iterator[str]:
    """A mean that such a loss enters is worth nothing."""
    if record.score is None:
        return
    loss_nats, guessing_nats = record.score.loss_nats, math.log(max(1, record.dataset.vocab_size))
    if not loss_nats <= guessing_nats + ABOVE_GUESSING_NATS:
        yield f"its loss of {loss_nats:g} nats is far above the {guessing_nats:.2f} that guessing gives"


def _more_than_enough(new: Sequence[Summary], base: BaseFacts) -> Iterator[str]:
    """Self-reported runs that move the mean of what has its place already. Verified ones are a maintainer's affair."""
    added = Counter((variant(run), place(run)) for run in new if _counts(run))
    were = Counter((variant(run), place(run)) for run in base.earlier if _counts(run))
    for (of, here), number in added.items():
        track = base.tracks.get(here.track.id)
        if track is not None and were[of, here] >= track.ranking.runs:
            yield (
                f"the base has {were[of, here]} self-reported runs of this very source on {track.id} already, which "
                f"asks for {track.ranking.runs}; {number} more would move their mean"
            )


def _counts(run: Summary) -> bool:
    return run.tier is not Tier.VERIFIED and run.ranked and not set_apart(run)


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
