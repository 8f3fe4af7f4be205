"""Whether an entry waits for a maintainer's verification on a track, and what it claims: pure functions of records.

What is asked is whether the source that lies in the checkout now does what its author says; and what answers it is
verified runs of that very source that settle it (speedrun.verification). So an entry waits on a track

- when its own runs of this source there are scored and no verification has settled them. Practice on another machine
  asks as well as a ranked run does: that is what somebody without the track's machine can show;
- when a verification of this source was begun and is not settled;
- when its runs there are of an older source, or with other settings than the source's: what they said is not known of
  it as it is now;
- when it has no results at all, on no track. Its card names no track, so it waits on whichever a maintainer asks about.

What runs said under an older file of the track (an older version, say) is answered by a verification under that file or
under today's, so that a new version of a track does not bring back whatever was settled before.

Runs that re-time or reproduce, runs on another data set than the track's, and endings that are nobody's fault say
nothing. Not covered: whether a machine of this checkout has to verify what stands on another machine; it need not.
"""

import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from harness.result import Tier, TrackRef
from harness.track import Track
from leaderboard.alike import Variant, by_place, set_apart, torch
from leaderboard.conduct import NOBODYS_FAULT, cheated, disproof
from leaderboard.schema import Summary
from speedrun.verification import Judgement, judge, scores


class Why(StrEnum):
    """Why an entry waits on a track, or does not."""

    RESULTS = "its own results are not verified"
    BEGUN = "its verification is not settled"
    SETTINGS = "its results are with other settings than its source's"
    OLDER_SOURCE = "its source changed since its results"
    NO_RESULTS = "it has no results yet"

    STANDS = "stands"
    FELL = "does not stand"
    WITHDRAWN = "withdrawn"
    AGAINST_ITSELF = "its own runs speak against it"
    NOT_SCORED = "none of its runs was scored"
    ELSEWHERE = "its results are on other tracks"

    @property
    def waits(self) -> bool:
        return self in (Why.RESULTS, Why.BEGUN, Why.SETTINGS, Why.OLDER_SOURCE, Why.NO_RESULTS)


class Terms(NamedTuple):
    """What the runs of one track are held to."""

    track: TrackRef  # as its file is today
    dataset: str  # the track's
    asked: int  # verified runs that settle an entry
    alpha: float
    retracted: Collection[str]  # ids of runs
    waived: Mapping[tuple[TrackRef, Variant], str]  # why a variant needs no test of its target


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry's own runs of its source say; nobody has verified it."""

    runs: int
    loss_nats: float  # of the best run
    train_s: float | None  # of the same
    target_met: bool | None  # by the same; None: the track has no target
    practice: bool  # none of them could be ranked
    version: int  # of the track


def track_ref(track: Track) -> TrackRef:
    """How a record of today names the track."""
    return TrackRef(
        id=track.id,
        version=track.version,
        sha256=track.sha256,
        objective=track.objective,
        limit_s=track.limits.train_s,
        target_nats=track.score.target_nats,
    )


def why(source_sha256: str, runs: Sequence[Summary], terms: Terms) -> Why:
    """Whether an entry with this source waits on the track.

    runs: all of the entry, on whatever track, oldest first.
    """
    here = [run for run in runs if _about(run, terms)]
    own = [run for run in here if run.source.sha256 == source_sha256]
    plain_own = [run for run in own if not run.overrides]
    standing = [run for run in plain_own if run.run_id not in terms.retracted]
    today = judged(standing, terms.track, terms)
    if today.settled:
        return _answer(today)
    reported = [run for run in standing if run.tier is Tier.SELF_REPORTED]
    if cheated(reported):
        return Why.AGAINST_ITSELF
    asking = [run for run in standing if run.scored or run.tier is Tier.VERIFIED]
    answers = [judged(standing, track, terms) for track in {run.track: None for run in asking}]
    if not all(answer.settled for answer in answers):
        return Why.RESULTS if any(run.scored for run in reported) else Why.BEGUN
    if answers:
        return _answer(answers[-1])
    if any(run.scored and run.overrides and run.run_id not in terms.retracted for run in own):
        return Why.SETTINGS
    if any(map(_telling, plain_own)):
        return Why.NOT_SCORED if any(map(_telling, standing)) else Why.WITHDRAWN
    if any(map(_telling, here)):
        return Why.OLDER_SOURCE
    return Why.ELSEWHERE if any(map(_telling, runs)) else Why.NO_RESULTS


def judged(runs: Iterable[Summary], track: TrackRef, terms: Terms) -> Judgement:
    """What the verified ones among `runs`, all of one source, come to under one file of the track.

    As a verification does (speedrun.commands.verify) it takes runs of one place and one version of torch; of several
    such groups the first one that settles the matter counts, else the one with the most runs that were scored. What
    speaks against a source in a place does so whatever the torch, as on the board.
    """
    verified = [run for run in runs if run.tier is Tier.VERIFIED and run.track == track]
    best, most = judge((), terms.asked, track, terms.alpha, None), 0
    for in_place in by_place(verified).values():
        if against := disproof(in_place):
            return Judgement("does not stand", against, True)
        for group in _by_torch(in_place):
            waived = terms.waived.get((track, Variant(group[0].entry.name, group[0].source.sha256, ())))
            judgement, made = judge(group, terms.asked, track, terms.alpha, waived), len(scores(group))
            if judgement.settled:
                return judgement
            if made > most:
                best, most = judgement, made
    return best


def verified_runs(source_sha256: str, runs: Iterable[Summary], terms: Terms) -> int:
    """Verified runs of this source that count today, in the group that has the most of them."""
    own = (run for run in _own(source_sha256, runs, terms) if run.tier is Tier.VERIFIED and run.track == terms.track)
    groups = (group for in_place in by_place(own).values() for group in _by_torch(in_place))
    return max((len(scores(group)) for group in groups), default=0)


def claim(source_sha256: str, runs: Iterable[Summary], terms: Terms) -> Claim | None:
    """What the entry's own runs of this source say: ranked ones of today if there are any, else practice of today, else
    those of older files of the track; None: nothing.
    """
    scored = [run for run in _own(source_sha256, runs, terms) if run.tier is Tier.SELF_REPORTED and run.scored]
    today = [run for run in scored if run.track == terms.track]
    taken = [run for run in today if run.ranked] or today or scored
    rated = [(_measure(run, terms.track), run) for run in taken if run.score is not None]
    if not rated:
        return None
    best = min(rated, key=lambda each: each[0])[1]
    assert best.score is not None
    return Claim(
        runs=len(taken),
        loss_nats=best.score.loss_nats,
        train_s=best.times.train_s,
        target_met=best.score.target_met,
        practice=not any(run.ranked for run in taken),
        version=best.track.version,
    )


def first_told(source_sha256: str, runs: Iterable[Summary], terms: Terms) -> str | None:
    """When the entry's first own run of this source began, UTC; None: there is none."""
    own = (run for run in _own(source_sha256, runs, terms) if run.tier is Tier.SELF_REPORTED)
    return min((run.started_at for run in own), default=None)


def overhead_s(runs: Iterable[Summary], track_id: str) -> float | None:
    """What a run on the track typically takes besides its training: the median; None: nobody has run there."""
    beside = [
        max(0.0, run.times.total_s - run.times.train_s)
        for run in runs
        if run.track.id == track_id and run.scored and run.times.train_s is not None
    ]
    return statistics.median(beside) if beside else None


def _own(source_sha256: str, runs: Iterable[Summary], terms: Terms) -> Iterable[Summary]:
    """Runs of this source as it is, that are about the track and not retracted."""
    return (
        run
        for run in runs
        if _about(run, terms)
        and run.source.sha256 == source_sha256
        and not run.overrides
        and run.run_id not in terms.retracted
    )


def _about(run: Summary, terms: Terms) -> bool:
    if run.track.id != terms.track.id or set_apart(run):
        return False
    return run.dataset.official or run.dataset.id == terms.dataset


def _telling(run: Summary) -> bool:
    return run.verdict not in NOBODYS_FAULT


def _answer(judgement: Judgement) -> Why:
    return Why.STANDS if judgement.outcome == "stands" else Why.FELL


def _by_torch(runs: Iterable[Summary]) -> Iterable[list[Summary]]:
    groups: dict[str, list[Summary]] = {}
    for run in runs:
        groups.setdefault(torch(run), []).append(run)
    return groups.values()


def _measure(run: Summary, track: TrackRef) -> tuple[bool, float]:
    """What makes a run better than another: the time of one that met the target, else the loss; smaller is better."""
    assert run.score is not None
    if track.objective == "fastest-to-loss" and run.score.target_met and run.times.train_s is not None:
        return False, run.times.train_s
    return True, run.score.loss_nats
